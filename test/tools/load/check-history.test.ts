/**
 * Goal: a correct history passes; every kind of lost and duplicated operation is found, and counted once.
 * Method: hand-made histories, each with one fault; a property that histories of a correct model always pass, and
 * that forgetting or repeating one effect of it never does.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkHistory } from '../../../tools/load/check-history.js';
import type { Action, Invocation, Outcome, Phase } from '../../../tools/load/history.js';

const NOTHING = new Uint8Array(0);
const OK: Outcome = { status: 'ok', value: NOTHING };
const MISSING: Outcome = { status: 'not-found', value: NOTHING };
const text = (value: string): Outcome => ({ status: 'ok', value: Buffer.from(value) });
const number = (value: number): Outcome => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return { status: 'ok', value: bytes };
};

const put = (key: string, value: string): Action => ({ op: 'put', key, value: Buffer.from(value) });
const get = (key: string): Action => ({ op: 'get', key });
const del = (key: string): Action => ({ op: 'delete', key });
const add = (key: string, operand: number): Action => ({ op: 'add', key, operand });
const INCREMENT: Action = { op: 'increment' };
const READ: Action = { op: 'read' };

interface Step {
  readonly action: Action;
  readonly outcome: Outcome | null;
  readonly client?: number;
  readonly phase?: Phase;
  readonly attempts?: number;
  /** Default: one after the other. */
  readonly times?: readonly [number, number];
}

function history(steps: readonly Step[]): Invocation[] {
  return steps.map((step, i) => ({
    client: step.client ?? 0,
    sequence: i + 1,
    phase: step.phase ?? 'load',
    action: step.action,
    invokedMs: step.times?.[0] ?? i * 10,
    attempts: step.attempts ?? 1,
    respondedMs: step.outcome === null ? null : (step.times?.[1] ?? i * 10 + 5),
    outcome: step.outcome,
  }));
}

function kv(...steps: readonly (readonly [Action, Outcome | null, Partial<Step>?])[]): [number, number] {
  const verdict = checkHistory('kv', history(steps.map(([action, outcome, more]) => ({ action, outcome, ...more }))));
  expect(verdict.findings).toHaveLength(verdict.lost + verdict.duplicated);
  return [verdict.lost, verdict.duplicated];
}

describe('kv histories', () => {
  test('a correct one passes, with state from an earlier run and an operation without an answer at the end', () => {
    expect(
      kv(
        [get('k'), text('old'), { phase: 'setup' }],
        [get('sum'), number(40), { phase: 'setup' }],
        [get('k'), text('old')],
        [put('k', 'new'), OK],
        [get('k'), text('new')],
        [add('sum', 2), number(42)],
        [get('sum'), number(42)],
        [del('k'), OK],
        [del('k'), MISSING],
        [get('k'), MISSING],
        [put('k', 'last'), null],
      ),
    ).toEqual([0, 0]);
  });

  test('a put that is gone later is lost, once', () => {
    expect(kv([put('k', 'a'), OK], [get('k'), MISSING], [get('k'), MISSING])).toEqual([1, 0]);
    expect(kv([put('k', 'a'), OK], [put('k', 'b'), OK], [get('k'), text('a')])).toEqual([1, 0]);
  });

  test('a value nobody put is lost data', () => {
    expect(kv([put('k', 'a'), OK], [get('k'), text('#')])).toEqual([1, 0]);
  });

  test('a delete that is undone later is lost', () => {
    expect(kv([put('k', 'a'), OK], [del('k'), OK], [get('k'), text('a')])).toEqual([1, 0]);
    expect(kv([get('k'), MISSING], [del('k'), OK])).toEqual([1, 0]);
  });

  test('a delete that was applied twice is duplicated, a put that a delete does not find is lost', () => {
    expect(kv([put('k', 'a'), OK], [del('k'), MISSING, { attempts: 2 }])).toEqual([0, 1]);
    expect(kv([put('k', 'a'), OK], [del('k'), MISSING])).toEqual([1, 0]);
  });

  test('an addition that jumps too far is duplicated, one that falls behind is lost, each once', () => {
    expect(
      kv([get('n'), MISSING], [add('n', 1), number(1)], [add('n', 1), number(3)], [add('n', 1), number(4)]),
    ).toEqual([0, 1]);
    expect(
      kv([get('n'), MISSING], [add('n', 1), number(1)], [add('n', 1), number(1)], [add('n', 1), number(2)]),
    ).toEqual([1, 0]);
    expect(kv([add('n', 3), number(3)], [get('n'), number(6)])).toEqual([0, 1]);
    expect(kv([add('n', 3), number(3)], [get('n'), number(0)])).toEqual([1, 0]);
    expect(kv([add('n', 3), OK])).toEqual([1, 0]);
  });

  test('an operation refused for lack of room changes nothing', () => {
    const full: Outcome = { status: 'full', value: NOTHING };
    expect(kv([get('k'), MISSING], [put('k', 'a'), full], [get('k'), MISSING])).toEqual([0, 0]);
  });

  test('clients do not touch each other', () => {
    expect(kv([put('k', 'a'), OK, { client: 0 }], [get('k'), MISSING, { client: 1 }])).toEqual([0, 0]);
  });
});

function counter(start: number, results: readonly (number | null)[], end: number | null): [number, number] {
  const steps: Step[] = [
    { action: READ, outcome: number(start), phase: 'setup' },
    ...results.map((value) => ({ action: INCREMENT, outcome: value === null ? null : number(value) })),
    ...(end === null ? [] : [{ action: READ, outcome: number(end), phase: 'verify' as const }]),
  ];
  const verdict = checkHistory('counter', history(steps));
  return [verdict.lost, verdict.duplicated];
}

