/**
 * Goal: a guest that breaks its rings gets DEVICE_NEEDS_RESET, nobody else notices, and a reset helps.
 * Method: named malformed rings, one by one, under a modern driver of the block device.
 */
import { describe, expect, test } from '@jest/globals';
import { VirtioBlk } from '../../../devices/virtio/virtio-blk.js';
import { FakeEnvironment, FakeIrq, FakeRam, HOLE_START, RAM_BYTES } from './fake-world.js';
import { F_INDIRECT, ModernDriver, NEEDS_RESET, type DriverRing } from './guest-driver.js';

const RING_AT = 0x1_0000;
const TABLE_AT = 0x3_0000;
const DATA_AT = 0x20_0000;

interface Bench {
  readonly ram: FakeRam;
  readonly irq: FakeIrq;
  readonly environment: FakeEnvironment;
  readonly disk: VirtioBlk;
  readonly driver: ModernDriver;
  readonly ring: DriverRing;
}

function bench(features: readonly number[] = [9, F_INDIRECT]): Bench {
  const ram = new FakeRam();
  const irq = new FakeIrq();
  const environment = new FakeEnvironment();
  const disk = new VirtioBlk({ environment, dma: ram, irq, drive: 0, capacitySectors: 1000 });
  const driver = new ModernDriver(disk.pci, ram);
  const [ring] = driver.start(features, [RING_AT]);
  return { ram, irq, environment, disk, driver, ring: ring! };
}

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;

/** Set avail.idx over a ring whose every entry names a good request. */
function jump({ ring, ram }: Bench, index: number): void {
  ram.writeU32(DATA_AT, 8);
  ring.describe(ring.desc, 0, DATA_AT, 16, NEXT, 1);
  ring.describe(ring.desc, 1, DATA_AT + 16, 1, WRITE, 0);
  ram.writeU16(ring.avail + 2, index);
}

/** Each breaks the ring its own way, then rings the doorbell. */
const MALFORMED: readonly (readonly [string, (b: Bench) => void])[] = [
  ['an index jump beyond the queue size', (b) => jump(b, 257)],
  ['an index that runs backwards', (b) => jump(b, 0xffff)],
  ['a head outside the table', ({ ring }) => ring.offer(256)],
  [
    'a next outside the table',
    ({ ring }) => {
      ring.describe(ring.desc, 0, DATA_AT, 16, NEXT, 999);
      ring.offer(0);
    },
  ],
  [
    'a loop',
    ({ ring }) => {
      ring.describe(ring.desc, 0, DATA_AT, 16, NEXT, 1);
      ring.describe(ring.desc, 1, DATA_AT, 16, NEXT, 0);
      ring.offer(0);
    },
  ],
  [
    'a readable buffer after a writable one',
    ({ ring }) => {
      ring.describe(ring.desc, 0, DATA_AT, 16, NEXT | WRITE, 1);
      ring.describe(ring.desc, 1, DATA_AT, 16, 0, 0);
      ring.offer(0);
    },
  ],
  [
    'an indirect table inside an indirect table',
    ({ ring }) => {
      ring.describe(TABLE_AT, 0, TABLE_AT, 16, INDIRECT, 0);
      ring.describe(ring.desc, 0, TABLE_AT, 16, INDIRECT, 0);
      ring.offer(0);
    },
  ],
  [
    'an indirect descriptor with a successor',
    ({ ring }) => {
      ring.describe(TABLE_AT, 0, DATA_AT, 16, 0, 0);
      ring.describe(ring.desc, 0, TABLE_AT, 16, INDIRECT | NEXT, 1);
      ring.offer(0);
    },
  ],
  ...[0, 8, 17, 16 * 257, 0xffff_fff0].map(
    (bytes) =>
      [
        `an indirect table of ${bytes} bytes`,
        ({ ring }: Bench) => {
          ring.describe(ring.desc, 0, TABLE_AT, bytes, INDIRECT, 0);
          ring.offer(0);
        },
      ] as const,
  ),
  [
    'an indirect table outside RAM',
    ({ ring }) => {
      ring.describe(ring.desc, 0, RAM_BYTES - 8, 32, INDIRECT, 0);
      ring.offer(0);
    },
  ],
  ['a request without status byte', ({ ring }) => ring.add([{ address: DATA_AT, bytes: 16, write: false }])],
  [
    'a header of 15 bytes',
    ({ ring }) =>
      ring.add([
        { address: DATA_AT, bytes: 15, write: false },
        { address: DATA_AT, bytes: 1, write: true },
      ]),
  ],
  [
    'a header in the hole of RAM',
    ({ ring }) =>
      ring.add([
        { address: HOLE_START - 8, bytes: 16, write: false },
        { address: DATA_AT, bytes: 1, write: true },
      ]),
  ],
  [
    'a status byte outside RAM',
    ({ ring, ram }) => {
      ram.writeU32(DATA_AT, 8);
      ring.add([
        { address: DATA_AT, bytes: 16, write: false },
        { address: RAM_BYTES, bytes: 1, write: true },
      ]);
    },
  ],
];

