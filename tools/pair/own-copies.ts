/**
 * The copies of drives that a pair's replicas do not share. The first primary has the file itself; every backup has
 * FILE.NAME beside it, made as zeros and filled at its join.
 *
 * At the end of an orderly run the live replica's copy becomes FILE, so the disk is where it was, and the others are
 * removed. A run that did not end so leaves them all, and the next one refuses to start: only a person can tell which is
 * the newest.
 */
import { closeSync, existsSync, ftruncateSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ConfigError } from '../../emulator/errors.js';
import { isNbdUri } from '../../hypervisor/nbd/uri.js';
import type { DriveOptions } from '../replica/drive-options.js';
import { fileSize } from '../replica/option-files.js';
import { sameContent } from './same-content.js';

/** The name of the replica that has the file itself. */
const FIRST = 'primary';

/** What became of a drive that the replicas did not share. */
export interface CopyResult {
  readonly path: string;
  /** The live replica's copy and its backup's have the same content; null: there were not two at the end. */
  readonly identical: boolean | null;
}

/** The drives of the replica called `name`. */
export function drivesOf(drives: readonly DriveOptions[], name: string): DriveOptions[] {
  return drives.map((drive) => (drive.shared ? drive : { ...drive, path: copyPath(drive.path, name) }));
}

/** Refuse what an earlier run left, and drives that are no files. @throws ConfigError */
export function checkCopies(drives: readonly DriveOptions[]): void {
  for (const { path, shared } of drives) {
    if (shared) continue;
    if (isNbdUri(path)) {
      throw new ConfigError('--drive', path, 'shared=off of a pair needs a file: the backup’s copy is made beside it');
    }
    const left = copiesOf(path)[0];
    if (left === undefined) continue;
    throw new ConfigError(
      '--drive',
      path,
      `a run that did not end in order left ${left}: move the newer one to ${path} and remove the other`,
    );
  }
}

/** Make the copies of a backup called `name`. @throws ConfigError */
export function makeCopies(drives: readonly DriveOptions[], name: string): void {
  for (const { path, shared } of drives) {
    if (shared || name === FIRST) continue;
    const copy = copyPath(path, name);
    try {
      const file = openSync(copy, 'wx', statSync(path).mode & 0o777);
      ftruncateSync(file, fileSize('--drive', path));
      closeSync(file);
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      throw new ConfigError(
        '--drive',
        copy,
        `cannot be made (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
      );
    }
  }
}

/**
 * The run is over: compare and tidy up.
 * @param live the replica that ended in order and was live; null: none did
 * @param backup the one that followed it to the end, or null
 */
export async function settleCopies(
  drives: readonly DriveOptions[],
  live: string | null,
  backup: string | null,
): Promise<CopyResult[]> {
  const results: CopyResult[] = [];
  for (const { path, shared } of drives) {
    if (shared) continue;
    const identical =
      live === null || backup === null ? null : await sameContent(copyPath(path, live), copyPath(path, backup));
    results.push({ path, identical });
    // Copies that differ are evidence.
    if (live === null || identical === false) continue;
    if (live !== FIRST) renameSync(copyPath(path, live), path);
    for (const left of copiesOf(path)) rmSync(left);
  }
  return results;
}

function copyPath(path: string, name: string): string {
  return name === FIRST ? path : `${path}.${name}`;
}

/** Copies of backups that are there. */
function copiesOf(path: string): string[] {
  const folder = dirname(path);
  if (!existsSync(folder)) return [];
  const prefix = `${basename(path)}.backup`;
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && /^(-[0-9]+)?$/.test(name.slice(prefix.length)))
    .map((name) => join(folder, name));
}
