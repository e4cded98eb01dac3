/** What a person would see in front of the machine: its text screen, POST codes and debug console. */
import { writeFileSync } from 'node:fs';
import type { PostCodes } from '../../devices/post-code.js';
import { ConfigError } from '../../emulator/errors.js';
import type { Machine } from '../../hypervisor/machine/machine.js';

/** How much of the debug console `status` shows. */
const DEBUG_CONSOLE_TAIL = 2000;

export interface Display {
  /** 25 rows, without spaces at their ends. */
  readonly screen: readonly string[];
  readonly cursor: { readonly row: number; readonly column: number } | null;
  readonly postCodes: PostCodes;
  /** The newest characters written to ports 0x402 and 0xe9. */
  readonly debugConsole: string;
}

export function displayOf({ board }: Pick<Machine, 'board'>): Display {
  return {
    screen: board.vga.text().map((row) => row.trimEnd()),
    cursor: board.vga.cursor(),
    postCodes: board.postCode.codes,
    debugConsole: board.debugConsole.text().slice(-DEBUG_CONSOLE_TAIL),
  };
}

/** For people; '' when there is nothing to see. */
export function renderDisplay({ screen, postCodes, debugConsole }: Display): string {
  const parts: string[] = [];
  if (screen.some((row) => row !== '')) {
    const edge = `+${'-'.repeat(80)}+`;
    parts.push([edge, ...screen.map((row) => `|${row.padEnd(80)}|`), edge].join('\n'));
  }
  const codes = Object.entries(postCodes).filter(([, code]) => code !== null);
  if (codes.length > 0) {
    parts.push(`POST codes: ${codes.map(([port, code]) => `${port} ${hex(code as number)}`).join(', ')}`);
  }
  const lines = debugConsole.trimEnd().split('\n').slice(-10);
  if (debugConsole !== '') parts.push(['debug console, its last lines:', ...lines.map(printable)].join('\n'));
  return parts.join('\n');
}

/**
 * Where `--debug-console` goes: `stderr` or a file, which is emptied now so that a mistake shows before the run.
 * @throws ConfigError when the file cannot be written
 */
export function openDebugConsole(path: string | undefined): (machine: Machine) => void {
  if (path === undefined) return () => undefined;
  if (path === 'stderr') {
    return ({ board }) => {
      process.stderr.write(board.debugConsole.text(), 'latin1');
    };
  }
  const write = (text: string): void => {
    try {
      writeFileSync(path, text, 'latin1');
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new ConfigError('--debug-console', path, `cannot be written (${reason})`);
    }
  };
  write('');
  return ({ board }) => {
    write(board.debugConsole.text());
  };
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}

/** Characters that a terminal would act on are shown as dots. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- those are what it is about
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, '.');
}
