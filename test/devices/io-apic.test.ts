/**
 * Goal: each input sends the message of its entry, an edge once, a level as long as it is high and was ended.
 * Method: driven through index and window as a kernel does; random levels, ends and masks against a simple model.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { InterruptMessage } from '../../devices/interrupt-source.js';
import { IO_APIC_BYTES, IO_APIC_PINS, IoApic, ioApicPin, joinLines } from '../../devices/io-apic.js';
import { DecodeError, InvariantError } from '../../emulator/errors.js';
import { LocalApic } from '../../devices/local-apic.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

const LEVEL = 0x8000;
const MASKED = 0x10000;
const LOGICAL = 0x800;
const REMOTE_IRR = 0x4000;

function create() {
  const sent: InterruptMessage[] = [];
  const calls: string[] = [];
  let taking = true;
  const device = new IoApic({
    deliver: (message) => {
      calls.push(`deliver ${message.vector}`);
      if (taking) sent.push(message);
      return taking;
    },
  });
  const out = (index: number, value: number) => {
    device.write(0x00, 4, index);
    device.write(0x10, 4, value);
  };
  const inn = (index: number) => {
    device.write(0x00, 4, index);
    return device.read(0x10, 4);
  };
  const entry = (pin: number, low: number, high = 0) => {
    out(0x11 + 2 * pin, high);
    out(0x10 + 2 * pin, low);
  };
  const low = (pin: number) => inn(0x10 + 2 * pin);
  const take = () => sent.splice(0).map(({ vector }) => vector);
  const busy = () => {
    out(0, 0x05000000);
    entry(2, 0x31);
    entry(10, LEVEL | 0x2000 | 0x41, 0x03000000);
    entry(11, LEVEL | MASKED | 0x42);
    for (const pin of [2, 10, 11]) device.line(pin).set(true);
    device.write(0x00, 4, 0x24);
  };
  return {
    device,
    sent,
    calls,
    out,
    inn,
    entry,
    low,
    take,
    busy,
    refuse: () => (taking = false),
    accept: () => (taking = true),
    blocks: [{ registers: device, bytes: IO_APIC_BYTES }],
  };
}

describeDeviceContract('I/O APIC', () => create());

describe('edges', () => {
  test('send once for each rise', () => {
    const { device, entry, take, low } = create();
    entry(4, 0x31);
    const line = device.line(4);
    line.set(true);
    line.set(true);
    line.set(false);
    line.set(true);
    expect(take()).toEqual([0x31, 0x31]);
    expect(low(4)).toBe(0x31);
  });

  test('are lost while masked', () => {
    const { device, entry, take } = create();
    device.line(4).set(true);
    entry(4, 0x31);
    expect(take()).toEqual([]);
  });
});

describe('levels', () => {
  test('send once until the guest ends them, then again while they are high', () => {
    const { device, entry, take, low } = create();
    entry(10, LEVEL | 0x41);
    device.line(10).set(true);
    expect([take(), low(10)]).toEqual([[0x41], LEVEL | REMOTE_IRR | 0x41]);
    device.line(10).set(false);
    device.line(10).set(true);
    expect(take()).toEqual([]);
    device.endOfInterrupt(0x40);
    expect(take()).toEqual([]);
    device.endOfInterrupt(0x41);
    expect(take()).toEqual([0x41]);
    device.line(10).set(false);
    device.endOfInterrupt(0x41);
    expect([take(), low(10)]).toEqual([[], LEVEL | 0x41]);
  });

  test('wait while masked', () => {
    const { device, entry, take, low } = create();
    entry(10, LEVEL | MASKED | 0x41);
    device.line(10).set(true);
    expect(take()).toEqual([]);
    entry(10, LEVEL | 0x41);
    expect(take()).toEqual([0x41]);
    // Masking and unmasking in between changes nothing: it was sent.
    entry(10, LEVEL | MASKED | 0x41);
    entry(10, LEVEL | 0x41);
    expect([take(), low(10)]).toEqual([[], LEVEL | REMOTE_IRR | 0x41]);
    entry(10, LEVEL | MASKED | 0x41);
    device.endOfInterrupt(0x41);
    expect(take()).toEqual([]);
  });

  test('that nobody took are not marked as sent', () => {
    const { device, entry, take, low, refuse, accept } = create();
    refuse();
    entry(10, LEVEL | 0x41);
    device.line(10).set(true);
    expect(low(10)).toBe(LEVEL | 0x41);
    accept();
    entry(10, LEVEL | 0x41);
    expect(take()).toEqual([0x41]);
  });

  test('an entry that becomes an edge and a level again has forgotten that it was sent', () => {
    const { device, entry, take } = create();
    entry(10, LEVEL | 0x41);
    device.line(10).set(true);
    take();
    entry(10, MASKED | 0x41);
    entry(10, LEVEL | 0x41);
    expect(take()).toEqual([0x41]);
  });

  test('two inputs with one vector are ended together', () => {
    const { device, entry, take } = create();
    for (const pin of [10, 11]) {
      entry(pin, LEVEL | 0x41);
      device.line(pin).set(true);
    }
    expect(take()).toEqual([0x41, 0x41]);
    device.endOfInterrupt(0x41);
    expect(take()).toEqual([0x41, 0x41]);
  });
});

describe('messages', () => {
  test('carry vector, trigger and destination', () => {
    const { device, entry, sent } = create();
    entry(1, 0x31, 0x02000000);
    entry(2, LEVEL | LOGICAL | 0x2100 | 0xf2, 0xff000000);
    device.line(1).set(true);
    device.line(2).set(true);
    expect(sent).toEqual([
      { vector: 0x31, level: false, logical: false, destination: 2 },
      { vector: 0xf2, level: true, logical: true, destination: 0xff },
    ]);
  });

  test.each([2, 4, 5, 7])('delivery mode %d reaches no processor', (mode) => {
    const { device, entry, calls } = create();
    entry(1, (mode << 8) | 0x31);
    device.line(1).set(true);
    expect(calls).toEqual([]);
  });
});

describe('registers', () => {
  test('identify version 1.1 with 24 inputs, all masked at power-on', () => {
    const { inn, low } = create();
    expect([inn(0), inn(1), inn(2)]).toEqual([0, 0x00170011, 0]);
    for (let pin = 0; pin < IO_APIC_PINS; pin++) expect([low(pin), inn(0x11 + 2 * pin)]).toEqual([MASKED, 0]);
    expect([inn(3), inn(0x0f), inn(0x40), inn(0xff)]).toEqual(Array(4).fill(0xffffffff));
  });

  test('keep the bits that exist; status bits are not written', () => {
    const { out, inn, low } = create();
    out(0, 0xffffffff);
    out(1, 0);
    out(2, 0);
    expect([inn(0), inn(1), inn(2)]).toEqual([0x0f000000, 0x00170011, 0x0f000000]);
    out(0x10, 0xffffffff);
    out(0x11, 0xffffffff);
    expect([low(0), inn(0x11)]).toEqual([0x1afff, 0xff000000]);
    out(0x40, 0);
    out(0xff, 0);
  });

  test('the index is a byte and reads back; other offsets are open', () => {
    const { device } = create();
    device.write(0, 4, 0x121);
    expect([device.read(0, 4), device.read(0, 1), device.read(4, 4), device.read(0x20, 2)]).toEqual([
      0x21, 0x21, 0xffffffff, 0xffff,
    ]);
    device.write(0, 4, 1);
    expect([device.read(0x10, 1), device.read(0x12, 1)]).toEqual([0x11, 0x17]);
    device.write(0, 1, 0x10);
    device.write(0x10, 2, 0);
    expect(device.read(0, 4)).toBe(1);
  });
});

test('agrees with a simple model of one input', () => {
  const step = fc.constantFrom('high', 'low', 'mask', 'unmask', 'end', 'edge', 'level');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { device, entry, take } = create();
      const model = { high: false, masked: true, level: false, waiting: false };
      let expected = 0;
      const sendLevel = () => {
        if (!model.level || !model.high || model.masked || model.waiting) return;
        expected++;
        model.waiting = true;
      };
      const write = () => {
        entry(7, 0x44 | (model.level ? LEVEL : 0) | (model.masked ? MASKED : 0));
        sendLevel();
      };
      for (const what of steps) {
        if (what === 'high' || what === 'low') {
          const rises = what === 'high' && !model.high;
          model.high = what === 'high';
          device.line(7).set(model.high);
          if (rises && !model.level && !model.masked) expected++;
          if (rises) sendLevel();
        } else if (what === 'end') {
          model.waiting = false;
          device.endOfInterrupt(0x44);
          sendLevel();
        } else {
          if (what === 'mask' || what === 'unmask') model.masked = what === 'mask';
          else model.level = what === 'level';
          if (!model.level) model.waiting = false;
          write();
        }
        expect(take().length).toBe(expected);
        expected = 0;
      }
    }),
  );
});

describe('wiring', () => {
  test('ISA interrupts are where their number says, the timer is on pin 2', () => {
    expect([0, 1, 4, 8, 15].map(ioApicPin)).toEqual([2, 1, 4, 8, 15]);
  });

  test('there are pins 0 to 23', () => {
    const { device } = create();
    for (const pin of [-1, 24, 0.5]) expect(() => device.line(pin)).toThrow(InvariantError);
  });

  test('joined lines get the same level in order', () => {
    const seen: string[] = [];
    const line = (name: string) => ({ set: (level: boolean) => void seen.push(`${name} ${level}`) });
    const joined = joinLines(line('a'), line('b'));
    joined.set(true);
    joined.set(false);
    expect(seen).toEqual(['a true', 'b true', 'a false', 'b false']);
  });
});

test('with a local APIC a shared level interrupts until its last source is quiet', () => {
  const world = new FakeWorld();
  const pic = { output: false, pendingVector: () => null, acknowledge: () => 0 };
  const local: LocalApic = new LocalApic({
    environment: world,
    pic,
    endOfInterrupt: (vector) => io.endOfInterrupt(vector),
  });
  const io: IoApic = new IoApic({ deliver: (message) => local.deliver(message) });
  const eoi = () => local.write(0xb0, 4, 0);
  local.write(0xf0, 4, 0x1ff);
  local.write(0xd0, 4, 0x01000000);
  io.write(0x00, 4, 0x10 + 2 * 11 + 1);
  io.write(0x10, 4, 0x01000000);
  io.write(0x00, 4, 0x10 + 2 * 11);
  io.write(0x10, 4, LEVEL | LOGICAL | 0x41);
  io.line(11).set(true);
  expect([world.take(), local.acknowledge(), local.output]).toEqual([['cpu high'], 0x41, false]);
  eoi();
  expect([local.output, local.acknowledge()]).toEqual([true, 0x41]);
  io.line(11).set(false);
  eoi();
  expect([local.output, io.read(0x10, 4)]).toEqual([false, LEVEL | LOGICAL | 0x41]);
});

test('saved entries that cannot be are refused', () => {
  const good = create().device.save();
  const low = good['low'] as readonly number[];
  const damages = [
    { low: [REMOTE_IRR, ...low.slice(1)] }, // waiting for the end of an edge
    { low: [0x1000, ...low.slice(1)] },
    { low: low.slice(1) },
    { high: [1, ...low.slice(1)] },
    { id: 1 },
  ];
  for (const damage of damages) expect(() => create().device.restore({ ...good, ...damage })).toThrow(DecodeError);
});
