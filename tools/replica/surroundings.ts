/**
 * Opens what a replica is connected to, from its options: disks, console, arbiter, switch ports. Everything is
 * opened before the guest starts, so a mistake shows at once.
 */
import { mkdirSync } from 'node:fs';
import type { ConsoleSink, DiskBackend } from '../../hypervisor/backend/backend.js';
import { openConsoleFile, openConsoleStream } from '../../hypervisor/backend/console.js';
import { DiskFile } from '../../hypervisor/backend/disk-file.js';
import { ConfigError } from '../../emulator/errors.js';
import type { Arbiter } from '../../hypervisor/ft/arbiter.js';
import { DirectoryArbiter } from '../../hypervisor/ft/arbiter-directory.js';
import { readKey } from '../../hypervisor/channel/key-file.js';
import type { DriveOptions } from './drive-options.js';
import { ParentConsole, type ParentLink } from './parent-link.js';

/** Open every drive. @throws ConfigError */
export async function openDisks(drives: readonly DriveOptions[]): Promise<DiskBackend[]> {
  const disks: DiskBackend[] = [];
  for (const { path, readonly } of drives) {
    const onError = (error: Error): void => {
      process.stderr.write(`ft86: ${error.message}: the guest gets an I/O error\n`);
    };
    disks.push(await DiskFile.open(path, { readonly, onError }));
  }
  return disks;
}

/**
 * Open the console: `stdio`, `file:PATH`, `none`, or the parent that started this process.
 * @param quiet with --json the guest's console goes to stderr, stdout is for the result
 * @throws ConfigError
 */
export function openConsole(serial: string, quiet: boolean, fresh: boolean, parent: ParentLink | null): ConsoleSink {
  if (serial === 'stdio' && parent !== null) return new ParentConsole(parent, 0);
  if (serial === 'stdio') {
    return openConsoleStream(quiet ? process.stderr : process.stdout, (error) => {
      throw error;
    });
  }
  if (serial === 'none') return new NullConsole();
  if (serial.startsWith('file:') && serial.length > 5) return openConsoleFile(serial.slice(5), fresh);
  throw new ConfigError('--serial', serial, 'must be stdio, none or file:PATH');
}

/** Open the arbiter `file:DIR` for the pair called `name`. @throws ConfigError */
export function openArbiter(text: string, name: string): Arbiter {
  if (!text.startsWith('file:') || text.length === 5) {
    throw new ConfigError('--arbiter', text, 'must be file:DIR, a directory that both replicas see');
  }
  const directory = text.slice(5);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ConfigError(
      '--arbiter',
      text,
      `cannot be made (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
    );
  }
  return new DirectoryArbiter(directory, name);
}

/** The key of --key, or null. @throws ConfigError */
export function openKey(path: string | undefined): Uint8Array | null {
  return path === undefined ? null : readKey(path);
}

/** A console that nobody reads. */
class NullConsole implements ConsoleSink {
  released = 0;

  write(offset: number, bytes: Uint8Array): void {
    this.released = offset + bytes.length;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
