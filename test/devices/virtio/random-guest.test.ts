/**
 * Goal: whatever a guest writes into rings and registers, the devices neither throw nor work without bound, and two
 * devices in the same world stay equal.
 * Method: random ring memory, chains and register traffic (fast-check; a failure prints its seed), run on two devices
 * at once, with the number of memory accesses of each step counted.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { VirtioBlk } from '../../../devices/virtio/virtio-blk.js';
import { VirtioNet } from '../../../devices/virtio/virtio-net.js';
import { FakeEnvironment, FakeIrq, FakeRam, HOLE_START, RAM_BYTES } from './fake-world.js';
import { F_INDIRECT, ModernDriver } from './guest-driver.js';

const RING_AT = 0x1_0000;
const TABLE_AT = 0x3_0000;
const DATA_AT = 0x20_0000;
const NEXT = 1;
const WRITE = 2;

/** One thing a hostile guest, or the world, does. */
type Action =
  | {
      readonly do: 'register';
      readonly bar: number;
      readonly offset: number;
      readonly size: number;
      readonly value: number;
    }
  | { readonly do: 'config'; readonly offset: number; readonly size: number; readonly value: number }
  | { readonly do: 'ram'; readonly offset: number; readonly value: number }
  | { readonly do: 'descriptor'; readonly queue: number; readonly index: number; readonly words: readonly number[] }
  | {
      readonly do: 'chain';
      readonly queue: number;
      readonly readable: number;
      readonly buffers: readonly (readonly number[])[];
    }
  | { readonly do: 'offer'; readonly queue: number; readonly head: number }
  | { readonly do: 'header'; readonly type: number; readonly sector: number }
  | { readonly do: 'restart' }
  | { readonly do: 'notify'; readonly queue: number }
  | { readonly do: 'world'; readonly pick: number };

