/**
 * Goal: the Output Rule: no output leaves before its own log entry is acknowledged, all leave in order, none twice and
 * none is lost; and the time each was held is reported.
 * Method: random interleavings of hold, acknowledgement, open and close against a model that checks each output as it
 * leaves; the edges by hand.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvariantError } from '../../../emulator/errors.js';
import { OutputGate } from '../../../hypervisor/ft/output-gate.js';

interface Output {
  readonly id: number;
  readonly seq: number;
  readonly heldAtMs: number;
}

/** Drives a gate and checks each output at the moment it leaves. */
class Checked {
  readonly #heldMs: number[] = [];
  readonly gate: OutputGate;
  readonly given: Output[] = [];
  readonly left: Output[] = [];
  nowMs = 0;
  #seq = -1;
  #acked = -1;
  #open: boolean;

  constructor(open: boolean) {
    this.#open = open;
    this.gate = new OutputGate(open, (ms) => this.#heldMs.push(ms));
  }

  get heldMs(): readonly number[] {
    return this.#heldMs;
  }

  hold(entriesBefore: number): void {
    this.#seq += 1 + entriesBefore;
    const output = { id: this.given.length, seq: this.#seq, heldAtMs: this.nowMs };
    this.given.push(output);
    this.gate.hold(output.seq, this.nowMs, () => {
      expect(this.#open || output.seq <= this.#acked).toBe(true);
      expect(output.id).toBe(this.left.length);
      this.left.push(output);
      expect(this.#heldMs.at(-1)).toBe(this.nowMs - output.heldAtMs);
    });
    this.check();
  }

  /** Acknowledge this share, 0 to 1, of all entries: often less than before, as a late frame would. */
  acknowledge(share: number): void {
    const seq = Math.floor(share * (this.#seq + 1)) - 1;
    this.#acked = Math.max(this.#acked, seq);
    this.gate.acknowledged(seq, this.nowMs);
    this.check();
  }

  open(): void {
    this.#open = true;
    this.gate.open(this.nowMs);
    this.check();
  }

  close(): void {
    if (this.gate.held > 0) {
      expect(() => {
        this.gate.close(this.#seq);
      }).toThrow(InvariantError);
      return;
    }
    this.#open = false;
    this.#acked = this.#seq;
    this.gate.close(this.#seq);
    this.check();
  }

  check(): void {
    const due = this.given.filter(({ seq, id }) => id < this.left.length || this.#open || seq <= this.#acked).length;
    expect(this.left.length).toBe(due);
    expect(this.gate.released).toBe(this.left.length);
    expect(this.gate.held).toBe(this.given.length - this.left.length);
    expect(this.gate.isOpen).toBe(this.#open);
    expect(this.#heldMs.length).toBe(this.left.length);
  }
}

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('hold'), value: fc.integer({ min: 0, max: 3 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('acknowledge'), value: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait'), value: fc.integer({ min: 0, max: 100 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('open', 'close'), value: fc.constant(0) }) },
);

function perform(checked: Checked, { kind, value }: { kind: string; value: number }): void {
  if (kind === 'hold') checked.hold(value);
  else if (kind === 'acknowledge') checked.acknowledge(value);
  else if (kind === 'open') checked.open();
  else if (kind === 'close') checked.close();
  else checked.nowMs += value;
}

describe('any interleaving', () => {
  test('lets each output leave once, in order, when its entry is acknowledged or the gate opens', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(action, { maxLength: 60 }), (open, actions) => {
        const checked = new Checked(open);
        for (const step of actions) perform(checked, step);
        checked.open();
        expect(checked.left).toEqual(checked.given);
      }),
      { numRuns: 500 },
    );
  });

  test('holds for thousands of outputs in flight', () => {
    const checked = new Checked(false);
    for (let i = 0; i < 5000; i++) checked.gate.hold(i, 0, () => checked.left.push({ id: i, seq: i, heldAtMs: 0 }));
    for (let acked = 99; acked < 5000; acked += 100) {
      checked.gate.acknowledged(acked, 1);
      expect(checked.left.length).toBe(acked + 1);
      expect(checked.gate.held).toBe(4999 - acked);
    }
    expect(checked.left.map(({ id }) => id)).toEqual(Array.from({ length: 5000 }, (_, i) => i));
  });
});

describe('a closed gate', () => {
  test('holds an output until exactly its own entry is acknowledged', () => {
    const checked = new Checked(false);
    checked.gate.hold(7, 0, () => checked.left.push({ id: 0, seq: 7, heldAtMs: 0 }));
    checked.gate.acknowledged(6, 5);
    expect(checked.left).toHaveLength(0);
    checked.gate.acknowledged(7, 9);
    expect(checked.left).toHaveLength(1);
    expect(checked.heldMs).toEqual([9]);
  });

  test('lets pass at once what was acknowledged before, as held for no time', () => {
    const checked = new Checked(false);
    checked.gate.acknowledged(10, 0);
    checked.gate.hold(10, 3, () => checked.left.push({ id: 0, seq: 10, heldAtMs: 3 }));
    expect(checked.left).toHaveLength(1);
    expect(checked.heldMs).toEqual([0]);
  });

  test('is not moved by an acknowledgement that comes late', () => {
    const checked = new Checked(false);
    checked.gate.acknowledged(5, 0);
    checked.gate.acknowledged(2, 0);
    checked.gate.hold(5, 0, () => checked.left.push({ id: 0, seq: 5, heldAtMs: 0 }));
    expect(checked.left).toHaveLength(1);
  });

  test('never lets an output overtake one that is held', () => {
    const gate = new OutputGate(false);
    gate.acknowledged(3, 0);
    gate.hold(8, 0, () => undefined);
    expect(() => {
      gate.hold(3, 0, () => undefined);
    }).toThrow(InvariantError);
  });

  test('an output caused by one that leaves waits for its own entry', () => {
    const gate = new OutputGate(false);
    const left: number[] = [];
    gate.hold(1, 0, () => {
      left.push(1);
      gate.hold(2, 0, () => left.push(2));
    });
    gate.acknowledged(1, 0);
    expect(left).toEqual([1]);
    gate.acknowledged(2, 0);
    expect(left).toEqual([1, 2]);
  });

  test('an output whose release fails has left: it is not tried again', () => {
    const gate = new OutputGate(false);
    const left: number[] = [];
    gate.hold(1, 0, () => {
      left.push(1);
      throw new Error('the host refused');
    });
    gate.hold(2, 0, () => left.push(2));
    expect(() => {
      gate.acknowledged(2, 0);
    }).toThrow('the host refused');
    gate.open(0);
    expect(left).toEqual([1, 2]);
  });
});

describe('joining and losing a backup', () => {
  test('an open gate passes outputs at once; after close they wait', () => {
    const checked = new Checked(true);
    checked.hold(0);
    expect(checked.left).toHaveLength(1);
    checked.close();
    checked.hold(0);
    expect(checked.left).toHaveLength(1);
    checked.acknowledge(1);
    expect(checked.left).toHaveLength(2);
  });

  test('open releases what is held, in order, with its time', () => {
    const checked = new Checked(false);
    checked.hold(0);
    checked.nowMs = 4;
    checked.hold(0);
    checked.nowMs = 10;
    checked.open();
    expect(checked.left.map(({ id }) => id)).toEqual([0, 1]);
    expect(checked.heldMs).toEqual([10, 6]);
  });

  test('a second open changes nothing', () => {
    const checked = new Checked(false);
    checked.hold(0);
    checked.open();
    checked.open();
    expect(checked.left).toHaveLength(1);
  });
});