describe('a malformed ring stops the device until reset', () => {
  test.each(MALFORMED)('%s', (_, damage) => {
    const b = bench();
    damage(b);
    b.driver.notify(0);
    expect(b.driver.readStatus() & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(b.driver.readIsr() & 2).toBe(2);
    expect(b.ring.takeUsed()).toEqual([]);
    const memory = b.ram.memory.slice();
    b.driver.notify(0);
    expect(b.ram.sameAs(memory)).toBe(true);
    expect(b.driver.start([], [RING_AT])).toHaveLength(1);
    expect(b.driver.readStatus() & NEEDS_RESET).toBe(0);
  });

  test('an indirect descriptor that was not negotiated', () => {
    const b = bench([]);
    b.ring.addIndirect(TABLE_AT, [{ address: DATA_AT, bytes: 16, write: false }]);
    b.driver.notify(0);
    expect(b.driver.readStatus() & NEEDS_RESET).toBe(NEEDS_RESET);
  });

  test.each([
    ['descriptors', 32],
    ['avail ring', 40],
    ['used ring', 48],
  ])('%s outside RAM or beyond 4 GiB', (_, register) => {
    for (const [low, high] of [
      [RAM_BYTES - 2, 0],
      [HOLE_START, 0],
      [RING_AT, 1],
      [0xffff_fffe, 0xffff_ffff],
    ] as const) {
      const b = bench();
      b.driver.writeStatus(0);
      b.driver.acceptFeatures([9, 32]);
      b.driver.writeStatus(1 | 2 | 8);
      const ring = b.driver.setUpQueue(0, RING_AT);
      b.driver.writeStatus(0);
      b.driver.acceptFeatures([9, 32]);
      b.driver.writeStatus(1 | 2 | 8);
      b.driver.write(32, 4, ring.desc);
      b.driver.write(40, 4, ring.avail);
      b.driver.write(48, 4, ring.used);
      b.driver.write(register, 4, low);
      b.driver.write(register + 4, 4, high);
      b.driver.write(28, 2, 1);
      b.driver.writeStatus(1 | 2 | 8 | 4);
      b.ram.writeU32(DATA_AT, 8);
      ring.add([
        { address: DATA_AT, bytes: 16, write: false },
        { address: DATA_AT + 16, bytes: 1, write: true },
      ]);
      b.driver.notify(0);
      expect(b.driver.readStatus() & NEEDS_RESET).toBe(NEEDS_RESET);
    }
  });

  test('requests before the malformed one are answered', () => {
    const b = bench();
    b.ram.writeU32(DATA_AT, 8);
    b.ring.add([
      { address: DATA_AT, bytes: 16, write: false },
      { address: DATA_AT + 16, bytes: 1, write: true },
    ]);
    b.ring.offer(256);
    b.driver.notify(0);
    expect(b.ring.takeUsed()).toEqual([{ head: 0, bytes: 1 }]);
    expect(b.driver.readIsr()).toBe(3);
  });

  test('a completion whose buffers are gone stops the device, and the write behind it still leaves', () => {
    const b = bench();
    b.ram.writeU32(DATA_AT, 0);
    b.ring.add([
      { address: DATA_AT, bytes: 16, write: false },
      { address: RAM_BYTES - 256, bytes: 512, write: true },
      { address: DATA_AT + 16, bytes: 1, write: true },
    ]);
    b.ram.writeU32(DATA_AT + 32, 1);
    b.ring.add([
      { address: DATA_AT + 32, bytes: 16 + 512, write: false },
      { address: DATA_AT + 17, bytes: 1, write: true },
    ]);
    b.driver.notify(0);
    const [read] = b.environment.takeDiskRequests();
    b.disk.complete({ drive: 0, tag: read!.tag, status: 'ok', data: new Uint8Array(512) });
    expect(b.driver.readStatus() & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(b.environment.takeDiskRequests()).toMatchObject([{ op: 'write', tag: 1 }]);
  });
});

describe('a used ring laid over the avail ring', () => {
  test('does not keep the device in its doorbell', () => {
    const b = bench();
    b.driver.writeStatus(0);
    b.driver.acceptFeatures([9, 32]);
    b.driver.writeStatus(1 | 2 | 8);
    b.driver.write(32, 4, RING_AT);
    b.driver.write(40, 4, RING_AT + 0x1000);
    b.driver.write(48, 4, RING_AT + 0x1000);
    b.driver.write(28, 2, 1);
    b.driver.writeStatus(1 | 2 | 8 | 4);
    b.ram.memory.fill(0, RING_AT, RING_AT + 0x2000);
    b.ring.describe(RING_AT, 0, DATA_AT, 16, NEXT, 1);
    b.ring.describe(RING_AT, 1, DATA_AT + 16, 1, WRITE, 0);
    b.ram.writeU32(DATA_AT, 8);
    b.ram.writeU16(RING_AT + 0x1002, 200);
    b.ram.accesses = 0;
    b.driver.notify(0);
    expect(b.ram.accesses).toBeLessThan(10_000);
  });
});
