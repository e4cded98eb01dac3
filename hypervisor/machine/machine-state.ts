/** A machine's state out of the record it was sent or saved in. */
import { DecodeError } from '../../emulator/errors.js';
import type { StateRecord, StateValue } from '../../devices/state.js';
import type { MachineState } from './machine.js';

/** @throws DecodeError when a part is missing or of another type; the parts themselves are checked by restore() */
export function machineStateOf(record: {
  readonly cpu: StateValue | undefined;
  readonly devices: StateValue | undefined;
  readonly clock: StateValue | undefined;
  /** Absent in what older versions wrote. */
  readonly doorbells?: StateValue | undefined;
}): MachineState {
  const { cpu, devices, clock, doorbells = [] } = record;
  if (!(cpu instanceof Uint8Array) || !isRecord(devices) || !isRecord(clock)) {
    throw new DecodeError('bad-state', 0, 'the state lacks cpu, devices or clock');
  }
  const { baseIcount, baseNs, rate } = clock;
  if (typeof baseIcount !== 'number' || typeof baseNs !== 'number' || typeof rate !== 'number') {
    throw new DecodeError('bad-state', 0, 'the clock is not made of numbers');
  }
  if (!Array.isArray(doorbells)) throw new DecodeError('bad-state', 0, 'the disk doorbells are not a list');
  return { cpu, devices, doorbells: doorbells as readonly StateValue[], clock: { baseIcount, baseNs, rate } };
}

function isRecord(value: StateValue | undefined): value is StateRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
