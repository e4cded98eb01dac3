/**
 * Goal: serial drivers of kernels find a 16550A that neither loses bytes nor leaves them waiting for an interrupt.
 * Method: register accesses as such drivers make them; an interrupt-driven receiver is run against random input.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PortBus } from '../../devices/port-bus.js';
import { COM1_PORT, UART_PORT_COUNT, UART_WAITING_BYTES_MAX, Uart16550 } from '../../devices/uart16550.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

const [DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff];

function create() {
  const world = new FakeWorld();
  const device = new Uart16550({ environment: world, irq: world.line('irq 4') });
  const ports = new PortBus();
  ports.insert('com1', COM1_PORT, UART_PORT_COUNT, device);
  const out = (port: number, value: number) => ports.write(port, 1, value);
  const inb = (port: number) => ports.read(port, 1);
  const text = (value: string) => device.receive(new TextEncoder().encode(value));
  const irq = () => world.levels.get('irq 4') ?? false;
  const busy = () => {
    out(LCR, 0x83);
    out(DATA, 1);
    out(LCR, 0x03);
    out(IIR, 0xc7);
    out(MCR, 0x0b);
    out(IER, 0x0f);
    text('more than sixteen characters wait here');
    inb(DATA);
    out(DATA, 0x41);
    out(MCR, 0x0a | 0x10);
    for (let i = 0; i < 17; i++) out(DATA, i);
    out(MCR, 0x09);
  };
  const blocks = [{ registers: device, bytes: UART_PORT_COUNT }];
  return { world, device, ports, out, inb, text, irq, blocks, calls: world.calls, busy };
}

describeDeviceContract('16550A', create);

describe('probing', () => {
  test('the scratch register keeps a byte', () => {
    const { out, inb } = create();
    out(SCR, 0xa5);
    expect(inb(SCR)).toBe(0xa5);
  });

  test('the FIFO bits tell a 16550A', () => {
    const { out, inb } = create();
    expect(inb(IIR)).toBe(0x01);
    out(IIR, 0x01);
    expect(inb(IIR)).toBe(0xc1);
  });

  test('DLAB swaps in the divisor latch', () => {
    const { out, inb, world } = create();
    out(LCR, 0x83);
    out(DATA, 0x0c);
    out(IER, 0x01);
    expect([inb(DATA), inb(IER)]).toEqual([0x0c, 0x01]);
    out(LCR, 0x03);
    expect([inb(DATA), inb(IER)]).toEqual([0, 0]);
    expect(world.console).toEqual([]);
  });

  test('only the defined interrupt enables and modem outputs can be set', () => {
    const { out, inb } = create();
    out(IER, 0xff);
    out(MCR, 0xff);
    expect([inb(IER), inb(MCR)]).toEqual([0x0f, 0x1f]);
  });

  test('in loopback the modem outputs come back as inputs', () => {
    const { out, inb } = create();
    expect(inb(MSR)).toBe(0xb0);
    for (const [control, status] of [
      [0x1a, 0x90],
      [0x11, 0x20],
      [0x14, 0x40],
      [0x1f, 0xf0],
    ] as const) {
      out(MCR, control);
      expect(inb(MSR) & 0xf0).toBe(status);
    }
  });
});

describe('transmitter', () => {
  test('a byte leaves at once and the transmitter is empty again', () => {
    const { out, inb, world } = create();
    for (const byte of [0x68, 0x69]) {
      expect(inb(LSR)).toBe(0x60);
      out(DATA, byte);
    }
    expect(world.console).toEqual([0x68, 0x69]);
  });

  test('enabling its interrupt makes one at once, and reading IIR ends it', () => {
    const { out, inb, irq } = create();
    out(MCR, 0x08);
    out(IER, 0x02);
    expect(irq()).toBe(true);
    expect([inb(IIR), irq(), inb(IIR)]).toEqual([0x02, false, 0x01]);
    out(IER, 0x02);
    expect(irq()).toBe(false);
  });

  test('each byte makes a new edge', () => {
    const { out, world } = create();
    out(MCR, 0x08);
    out(IER, 0x02);
    world.take();
    out(DATA, 0x41);
    expect(world.take()).toEqual(['console 65', 'irq 4 low', 'irq 4 high']);
  });
});

describe('receiver', () => {
  test('bytes come out in order, with data ready in between', () => {
    const { text, inb } = create();
    text('ab');
    expect([inb(LSR), inb(DATA), inb(LSR), inb(DATA), inb(LSR), inb(DATA)]).toEqual([0x61, 97, 0x61, 98, 0x60, 0]);
  });

  test('without FIFO each byte makes an edge of its own', () => {
    const { out, inb, text, world } = create();
    out(MCR, 0x08);
    out(IER, 0x01);
    text('ab');
    expect([inb(IIR), inb(DATA), inb(IIR), inb(DATA), inb(IIR)]).toEqual([4, 97, 4, 98, 1]);
    expect(world.take()).toEqual(['irq 4 high', 'irq 4 low', 'irq 4 high', 'irq 4 low']);
  });

  test('below the trigger level the timeout interrupts, from it on data available', () => {
    const { out, inb, text } = create();
    out(IIR, 0x81);
    out(IER, 0x01);
    text('1234567');
    expect(inb(IIR)).toBe(0xcc);
    while ((inb(LSR) & 1) !== 0) inb(DATA);
    text('12345678');
    expect(inb(IIR)).toBe(0xc4);
    inb(DATA);
    expect(inb(IIR)).toBe(0xcc);
  });

  test('what does not fit the FIFO waits until it is empty, and then makes a new edge', () => {
    const { out, inb, text, world } = create();
    out(IIR, 0x01);
    out(MCR, 0x08);
    out(IER, 0x01);
    text('0123456789abcdefXY');
    for (let i = 0; i < 15; i++) inb(DATA);
    expect(world.take()).toEqual(['irq 4 high']);
    expect(inb(DATA)).toBe('f'.charCodeAt(0));
    expect(world.take()).toEqual(['irq 4 low', 'irq 4 high']);
    expect([inb(DATA), inb(DATA), inb(LSR)]).toEqual([88, 89, 0x60]);
  });

  test('more than 64 KiB waiting is refused, and the count says so', () => {
    const { device, inb } = create();
    // One byte is in the receiver, the rest waits.
    expect(device.receive(new Uint8Array(UART_WAITING_BYTES_MAX + 10))).toBe(UART_WAITING_BYTES_MAX);
    expect(device.receive(new Uint8Array(10))).toBe(1);
    expect(device.receive(new Uint8Array(10))).toBe(0);
    inb(DATA);
    expect(device.receive(new Uint8Array(10))).toBe(1);
  });

  test('clearing the FIFO drops what is in it, not what waits', () => {
    const { out, inb, text } = create();
    out(IIR, 0x01);
    text('0123456789abcdefX');
    out(IIR, 0x03);
    expect([inb(DATA), inb(LSR)]).toEqual([88, 0x60]);
  });

  test('an interrupt-driven receiver gets every byte, whatever the trigger level and the chunks', () => {
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(chunks, fc.constantFrom(0x00, 0x01, 0x41, 0x81, 0xc1), fc.boolean(), (input, fifo, drains) => {
        const { device, out, inb, world } = create();
        out(IIR, fifo);
        out(MCR, 0x0b);
        out(IER, 0x01);
        const got: number[] = [];
        /** The handler runs once an edge, as behind an edge-triggered controller. */
        const serve = () => {
          while (world.take().includes('irq 4 high')) {
            while ((inb(IIR) & 1) === 0) {
              got.push(inb(DATA));
              while (drains && (inb(LSR) & 1) !== 0) got.push(inb(DATA));
            }
          }
        };
        for (const chunk of input) {
          expect(device.receive(chunk)).toBe(chunk.length);
          serve();
        }
        expect(got).toEqual(input.flatMap((chunk) => [...chunk]));
      }),
    );
  });
});

