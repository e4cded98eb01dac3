/**
 * Goal: whatever connections break, and whenever, a backup's channel delivers every item of the log once and in order, drops what
 * it listened to before it asks for the rest, and stops only for good reasons.
 * Method: the expected step of every state and input, written down from the protocol; then random schedules of a live side and a
 * backup side over connections that lose what is under way when they break.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvariantError } from '../../../emulator/errors.js';
import {
  CHANNEL_STATES,
  nextChannel,
  type ChannelEffect,
  type ChannelInput,
  type ChannelState,
  type ChannelStep,
} from '../../../hypervisor/ft/channel-state.js';
import { Unacknowledged, type SentMessage } from '../../../hypervisor/ft/unacknowledged.js';

const INPUTS = {
  closed: { kind: 'closed' },
  stalled: { kind: 'stalled' },
  dialled: { kind: 'dialled', resumable: true },
  useless: { kind: 'dialled', resumable: false },
  failed: { kind: 'failed' },
  gone: { kind: 'gone' },
  retry: { kind: 'retry' },
  resumed: { kind: 'resumed' },
  refused: { kind: 'refused' },
  end: { kind: 'end' },
} as const satisfies Record<string, ChannelInput>;
type InputName = keyof typeof INPUTS;
const INPUT_NAMES = Object.keys(INPUTS) as InputName[];

const END: ChannelStep = ['ended', ['drop']];

/** What must happen; a pair that is not here is a mistake of ours. */
const EXPECTED: Record<ChannelState, Partial<Record<InputName, ChannelStep>>> = {
  whole: { closed: ['dialling', ['dial']], stalled: ['replacing', ['dial']], end: END },
  replacing: {
    closed: ['dialling', []],
    stalled: ['replacing', []],
    dialled: ['resuming', ['resume']],
    useless: ['whole', ['drop-new']],
    failed: ['whole', []],
    gone: ['whole', []],
    end: END,
  },
  dialling: {
    stalled: ['dialling', []],
    dialled: ['resuming', ['resume']],
    useless: ['waiting', ['drop-new', 'retry-later']],
    failed: ['waiting', ['retry-later']],
    gone: ['ended', ['tell-gone']],
    end: END,
  },
  waiting: { stalled: ['waiting', []], retry: ['dialling', ['dial']], end: END },
  resuming: {
    closed: ['waiting', ['retry-later']],
    stalled: ['waiting', ['drop', 'retry-later']],
    resumed: ['whole', ['tell-resumed']],
    refused: ['ended', ['drop', 'tell-refused']],
    end: END,
  },
  ended: {
    stalled: ['ended', []],
    dialled: ['ended', ['drop-new']],
    useless: ['ended', ['drop-new']],
    failed: ['ended', []],
    gone: ['ended', []],
    retry: ['ended', []],
    end: END,
  },
};

describe.each(CHANNEL_STATES)('while %s', (state) => {
  test.each(INPUT_NAMES)('%s does what the protocol says, or is a broken invariant', (input) => {
    const expected = EXPECTED[state][input];
    if (expected !== undefined) expect(nextChannel(state, INPUTS[input])).toEqual(expected);
    else expect(() => nextChannel(state, INPUTS[input])).toThrow(InvariantError);
  });
});

/** One connection: what is under way on it, each way. It may lose all of that at any time. */
interface Wire {
  toBackup: (number | 'resumed' | 'refused')[];
  toLive: ({ readonly ack: number } | { readonly nextSeq: number })[];
  open: boolean;
}

const NO_HEAD = new Uint8Array(0);

/** Both sides as they are built from the product's parts; an item is its first entry's number and `size` entries long. */
class Pair {
  readonly log = new Unacknowledged(0, () => undefined);
  readonly sizes = new Map<number, number>();
  readonly received: number[] = [];
  nextSeq = 0;
  backupNext = 0;
  acked = -1;
  state: ChannelState = 'whole';
  live: Wire | null;
  backup: Wire | null;
  dialled: Wire | null = null;
  told: ChannelEffect[] = [];

  constructor() {
    this.live = this.backup = { toBackup: [], toLive: [], open: true };
  }

  /** The live side sends an item of so many entries. */
  send(entries: number): void {
    const first = this.nextSeq;
    this.nextSeq += entries;
    this.sizes.set(first, entries);
    this.log.sent([{ head: NO_HEAD, body: Uint8Array.of(first & 0xff, first >> 8) }], this.nextSeq - 1);
    if (this.live?.open === true) this.live.toBackup.push(first);
  }

  /** The oldest message under way to the backup arrives. */
  arrive(): void {
    const wire = this.backup;
    const message = wire?.toBackup.shift();
    if (wire === null || message === undefined) return;
    if (this.state === 'resuming') {
      expect(typeof message).toBe('string');
      this.input({ kind: message as 'resumed' | 'refused' });
      return;
    }
    expect(message).toBe(this.backupNext);
    this.received.push(message as number);
    this.backupNext += this.sizes.get(message as number)!;
    wire.toLive.push({ ack: this.backupNext - 1 });
  }

  /** The oldest message under way to the live side arrives, on any connection that it still listens to. */
  answer(wire: Wire): void {
    const message = wire.toLive.shift();
    if (message === undefined) return;
    if ('nextSeq' in message) {
      const rest = this.log.after(message.nextSeq);
      wire.toBackup.push(...(rest === null ? ['refused' as const] : ['resumed' as const, ...rest.map(numberOf)]));
      if (rest !== null) this.live = wire;
    } else if (wire === this.live) {
      this.acked = Math.max(this.acked, message.ack);
      this.log.acknowledged(this.acked);
    }
  }

