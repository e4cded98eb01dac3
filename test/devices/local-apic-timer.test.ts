/**
 * Goal: the APIC timer's count and expiries follow from guest time alone, in every mode and at every rate.
 * Method: known counts at known times; random settings and steps against a model that counts every single tick.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LocalApicTimer } from '../../devices/local-apic-timer.js';
import { SavedFields } from '../../devices/saved-fields.js';
import { DecodeError } from '../../emulator/errors.js';
import { FakeWorld } from './fake-world.js';

const BY_1 = 0x0b;
const BY_2 = 0x00;
const BY_128 = 0x0a;

function create() {
  const world = new FakeWorld();
  let expiries = 0;
  const timer = new LocalApicTimer({ environment: world, expired: () => expiries++ });
  /** As the machine does it: every deadline at its time. */
  const passTo = (ns: number) => {
    for (let next = timer.nextDeadlineNs(); next !== null && next <= ns; next = timer.nextDeadlineNs()) {
      world.ns = next;
      timer.advance(next);
    }
    world.ns = ns;
  };
  return { world, timer, passTo, expiries: () => expiries };
}

describe('counting', () => {
  test('one-shot: down to 0, one expiry, and it stands', () => {
    const { timer, passTo, expiries } = create();
    timer.configure(false, true);
    timer.setDivideConfiguration(BY_2);
    timer.start(100);
    expect([timer.currentCount(), timer.nextDeadlineNs()]).toEqual([100, 200]);
    passTo(1);
    expect(timer.currentCount()).toBe(100);
    passTo(2);
    expect(timer.currentCount()).toBe(99);
    passTo(199);
    expect([timer.currentCount(), expiries()]).toEqual([1, 0]);
    passTo(10_000);
    expect([timer.currentCount(), expiries(), timer.nextDeadlineNs()]).toEqual([0, 1, null]);
    expect(timer.initialCount).toBe(100);
  });

  test('periodic: again and again from the initial count', () => {
    const { timer, passTo, expiries } = create();
    timer.configure(true, true);
    timer.setDivideConfiguration(BY_1);
    timer.start(1000);
    passTo(3500);
    expect([timer.currentCount(), expiries(), timer.nextDeadlineNs()]).toEqual([500, 3, 4000]);
  });

  test.each([
    [0x0, 2],
    [0x1, 4],
    [0x2, 8],
    [0x3, 16],
    [0x8, 32],
    [0x9, 64],
    [0xa, 128],
    [0xb, 1],
    [0xff, 1],
  ])('divide configuration %d divides by %d', (configuration, divisor) => {
    const { timer } = create();
    timer.configure(false, true);
    timer.setDivideConfiguration(configuration);
    timer.start(0xffffffff);
    expect(timer.nextDeadlineNs()).toBe(0xffffffff * divisor);
    expect(timer.divideConfiguration).toBe(configuration & 0x0b);
  });

  test('an initial count of 0 stops it', () => {
    const { timer, passTo, expiries } = create();
    timer.configure(true, true);
    timer.start(10);
    timer.start(0);
    passTo(1000);
    expect([timer.currentCount(), timer.nextDeadlineNs(), expiries()]).toEqual([0, null, 0]);
  });

  test('another divisor goes on from the present count', () => {
    const { timer, passTo } = create();
    timer.configure(false, true);
    timer.setDivideConfiguration(BY_1);
    timer.start(1000);
    passTo(600);
    timer.setDivideConfiguration(BY_128);
    expect([timer.currentCount(), timer.nextDeadlineNs()]).toEqual([400, 600 + 400 * 128]);
  });

  test('a timer that nobody hears counts without deadlines and without expiries', () => {
    const { timer, passTo, expiries } = create();
    timer.setDivideConfiguration(BY_1);
    timer.configure(true, false);
    timer.start(100);
    expect(timer.nextDeadlineNs()).toBeNull();
    passTo(1030);
    expect(timer.currentCount()).toBe(70);
    timer.configure(true, true);
    expect([timer.nextDeadlineNs(), expiries()]).toEqual([1100, 0]);
  });

  test('a one-shot timer that ended unheard does not expire when it is heard again', () => {
    const { timer, passTo, expiries } = create();
    timer.start(100);
    passTo(1000);
    timer.configure(false, true);
    passTo(2000);
    expect([timer.nextDeadlineNs(), expiries()]).toEqual([null, 0]);
  });

  test('however far time jumps, a period expires once and the phase stays', () => {
    const { timer, world, expiries } = create();
    timer.configure(true, true);
    timer.setDivideConfiguration(BY_1);
    timer.start(3);
    world.ns = 1_000_000_000_000;
    timer.advance(world.ns);
    expect([expiries(), timer.nextDeadlineNs()]).toEqual([1, 1_000_000_000_002]);
  });

  test('the machine is told whenever the deadline moves by an access', () => {
    const { timer, world } = create();
    timer.configure(false, true);
    timer.start(5);
    timer.setDivideConfiguration(BY_1);
    expect(world.take()).toEqual(['deadline', 'deadline', 'deadline']);
    timer.configure(false, true);
    timer.currentCount();
    timer.nextDeadlineNs();
    expect(world.take()).toEqual([]);
  });
});