describe('loopback and errors', () => {
  test('a byte sent comes back and does not leave', () => {
    const { out, inb, world } = create();
    out(MCR, 0x1e);
    out(DATA, 0xae);
    expect([inb(LSR), inb(DATA), world.console]).toEqual([0x61, 0xae, []]);
  });

  test('input from outside waits for the end of loopback', () => {
    const { out, inb, text } = create();
    out(MCR, 0x10);
    text('x');
    expect(inb(LSR)).toBe(0x60);
    out(MCR, 0x00);
    expect([inb(LSR), inb(DATA)]).toEqual([0x61, 120]);
  });

  test('an overrun is the interrupt of highest priority, until LSR is read', () => {
    const { out, inb } = create();
    out(MCR, 0x10);
    out(IER, 0x07);
    out(DATA, 1);
    out(DATA, 2);
    expect([inb(IIR), inb(LSR), inb(IIR), inb(DATA)]).toEqual([0x06, 0x63, 0x04, 1]);
    expect([inb(IIR), inb(IIR)]).toEqual([0x02, 0x01]);
  });

  test('changes of the modem lines interrupt once', () => {
    const { out, inb } = create();
    out(IER, 0x08);
    expect(inb(IIR)).toBe(0x01);
    out(MCR, 0x10);
    // CTS, DSR and DCD fell; RI did not move.
    expect([inb(IIR), inb(MSR), inb(IIR), inb(MSR)]).toEqual([0x00, 0x0b, 0x01, 0x00]);
    out(MCR, 0x14);
    expect(inb(MSR)).toBe(0x40);
    out(MCR, 0x10);
    expect(inb(MSR)).toBe(0x04);
  });

  test('OUT2 gates the interrupt, and loopback cuts it off', () => {
    const { out, irq, text } = create();
    out(IER, 0x01);
    text('x');
    expect(irq()).toBe(false);
    out(MCR, 0x08);
    expect(irq()).toBe(true);
    out(MCR, 0x18);
    expect(irq()).toBe(false);
  });
});
