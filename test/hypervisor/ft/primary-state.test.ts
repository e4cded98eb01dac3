/**
 * Goal: a live replica that has lost its backup releases nothing before it has won the test-and-set, and one that was
 * denied never runs or releases again.
 * Method: the expected step of every state and input, written down from the protocol; then every walk of the table,
 * checked with a model of the gate.
 */
import { describe, expect, test } from '@jest/globals';
import { InvariantError } from '../../../emulator/errors.js';
import {
  nextPrimary,
  PRIMARY_STATES,
  type PrimaryEffect,
  type PrimaryInput,
  type PrimaryState,
  type PrimaryStep,
} from '../../../hypervisor/ft/primary-state.js';

const INPUTS = {
  granted: { kind: 'arbiter', verdict: 'granted' },
  denied: { kind: 'arbiter', verdict: 'denied' },
  unreachable: { kind: 'arbiter', verdict: 'unreachable' },
  began: { kind: 'join-began' },
  failed: { kind: 'join-failed' },
  sent: { kind: 'state-sent' },
  silent: { kind: 'backup-silent' },
  stopped: { kind: 'guest-stopped' },
  acknowledged: { kind: 'all-acknowledged' },
} as const satisfies Record<string, PrimaryInput>;
type InputName = keyof typeof INPUTS;
const INPUT_NAMES = Object.keys(INPUTS) as InputName[];

/** What must happen; a pair that is not here is a mistake of ours. */
const EXPECTED: Record<PrimaryState, Partial<Record<InputName, PrimaryStep>>> = {
  starting: {
    granted: ['alone', ['start-guest']],
    denied: ['halted', ['power-off']],
    unreachable: ['starting', ['retry-test-and-set']],
  },
  alone: {
    began: ['transferring', []],
    stopped: ['finished', ['report-end']],
  },
  transferring: {
    // The backup may hold the state whole from here on, acknowledged or not.
    sent: ['paired', ['close-gate', 'start-logging']],
    failed: ['alone', []],
    stopped: ['finished', ['cancel-transfer', 'report-end']],
  },
  paired: {
    silent: ['contending', ['close-channel', 'test-and-set']],
    // Its last outputs still wait for the backup.
    stopped: ['finishing', []],
  },
  contending: {
    granted: ['alone', ['stop-logging', 'open-outputs']],
    denied: ['halted', ['power-off']],
    unreachable: ['contending', ['retry-test-and-set']],
    // The guest runs on meanwhile, and may come to its end.
    stopped: ['contending-stopped', []],
  },
  finishing: {
    acknowledged: ['finished', ['report-end']],
    silent: ['contending-stopped', ['close-channel', 'test-and-set']],
  },
  'contending-stopped': {
    granted: ['finished', ['stop-logging', 'open-outputs', 'report-end']],
    denied: ['halted', ['power-off']],
    unreachable: ['contending-stopped', ['retry-test-and-set']],
  },
  finished: {},
  halted: {},
};

/** What the effects have done so far. */
interface World {
  readonly state: PrimaryState;
  readonly gateClosed: boolean;
  /** Test-and-sets asked for and not answered. */
  readonly asked: number;
  readonly effects: readonly PrimaryEffect[];
}

function tryStep(state: PrimaryState, input: InputName): PrimaryStep | null {
  try {
    return nextPrimary(state, INPUTS[input]);
  } catch (error) {
    if (error instanceof InvariantError) return null;
    throw error;
  }
}

function perform(world: World, [state, effects]: PrimaryStep, input: InputName): World {
  let { gateClosed, asked } = world;
  if (INPUTS[input].kind === 'arbiter') asked--;
  for (const effect of effects) {
    if (effect === 'close-gate') gateClosed = true;
    if (effect === 'open-outputs') gateClosed = false;
    if (effect === 'test-and-set' || effect === 'retry-test-and-set') asked++;
  }
  return { state, gateClosed, asked, effects: [...world.effects, ...effects] };
}

