/**
 * Goal: firmware and kernels that initialise an 8042, probe its ports, switch A20 and read keys get what a PC gives.
 * Method: the sequences of such drivers through ports 0x60 and 0x64; typed keys are compared with known scan codes.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { I8042, I8042_COMMAND_PORT, I8042_DATA_PORT } from '../../devices/i8042.js';
import { KEYBOARD_WAITING_BYTES_MAX } from '../../devices/i8042-keyboard.js';
import { PortBus } from '../../devices/port-bus.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

function create() {
  const world = new FakeWorld();
  const device = new I8042({
    environment: world,
    a20: (on) => world.setA20(on),
    keyboardIrq: world.line('irq 1'),
    mouseIrq: world.line('irq 12'),
  });
  const ports = new PortBus();
  ports.insert('data', I8042_DATA_PORT, 1, device.data);
  ports.insert('command', I8042_COMMAND_PORT, 1, device.command);
  const status = () => ports.read(0x64, 1);
  const data = () => ports.read(0x60, 1);
  const command = (value: number) => ports.write(0x64, 1, value);
  const write = (value: number) => ports.write(0x60, 1, value);
  const ask = (value: number) => {
    command(value);
    return data();
  };
  /** Everything that is in the output buffer, one byte after the other. */
  const drain = () => {
    const bytes: number[] = [];
    while ((status() & 1) !== 0) bytes.push(data());
    return bytes;
  };
  const tell = (...values: number[]) => {
    const answers: number[] = [];
    for (const value of values) {
      write(value);
      answers.push(...drain());
    }
    return answers;
  };
  const busy = () => {
    tell(0xf0, 0x01);
    device.type(Uint8Array.of(0x1c, 0xf0, 0x1c, 0x32, 0xf0));
    data();
    command(0xd1);
    write(0x01);
    command(0xd4);
    write(0xf2);
    write(0xf0);
    command(0xd1);
  };
  const blocks = [
    { registers: device.data, bytes: 1 },
    { registers: device.command, bytes: 1 },
  ];
  return { world, device, status, data, command, write, ask, drain, tell, busy, blocks, calls: world.calls };
}

describeDeviceContract('8042', create);

describe('controller', () => {
  test('tests pass', () => {
    const { ask, status } = create();
    expect([ask(0xaa), ask(0xab), ask(0xa9)]).toEqual([0x55, 0, 0]);
    expect(status()).toBe(0x1c);
  });

  test('the command byte can be written and read, except for reserved bits', () => {
    const { ask, command, write } = create();
    expect(ask(0x20)).toBe(0x65);
    command(0x60);
    write(0xff);
    expect(ask(0x20)).toBe(0x77);
    for (const [value, expected] of [
      [0xae, 0x67],
      [0xa8, 0x47],
      [0xad, 0x57],
      [0xa7, 0x77],
    ] as const) {
      command(value);
      expect(ask(0x20)).toBe(expected);
    }
  });

  test('status tells command from data, and whether a byte waits', () => {
    const { command, status, data, write } = create();
    command(0xaa);
    expect(status()).toBe(0x1d);
    data();
    expect(status()).toBe(0x1c);
    write(0xee);
    expect(status()).toBe(0x15);
  });

  test('an empty buffer gives the last byte again', () => {
    const { ask, data } = create();
    expect([ask(0xaa), data(), data()]).toEqual([0x55, 0x55, 0x55]);
  });

  test('an answer comes before a key that waits, and the key is not lost', () => {
    const { device, ask, drain } = create();
    device.type(Uint8Array.of(0x1c));
    expect(ask(0xaa)).toBe(0x55);
    expect(drain()).toEqual([0x1e]);
  });

  test('another command takes the place of one that waits for its argument', () => {
    const { command, ask, write, drain } = create();
    command(0x60);
    command(0xa9);
    write(0xee);
    expect(drain()).toEqual([0, 0xee]);
    expect(ask(0x20)).toBe(0x65);
  });

  test('input port: not locked', () => {
    expect(create().ask(0xc0)).toBe(0x80);
  });
});

