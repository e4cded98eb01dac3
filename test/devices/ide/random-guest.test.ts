/**
 * Goal: whatever a guest does to the controller, it neither throws nor works without bound nor loses a request, and
 * two controllers in the same world, one of them saved and restored all the time, stay equal.
 * Method: random port traffic, tables and answers (fast-check; a failure prints its seed), mostly nearly valid, run
 * on two rigs at once, with the number of memory accesses of each step counted.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeState } from '../../../hypervisor/state-codec.js';
import { DATA_AT, IdeRig, PRD_AT, type Command } from './ide-rig.js';
import { HOLE_START, RAM_BYTES } from '../virtio/fake-world.js';

/** One thing a hostile guest, or the world, does. */
type Action =
  | { readonly do: 'port'; readonly register: number; readonly size: number; readonly value: number }
  | { readonly do: 'send'; readonly command: Command; readonly start: number }
  | { readonly do: 'data'; readonly count: number; readonly size: number; readonly write: boolean }
  | { readonly do: 'table'; readonly regions: readonly (readonly [number, number])[]; readonly at: number }
  | { readonly do: 'config'; readonly value: number }
  | { readonly do: 'answer'; readonly ok: boolean };

/** Command block, control block, bus master: as offsets from the channel's first port. */
const REGISTERS = [0, 1, 2, 3, 4, 5, 6, 7, 0x206, 0x1000, 0x1002, 0x1004, 0x1008] as const;
const CODES = [
  0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x40, 0x42, 0x70, 0x90, 0x91, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xe0,
  0xe5, 0xe7, 0xec, 0xef,
] as const;

const size = fc.constantFrom(1, 2, 4);
const command: fc.Arbitrary<Command> = fc.record({
  code: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...CODES) }, { weight: 1, arbitrary: fc.nat(255) }),
  lba: fc.oneof(fc.constantFrom(0, 1, 1990, 399_999), fc.nat(400_010)),
  count: fc.constantFrom(1, 1, 2, 3, 4, 9, 16, 200, 2049),
  features: fc.constantFrom(2, 3, 0x82),
  extended: fc.boolean(),
  device: fc.constantFrom<0 | 1>(0, 0, 0, 1),
});
const region = fc.tuple(
  fc.constantFrom(DATA_AT, DATA_AT, DATA_AT + 0x1_0000, DATA_AT + 0x8001, PRD_AT, HOLE_START - 2, RAM_BYTES - 512),
  fc.constantFrom(0, 2, 511, 512, 1024, 0x8000, 0xffff),
);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('port' as const),
      register: fc.constantFrom(...REGISTERS),
      size,
      value: fc.oneof(fc.nat(255), fc.nat(0xffff_ffff)),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('send' as const), command, start: fc.constantFrom(0, 1, 8, 9, 9) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('data' as const),
      count: fc.constantFrom(1, 3, 128, 256, 4096),
      size,
      write: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('table' as const),
      regions: fc.array(region, { maxLength: 6 }),
      at: fc.constantFrom(PRD_AT, PRD_AT, PRD_AT, 0x1_fff0, HOLE_START, 0xffff_fff8),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('config' as const), value: fc.constantFrom(0, 1, 5, 5, 5) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('answer' as const), ok: fc.constantFrom(true, true, false) }) },
);

function perform(rig: IdeRig, act: Action): void {
  switch (act.do) {
    case 'port':
      rig.out(act.register >= 0x1000 ? act.register - 0x1000 + 0xc000 - rig.base : act.register, act.value, act.size);
      rig.in(act.register & 7, act.size);
      break;
    case 'send':
      rig.bmOut(0, 0);
      rig.send(act.command);
      rig.bmOut(0, act.start);
      break;
    case 'data':
      for (let i = 0; i < act.count; i++) {
        if (act.write) rig.out(0, i * 0x0101_0101, act.size);
        else rig.in(0, act.size);
      }
      break;
    case 'table':
      rig.table(act.regions, act.at);
      break;
    case 'config':
      rig.ide.pci.configWrite(4, 2, act.value);
      break;
    case 'answer':
      for (const request of rig.ide.pendingRequests()) rig.complete(request, act.ok ? 'ok' : 'error');
      break;
  }
}

/** A step may look at a whole table of 8192 entries, and move as many regions. */
const ACCESSES_MAX = 40_000;

test('a hostile guest does no harm, and a restored controller follows it exactly', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 1, maxLength: 60 }), fc.boolean(), (actions, secondary) => {
      const rig = new IdeRig();
      let other = new IdeRig();
      if (secondary) [rig, other].forEach((each) => each.secondary());
      for (const act of actions) {
        rig.ram.accesses = 0;
        perform(rig, act);
        perform(other, act);
        expect(rig.ram.accesses).toBeLessThan(ACCESSES_MAX);
        expect(other.environment.takeDiskRequests()).toEqual(rig.environment.takeDiskRequests());
        expect(other.levels).toEqual(rig.levels);
        expect(rig.ide.pendingRequests().length).toBeLessThanOrEqual(2);
        const state = rig.ide.save();
        expect(Buffer.compare(encodeState(other.ide.save()), encodeState(state))).toBe(0);
        const next = new IdeRig();
        next.base = other.base;
        next.ide.restore(state);
        next.levels.splice(0, 2, ...other.levels);
        next.ram.memory.set(other.ram.memory);
        other = next;
      }
      expect(rig.ram.sameAs(other.ram.memory)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('whatever happened, a reset brings the drive back', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const rig = new IdeRig();
      for (const act of actions) perform(rig, act);
      rig.control(4);
      rig.control(0);
      for (const request of rig.ide.pendingRequests()) rig.complete(request);
      rig.requests();
      expect(rig.identify()[0]).toBe(0x40);
      rig.assign();
      rig.bmOut(0, 0);
      rig.table([[DATA_AT, 512]]);
      rig.startDma({ code: 0xc8, lba: 3, count: 1 }, true);
      rig.complete(rig.request());
      expect([rig.status, rig.irq]).toEqual([0x50, false]);
    }),
    { numRuns: 100 },
  );
});