/** Call `look` for every possible step of every walk of at most `steps` inputs. */
function explore(steps: number, look: (before: World, input: InputName, after: World) => void): void {
  // Whoever starts has asked the arbiter already.
  let worlds: World[] = [{ state: 'starting', gateClosed: false, asked: 1, effects: [] }];
  for (let i = 0; i < steps; i++) {
    worlds = worlds.flatMap((before) =>
      INPUT_NAMES.flatMap((input) => {
        const step = tryStep(before.state, input);
        if (step === null) return [];
        const after = perform(before, step, input);
        look(before, input, after);
        return [after];
      }),
    );
  }
}

const STEPS = 10;

describe.each(PRIMARY_STATES)('while %s', (state) => {
  test.each(INPUT_NAMES)('%s does what the protocol says, or is a broken invariant', (input) => {
    const expected = EXPECTED[state][input];
    if (expected === undefined) {
      expect(() => nextPrimary(state, INPUTS[input])).toThrow(InvariantError);
      expect(() => nextPrimary(state, INPUTS[input])).toThrow(`primary: ${INPUTS[input].kind} while ${state}`);
    } else {
      expect(nextPrimary(state, INPUTS[input])).toEqual(expected);
    }
  });
});

describe('on every walk', () => {
  test('each state is reached', () => {
    const reached = new Set<PrimaryState>(['starting']);
    explore(STEPS, (_, __, after) => reached.add(after.state));
    expect(reached).toEqual(new Set(PRIMARY_STATES));
  });

  test('a closed gate opens only in the step of a grant', () => {
    explore(STEPS, (before, input, after) => {
      if (before.gateClosed && !after.gateClosed) expect(input).toBe('granted');
    });
  });

  test('the gate is closed exactly while there is, or may be, a backup', () => {
    explore(STEPS, (_, __, { state, gateClosed }) => {
      if (state === 'paired' || state === 'contending' || state === 'finishing' || state === 'contending-stopped') {
        expect(gateClosed).toBe(true);
      }
      if (state === 'alone' || state === 'transferring') expect(gateClosed).toBe(false);
    });
  });

  test('it ends in order only when everything is acknowledged or the arbiter was won', () => {
    explore(STEPS, (before, input, after) => {
      if (!after.effects.includes('report-end') || before.effects.includes('report-end')) return;
      expect([
        ['alone', 'stopped'],
        ['transferring', 'stopped'],
        ['finishing', 'acknowledged'],
        ['contending-stopped', 'granted'],
      ]).toContainEqual([before.state, input]);
    });
  });

  test('the arbiter is asked once at a time, and its answers are awaited where it was asked', () => {
    explore(STEPS, (_, __, { state, asked }) => {
      const waits = state === 'starting' || state === 'contending' || state === 'contending-stopped';
      expect(asked).toBe(waits ? 1 : 0);
    });
  });

  test('the channel is closed before the arbiter is asked: no acknowledgement can come in between', () => {
    explore(STEPS, (before, input, after) => {
      if (input !== 'silent') return;
      expect(after.effects.slice(before.effects.length)).toEqual(['close-channel', 'test-and-set']);
    });
  });

  test('a denial powers off and nothing follows it', () => {
    explore(STEPS, (before, input, after) => {
      expect(before.state).not.toBe('halted');
      expect(before.state).not.toBe('finished');
      if (input !== 'denied') return;
      expect(after.state).toBe('halted');
      expect(after.effects.slice(before.effects.length)).toEqual(['power-off']);
    });
  });

  test('a second backup may join after the first was lost', () => {
    const inputs: InputName[] = [
      ...(['granted', 'began', 'sent', 'silent', 'unreachable', 'granted'] as const),
      ...(['began', 'failed', 'began', 'sent', 'stopped'] as const),
    ];
    let state: PrimaryState = 'starting';
    for (const input of inputs) [state] = nextPrimary(state, INPUTS[input]);
    expect(state).toBe('finishing');
  });
});