describe('counter histories', () => {
  test('a correct one passes, from zero and from where an earlier run left off', () => {
    expect(counter(0, [1, 2, 3], 3)).toEqual([0, 0]);
    expect(counter(10, [11, 12], 12)).toEqual([0, 0]);
    expect(counter(10, [], 10)).toEqual([0, 0]);
  });

  test("the lecture's anomaly: a result escapes and is given out again after the take-over", () => {
    expect(counter(10, [11, 11], 11)).toEqual([1, 0]);
    expect(counter(10, [11, 12, 13, 12, 13, 14], 14)).toEqual([2, 0]);
  });

  test('an effect that is gone at the end is lost', () => {
    expect(counter(10, [11, 12], 11)).toEqual([1, 0]);
    expect(counter(10, [11], 10)).toEqual([1, 0]);
  });

  test('a result that lies below what it should is lost', () => {
    expect(counter(10, [11, 9], 11)).toEqual([1, 0]);
  });

  test('an increment applied twice is duplicated, in the middle and at the end', () => {
    expect(counter(0, [1, 3, 4], 4)).toEqual([0, 1]);
    expect(counter(0, [1, 2], 3)).toEqual([0, 1]);
    expect(counter(0, [1, 4], 4)).toEqual([0, 2]);
  });

  test('an increment without an answer may or may not have happened', () => {
    expect(counter(0, [1, null], 1)).toEqual([0, 0]);
    expect(counter(0, [1, null], 2)).toEqual([0, 0]);
    expect(counter(0, [1, null], 3)).toEqual([0, 1]);
    expect(counter(0, [1, 2, null], null)).toEqual([0, 0]);
  });

  test('concurrent increments may come back in any order, later ones must be higher', () => {
    const at = (value: number, client: number, times: readonly [number, number]): Step => ({
      ...{ action: INCREMENT, outcome: number(value), client, times },
    });
    const read = (value: number, phase: Phase, time: number): Step => ({
      ...{ action: READ, outcome: number(value), phase, times: [time, time] as const },
    });
    const judge = (...steps: Step[]): [number, number] => {
      const verdict = checkHistory(
        'counter',
        history([read(0, 'setup', 0), ...steps, read(steps.length, 'verify', 99)]),
      );
      return [verdict.lost, verdict.duplicated];
    };
    expect(judge(at(2, 0, [1, 10]), at(1, 1, [2, 9]))).toEqual([0, 0]);
    expect(judge(at(2, 0, [1, 3]), at(1, 1, [4, 9]))).toEqual([1, 0]);
  });
});

describe('echo histories', () => {
  test('a payload that comes back changed is lost', () => {
    const echo = (back: string): [number, number] => {
      const action: Action = { op: 'echo', payload: Buffer.from('payload') };
      const verdict = checkHistory(
        'echo',
        history([
          { action, outcome: text(back) },
          { action, outcome: null },
        ]),
      );
      return [verdict.lost, verdict.duplicated];
    };
    expect(echo('payload')).toEqual([0, 0]);
    expect(echo('paXload')).toEqual([1, 0]);
    expect(echo('payloa')).toEqual([1, 0]);
  });
});

describe('against a model', () => {
  const actions = fc.array(
    fc.oneof(
      fc.record({
        op: fc.constant('put' as const),
        key: fc.constantFrom('a', 'b'),
        value: fc.uint8Array({ maxLength: 4 }),
      }),
      fc.record({ op: fc.constantFrom('get' as const, 'delete' as const), key: fc.constantFrom('a', 'b') }),
      fc.record({ op: fc.constant('add' as const), key: fc.constant('n'), operand: fc.integer({ min: 1, max: 9 }) }),
    ),
    { maxLength: 30 },
  );

  /** Runs actions on a model; `times` says how often each effect is applied, once when it is right. */
  function play(list: readonly Action[], times: (index: number) => number): Invocation[] {
    const values = new Map<string, Uint8Array>();
    let sum = 0;
    const perform = (action: Action, count: number): Outcome => {
      if (action.op === 'get') {
        const value = action.key === 'n' ? number(sum).value : values.get(action.key);
        return value === undefined ? MISSING : { status: 'ok', value };
      }
      if (action.op === 'add') return number((sum += action.operand * count));
      if (action.op === 'put' && count > 0) values.set(action.key, action.value);
      if (action.op === 'delete') return count > 0 && !values.delete(action.key) ? MISSING : OK;
      return OK;
    };
    const reads = ['a', 'b', 'n'].map(get);
    const steps = [
      ...reads.map((action) => ({ action, outcome: perform(action, 1), phase: 'setup' as const })),
      ...list.map((action, i) => ({ action, outcome: perform(action, times(i)) })),
      ...reads.map((action) => ({ action, outcome: perform(action, 1), phase: 'verify' as const })),
    ];
    return history(steps);
  }

  test('every correct history passes', () => {
    fc.assert(
      fc.property(actions, (list) => {
        const verdict = checkHistory(
          'kv',
          play(list, () => 1),
        );
        expect([verdict.lost, verdict.duplicated, verdict.findings]).toEqual([0, 0, []]);
      }),
    );
  });

  test('an addition applied never or twice is always found', () => {
    fc.assert(
      fc.property(actions, fc.nat(29), fc.constantFrom(0, 2), (list, at, count) => {
        fc.pre(list[at]?.op === 'add');
        const verdict = checkHistory(
          'kv',
          play(list, (i) => (i === at ? count : 1)),
        );
        expect([verdict.lost, verdict.duplicated]).toEqual(count === 0 ? [1, 0] : [0, 1]);
      }),
    );
  });
});
