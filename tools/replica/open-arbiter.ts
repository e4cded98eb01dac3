/**
 * Opens the third party of a pair, from --arbiter:
 *
 *   file:DIR             a directory that both replicas see
 *   nbd://HOST:PORT      an ft86 disk-server (any form of NBD address)
 *   etcd:http://H:P      etcd
 *   disk-server          the disk server of the first drive that is on one
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
  'test-and-set: file:DIR that both replicas see, nbd://HOST:PORT (ft86 disk-server), etcd:http://HOST:PORT or disk-server (that of the drives)';

/** The value of --arbiter that names the drives' server. */
const OF_DRIVES = 'disk-server';

/** @throws ConfigError, ReplicaError when the drives' server cannot be asked */
export async function openArbiter(
  text: string | undefined,
  name: string,
  drives: readonly DriveOptions[],
  key: Uint8Array | null,
): Promise<Arbiter> {
  if (text === undefined || text === OF_DRIVES) {
    const served = await drivesArbiter(drives, name, key);
    if (served !== null) return served;
    if (text === OF_DRIVES) throw new ConfigError('--arbiter', text, 'no drive is on an ft86 disk-server');
    return openDirectory(`file:${join(runsDirectory(), 'arbiter')}`, name);
  }
  if (isNbdUri(text)) return new DiskServerArbiter(parseNbdUri('--arbiter', text), key, name);
  if (text.startsWith('etcd:')) return new EtcdArbiter(text.slice('etcd:'.length), name);
  if (text.startsWith('file:') && text.length > 5) return openDirectory(text, name);
  throw new ConfigError('--arbiter', text, 'must be file:DIR, nbd://HOST:PORT, etcd:http://HOST:PORT or disk-server');
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

export interface PairArbiterOptions {
  /** --arbiter, if it was given. */
  readonly given: string | undefined;
  readonly drives: readonly DriveOptions[];
  /** The pair's. */
  readonly name: string;
  /** Of this run. */
  readonly folder: string;
  readonly key: Uint8Array | null;
}

/**
 * What --arbiter of a pair's replicas is: what was given, else the server of its drives, else a directory of this run.
 * Null: a disk server that is to be started.
 * @throws ConfigError, ReplicaError
 */
export async function pairArbiter(options: PairArbiterOptions, diskServer: boolean): Promise<string | null> {
  const { given, drives, name, folder, key } = options;
  const ofDrives = given === undefined || given === OF_DRIVES;
  if (ofDrives && diskServer) return null;
  if (given !== undefined) {
    await openArbiter(given, name, drives, key);
    return given;
  }
  const served = drives.find(isFenced);
  if (served !== undefined && (await drivesArbiter(drives, name, key)) !== null) return served.path;
  return `file:${join(folder, 'arbiter')}`;
}

/** Whether the files of a pair's drives need a disk server in front of them, for it to be the arbiter. @throws ConfigError */
export function needsDiskServer(given: string | undefined, drives: readonly DriveOptions[]): boolean {
  if (given === OF_DRIVES && drives.length === 0) throw new ConfigError('--arbiter', given, 'the guest has no drive');
  return given === OF_DRIVES && !drives.some(isFenced);
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
