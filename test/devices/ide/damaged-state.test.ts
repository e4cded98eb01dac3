/**
 * Goal: a snapshot that is not one of this controller is refused, and one that passes leads to no broken promise.
 * Method: every leaf of the saved state of controllers at work is replaced in turn; a state that is taken must save
 * to what was given, and the controller must then survive answers, data and a new command.
 */
import { expect, test } from '@jest/globals';
import { DecodeError } from '../../../emulator/errors.js';
import type { StateRecord, StateValue } from '../../../devices/state.js';
import { IdeRig, SECTOR, DATA_AT } from './ide-rig.js';

/** Controllers in each phase of a transfer. */
const AT_WORK: Readonly<Record<string, (rig: IdeRig) => void>> = {
  'that is idle': () => undefined,
  'that reads': (rig) => {
    rig.send({ code: 0xc6, count: 4 });
    rig.send({ code: 0xc4, lba: 9, count: 6 });
    rig.complete(rig.request());
    rig.readWords(SECTOR + 2);
  },
  'that identifies': (rig) => {
    rig.send({ code: 0xec, device: 1 });
  },
  'that is written to': (rig) => {
    rig.send({ code: 0x34, lba: 9, count: 2, extended: true });
    rig.writeWords(new Uint8Array(SECTOR + 2));
  },
  'that writes': (rig) => {
    rig.send({ code: 0x30, lba: 9, count: 1 });
    rig.writeWords(new Uint8Array(SECTOR));
  },
  'that flushes': (rig) => {
    rig.send({ code: 0xe7 });
  },
  'that waits for the bus master': (rig) => {
    rig.send({ code: 0xca, lba: 9, count: 1 });
  },
  'that moves by DMA': (rig) => {
    rig.table([
      [DATA_AT, 0x8000],
      [DATA_AT + 0x1_0000, 0xc000],
      [DATA_AT + 0x2_0000, 0],
      ...Array.from({ length: 15 }, () => [DATA_AT + 0x2_0000, 0] as const),
    ]);
    rig.startDma({ code: 0x25, lba: 9, count: 2060, extended: true }, true);
    rig.complete(rig.request());
  },
  'that is in reset': (rig) => {
    rig.send({ code: 0x40, lba: 9, count: 1 });
    rig.control(4);
    rig.control(0);
  },
  'that is held in reset': (rig) => {
    rig.control(4);
  },
};

const REPLACEMENTS: readonly StateValue[] = [
  0,
  1,
  2,
  3,
  0x80,
  512,
  2048,
  0x1_0000,
  2 ** 32,
  -1,
  0.5,
  true,
  false,
  'idle',
  'busy',
  'data-in',
  'data-out',
  'dma',
  'reset',
  'pio-in',
  'pio-out',
  'dma-in',
  'verify',
  'flush',
  'write',
  'read',
  null,
  new Uint8Array(0),
  new Uint8Array(SECTOR),
  new Uint8Array(3 * SECTOR + 1),
  [],
];

function isRecord(value: StateValue): value is StateRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** The value with each of its leaves replaced in turn. */
function* damaged(value: StateValue): Generator<StateValue> {
  if (isRecord(value)) {
    for (const field of Object.keys(value)) {
      for (const other of damaged(value[field]!)) yield { ...value, [field]: other };
    }
  } else if (Array.isArray(value) && value.length > 0) {
    const items = value as readonly StateValue[];
    yield [];
    for (const [i, item] of items.entries()) {
      for (const other of damaged(item)) yield items.with(i, other);
    }
  } else {
    yield* REPLACEMENTS;
  }
}

/** What may happen next to a controller. */
function goOn(rig: IdeRig): void {
  for (let i = 0; i < 4; i++) {
    for (const request of rig.ide.pendingRequests()) rig.complete(request);
    rig.readWords(2 * SECTOR, 4);
    rig.writeWords(new Uint8Array(2 * SECTOR), 4);
    rig.bmOut(0, 0);
    rig.bmOut(0, 9);
  }
  rig.control(4);
  rig.control(0);
  for (const request of rig.ide.pendingRequests()) rig.complete(request);
  rig.out(6, 0xe0);
  expect(rig.status & 0x80).toBe(0);
}

test.each(Object.entries(AT_WORK))('a controller %s, with any part of its state replaced', (_, work) => {
  const rig = new IdeRig();
  work(rig);
  const state = rig.ide.save();
  let refused = 0;
  let taken = 0;
  const other = new IdeRig();
  other.ram.memory.set(rig.ram.memory);
  for (const primary of damaged(state['primary']!)) {
    try {
      other.ide.restore({ ...state, primary });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      refused++;
      continue;
    }
    taken++;
    expect(other.ide.save()).toEqual({ ...state, primary });
    goOn(other);
  }
  expect(refused).toBeGreaterThan(taken);
});
