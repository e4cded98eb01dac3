/**
 * Edge: brings a joining backup to a running replica's state over the logging channel (pre-copy).
 *
 *   BLOBs (firmware), WELCOME, then rounds: PAGES, ZEROS, ROUND -> ; <- STORED     the guest runs
 *   the last round and STATE ->                                  the guest stands still
 *   copies of disks go before and between them: copy-sender.ts
 *
 * Zero pages are left out of the first round: the backup's RAM starts as zeros.
 * Invariants: until the last frame is handed to the transport nothing has changed for the live replica, whatever
 * breaks; handing it over and hooks.sent() are one step, with nothing in between.
 */
import { ReplicaError } from '../../emulator/errors.js';
import { decodeMessage, encodeMessage, type Message, type Welcome } from '../../hypervisor/channel/messages.js';
import { isCopyMessage } from '../../hypervisor/channel/copy-messages.js';
import type { OwnDisk } from '../../hypervisor/backend/own-disk.js';
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import { Precopy } from '../../hypervisor/ft/precopy.js';
import type { Machine } from '../../hypervisor/machine/machine.js';
import { CopySender } from './copy-sender.js';
import { hostMs } from './host-time.js';
import type { Transfer } from './result.js';
import { DIRTY_CONSUMER, isZero, pageMessages, pageOf, stateFrame, type LogCut } from './state-frames.js';

/** A backup that neither takes nor stores anything for this long (or for the time-out, if longer) is given up. */
const STALLED_MS_MIN = 3000;
/** Pages looked at before the guest gets its turn. */
const PAGES_PER_TURN = 2048;

export interface SenderOptions {
  readonly connection: FrameConnection;
  readonly machine: Machine;
  readonly welcome: Welcome;
  readonly header: Uint8Array;
  readonly detectMs: number;
  /** This replica's own copies of disks, one for each drive; null: it is shared. */
  readonly copies: readonly (OwnDisk | null)[];
  /** Make durable what was written to shared disks: the backup knows only what is written after the state. */
  readonly settle: () => Promise<void>;
}

export interface SenderHooks {
  /** The guest stands still until the transfer is over. */
  pause(): void;
  /** Close the open frame of the log. Called while the guest stands still. */
  cut(): LogCut;
  /** The last frame was handed to the transport in this very step. */
  sent(transfer: Transfer): void;
  progress(progress: TransferProgress): void;
}

/** Time between two reports of it. */
export const TRANSFER_PROGRESS_MS = 100;

export interface TransferProgress {
  readonly round: number;
  /** The drive whose copy is made equal; null: pages are sent. */
  readonly drive: number | null;
  /** How much of the round, or of the drive, is done, 0 to 1. */
  readonly share: number;
  /** Bytes sent so far in all rounds. */
  readonly bytes: number;
}

/** What a round left to do. */
interface Left {
  readonly dirty: Uint32Array;
  /** The guest is stopped for it. */
  readonly last: boolean;
}

export class StateSender {
  readonly #options: SenderOptions;
  readonly #hooks: SenderHooks;
  readonly #precopy = new Precopy();
  readonly #copies: CopySender;
  readonly #startMs = hostMs();
  #over = false;
  #bytes = 0;
  #pagesSent = 0;
  #movedMs = hostMs();
  #onStored: () => void = () => undefined;
  #break: (error: ReplicaError) => void = () => undefined;

