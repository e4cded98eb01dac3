/**
 * Goal: a typist sees each console byte once and in order, through repeats after a take-over; a pair's keys go to the
 * replica that is live and wait while none is.
 * Method: overlapping writes at random offsets; replicas played by objects that remember what they were sent.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ConsoleTap, type Keyboard, type Typist } from '../../../tools/console/typist.js';
import type { Child, ChildExit } from '../../../tools/pair/child.js';
import { PairTyping } from '../../../tools/pair/pair-typing.js';

class FakeTypist implements Typist {
  keyboard: Keyboard | null = null;
  starts = 0;
  closed = false;
  seen = '';

  start(keyboard: Keyboard): void {
    this.keyboard = keyboard;
    this.starts++;
  }
  output(bytes: Uint8Array): void {
    this.seen += Buffer.from(bytes).toString('latin1');
  }
  close(): void {
    this.closed = true;
  }
}

/** A replica's process that remembers its serial input. */
class FakeChild {
  typed = '';
  die: () => void = () => undefined;
  readonly exited = new Promise<ChildExit>((resolve) => {
    this.die = () => {
      resolve({ code: null, signal: 'SIGKILL' });
    };
  });
  send(message: { readonly type: string; readonly base64?: string }): void {
    this.typed += Buffer.from(message.base64 ?? '', 'base64').toString('latin1');
  }
}

function asChild(fake: FakeChild): Child {
  return fake as unknown as Child;
}

test('a tap shows each byte once, whatever is repeated', () => {
  const stream = Buffer.from(Array.from({ length: 200 }, (_, i) => 32 + (i % 90)));
  const repeat = fc.tuple(fc.nat(20), fc.nat(30));
  fc.assert(
    fc.property(fc.array(repeat), (writes) => {
      const typist = new FakeTypist();
      const tap = new ConsoleTap(typist);
      let next = 0;
      for (const [back, more] of writes) {
        const from = Math.max(0, next - back);
        const to = Math.min(stream.length, from + more);
        tap.write(from, stream.subarray(from, to));
        next = Math.max(next, to);
      }
      expect(typist.seen).toBe(stream.subarray(0, next).toString('latin1'));
    }),
  );
});

describe('typing to a pair', () => {
  test('goes to the live replica, waits while there is none, then goes to its successor', async () => {
    const typist = new FakeTypist();
    const typing = new PairTyping(typist);
    const [primary, backup] = [new FakeChild(), new FakeChild()];
    typing.connect(asChild(primary));
    typist.keyboard!.type(Buffer.from('one'));
    primary.die();
    await primary.exited;
    typist.keyboard!.type(Buffer.from('two'));
    typist.keyboard!.type(Buffer.from('three'));
    expect([primary.typed, backup.typed]).toEqual(['one', '']);
    typing.connect(asChild(backup));
    typist.keyboard!.type(Buffer.from('four'));
    expect([primary.typed, backup.typed]).toEqual(['one', 'twothreefour']);
    expect(typist.starts).toBe(1);
  });

  test('a late exit of the dead replica does not cut its successor off', async () => {
    const typist = new FakeTypist();
    const typing = new PairTyping(typist);
    const [primary, backup] = [new FakeChild(), new FakeChild()];
    typing.connect(asChild(primary));
    typing.connect(asChild(backup));
    primary.die();
    await primary.exited;
    typist.keyboard!.type(Buffer.from('x'));
    expect(backup.typed).toBe('x');
  });

  test('the typist reads both replicas’ console once, may end the run, and is let go', async () => {
    const typist = new FakeTypist();
    const typing = new PairTyping(typist);
    typing.connect(asChild(new FakeChild()));
    typing.output(0, Buffer.from('login'));
    typing.output(3, Buffer.from('in: '));
    expect(typist.seen).toBe('login: ');
    typist.keyboard!.end();
    await typing.ended;
    typing.close();
    expect(typist.closed).toBe(true);
  });
});