test('agrees with a counter that is stepped tick by tick', () => {
  const step = fc.oneof(
    fc.record({ what: fc.constant('pass' as const), value: fc.nat(200) }),
    fc.record({ what: fc.constant('start' as const), value: fc.nat(40) }),
    fc.record({ what: fc.constant('periodic' as const), value: fc.nat(1) }),
  );
  fc.assert(
    fc.property(fc.constantFrom(BY_1, BY_2), fc.array(step, { maxLength: 40 }), (divide, steps) => {
      const { timer, passTo, expiries, world } = create();
      timer.configure(false, true);
      timer.setDivideConfiguration(divide);
      const tickNs = divide === BY_1 ? 1 : 2;
      const model = { initial: 0, count: 0, periodic: false, phase: 0, expiries: 0 };
      for (const { what, value } of steps) {
        if (what === 'start') {
          timer.start(value);
          Object.assign(model, { initial: value, count: value, phase: 0 });
        } else if (what === 'periodic') {
          model.periodic = value === 1;
          timer.configure(model.periodic, true);
        } else {
          passTo(world.ns + value);
          for (let i = 0; i < value; i++) {
            model.phase = (model.phase + 1) % tickNs;
            if (model.phase !== 0 || model.count === 0 || --model.count > 0) continue;
            model.expiries++;
            if (model.periodic) model.count = model.initial;
          }
        }
        expect([timer.currentCount(), expiries()]).toEqual([model.count, model.expiries]);
      }
    }),
  );
});

describe('saved state', () => {
  test('goes on from where it was', () => {
    const { timer, passTo } = create();
    timer.configure(true, true);
    timer.start(1000);
    passTo(700);
    const other = create();
    other.world.ns = 700;
    other.timer.apply(other.timer.decode(new SavedFields(timer.save(), 'timer')), true, true);
    expect(other.timer.save()).toEqual(timer.save());
    expect([other.timer.currentCount(), other.timer.nextDeadlineNs()]).toEqual([650, 2000]);
    expect(other.world.take()).toEqual([]);
  });

  test.each([
    [{ initialCount: 1, divide: 4, expiryNs: -1 }],
    [{ initialCount: 0, divide: 0, expiryNs: 5 }],
    [{ initialCount: 2 ** 32, divide: 0, expiryNs: -1 }],
    [{ initialCount: 1, divide: 0, expiryNs: -2 }],
    [{ initialCount: 1, divide: 0 }],
  ])('%j is refused', (state) => {
    expect(() => create().timer.decode(new SavedFields(state, 'timer'))).toThrow(DecodeError);
  });
});