  constructor(options: SenderOptions, hooks: SenderHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#copies = new CopySender(options.copies, {
      send: (message) => this.#send(message),
      progress: (drive, share) => {
        this.#progress(share, drive);
      },
    });
  }

  /** How long the guest should rest for each ms that it worked. */
  get restShare(): number {
    return this.#precopy.restShare;
  }

  /** Send everything. Resolves after hooks.sent(). @throws ReplicaError when the transfer broke off before */
  async run(): Promise<void> {
    const broken = new Promise<never>((_, reject) => {
      this.#break = reject;
    });
    const { connection, detectMs } = this.#options;
    const stalledMs = Math.max(STALLED_MS_MIN, detectMs);
    const watch = setInterval(() => {
      if (hostMs() - this.#movedMs > stalledMs) this.cancel(`it stored nothing for ${stalledMs} ms`);
    }, stalledMs / 10);
    connection.onClose = (reason) => {
      this.cancel(reason);
    };
    connection.onFrame = (bytes) => {
      this.#receive(bytes);
    };
    try {
      await Promise.race([this.#transfer(), broken]);
    } finally {
      clearInterval(watch);
      this.#over = true;
      this.#copies.end();
      connection.onDrain = null;
    }
  }

  /** Tell the backup that this replica is there while nothing else is sent. */
  heartbeat(): void {
    if (!this.#over) this.#options.connection.send(encodeMessage({ type: 'heartbeat', consoleReleased: 0 }));
  }

  /** Break the transfer off; too late once the last frame is handed over. */
  cancel(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#break(new ReplicaError(`the state transfer broke off: ${reason}`));
  }

  #receive(bytes: Uint8Array): void {
    const message = decodeMessage(bytes);
    if (this.#over) return;
    if (isCopyMessage(message)) this.#copies.receive(message);
    else if (message.type !== 'stored' || message.round !== this.#precopy.rounds + 1) return;
    else this.#onStored();
    this.#movedMs = hostMs();
  }

  async #transfer(): Promise<void> {
    const { machine, welcome, header } = this.#options;
    const { vcpu } = machine;
    for (const data of machine.blobs.of(machine.config)) await this.#send({ type: 'blob', data });
    await this.#send({ type: 'welcome', welcome, header });
    await this.#copies.all();
    vcpu.collectDirty(DIRTY_CONSUMER);
    let left = await this.#firstRound();
    // The log begins with a digest: hash most pages now, in the guest's running time.
    vcpu.ramDigest();
    while (!left.last) {
      await this.#copies.round();
      left = await this.#round(left.dirty);
    }
    await this.#copies.round();
    await this.#options.settle();
    this.#hooks.pause();
    const stoppedMs = hostMs();
    await this.#copies.rest();
    await this.#options.settle();
    const rest = new Set([...left.dirty, ...vcpu.collectDirty(DIRTY_CONSUMER)]);
    await this.#sendPages([...rest], { from: 0, of: rest.size });
    this.#finish(stoppedMs);
  }

  /** All of RAM but its zero pages. */
  async #firstRound(): Promise<Left> {
    const startMs = hostMs();
    const { vcpu } = this.#options.machine;
    const written = vcpu.writtenPages();
    for (let first = 0; first < written.length && !this.#over; first += PAGES_PER_TURN) {
      const some = written
        .subarray(first, first + PAGES_PER_TURN)
        .filter((page) => !isZero(pageOf(vcpu.ram.view, page)));
      await this.#sendPages(some, { from: first, of: written.length });
      await turn();
    }
    return this.#stored(this.#pagesSent, startMs);
  }

  async #round(dirty: Uint32Array): Promise<Left> {
    const startMs = hostMs();
    await this.#sendPages(dirty, { from: 0, of: dirty.length });
    return this.#stored(dirty.length, startMs);
  }

  /** Wait until the backup has stored the round: what the wire still holds is not yet copied. */
  async #stored(pages: number, startMs: number): Promise<Left> {
    const stored = new Promise<void>((resolve) => {
      this.#onStored = resolve;
    });
    await this.#send({ type: 'round', round: this.#precopy.rounds + 1, pages });
    await stored;
    const dirty = this.#options.machine.vcpu.collectDirty(DIRTY_CONSUMER);
    return { dirty, last: this.#precopy.enough(pages, hostMs() - startMs, dirty.length) };
  }

  #finish(stoppedMs: number): void {
    const { machine, connection } = this.#options;
    const frame = stateFrame(machine, this.#hooks.cut(), this.#pagesSent);
    if (this.#over || !connection.open) throw new ReplicaError('the state transfer broke off before its last frame');
    connection.send(frame);
    this.#over = true;
    this.#bytes += frame.length;
    const now = hostMs();
    const rounds = this.#precopy.rounds + 1;
    const blocks = this.#copies.totals;
    this.#hooks.sent({ bytes: this.#bytes, rounds, blocks, pauseMs: now - stoppedMs, totalMs: now - this.#startMs });
  }

  /** Send pages as they are now, zero pages by their number only. */
  async #sendPages(numbers: ArrayLike<number>, place: { readonly from: number; readonly of: number }): Promise<void> {
    for (const { message, done } of pageMessages(this.#options.machine.vcpu.ram.view, numbers)) {
      if (this.#over) return;
      this.#pagesSent += message.pages.length;
      await this.#send(message);
      this.#progress((place.from + done) / place.of);
      await turn();
    }
    this.#progress((place.from + numbers.length) / Math.max(1, place.of));
  }

  #progress(share: number, drive: number | null = null): void {
    this.#hooks.progress({ round: this.#precopy.rounds + 1, drive, share, bytes: this.#bytes });
  }

  /** Send one frame and wait while the transport is full. */
  async #send(message: Message): Promise<void> {
    if (this.#over) return;
    const { connection } = this.#options;
    const bytes = encodeMessage(message);
    this.#bytes += bytes.length;
    if (!connection.send(bytes)) {
      if (!connection.open) throw new ReplicaError('the state transfer broke off: the backup went away');
      await new Promise<void>((resolve) => {
        connection.onDrain = resolve;
      });
    }
    this.#movedMs = hostMs();
  }
}

/** Let everything else of this process have its turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