describe('A20 and reset', () => {
  test('A20 follows the output port and the short commands', () => {
    const { world, device, command, write, ask } = create();
    expect([device.a20, ask(0xd0)]).toEqual([true, 0xcf]);
    world.take();
    command(0xd1);
    write(0xdd);
    expect([device.a20, world.take()]).toEqual([false, ['a20 off']]);
    expect(ask(0xd0) & 0x02).toBe(0);
    world.take();
    command(0xdf);
    command(0xdd);
    command(0xd1);
    write(0xdf);
    expect([device.a20, world.take()]).toEqual([true, ['a20 on', 'a20 off', 'a20 on']]);
  });

  test('pulsing line 0, or clearing it in the output port, resets the machine', () => {
    const { world, command, write } = create();
    for (const harmless of [0xf1, 0xfd, 0xff]) command(harmless);
    expect(world.take()).toEqual([]);
    command(0xfe);
    command(0xf0);
    command(0xd1);
    write(0x02);
    expect(world.take()).toEqual(['stop reset 0', 'stop reset 0', 'a20 on', 'stop reset 0']);
  });
});

describe('keyboard', () => {
  test('reset, identification and the usual set-up, translated as controllers do', () => {
    const { tell } = create();
    expect(tell(0xff)).toEqual([0xfa, 0xaa]);
    expect(tell(0xf2)).toEqual([0xfa, 0xab, 0x41]);
    expect(tell(0xed, 0x07)).toEqual([0xfa, 0xfa]);
    expect(tell(0xf3, 0x20)).toEqual([0xfa, 0xfa]);
    expect(tell(0xf4)).toEqual([0xfa]);
    expect(tell(0xee)).toEqual([0xee]);
    expect(tell(0xef)).toEqual([0xfe]);
  });

  test('without translation the identification is plain', () => {
    const { command, write, tell } = create();
    command(0x60);
    write(0x05);
    expect(tell(0xf2)).toEqual([0xfa, 0xab, 0x83]);
    expect(tell(0xf0, 0x00)).toEqual([0xfa, 0xfa, 0x02]);
    expect(tell(0xf0, 0x03)).toEqual([0xfa, 0xfe]);
    expect(tell(0xfe)).toEqual([0xfe]);
  });

  test('keys arrive in set 1 when translated', () => {
    const { device, drain } = create();
    // A, Shift, Enter, right arrow, F7, Pause.
    device.type(
      Uint8Array.of(0x1c, 0xf0, 0x1c, 0x12, 0xf0, 0x12, 0x5a, 0xe0, 0x74, 0xe0, 0xf0, 0x74, 0x83, 0xf0, 0x83),
    );
    expect(drain()).toEqual([0x1e, 0x9e, 0x2a, 0xaa, 0x1c, 0xe0, 0x4d, 0xe0, 0xcd, 0x41, 0xc1]);
    device.type(Uint8Array.of(0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77));
    expect(drain()).toEqual([0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
  });

  test('without translation they come in the set that the guest chose', () => {
    const { device, command, write, drain, tell } = create();
    command(0x60);
    write(0x05);
    device.type(Uint8Array.of(0x1c, 0xf0, 0x1c));
    expect(drain()).toEqual([0x1c, 0xf0, 0x1c]);
    tell(0xf0, 0x01);
    device.type(Uint8Array.of(0x1c, 0xf0, 0x1c));
    expect(drain()).toEqual([0x1e, 0x9e]);
  });

  test('each set 1 code has one set 2 code: the translation loses no key', () => {
    const { device, drain } = create();
    const codes = Uint8Array.from({ length: 0x7f }, (_, index) => index + 1);
    device.type(codes);
    expect(new Set(drain()).size).toBe(codes.length);
  });

  test('each byte makes an edge of its own', () => {
    const { device, world, data } = create();
    device.type(Uint8Array.of(0x1c, 0xf0, 0x1c));
    expect(world.take()).toEqual(['irq 1 high']);
    data();
    expect(world.take()).toEqual(['irq 1 low', 'irq 1 high']);
    data();
    expect(world.take()).toEqual(['irq 1 low']);
  });

  test('without its interrupt the keyboard is silent but polled', () => {
    const { device, world, command, write, drain } = create();
    command(0x60);
    write(0x44);
    device.type(Uint8Array.of(0x1c));
    expect([drain(), world.take()]).toEqual([[0x1e], []]);
  });

  test('keys wait while its port is off, and a command to the keyboard switches it on', () => {
    const { device, command, status, drain, write } = create();
    command(0xad);
    device.type(Uint8Array.of(0x1c));
    expect(status() & 1).toBe(0);
    command(0xae);
    expect(drain()).toEqual([0x1e]);
    command(0xad);
    write(0xee);
    expect(drain()).toEqual([0xee]);
  });

  test('keys are lost while scanning is off, and those waiting when it is switched', () => {
    const { device, tell, drain } = create();
    tell(0xf5);
    expect(device.type(Uint8Array.of(0x1c))).toBe(1);
    expect(drain()).toEqual([]);
    tell(0xf4);
    device.type(Uint8Array.of(0x1c, 0x32));
    expect(tell(0xff)).toEqual([0x1e, 0xfa, 0xaa]);
  });

  test('a command cuts off the answer to the one before it', () => {
    const { write, drain } = create();
    write(0xf2);
    write(0xee);
    expect(drain()).toEqual([0xfa, 0xee]);
  });

  test('more keys than fit are refused, and the count says so', () => {
    const { device, drain } = create();
    // One byte is in the controller, the rest waits.
    expect(device.type(new Uint8Array(1).fill(0x1c))).toBe(1);
    const many = new Uint8Array(KEYBOARD_WAITING_BYTES_MAX + 10).fill(0x1c);
    expect(device.type(many)).toBe(KEYBOARD_WAITING_BYTES_MAX);
    expect(device.type(many)).toBe(0);
    expect(drain().length).toBe(KEYBOARD_WAITING_BYTES_MAX + 1);
  });
});

describe('mouse port', () => {
  test('passes the loop-back test of a driver', () => {
    const { command, write, status, data, world } = create();
    command(0x60);
    write(0x47);
    command(0xd3);
    write(0x5a);
    expect([status() & 0x21, world.levels.get('irq 12'), data(), status() & 0x21]).toEqual([0x21, true, 0x5a, 0]);
    expect(world.levels.get('irq 12')).toBe(false);
  });

  test('nobody is there: each byte is answered with a time-out', () => {
    const { command, write, status, data } = create();
    command(0xd4);
    write(0xf2);
    expect([status() & 0x61, data(), status() & 0x61]).toEqual([0x61, 0xfe, 0]);
  });

  test('the keyboard can be echoed too', () => {
    const { command, write, status, data } = create();
    command(0xd2);
    write(0x77);
    expect([status() & 0x21, data()]).toEqual([0x01, 0x77]);
  });
});

test('whatever a guest writes, an interrupt-driven reader empties the buffer and state can be restored', () => {
  const step = fc.tuple(fc.constantFrom('command', 'data', 'type', 'read'), fc.integer({ min: 0, max: 0xff }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { device, command, write, data, drain, status } = create();
      for (const [kind, value] of steps) {
        if (kind === 'command') command(value);
        else if (kind === 'data') write(value);
        else if (kind === 'type') device.type(Uint8Array.of(value));
        else data();
        const other = create().device;
        other.restore(device.save());
        expect(other.save()).toEqual(device.save());
      }
      drain();
      expect(status() & 1).toBe(0);
    }),
  );
});
