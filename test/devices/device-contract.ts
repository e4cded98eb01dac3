/**
 * Goal: every device model keeps the promises of devices/device.ts, whatever else it does.
 * Method: a suite that each model's test runs on itself: fresh, in the middle of its work, and after hostile access.
 */
import { describe, expect, test } from '@jest/globals';
import { DecodeError } from '../../emulator/errors.js';
import type { DeviceModel, RegisterBlock, TimedDevice } from '../../devices/device.js';
import type { StateRecord } from '../../devices/state.js';
import { encodeState } from '../../hypervisor/state-codec.js';

/** One device of the model under test, with its surroundings. */
export interface ContractSubject {
  readonly device: DeviceModel & Partial<TimedDevice>;
  /** Every block of registers of the device, and how many bytes it has. */
  readonly blocks: readonly { readonly registers: RegisterBlock; readonly bytes: number }[];
  /** What the device called so far: lines, environment. It only grows. */
  readonly calls: readonly string[];
  /** Bring the device into the middle of as much work as it can have. */
  busy(): void;
  /** Let guest time pass to `ns`, delivering deadlines. Absent: the device knows no time. */
  passTo?(ns: number): void;
}

const SIZES = [1, 2, 4] as const;
/** Values that no field of saved state may have. */
const IMPOSSIBLE = [undefined, -(2 ** 53) + 1, 0.5, 'no such word', { unexpected: 1 }] as const;

/** Run the contract on the model that `create` builds; each call must give an equal, independent one. */
export function describeDeviceContract(model: string, create: () => ContractSubject): void {
  describe(`${model} keeps the device contract`, () => {
    test('a reset device equals a new one, and tells nobody', () => {
      const subject = create();
      subject.busy();
      everyAccess(subject);
      const before = subject.calls.length;
      subject.device.reset();
      expect(subject.calls.slice(before)).toEqual([]);
      expect(subject.device.save()).toEqual(create().device.save());
    });

    test('restored state saves equal, and restoring tells nobody', () => {
      const subject = create();
      subject.busy();
      const state = subject.device.save();
      const other = create();
      const before = other.calls.length;
      other.device.restore(state);
      expect(other.calls.slice(before)).toEqual([]);
      expect(encodeState(other.device.save())).toEqual(encodeState(state));
    });

    test('restoring over other state leaves nothing of it', () => {
      const fresh = create().device.save();
      const subject = create();
      subject.busy();
      subject.device.restore(fresh);
      expect(subject.device.save()).toEqual(fresh);
    });

    test('a device restored in mid-operation goes on like the one it was saved from', () => {
      const subject = create();
      subject.busy();
      const other = create();
      other.device.restore(subject.device.save());
      expect(other.device.nextDeadlineNs?.()).toBe(subject.device.nextDeadlineNs?.());
      other.passTo?.(PASSED_NS);
      subject.passTo?.(PASSED_NS);
      expect(everyRead(other)).toEqual(everyRead(subject));
      everyAccess(other);
      everyAccess(subject);
      expect(other.device.save()).toEqual(subject.device.save());
    });

    test('saved state is a private copy', () => {
      const subject = create();
      subject.busy();
      const state = subject.device.save();
      const bytes = encodeState(state);
      everyAccess(subject);
      expect(encodeState(state)).toEqual(bytes);
    });

    test('every offset, width and extreme value is harmless', () => {
      const subject = create();
      for (const value of everyRead(subject)) expect(Number.isSafeInteger(value) && value >= 0).toBe(true);
      everyAccess(subject);
      const state = subject.device.save();
      const other = create();
      other.device.restore(state);
      expect(other.device.save()).toEqual(state);
    });

    test('state with a missing, extra or impossible field is refused and nothing of it is taken', () => {
      const subject = create();
      subject.busy();
      for (const damaged of damagedStates(subject.device.save())) {
        const other = create();
        const before = other.device.save();
        expect(() => other.device.restore(damaged)).toThrow(DecodeError);
        expect(other.device.save()).toEqual(before);
      }
    });
  });
}

/** Guest time that a restored device and its original are taken to. */
const PASSED_NS = 4_000_000_000;

function everyRead(subject: ContractSubject): number[] {
  const values: number[] = [];
  for (const { registers, bytes } of subject.blocks) {
    for (let offset = 0; offset < bytes; offset++) {
      for (const size of SIZES) values.push(registers.read(offset, size));
    }
  }
  return values;
}

function everyAccess(subject: ContractSubject): void {
  for (const { registers, bytes } of subject.blocks) {
    for (let offset = 0; offset < bytes; offset++) {
      for (const size of SIZES) {
        for (const value of [0, 2 ** (8 * size) - 1]) {
          registers.write(offset, size, value);
          registers.read(offset, size);
        }
      }
    }
  }
}

/** The state with each top-level field in turn missing or impossible, and with one field too many. */
function* damagedStates(state: StateRecord): Generator<StateRecord> {
  yield { ...state, noSuchField: 0 };
  for (const field of Object.keys(state)) {
    for (const value of IMPOSSIBLE) {
      const others = Object.entries(state).filter(([name]) => name !== field);
      yield Object.fromEntries(value === undefined ? others : [...others, [field, value]]);
    }
  }
}
