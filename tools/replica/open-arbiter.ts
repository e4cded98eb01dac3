/**
 * Opens the third party of a pair, from --arbiter:
 *
 *   file:DIR             a directory that both replicas see
 *   nbd://HOST:PORT      an ft86 disk-server (any form of NBD address)
 *   etcd:http://H:P      etcd
 *   (none)               the disk server of the first drive that is on one, else a directory of this user
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../emulator/errors.js';
import type { Arbiter } from '../../hypervisor/ft/arbiter.js';
import { DirectoryArbiter } from '../../hypervisor/ft/arbiter-directory.js';
import { DiskServerArbiter } from '../../hypervisor/ft/arbiter-disk-server.js';
import { EtcdArbiter } from '../../hypervisor/ft/arbiter-etcd.js';
import { isNbdUri, parseNbdUri } from '../../hypervisor/nbd/uri.js';
import type { DriveOptions } from './drive-options.js';
import { runsDirectory } from './run-directory.js';

export const ARBITER_HELP =
  'test-and-set: file:DIR that both replicas see, nbd://HOST:PORT (ft86 disk-server) or etcd:http://HOST:PORT';

/** @throws ConfigError, ReplicaError when the drives' server cannot be asked */
export async function openArbiter(
  text: string | undefined,
  name: string,
  drives: readonly DriveOptions[],
  key: Uint8Array | null,
): Promise<Arbiter> {
  if (text === undefined) {
    const served = await drivesArbiter(drives, name, key);
    return served ?? openDirectory(`file:${join(runsDirectory(), 'arbiter')}`, name);
  }
  if (isNbdUri(text)) return new DiskServerArbiter(parseNbdUri('--arbiter', text), key, name);
  if (text.startsWith('etcd:')) return new EtcdArbiter(text.slice('etcd:'.length), name);
  if (text.startsWith('file:') && text.length > 5) return openDirectory(text, name);
  throw new ConfigError('--arbiter', text, 'must be file:DIR, nbd://HOST:PORT or etcd:http://HOST:PORT');
}

/** The server of the drives as arbiter; null: there is none, or it is another program. */
async function drivesArbiter(
  drives: readonly DriveOptions[],
  name: string,
  key: Uint8Array | null,
): Promise<DiskServerArbiter | null> {
  const drive = drives.find(isFenced);
  if (drive === undefined) return null;
  const arbiter = new DiskServerArbiter(parseNbdUri('--drive', drive.path), key, name);
  return (await arbiter.supported()) ? arbiter : null;
}

/** What --arbiter of a pair's replicas is: the server of its drives, else a directory of this run. */
export async function pairArbiter(drives: readonly DriveOptions[], name: string, folder: string): Promise<string> {
  const served = drives.find(isFenced);
  if (served !== undefined && (await drivesArbiter(drives, name, null)) !== null) return served.path;
  return `file:${join(folder, 'arbiter')}`;
}

/** A disk of one's own decides nothing. */
function isFenced({ path, shared }: DriveOptions): boolean {
  return shared && isNbdUri(path);
}

function openDirectory(text: string, name: string): Arbiter {
  const directory = text.slice('file:'.length);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new ConfigError('--arbiter', text, `cannot be made (${code})`);
  }
  return new DirectoryArbiter(directory, name);
}
