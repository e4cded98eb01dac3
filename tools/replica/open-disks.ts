/** Opens the drives of a replica: raw files of this host, or exports of an NBD server. */
import type { DiskCompletion, DiskRequest } from '../../devices/environment.js';
import { ConfigError, ReplicaError } from '../../emulator/errors.js';
import { SECTOR_BYTES, type DiskBackend } from '../../hypervisor/backend/backend.js';
import type { DriveReplication } from '../../hypervisor/backend/drive-replication.js';
import { DiskFile } from '../../hypervisor/backend/disk-file.js';
import { internalRequest, isInternal } from '../../hypervisor/backend/internal-request.js';
import { OwnDisk } from '../../hypervisor/backend/own-disk.js';
import { NbdDisk, type DiskUser } from '../../hypervisor/nbd/nbd-disk.js';
import { isNbdUri, parseNbdUri } from '../../hypervisor/nbd/uri.js';
import type { DriveOptions } from './drive-options.js';
import { fileSize } from './option-files.js';

/** How a backup has a drive, and our copy of it where it is not shared. */
export interface OpenDrive extends DriveReplication {
  readonly copy: OwnDisk | null;
  /** A shared one on a server. */
  readonly served: NbdDisk | null;
}

export interface OpenDisks {
  readonly drives: readonly OpenDrive[];
  readonly backends: readonly DiskBackend[];
  /** Rejects when this replica must not use one of them any more. */
  readonly lost: Promise<never>;
  /** Use the shared ones as a live replica. Waits for servers. @throws ReplicaError when another replica is live */
  attach(user: DiskUser): Promise<void>;
  /** Whether the servers of the shared ones can be reached now. */
  reachable(): Promise<boolean>;
  close(): Promise<void>;
}

/** How long, in ms, requests have waited for one of their servers; 0: none does. */
export function awayMs(drives: readonly OpenDrive[]): number {
  return Math.max(0, ...drives.map(({ served }) => served?.awayMs ?? 0));
}

/** Open every drive. @throws ConfigError, ReplicaError when a server cannot be reached */
export async function openDisks(drives: readonly DriveOptions[], key: Uint8Array | null): Promise<OpenDisks> {
  const disks: (DiskFile | NbdDisk)[] = [];
  for (const [slot, drive] of drives.entries()) disks.push(await openDisk(drive, slot, key));
  const open = drives.map(({ shared, backupReads }, slot) => {
    const disk = disks[slot]!;
    return {
      ...{ shared, backupReads },
      copy: shared ? null : new OwnDisk(disk, slot),
      served: shared && disk instanceof NbdDisk ? disk : null,
    };
  });
  const served = disks.filter((disk) => disk instanceof NbdDisk);
  const lost = Promise.race([new Promise<never>(() => undefined), ...served.map((disk) => disk.lost)]);
  lost.catch(() => undefined);
  return {
    drives: open,
    backends: disks.map((disk, slot) => open[slot]?.copy ?? disk),
    lost,
    attach: async (user) => {
      for (const { served: disk } of open) await disk?.attach(user);
    },
    reachable: async () => {
      for (const { served: disk } of open) if (disk !== null && !(await disk.reachable())) return false;
      return true;
    },
    close: async () => {
      for (const disk of disks) await disk.close();
    },
  };
}

/** Flush the shared drives on servers. @throws ReplicaError when one cannot be flushed */
export async function settle(drives: readonly OpenDrive[]): Promise<void> {
  for (const [drive, { served }] of drives.entries()) {
    if (served === null) continue;
    const request = internalRequest({ drive, op: 'flush', sector: 0, bytes: 0, data: new Uint8Array(0) });
    const { status } = await new Promise<DiskCompletion>((resolve) => {
      served.submit(request, resolve);
    });
    if (status !== 'ok') throw new ReplicaError(`the state transfer broke off: drive ${drive} cannot be flushed`);
  }
}

/** Size of a drive in sectors. @throws ConfigError, ReplicaError when its server cannot be reached */
export async function driveSectors(drive: DriveOptions, key: Uint8Array | null): Promise<number> {
  const { path } = drive;
  if (isNbdUri(path)) return servedSectors(drive, key);
  const bytes = fileSize('--drive', path);
  if (bytes === 0 || bytes % SECTOR_BYTES !== 0) {
    throw new ConfigError(
      '--drive',
      path,
      `must be a whole number of 512-byte sectors, not ${bytes} bytes (truncate -s %512 FILE makes it so)`,
    );
  }
  return bytes / SECTOR_BYTES;
}

async function servedSectors(drive: DriveOptions, key: Uint8Array | null): Promise<number> {
  const disk = await openServed(drive, 0, key);
  await disk.close();
  return disk.sectors;
}

function openDisk(drive: DriveOptions, slot: number, key: Uint8Array | null): Promise<DiskFile | NbdDisk> {
  if (isNbdUri(drive.path)) return openServed(drive, slot, key);
  const onError = (error: Error, request: DiskRequest): void => {
    if (!isInternal(request)) say(`${error.message}: the guest gets an I/O error`);
    else if (request.op !== 'read') say(error.message);
  };
  return DiskFile.open(drive.path, { readonly: drive.readonly, onError });
}

function openServed({ path, readonly }: DriveOptions, slot: number, key: Uint8Array | null): Promise<NbdDisk> {
  return NbdDisk.open({ uri: parseNbdUri('--drive', path), text: path, key, readonly, slot, say });
}

/** Tell the person at the terminal. */
export function say(message: string): void {
  process.stderr.write(`ft86: ${message}\n`);
}
