/**
 * Goal: a card sends from indirect tables and receives into them, also several for one frame; a malformed table stops the card
 * before anything is written or sent.
 * Method: a modern driver of the network card with indirect descriptors and mergeable buffers; named malformed tables, in the
 * queue for frames out and in the queue for frames in.
 */
import { describe, expect, test } from '@jest/globals';
import { VirtioNet } from '../../../devices/virtio/virtio-net.js';
import { FakeEnvironment, FakeIrq, FakeRam, HOLE_START, RAM_BYTES } from './fake-world.js';
import { F_INDIRECT, ModernDriver, NEEDS_RESET, type DriverRing } from './guest-driver.js';

const F_MRG_RXBUF = 15;
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const RX = 0;
const TX = 1;
const TABLE_AT = 0x3_0000;
const DATA_AT = 0x20_0000;
const HEADER_BYTES = 12;
const FRAME = Uint8Array.from({ length: 200 }, (_, i) => i);

function bench(features = [F_MRG_RXBUF, F_INDIRECT]) {
  const ram = new FakeRam();
  const environment = new FakeEnvironment();
  const nic = new VirtioNet({
    environment,
    dma: ram,
    irq: new FakeIrq(),
    nic: 0,
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  });
  const driver = new ModernDriver(nic.pci, ram);
  const [rx, tx] = driver.start(features, [0x1_0000, 0x1_4000]) as [DriverRing, DriverRing];
  return { ram, environment, nic, driver, rx, tx };
}

describe('a good indirect table', () => {
  test('holds a frame to send in many pieces', () => {
    const { ram, environment, driver, tx } = bench();
    ram.write(DATA_AT + HEADER_BYTES, FRAME);
    const pieces = [5, 7, 1, 99, 100].map((bytes, i, all) => {
      const address = DATA_AT + all.slice(0, i).reduce((sum, each) => sum + each, 0);
      return { address, bytes, write: false };
    });
    tx.addIndirect(TABLE_AT, pieces);
    driver.notify(TX);
    expect(environment.takePackets()).toEqual([FRAME]);
    expect(tx.takeUsed()).toHaveLength(1);
  });

  test('takes a frame in, and two of them one that is larger', () => {
    const { ram, nic, rx } = bench();
    for (const [i, bytes] of [128, 128].entries()) {
      const at = DATA_AT + i * 128;
      rx.addIndirect(TABLE_AT + i * 64, [
        { address: at, bytes: 10, write: true },
        { address: at + 10, bytes: bytes - 10, write: true },
      ]);
    }
    expect(nic.receive(FRAME)).toBe(true);
    expect(rx.takeUsed().map(({ bytes }) => bytes)).toEqual([128, HEADER_BYTES + FRAME.length - 128]);
    expect(ram.readU16(DATA_AT + 10)).toBe(2);
    expect(ram.read(DATA_AT + HEADER_BYTES, FRAME.length)).toEqual(FRAME);
  });
});

/** Each puts one malformed chain into a ring; `flag` is that of its buffers. */
const MALFORMED: readonly (readonly [string, (ring: DriverRing, flag: number) => void])[] = [
  ...[0, 8, 17, 16 * 257, 0xffff_fff0].map(
    (bytes) =>
      [
        `a table of ${bytes} bytes`,
        (ring: DriverRing) => {
          ring.describe(ring.desc, 0, TABLE_AT, bytes, INDIRECT, 0);
        },
      ] as const,
  ),
  [
    'a table in a table',
    (ring) => {
      ring.describe(TABLE_AT, 0, TABLE_AT, 16, INDIRECT, 0);
      ring.describe(ring.desc, 0, TABLE_AT, 16, INDIRECT, 0);
    },
  ],
  [
    'a table with a successor',
    (ring, flag) => {
      ring.describe(TABLE_AT, 0, DATA_AT, 1600, flag, 0);
      ring.describe(ring.desc, 0, TABLE_AT, 16, INDIRECT | NEXT, 1);
    },
  ],
  [
    'a loop in a table',
    (ring, flag) => {
      ring.describe(TABLE_AT, 0, DATA_AT, 16, flag | NEXT, 1);
      ring.describe(TABLE_AT, 1, DATA_AT, 16, flag | NEXT, 0);
      ring.describe(ring.desc, 0, TABLE_AT, 32, INDIRECT, 0);
    },
  ],
  [
    'a next outside the table, inside the queue',
    (ring, flag) => {
      ring.describe(TABLE_AT, 0, DATA_AT, 800, flag | NEXT, 2);
      ring.describe(TABLE_AT, 2, DATA_AT, 800, flag, 0);
      ring.describe(ring.desc, 0, TABLE_AT, 32, INDIRECT, 0);
    },
  ],
  ...[RAM_BYTES - 8, HOLE_START, 0xffff_fff8].map(
    (address) =>
      [
        `a table at ${address.toString(16)}, which is not RAM`,
        (ring: DriverRing) => {
          ring.describe(ring.desc, 0, address, 32, INDIRECT, 0);
        },
      ] as const,
  ),
  ...[RAM_BYTES - 64, HOLE_START, 0xffff_ff00].map(
    (address) =>
      [
        `a buffer at ${address.toString(16)}, which is not RAM`,
        (ring: DriverRing, flag: number) => {
          ring.describe(TABLE_AT, 0, address, 1000, flag, 0);
          ring.describe(ring.desc, 0, TABLE_AT, 16, INDIRECT, 0);
        },
      ] as const,
  ),
];

describe('a malformed indirect table stops the card until reset', () => {
  test.each(MALFORMED)('%s, for a frame out', (_, damage) => {
    const { environment, driver, tx } = bench();
    damage(tx, 0);
    tx.offer(0);
    driver.notify(TX);
    expect(driver.readStatus() & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(environment.outputs).toEqual([]);
    expect(tx.takeUsed()).toEqual([]);
    driver.start([F_MRG_RXBUF, F_INDIRECT], [0x1_0000, 0x1_4000]);
    expect(driver.readStatus() & NEEDS_RESET).toBe(0);
  });

  test.each(MALFORMED)('%s, for a frame in', (_, damage) => {
    const { ram, nic, driver, rx } = bench();
    damage(rx, WRITE);
    rx.offer(0);
    driver.notify(RX);
    const memory = ram.memory.slice();
    expect(nic.receive(FRAME)).toBe(false);
    expect(driver.readStatus() & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(ram.sameAs(memory)).toBe(true);
    expect(nic.counters).toMatchObject({ received: 0, receiveDropped: 1 });
  });

  test('one that was not negotiated', () => {
    const { environment, driver, tx } = bench([F_MRG_RXBUF]);
    tx.addIndirect(TABLE_AT, [{ address: DATA_AT, bytes: 100, write: false }]);
    driver.notify(TX);
    expect(driver.readStatus() & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(environment.outputs).toEqual([]);
  });
});