  /** The connection breaks: what is under way is lost. */
  breaks(wire: Wire): void {
    if (!wire.open) return;
    Object.assign(wire, { toBackup: [], toLive: [], open: false });
    if (wire !== this.backup) return;
    this.backup = null;
    this.input({ kind: 'closed' });
  }

  input(input: ChannelInput): void {
    const [state, effects] = nextChannel(this.state, input);
    this.state = state;
    for (const effect of effects) {
      if (effect === 'resume') this.#resume();
      else if (effect === 'drop') this.#drop();
      else if (effect.startsWith('tell')) this.told.push(effect);
    }
  }

  #resume(): void {
    this.#drop();
    this.backup = this.dialled!;
    this.dialled = null;
    this.backup.toLive.push({ nextSeq: this.backupNext });
  }

  #drop(): void {
    if (this.backup !== null) Object.assign(this.backup, { toBackup: [], open: false });
    this.backup = null;
  }
}

function numberOf({ body }: SentMessage): number {
  return body[0]! | (body[1]! << 8);
}

const STEPS = ['send', 'arrive', 'answer', 'break', 'stall', 'dial', 'fail', 'retry', 'late-ack'] as const;

/** One step of a schedule, as far as it is possible now. */
function take(pair: Pair, step: (typeof STEPS)[number], entries: number, old: Wire[]): void {
  const dialling = pair.state === 'dialling' || pair.state === 'replacing';
  if (pair.backup !== null && !old.includes(pair.backup)) old.push(pair.backup);
  if (step === 'send') pair.send(entries);
  else if (step === 'arrive') pair.arrive();
  else if (step === 'answer' && pair.backup !== null) pair.answer(pair.backup);
  else if (step === 'break' && pair.backup !== null) pair.breaks(pair.backup);
  else if (step === 'stall') pair.input({ kind: 'stalled' });
  else if (step === 'dial' && dialling) {
    pair.dialled = { toBackup: [], toLive: [], open: true };
    pair.input({ kind: 'dialled', resumable: true });
  } else if (step === 'fail' && dialling) pair.input({ kind: 'failed' });
  else if (step === 'retry' && pair.state === 'waiting') pair.input({ kind: 'retry' });
  // Acknowledgements that a dropped connection still carries.
  else if (step === 'late-ack') for (const wire of old) pair.answer(wire);
}

/** From here on nothing breaks. */
function settle(pair: Pair): void {
  for (let i = 0; i < 10_000 && pair.backupNext < pair.nextSeq; i++) {
    take(pair, (['retry', 'dial', 'answer', 'arrive'] as const)[i % 4]!, 1, []);
    // The live side's last connection may be one that only it believes in.
    if (pair.state === 'whole' && pair.live !== pair.backup) pair.breaks(pair.backup!);
  }
}

test('every item arrives once and in order, however often connections break', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.integer({ min: 1, max: 5 })), { maxLength: 200 }),
      (schedule) => {
        const pair = new Pair();
        const old: Wire[] = [];
        for (const [step, entries] of schedule) take(pair, step, entries, old);
        pair.send(1);
        settle(pair);
        expect(pair.told).not.toContain('tell-refused');
        expect(pair.received).toEqual([...pair.sizes.keys()]);
        expect(pair.acked).toBeLessThan(pair.backupNext);
      },
    ),
    { numRuns: 2000 },
  );
});

describe('what is not acknowledged', () => {
  const item = (first: number): SentMessage[] => [{ head: Uint8Array.of(6), body: Uint8Array.of(first) }];

  test('is given again from where the backup stands, in order', () => {
    const log = new Unacknowledged(10, () => undefined);
    log.sent(item(10), 12);
    log.sent([...item(13), ...item(14)], 15);
    expect(log.after(10)).toEqual([...item(10), ...item(13), ...item(14)]);
    expect(log.after(13)).toEqual([...item(13), ...item(14)]);
    expect(log.after(16)).toEqual([]);
    log.acknowledged(12);
    expect(log.after(13)).toEqual([...item(13), ...item(14)]);
    log.acknowledged(15);
    expect(log.after(16)).toEqual([]);
  });

  test('cannot be given to one that stands elsewhere', () => {
    const log = new Unacknowledged(10, () => undefined);
    log.sent(item(10), 12);
    log.sent(item(13), 15);
    log.acknowledged(12);
    for (const nextSeq of [0, 9, 10, 11, 12, 14, 15, 17, 1000]) expect(log.after(nextSeq)).toBeNull();
  });

  test('is let go however much of it there is, and the rest stays', () => {
    const log = new Unacknowledged(0, () => undefined);
    for (let seq = 0; seq < 5000; seq++) log.sent(item(seq & 0xff), seq);
    for (let seq = 0; seq < 4990; seq += 3) log.acknowledged(seq);
    expect(log.after(4980)).toBeNull();
    expect(log.after(4990)).toHaveLength(10);
  });

  test('must follow what was sent', () => {
    const log = new Unacknowledged(10, () => undefined);
    expect(() => {
      log.sent(item(10), 9);
    }).toThrow(InvariantError);
  });
});
