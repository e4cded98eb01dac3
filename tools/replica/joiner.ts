/**
 * Edge: collects a live replica's state in a joining backup: BLOBs bring its firmware, WELCOME makes the machine, PAGES
 * and ZEROS fill its RAM, STATE completes it. Checkpoints come the same way; their pages are staged until STATE is there.
 */
import * as z from 'zod';
import type { StateValue } from '../../devices/state.js';
import { DecodeError } from '../../emulator/errors.js';
import { PAGE_BYTES, type Message, type Page, type Welcome } from '../../hypervisor/channel/messages.js';
import { namedWrites } from '../../hypervisor/ft/backup-disks.js';
import { BackupReplica, type BackupOptions } from '../../hypervisor/ft/backup-replica.js';
import { initialRate } from '../../hypervisor/ft/clock-policy.js';
import { Settings } from '../../hypervisor/ft/settings.js';
import { BlobStore } from '../../hypervisor/machine/blob-store.js';
import { BLOB_BYTES_MAX, FILES_MAX } from '../../hypervisor/machine/machine-config.js';
import { Machine } from '../../hypervisor/machine/machine.js';
import { machineStateOf } from '../../hypervisor/machine/machine-state.js';
import type { KeptWrite } from '../../hypervisor/nbd/unflushed-writes.js';
import { decodeStateRecord } from '../../hypervisor/state-codec.js';
import type { BackupSessionOptions } from './backup-session-options.js';
import { configOfHeader } from './handshake.js';
import type { TransferProgress } from './state-sender.js';

/** The firmware and the files. */
const BLOBS_MAX = 1 + FILES_MAX;
const ZERO_PAGE = new Uint8Array(PAGE_BYTES);

/** For each drive, tags of requests. */
const tagsSchema = z.array(z.array(z.number().int().nonnegative()));

export type JoinerOptions = Pick<BackupOptions, 'disks' | 'onFrame' | 'onSnapshot'> & {
  readonly known: readonly (readonly KeptWrite[])[];
};

export class Joiner {
  readonly #checkConfig: BackupSessionOptions['checkConfig'];
  #machine: Machine | null = null;
  readonly #blobs = new BlobStore();
  #blobCount = 0;
  #pagesStored = 0;
  #round = 1;
  #newestPage = 0;
  #complete = false;
  #checkpointMs: number | null = null;
  #settings = new Settings();
  /** Pages of the next checkpoint. */
  #staged: Page[] = [];

  /** @param checkConfig refuses a machine that this replica cannot serve, by throwing ConfigError */
  constructor(checkConfig: BackupSessionOptions['checkConfig']) {
    this.#checkConfig = checkConfig;
  }

  /** Time between checkpoints; null: the log is followed. */
  get checkpointMs(): number | null {
    return this.#checkpointMs;
  }
  get machine(): Machine | null {
    return this.#machine;
  }

  /** How far the transfer is; pages ascend within a round. */
  get progress(): TransferProgress {
    const pages = (this.#machine?.config.memoryBytes ?? PAGE_BYTES) / PAGE_BYTES;
    return {
      round: this.#round,
      drive: null,
      share: (this.#newestPage + 1) / pages,
      bytes: this.#pagesStored * PAGE_BYTES,
    };
  }

  /** The live replica has sent all of a round. */
  roundEnded(round: number): void {
    this.#round = round + 1;
    this.#newestPage = 0;
  }

  /** @throws DecodeError, ConfigError */
  welcome({ welcome, header }: Extract<Message, { type: 'welcome' }>): Welcome {
    if (this.#machine !== null) throw new DecodeError('bad-order', 0, 'a second welcome');
    const config = configOfHeader(header);
    this.#checkConfig(config, welcome.drives);
    this.#checkpointMs = welcome.checkpointMs;
    this.#machine = new Machine(config, initialRate(config.clock), () => undefined, this.#blobs);
    return welcome;
  }

  /** A part of the state. @throws DecodeError */
  take(message: Extract<Message, { type: 'blob' | 'pages' | 'zeros' }>): void {
    switch (message.type) {
      case 'blob':
        this.#blob(message.data);
        return;
      case 'pages':
        for (const { page, bytes } of message.pages) this.#store(page, bytes);
        return;
      case 'zeros':
        for (const page of message.pages) this.#store(page, ZERO_PAGE);
    }
  }

  /**
   * The state, or a checkpoint, is whole: a replica that follows the log from there.
   * @param known writes that the checkpoint may name @throws DecodeError
   */
  complete(message: Extract<Message, { type: 'state' }>, { known, disks, ...options }: JoinerOptions): BackupReplica {
    const machine = this.#joining();
    if (message.pagesSent !== this.#pagesStored) {
      throw new DecodeError('bad-pages', 0, `${this.#pagesStored} pages arrived of ${message.pagesSent}`);
    }
    const { cpu, devices, clock, doorbells, settings, unflushed: named } = decodeStateRecord(message.state);
    const state = machineStateOf({ cpu, devices, clock, doorbells });
    this.#settings = Settings.restore(settings);
    const unflushed = namedWrites(known, tagsOf(named));
    // From here on nothing is missing: a checkpoint is taken over whole or not at all.
    for (const { page, bytes } of this.#staged) machine.vcpu.ram.write(page * PAGE_BYTES, bytes);
    machine.restore(state);
    this.#staged = [];
    this.#pagesStored = 0;
    this.#complete = true;
    const { firstSeq, consoleOffset: offset, console: bytes } = message;
    return new BackupReplica({
      ...options,
      ...{ machine, firstSeq, settings: this.#settings, console: { offset, bytes } },
      disks: disks && { ...disks, unflushed },
    });
  }

  /** What has come of the next checkpoint comes again. */
  dropStaged(): void {
    if (!this.#complete) return;
    this.#staged = [];
    this.#pagesStored = 0;
  }

  /** Something that the machine's configuration will name. */
  #blob(data: Uint8Array): void {
    if (this.#machine !== null) throw new DecodeError('bad-order', 0, 'a blob after the welcome');
    if (data.length > BLOB_BYTES_MAX) throw new DecodeError('bad-length', 1, `a blob of ${data.length} bytes`);
    if (++this.#blobCount > BLOBS_MAX) throw new DecodeError('bad-order', 0, 'too many blobs');
    this.#blobs.add(Uint8Array.from(data));
  }

  #store(page: number, bytes: Uint8Array): void {
    const { ram } = this.#joining().vcpu;
    const inRam = page < ram.bytes / PAGE_BYTES;
    if (inRam && this.#complete) this.#staged.push({ page, bytes: Uint8Array.from(bytes) });
    else if (!inRam || !ram.write(page * PAGE_BYTES, bytes)) {
      throw new DecodeError('bad-page', 0, `page ${page} is not RAM`);
    }
    this.#pagesStored++;
    if (this.#pagesStored > ram.bytes / PAGE_BYTES && this.#complete) {
      throw new DecodeError('bad-pages', 0, 'a checkpoint of more pages than the machine has');
    }
    this.#newestPage = page;
  }

  #joining(): Machine {
    if (this.#machine === null || (this.#complete && this.#checkpointMs === null)) {
      throw new DecodeError('bad-order', 0, 'state outside a join');
    }
    return this.#machine;
  }
}

function tagsOf(value: StateValue | undefined): readonly (readonly number[])[] {
  const parsed = tagsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new DecodeError('bad-write', 0, 'a state names unflushed writes by tags, for each drive');
}
