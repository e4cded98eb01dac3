/**
 * Opens what a replica is connected to, from its options: console and key (disks: open-disks.ts, arbiter: open-arbiter.ts). Everything is
 * opened before the guest starts, so a mistake shows at once.
 */
import type { ConsoleSink } from '../../hypervisor/backend/backend.js';
import { openConsoleFile, openConsoleStream } from '../../hypervisor/backend/console.js';
import { ConfigError } from '../../emulator/errors.js';
import { readKey } from '../../hypervisor/channel/key-file.js';
import { ParentConsole, type ParentLink } from './parent-link.js';

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
