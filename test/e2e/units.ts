/** The systemd units of docs/systemd, as far as a test needs them: what they run, and the example of their configuration. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the units expect ft86. */
export const PROGRAM = '/opt/ft86/ft86';

const folder = join(import.meta.dirname, '../../docs/systemd');

/** Names of the units, with `.service`. */
export function unitNames(): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.service'));
}

export function unitText(name: string): string {
  return readFileSync(join(folder, name), 'utf8');
}

/** The configuration as a file would be read: name to value. */
export function exampleConfiguration(): Record<string, string> {
  const lines = readFileSync(join(folder, 'pair.conf.example'), 'utf8').split('\n');
  const settings = lines.filter((line) => /^[A-Z_]+=/.test(line));
  return Object.fromEntries(
    settings.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/**
 * The words of a unit's ExecStart, as systemd.service(5) says: `${NAME}` is a part of a word, `$NAME` alone is as many words as
 * it has.
 */
export function commandOf(unit: string, configuration: Readonly<Record<string, string>>): string[] {
  const [, line = ''] = /^ExecStart=(.*)$/m.exec(unitText(unit)) ?? [];
  return line.split(' ').flatMap((word) => {
    const alone = /^\$([A-Z_]+)$/.exec(word)?.[1];
    if (alone !== undefined)
      return valueOf(configuration, alone)
        .split(' ')
        .filter((part) => part !== '');
    return [word.replace(/\$\{([A-Z_]+)\}/g, (_, name: string) => valueOf(configuration, name))];
  });
}

function valueOf(configuration: Readonly<Record<string, string>>, name: string): string {
  const value = configuration[name];
  if (value === undefined) throw new Error(`${name} is not in pair.conf.example`);
  return value;
}
