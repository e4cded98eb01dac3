/**
 * Edge: a joining backup's side of making its own copies of disks equal: it compares digests, asks for the blocks that
 * differ, and writes what comes. One message after the other; blocks are written while the next come, and are all there
 * before anything is answered.
 */
import { DecodeError, ReplicaError } from '../../emulator/errors.js';
import type { OwnDisk } from '../../hypervisor/backend/own-disk.js';
import type { CopyMessage } from '../../hypervisor/channel/copy-messages.js';
import { blockDigest, READS } from './copy-sender.js';
import type { TransferProgress } from './state-sender.js';

type FromLive = Extract<CopyMessage, { type: 'digests' | 'block' | 'blocks-end' }>;

export interface CopyReceiverHooks {
  answer(message: CopyMessage): void;
  /** This replica's copy cannot be made equal. */
  failed(error: Error): void;
  progress(progress: TransferProgress): void;
}

export class CopyReceiver {
  readonly #disks: readonly (OwnDisk | null)[];
  readonly #hooks: CopyReceiverHooks;
  #done: Promise<void> = Promise.resolve();
  #writing: Promise<void>[] = [];
  #bytes = 0;

  /** @param disks one for each drive; null: it is shared */
  constructor(disks: readonly (OwnDisk | null)[], hooks: CopyReceiverHooks) {
    this.#disks = disks;
    this.#hooks = hooks;
  }

  /** @throws DecodeError when the message means a block that is not there */
  take(message: CopyMessage): void {
    switch (message.type) {
      case 'digests':
        this.#disk(message.drive, message.first + message.digests.length - 1);
        break;
      case 'block':
        this.#block(message);
        return;
      case 'blocks-end':
        break;
      default:
        throw new DecodeError('bad-type', 0, `a live replica does not send ${message.type}`);
    }
    this.#done = this.#done
      .then(() => this.#answer(message))
      .catch((error: unknown) => {
        this.#hooks.failed(error as Error);
      });
  }

  /** Written in the order of arrival: the disk keeps the order of writes of one block. */
  #block({ drive, block, data }: Extract<FromLive, { type: 'block' }>): void {
    const disk = this.#disk(drive, block);
    const bytes = disk.bytesOf(block);
    if (data.length !== 0 && data.length !== bytes) {
      throw new DecodeError('bad-length', 9, `block ${block} of drive ${drive} has ${bytes} bytes, not ${data.length}`);
    }
    this.#bytes += data.length;
    const whole = data.length === 0 ? new Uint8Array(bytes) : Uint8Array.from(data);
    this.#writing.push(
      disk.writeBlock(block, whole).then((stored) => {
        if (!stored) this.#hooks.failed(new ReplicaError(`drive ${drive}: this replica's copy cannot be written`));
      }),
    );
  }

  async #answer(message: Exclude<FromLive, { type: 'block' }>): Promise<void> {
    await Promise.all(this.#writing.splice(0));
    if (message.type === 'blocks-end') {
      this.#hooks.answer({ type: 'blocks-stored', number: message.number });
      return;
    }
    const { drive, first, digests } = message;
    const disk = this.#disk(drive, first);
    const blocks: number[] = [];
    for (let at = 0; at < digests.length; at += READS) {
      const some = digests.slice(at, at + READS);
      const own = await Promise.all(some.map((_, i) => disk.readBlock(first + at + i)));
      own.forEach((data, i) => {
        if (data === null || Buffer.compare(blockDigest(data), some[i]!) !== 0) blocks.push(first + at + i);
      });
    }
    const share = (first + digests.length) / disk.blocks;
    this.#hooks.progress({ round: 1, drive, share, bytes: this.#bytes });
    this.#hooks.answer({ type: 'wanted', drive, blocks });
  }

  #disk(drive: number, lastBlock: number): OwnDisk {
    const disk = this.#disks[drive];
    if (disk != null && lastBlock < disk.blocks) return disk;
    throw new DecodeError('bad-block', 1, `block ${lastBlock} of drive ${drive} is none of a copy here`);
  }
}
