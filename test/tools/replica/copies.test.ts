/**
 * Goal: a joining backup's copy of a disk becomes equal to the live replica's while the guest writes it, and only blocks
 * that differ travel; damage and disks that fail end the join, with the reason.
 * Method: sender and receiver in one process on disks in memory, over encoded messages that take their time; random
 * content and random writes during the copying.
 */
import { describe, expect, test } from '@jest/globals';
import { DecodeError } from '../../../emulator/errors.js';
import { MemoryDisk } from '../../../hypervisor/backend/memory-disk.js';
import { OwnDisk } from '../../../hypervisor/backend/own-disk.js';
import type { CopyMessage } from '../../../hypervisor/channel/copy-messages.js';
import { decodeMessage, encodeMessage } from '../../../hypervisor/channel/messages.js';
import { SeededRandom } from '../../../tools/load/seeded-random.js';
import { CopyReceiver } from '../../../tools/replica/copy-receiver.js';
import { CopySender } from '../../../tools/replica/copy-sender.js';
import type { TransferProgress } from '../../../tools/replica/state-sender.js';

const BLOCK = 65536;

class Copying {
  readonly sender: CopySender;
  readonly live: MemoryDisk;
  readonly disk: OwnDisk;
  readonly copy: MemoryDisk;
  readonly failures: string[] = [];
  readonly progress: TransferProgress[] = [];
  bytes = 0;

  constructor(live: Uint8Array, copy: Uint8Array, readonly = false) {
    this.live = new MemoryDisk(live);
    this.copy = new MemoryDisk(copy, readonly);
    this.disk = new OwnDisk(this.live, 1);
    const receiver = new CopyReceiver([null, new OwnDisk(this.copy, 1)], {
      answer: (message) => {
        setImmediate(() => {
          this.sender.receive(message);
        });
      },
      failed: (error) => this.failures.push(error.message),
      progress: (progress) => this.progress.push(progress),
    });
    this.sender = new CopySender([null, this.disk], {
      send: async (message) => {
        const frame = encodeMessage(message);
        this.bytes += frame.length;
        receiver.take(decodeMessage(frame) as CopyMessage);
        await new Promise((resolve) => setImmediate(resolve));
      },
      progress: () => undefined,
    });
  }

  write(sector: number, data: Uint8Array, tag: number): void {
    const request = { drive: 1, tag, op: 'write', sector, bytes: data.length, data } as const;
    this.disk.submit(request, () => undefined);
  }
}

function noise(random: SeededRandom, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, () => random.below(256));
}

test.each([1, 2, 3, 4, 5, 6])('a copy becomes equal under a guest that writes (seed %i)', async (seed) => {
  const random = new SeededRandom(seed, 0);
  const live = noise(random, 20 * BLOCK + 512 * (1 + random.below(100)));
  const copy = Uint8Array.from(live);
  for (let i = 0; i < 4; i++) copy.fill(i, random.below(20) * BLOCK, random.below(20) * BLOCK + 5);
  const copying = new Copying(live, copy);
  let running = true;
  const guest = async (): Promise<void> => {
    for (let tag = 0; running; tag++) {
      const sectors = 1 + random.below(40);
      copying.write(random.below(live.length / 512 - sectors), noise(random, sectors * 512), tag);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const writes = guest();
  await copying.sender.all();
  await copying.sender.round();
  running = false;
  await writes;
  await copying.sender.rest();
  await copying.copy.close();
  expect(Buffer.compare(copy, live)).toBe(0);
  expect(copying.failures).toEqual([]);
  expect(copying.sender.totals.compared).toBe(21);
  copying.sender.end();
});

test('blocks that are equal already do not travel, nor do zeros', async () => {
  const live = new Uint8Array(300 * BLOCK);
  const content = noise(new SeededRandom(7, 0), BLOCK);
  for (let block = 0; block < 300; block++) live.set(content.fill(block & 0xff, 0, 1 + (block >> 8)), block * BLOCK);
  const copy = Uint8Array.from(live);
  copy[5 * BLOCK + 3]! ^= 1;
  copy[299 * BLOCK]! ^= 1;
  live.fill(0, 10 * BLOCK, 11 * BLOCK);
  const copying = new Copying(live, copy);
  await copying.sender.all();
  await copying.copy.close();
  expect(Buffer.compare(copy, live)).toBe(0);
  expect(copying.sender.totals).toEqual({ compared: 300, sent: 3 });
  expect(copying.bytes).toBeLessThan(2 * BLOCK + 300 * 16 + 200);
  expect(copying.progress.at(-1)).toMatchObject({ drive: 1, share: 1 });
});

describe('a join ends', () => {
  test('when the live disk cannot be read', async () => {
    const copying = new Copying(new Uint8Array(BLOCK), new Uint8Array(BLOCK));
    copying.live.submit = ({ drive, tag }, finish) => {
      setImmediate(() => {
        finish({ drive, tag, status: 'error', data: new Uint8Array(0) });
      });
    };
    await expect(copying.sender.all()).rejects.toThrow(/drive 1 cannot be read/);
  });

  test('when the copy cannot be written', async () => {
    const copying = new Copying(new Uint8Array(BLOCK).fill(1), new Uint8Array(BLOCK), true);
    await copying.sender.all();
    await copying.copy.close();
    expect(copying.failures).toEqual(["drive 1: this replica's copy cannot be written"]);
  });

  test.each<CopyMessage>([
    { type: 'block', drive: 0, block: 0, data: new Uint8Array(0) },
    { type: 'block', drive: 2, block: 0, data: new Uint8Array(0) },
    { type: 'block', drive: 1, block: 2, data: new Uint8Array(0) },
    { type: 'block', drive: 1, block: 1, data: new Uint8Array(BLOCK) },
    { type: 'digests', drive: 1, first: 1, digests: [new Uint8Array(16), new Uint8Array(16)] },
    { type: 'wanted', drive: 1, blocks: [] },
  ])('at blocks that are not there (%j)', (message) => {
    const receiver = new CopyReceiver([null, new OwnDisk(new MemoryDisk(new Uint8Array(BLOCK + 512)), 1)], {
      answer: () => undefined,
      failed: () => undefined,
      progress: () => undefined,
    });
    expect(() => {
      receiver.take(message);
    }).toThrow(DecodeError);
  });
});