const size = fc.constantFrom(1, 2, 4);
/** Mostly small numbers, so that indices and lengths are often nearly right. */
const value = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 0x3f_ffff }), fc.nat(0xffff_ffff));
const address = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(DATA_AT, DATA_AT, DATA_AT + 4096, DATA_AT + 0x1_0000) },
  { weight: 1, arbitrary: fc.constantFrom(RING_AT, RAM_BYTES - 512, HOLE_START) },
);
const length = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(0, 1, 16, 32, 64, 512, 1024, 1600) },
  { weight: 1, arbitrary: fc.constantFrom(513, 0x10_0000, 0x8000_0000) },
);
/** Nearly valid descriptors: address, length, flags, next. Index 8 and up is the indirect table. */
const words = fc.tuple(address, length, fc.constantFrom(0, 1, 1, 1, 2, 2, 3, 3, 4, 7), fc.nat(8));
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('register' as const), bar: fc.nat(1), offset: fc.nat(0x80), size, value }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('register' as const),
      bar: fc.constant(1),
      offset: fc.nat(0x3fff),
      size,
      value,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('config' as const), offset: fc.nat(255), size, value }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ram' as const), offset: fc.nat(0x7ffc), value }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('descriptor' as const), queue: fc.nat(1), index: fc.nat(15), words }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('offer' as const), queue: fc.nat(1), head: fc.nat(8) }) },
  {
    weight: 25,
    arbitrary: fc.record({
      do: fc.constant('chain' as const),
      queue: fc.nat(1),
      readable: fc.integer({ min: 1, max: 3 }),
      buffers: fc.array(fc.tuple(address, length), { minLength: 1, maxLength: 5 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('header' as const),
      type: fc.constantFrom(0, 1, 1, 4, 8, 11),
      sector: fc.constantFrom(0, 1, 2, 990, 999, 1000, 0xffff_ffff),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('notify' as const), queue: fc.nat(2) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('world' as const), pick: fc.nat(1000) }) },
);

interface Victim {
  readonly pci: VirtioBlk['pci'];
  readonly save: () => unknown;
  /** The world answers or sends something. */
  readonly world: (pick: number) => void;
}

function offer(ram: FakeRam, queue: number, head: number): void {
  const avail = RING_AT + 0x4000 * queue + 0x1000;
  const index = ram.readU16(avail + 2)!;
  ram.writeU16(avail + 4 + 2 * (index & 255), head);
  ram.writeU16(avail + 2, index + 1);
}

function act(step: Action, victim: Victim, driver: ModernDriver, ram: FakeRam): void {
  switch (step.do) {
    case 'register': {
      const bar = victim.pci.bars[step.bar]!;
      if (step.offset + step.size > bar.bytes) return;
      bar.registers.write(step.offset, step.size, step.value);
      bar.registers.read(step.offset, step.size);
      return;
    }
    case 'config':
      victim.pci.configWrite(step.offset, step.size, step.value);
      victim.pci.configRead(step.offset, step.size);
      return;
    case 'ram':
      ram.writeU32(RING_AT + step.offset, step.value);
      return;
    case 'descriptor': {
      const [address, bytes, flags, next] = step.words;
      const table = step.index < 8 ? RING_AT + 0x4000 * step.queue + 0x1800 : TABLE_AT;
      const at = table + 16 * (step.index & 7);
      ram.writeU32(at, address!);
      ram.writeU32(at + 4, 0);
      ram.writeU32(at + 8, bytes!);
      ram.writeU32(at + 12, flags! | (next! << 16));
      return;
    }
    case 'chain': {
      const base = RING_AT + 0x4000 * step.queue + 0x1800;
      const chain = [[DATA_AT, 16], ...step.buffers, [DATA_AT + 8192, 1]];
      chain.forEach(([at, bytes], i) => {
        ram.writeU32(base + 16 * i, at!);
        ram.writeU32(base + 16 * i + 4, 0);
        ram.writeU32(base + 16 * i + 8, bytes!);
        const flags = (i < chain.length - 1 ? NEXT : 0) | (i >= step.readable ? WRITE : 0);
        ram.writeU32(base + 16 * i + 12, flags | ((i + 1) << 16));
      });
      offer(ram, step.queue, 0);
      return;
    }
    case 'offer':
      offer(ram, step.queue, step.head);
      return;
    case 'header':
      ram.writeU32(DATA_AT, step.type);
      ram.writeU32(DATA_AT + 8, step.sector);
      ram.writeU32(DATA_AT + 12, 0);
      return;
    case 'restart':
      victim.pci.configWrite(0x10, 4, 0xc000);
      victim.pci.configWrite(0x14, 4, 0xfe00_0000);
      victim.pci.configWrite(0x04, 2, 7);
      driver.start(
        [9, 15, F_INDIRECT],
        victim.pci.configRead(2, 2) === 0x1000 ? [RING_AT, RING_AT + 0x4000] : [RING_AT],
      );
      return;
    case 'notify':
      victim.pci.bars[0]!.registers.write(16, 2, step.queue);
      return;
    case 'world':
      victim.world(step.pick);
  }
}

function makeDisk(ram: FakeRam, environment: FakeEnvironment): Victim {
  const disk = new VirtioBlk({ environment, dma: ram, irq: new FakeIrq(), drive: 0, capacitySectors: 1000 });
  const world = (pick: number): void => {
    const pending = disk.pendingRequests();
    const request = pending[pick % Math.max(1, pending.length)];
    if (request === undefined) return;
    const data = new Uint8Array(request.op === 'read' ? request.bytes : 0).fill(pick);
    disk.complete({ drive: 0, tag: request.tag, status: 'ok', data });
  };
  return { pci: disk.pci, save: () => disk.save(), world };
}

function makeNic(ram: FakeRam, environment: FakeEnvironment): Victim {
  const nic = new VirtioNet({ environment, dma: ram, irq: new FakeIrq(), nic: 0, mac: new Uint8Array(6) });
  return { pci: nic.pci, save: () => nic.save(), world: (pick) => void nic.receive(new Uint8Array(pick * 2)) };
}

describe('random guests', () => {
  test.each([
    ['disk', makeDisk],
    ['network card', makeNic],
  ] as const)('the %s never throws, ends quickly, and behaves the same twice', (_, make) => {
    // The first ring bytes are enough for the rings; the rest of RAM is as the last run left it, alike in both.
    const worlds = [new FakeRam(), new FakeRam()].map((ram) => ({ ram, environment: new FakeEnvironment() }));
    let outputCount = 0;
    fc.assert(
      fc.property(fc.array(action, { minLength: 20, maxLength: 200, size: 'max' }), (steps) => {
        const victims = worlds.map(({ ram, environment }) => ({ ram, victim: make(ram, environment) }));
        const runs = victims.map(({ ram, victim }) => ({ ram, victim, driver: new ModernDriver(victim.pci, ram) }));
        for (const step of [{ do: 'restart' as const }, ...steps]) {
          for (const { ram, victim, driver } of runs) {
            ram.accesses = 0;
            act(step, victim, driver, ram);
            if (ram.accesses > 2_000_000) throw new Error(`${ram.accesses} accesses for one ${step.do}`);
          }
        }
        expect(runs[1]!.victim.save()).toEqual(runs[0]!.victim.save());
        const outputs = worlds.map(({ environment }) => environment.outputs.splice(0));
        expect(outputs[1]).toEqual(outputs[0]);
        outputCount += outputs[0]!.length;
        expect(worlds[1]!.ram.sameAs(worlds[0]!.ram.memory)).toBe(true);
      }),
      { numRuns: 200 },
    );
    // The guest is wild, not dead: its requests get through.
    expect(outputCount).toBeGreaterThan(100);
  });
});

test('every offset of both BARs and of configuration space takes every width of zeros and ones', () => {
  for (const make of [makeDisk, makeNic]) {
    const ram = new FakeRam();
    const { pci } = make(ram, new FakeEnvironment());
    for (const width of [1, 2, 4]) {
      for (const bits of [0, 2 ** (8 * width) - 1]) {
        for (let offset = 0; offset < 256; offset++) {
          pci.configWrite(offset, width, bits);
          expect(pci.configRead(offset, width)).toBeLessThan(2 ** (8 * width));
        }
        for (const bar of pci.bars) {
          for (let offset = 0; bar !== null && offset + width <= bar.bytes; offset++) {
            bar.registers.write(offset, width, bits);
            const read = bar.registers.read(offset, width);
            if (read < 0 || read >= 2 ** (8 * width)) throw new Error(`offset ${offset} width ${width} reads ${read}`);
          }
        }
      }
    }
  }
});
