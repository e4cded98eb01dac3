/**
 * What a backup does with disks itself: it reads where the log leaves the data out, and writes a copy of its own where
 * the disk is not shared.
 *
 *   guest asks to read -> host.read() ...... data      entry of the completion: ready() -> answered() -> Machine.apply
 *   guest asks to write a copy of its own: nothing     entry of the completion, not failed: host.perform()
 *
 * A read begins when the guest asks and is waited for at its completion's entry. If the live replica's read failed the
 * log says so, and nothing is expected here; if only ours fails the host tries again until it succeeds. A write is
 * performed when the log says that the live replica's was: a copy never has what the guest was told is not there.
 * A backup that gets checkpoints does none of that. Each of them names the writes that are done and not flushed; those were under way
 * at an earlier one, since a write is an output.
 * Source: Scales et al. 2010, sections 4.1 and 4.2.
 */
import type { DiskRequest } from '../../devices/environment.js';
import { assert, DecodeError } from '../../emulator/errors.js';
import type { DriveReplication } from '../backend/drive-replication.js';
import type { Entry } from '../log/entry.js';
import type { Machine } from '../machine/machine.js';
import type { KeptWrite } from '../nbd/unflushed-writes.js';
import { KeptWrites, keptWrite } from './kept-writes.js';

export interface BackupDiskHost {
  /** Read until it succeeds; `done` once, now or later, unless the returned function is called before. */
  read(request: DiskRequest, done: (data: Uint8Array) => void): () => void;
  /** Write or flush this replica's own copy. */
  perform(request: DiskRequest): void;
}

/** How a backup has a drive. */
export interface BackupDrive extends DriveReplication {
  /** It is shared, on a server that may lose what is not flushed. */
  readonly served: boolean;
}

export interface BackupDisksOptions {
  readonly drives: readonly BackupDrive[];
  readonly host: BackupDiskHost;
  /** For each drive that is served, what no flush covered yet at this checkpoint; undefined: nothing. */
  readonly unflushed?: readonly (readonly KeptWrite[])[] | undefined;
}

/** Drives have numbers of a byte in the log. */
const DRIVES_MAX = 256;

type DiskEntry = Extract<Entry, { kind: 'disk' }>;

interface Reading {
  data: Uint8Array | null;
  cancel: () => void;
}

export class BackupDisks {
  readonly #machine: Machine;
  readonly #drives: readonly BackupDrive[];
  readonly #kept: readonly (KeptWrites | null)[];
  readonly #host: BackupDiskHost | null;
  readonly #reading = new Map<number, Reading>();
  #readsDone = 0;
  /** Called when a read that took a while, and may be waited for, is there. */
  onData: () => void = () => undefined;

  /** `machine` may have requests under way from before. */
  constructor(machine: Machine, options: BackupDisksOptions | null) {
    this.#machine = machine;
    this.#drives = options?.drives ?? [];
    this.#host = options?.host ?? null;
    this.#kept = this.#drives.map(({ served }, i) => (served ? new KeptWrites(options?.unflushed?.[i]) : null));
    for (const { request } of machine.pendingDiskRequests()) this.emitted(request);
  }

  /** Writes to a shared drive that no flush covers yet, in order. */
  unflushed(drive: number): readonly KeptWrite[] {
    return this.#kept[drive]?.writes ?? [];
  }

  /** For each drive, the writes that a later checkpoint may name. */
  known(): readonly (readonly KeptWrite[])[] {
    return this.#drives.map((_, drive) => this.#known(drive));
  }

  #known(drive: number): readonly KeptWrite[] {
    if (this.#kept[drive] == null) return [];
    const underWay = this.#machine.pendingDiskRequests().filter(({ request }) => request.drive === drive);
    const writes = underWay.filter(({ request }) => request.op === 'write').map(({ request }) => keptWrite(request));
    // Copies, for they are views of a whole checkpoint.
    return [...this.unflushed(drive), ...writes.map((write) => ({ ...write, data: Uint8Array.from(write.data) }))];
  }

  /** Entries of reads done here that were executed so far. */
  get readsDone(): number {
    return this.#readsDone;
  }

  /** The guest asks something of a disk. True: that is an output of the live replica. */
  emitted(request: DiskRequest): boolean {
    const drive = this.#drives[request.drive];
    this.#kept[request.drive]?.emitted(request);
    if (request.op === 'read' && drive?.backupReads === true) this.#read(request);
    return request.op === 'write' && drive?.shared !== false;
  }

  /** Whether everything is here that the entry needs. */
  ready(entry: DiskEntry): boolean {
    return !this.#leftOut(entry) || this.#reading.get(keyOf(entry))?.data != null;
  }

  /** The entry happens now: returns it with its data. */
  answered(entry: DiskEntry): DiskEntry {
    const { at, drive, tag, status } = entry;
    const reading = this.#reading.get(keyOf(entry));
    if (reading !== undefined) this.#reading.delete(keyOf(entry));
    // An answer with data is a read's, which changes nothing.
    if (status === 'ok' && entry.data.length === 0) {
      if (reading === undefined) this.#done(entry);
      else {
        assert(reading.data !== null, 'an entry of a read happens when its data is here');
        this.#readsDone++;
        return { kind: 'disk', at, drive, tag, status, data: reading.data };
      }
    }
    reading?.cancel();
    return entry;
  }

  /** The run ends here: what is under way on copies of our own is done like on the live replica's. */
  ended(): void {
    for (const { request } of this.#machine.pendingDiskRequests()) {
      if (request.op === 'write' && this.#drives[request.drive]?.shared === false) this.#host?.perform(request);
    }
  }

  /** No entry will be executed any more. */
  stop(): void {
    for (const { cancel } of this.#reading.values()) cancel();
    this.#reading.clear();
  }

  #read(request: DiskRequest): void {
    assert(this.#host !== null, 'a backup that reads disks has a host');
    const patch = this.#kept[request.drive]?.patch(request);
    const reading: Reading = { data: null, cancel: () => undefined };
    this.#reading.set(keyOf(request), reading);
    let later = false;
    reading.cancel = this.#host.read(request, (data) => {
      patch?.(data);
      reading.data = data;
      if (later) this.onData();
    });
    later = true;
  }

  #done(entry: DiskEntry): void {
    const request = this.#machine.pendingDiskRequest(entry);
    if (request === undefined || request.op === 'read') return;
    this.#kept[entry.drive]?.answered(request);
    if (this.#drives[entry.drive]?.shared === false) this.#host?.perform(request);
  }

  /** A read that succeeded on the live replica, and whose data we read ourselves. */
  #leftOut(entry: DiskEntry): boolean {
    return entry.status === 'ok' && entry.data.length === 0 && this.#reading.has(keyOf(entry));
  }
}

function keyOf({ drive, tag }: { readonly drive: number; readonly tag: number }): number {
  return tag * DRIVES_MAX + drive;
}

/**
 * The writes that a checkpoint names by their tags, of those that were known before it.
 * @param tags for each drive @throws DecodeError when one is not known
 */
export function namedWrites(
  known: readonly (readonly KeptWrite[])[],
  tags: readonly (readonly number[])[],
): readonly (readonly KeptWrite[])[] {
  return tags.map((ofDrive, drive) => {
    const writes = new Map(known[drive]?.map((write) => [write.tag, write]));
    return ofDrive.map((tag) => {
      const write = writes.get(tag);
      if (write !== undefined) return write;
      throw new DecodeError('bad-write', 0, `drive ${drive}: a checkpoint names write ${tag}, which was not under way`);
    });
  });
}
