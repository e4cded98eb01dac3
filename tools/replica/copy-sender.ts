/**
 * Edge: makes a joining backup's own copies of disks equal to ours while the guest runs; what it writes meanwhile follows,
 * the last of it while it stands still.
 *
 *   all(): digests of every block -> wanted -> those blocks, then what was written, until that is little
 *   round(): what was written since        rest(): the same, without waiting
 *
 * Invariant: every write that the guest was told of before rest() is in what was sent by then; one that is under way is in
 * the machine's state, and the backup performs it when the log says that it was done.
 */
import { createHash } from 'node:crypto';
import { ReplicaError } from '../../emulator/errors.js';
import type { OwnDisk } from '../../hypervisor/backend/own-disk.js';
import { BLOCK_DIGEST_BYTES, BLOCKS_PER_MESSAGE, type CopyMessage } from '../../hypervisor/channel/copy-messages.js';

/** So few blocks left are not worth another round. */
const BLOCKS_FEW = 16;
const ROUNDS_MAX = 8;
/** Blocks that are read at once: the guest has a turn between two lots. */
export const READS = 32;
const NO_DATA = new Uint8Array(0);

export interface CopySenderHooks {
  /** Send one frame; resolves when there is room for the next. */
  send(message: CopyMessage): Promise<void>;
  progress(drive: number, share: number): void;
}

/** What the copies came to. */
export interface CopyTotals {
  /** Blocks whose digests were compared. */
  readonly compared: number;
  readonly sent: number;
}

export class CopySender {
  /** One for each drive; null: it is shared. */
  readonly #disks: readonly (OwnDisk | null)[];
  readonly #hooks: CopySenderHooks;
  #compared = 0;
  #sent = 0;
  #number = 0;
  #answered: ((message: CopyMessage) => void) | null = null;

  constructor(disks: readonly (OwnDisk | null)[], hooks: CopySenderHooks) {
    this.#disks = disks;
    this.#hooks = hooks;
  }

  get totals(): CopyTotals {
    return { compared: this.#compared, sent: this.#sent };
  }

  /** The backup's answer. */
  receive(message: CopyMessage): void {
    const answered = this.#answered;
    this.#answered = null;
    answered?.(message);
  }

  /** Compare and send everything. @throws ReplicaError when a disk cannot be read */
  async all(): Promise<void> {
    for (const disk of this.#disks) disk?.track(true);
    for (const [drive, disk] of this.#disks.entries()) {
      for (let first = 0; disk !== null && first < disk.blocks; first += BLOCKS_PER_MESSAGE) {
        await this.#compare(drive, disk, first);
        this.#hooks.progress(drive, Math.min(1, (first + BLOCKS_PER_MESSAGE) / disk.blocks));
      }
    }
    for (let round = 0; round < ROUNDS_MAX && (await this.round()) > BLOCKS_FEW; round++);
  }

  /** Send what was written since, and wait until it is stored. Returns how many blocks that were. */
  async round(): Promise<number> {
    let sent = 0;
    for (const [drive, disk] of this.#disks.entries()) {
      const written = disk?.takeWritten() ?? [];
      for (let at = 0; disk !== null && at < written.length; at += BLOCKS_PER_MESSAGE) {
        await this.#blocks(drive, disk, written.slice(at, at + BLOCKS_PER_MESSAGE));
        await this.#stored();
      }
      sent += written.length;
    }
    return sent;
  }

  /** The guest stands still: send what was written since. */
  async rest(): Promise<void> {
    for (const [drive, disk] of this.#disks.entries()) {
      if (disk !== null) await this.#blocks(drive, disk, disk.takeWritten());
    }
  }

  /** The join is over, one way or the other. */
  end(): void {
    for (const disk of this.#disks) disk?.track(false);
  }

  async #compare(drive: number, disk: OwnDisk, first: number): Promise<void> {
    const count = Math.min(BLOCKS_PER_MESSAGE, disk.blocks - first);
    const numbers = Array.from({ length: count }, (_, i) => first + i);
    const digests: Uint8Array[] = [];
    for await (const { data } of blocksOf(drive, disk, numbers)) digests.push(blockDigest(data));
    this.#compared += count;
    const answer = await this.#ask({ type: 'digests', drive, first, digests });
    if (answer.type !== 'wanted' || answer.drive !== drive) return;
    const wanted = answer.blocks.filter((block) => block >= first && block < first + count);
    await this.#blocks(drive, disk, wanted);
  }

  async #blocks(drive: number, disk: OwnDisk, numbers: readonly number[]): Promise<void> {
    for await (const { block, data } of blocksOf(drive, disk, numbers)) {
      this.#sent++;
      await this.#hooks.send({ type: 'block', drive, block, data: isZero(data) ? NO_DATA : data });
    }
  }

  async #stored(): Promise<void> {
    const number = ++this.#number;
    await this.#ask({ type: 'blocks-end', number });
  }

  async #ask(message: CopyMessage): Promise<CopyMessage> {
    const answer = new Promise<CopyMessage>((resolve) => (this.#answered = resolve));
    await this.#hooks.send(message);
    return answer;
  }
}

/** How two replicas compare a block. */
export function blockDigest(data: Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest().subarray(0, BLOCK_DIGEST_BYTES);
}

async function* blocksOf(
  drive: number,
  disk: OwnDisk,
  numbers: readonly number[],
): AsyncGenerator<{ readonly block: number; readonly data: Uint8Array }> {
  for (let at = 0; at < numbers.length; at += READS) {
    const some = numbers.slice(at, at + READS);
    const read = await Promise.all(some.map((block) => disk.readBlock(block)));
    for (const [i, data] of read.entries()) {
      if (data === null) throw new ReplicaError(`the state transfer broke off: drive ${drive} cannot be read`);
      yield { block: some[i]!, data };
    }
  }
}

function isZero(data: Uint8Array): boolean {
  return data[0] === 0 && Buffer.compare(data.subarray(1), data.subarray(0, -1)) === 0;
}
