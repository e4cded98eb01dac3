/**
 * Goal: a backup drains before it contends, wins before anything leaves it, and never goes live after it was
 * denied, has diverged or has not held the whole state.
 * Method: the expected step of every state and input, written down from the protocol; then every walk of the table,
 * checked for the order of inputs and effects.
 */
import { describe, expect, test } from '@jest/globals';
import { InvariantError } from '../../../emulator/errors.js';
import {
  BACKUP_STATES,
  nextBackup,
  type BackupInput,
  type BackupState,
  type BackupStep,
} from '../../../hypervisor/ft/backup-state.js';

const INPUTS = {
  complete: { kind: 'state-complete' },
  silent: { kind: 'primary-silent' },
  drained: { kind: 'log-drained' },
  ended: { kind: 'log-ended' },
  diverged: { kind: 'diverged' },
  granted: { kind: 'arbiter', verdict: 'granted' },
  denied: { kind: 'arbiter', verdict: 'denied' },
  unreachable: { kind: 'arbiter', verdict: 'unreachable' },
} as const satisfies Record<string, BackupInput>;
type InputName = keyof typeof INPUTS;
const INPUT_NAMES = Object.keys(INPUTS) as InputName[];

/** What must happen; a pair that is not here is a mistake of ours. */
const EXPECTED: Record<BackupState, Partial<Record<InputName, BackupStep>>> = {
  joining: {
    complete: ['replaying', ['start-replay']],
    // It contends only when it holds the state whole.
    silent: ['halted', ['close-channel', 'power-off']],
  },
  replaying: {
    silent: ['draining', ['close-channel']],
    ended: ['finished', ['report-end']],
    diverged: ['diverged', ['leave-snapshot', 'close-channel']],
  },
  draining: {
    drained: ['contending', ['test-and-set']],
    // The primary's orderly stop was among what it had sent.
    ended: ['finished', ['report-end']],
    diverged: ['diverged', ['leave-snapshot']],
  },
  contending: {
    granted: ['live', ['reissue-disk-io', 'announce-mac', 'open-outputs']],
    denied: ['halted', ['power-off']],
    unreachable: ['contending', ['retry-test-and-set']],
  },
  live: {},
  halted: {},
  finished: {},
  diverged: {},
};

interface Walk {
  readonly inputs: readonly InputName[];
  readonly states: readonly BackupState[];
  readonly effects: readonly string[];
}

function tryStep(state: BackupState, input: InputName): BackupStep | null {
  try {
    return nextBackup(state, INPUTS[input]);
  } catch (error) {
    if (error instanceof InvariantError) return null;
    throw error;
  }
}

/** Every walk from the first state over at most `steps` possible inputs. */
function walks(steps: number): Walk[] {
  let ends: Walk[] = [{ inputs: [], states: ['joining'], effects: [] }];
  const all = [...ends];
  for (let i = 0; i < steps; i++) {
    ends = ends.flatMap((walk) =>
      INPUT_NAMES.flatMap((input) => {
        const step = tryStep(walk.states.at(-1) as BackupState, input);
        if (step === null) return [];
        const [state, effects] = step;
        return [
          {
            inputs: [...walk.inputs, input],
            states: [...walk.states, state],
            effects: [...walk.effects, ...effects],
          },
        ];
      }),
    );
    all.push(...ends);
  }
  return all;
}

const ALL_WALKS = walks(8);
const LIVE_WALKS = ALL_WALKS.filter(({ states }) => states.includes('live'));

describe.each(BACKUP_STATES)('while %s', (state) => {
  test.each(INPUT_NAMES)('%s does what the protocol says, or is a broken invariant', (input) => {
    const expected = EXPECTED[state][input];
    if (expected === undefined) {
      expect(() => nextBackup(state, INPUTS[input])).toThrow(InvariantError);
      expect(() => nextBackup(state, INPUTS[input])).toThrow(`backup: ${INPUTS[input].kind} while ${state}`);
    } else {
      expect(nextBackup(state, INPUTS[input])).toEqual(expected);
    }
  });
});

describe('on every walk', () => {
  test('each state can be reached, and a walk goes live', () => {
    expect(new Set(ALL_WALKS.flatMap(({ states }) => states))).toEqual(new Set(BACKUP_STATES));
    expect(LIVE_WALKS.length).toBeGreaterThan(0);
  });

  test('the state is complete, then the primary silent, the log drained and the arbiter won before it is live', () => {
    for (const { inputs, states } of LIVE_WALKS) {
      const decisive = inputs.slice(0, states.indexOf('live')).filter((input) => input !== 'unreachable');
      expect(decisive).toEqual(['complete', 'silent', 'drained', 'granted']);
    }
  });

  test('outputs open only in the step of the grant, after pending disk I/O and the announcement', () => {
    for (const { inputs, states, effects } of ALL_WALKS) {
      const opened = effects.indexOf('open-outputs');
      expect(opened >= 0).toBe(states.includes('live'));
      if (opened < 0) continue;
      expect(inputs).toContain('granted');
      const before = effects.slice(0, opened);
      expect(before.slice(-2)).toEqual(['reissue-disk-io', 'announce-mac']);
      expect(before.indexOf('close-channel')).toBeLessThan(before.indexOf('test-and-set'));
      expect(before).toContain('test-and-set');
    }
  });

  test('the test-and-set is asked for only when the log is drained, and again only when the arbiter was not reached', () => {
    for (const { inputs, effects } of ALL_WALKS) {
      const asked = effects.filter((effect) => effect === 'test-and-set').length;
      const again = effects.filter((effect) => effect === 'retry-test-and-set').length;
      expect(asked).toBe(inputs.includes('drained') ? 1 : 0);
      expect(again).toBe(inputs.filter((input) => input === 'unreachable').length);
    }
  });

  test('nothing follows once it is live, denied, diverged or finished', () => {
    for (const { states } of ALL_WALKS) {
      for (const last of ['live', 'halted', 'diverged', 'finished'] as const) {
        if (states.includes(last)) expect(states.indexOf(last)).toBe(states.length - 1);
      }
    }
  });

  test('it goes on asking for as long as the arbiter is unreachable', () => {
    let state: BackupState = 'contending';
    for (let i = 0; i < 100; i++) [state] = nextBackup(state, INPUTS.unreachable);
    expect(nextBackup(state, INPUTS.granted)[0]).toBe('live');
  });
});
