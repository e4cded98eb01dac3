/**
 * Where a run keeps its control sockets, scratch disks and snapshots:
 * `$XDG_RUNTIME_DIR/ft86/NAME`, or `TMPDIR/ft86-UID/NAME` where there is no runtime directory.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../emulator/errors.js';

/** The folder that holds all runs of this user. */
export function runsDirectory(): string {
  const runtime = process.env['XDG_RUNTIME_DIR'];
  if (runtime !== undefined && runtime !== '' && existsSync(runtime)) return join(runtime, 'ft86');
  return join(tmpdir(), `ft86-${process.getuid?.() ?? 0}`);
}

/** Make the folder of the run called `name`, 0700. @throws ConfigError when the name is not one */
export function makeRunDirectory(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,40}$/.test(name)) {
    throw new ConfigError('--name', name, 'must be letters, digits, "_" or "-", at most 41 of them');
  }
  const path = join(runsDirectory(), name);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** Remove a run's folder and all in it. */
export function removeRunDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** A name for a run that was given none. */
export function ephemeralName(image: string): string {
  const base = image
    .replace(/.*\//, '')
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, 20);
  return `${base === '' ? 'guest' : base}-${process.pid}`;
}
