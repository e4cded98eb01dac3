/**
 * Goal: drivers of NE2000 cards find one, send and receive every frame whole and in order, and survive overflows; no
 * register value harms the host.
 * Method: a small driver in byte, word and dword mode; the chip's memory and rings under random frames and registers.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Output } from '../../devices/environment.js';
import { ethernetCrc } from '../../devices/ethernet-crc.js';
import { NE2000_ISA_PORT, NE2000_PORT_COUNT, Ne2000 } from '../../devices/ne2000.js';
import { PortBus } from '../../devices/port-bus.js';
import { encodeState } from '../../hypervisor/state-codec.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';
import { Ne2000Driver, RING_START, RING_STOP } from './ne2000-driver.js';

const MAC = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);
const BROADCAST = new Uint8Array(6).fill(0xff);
const [BNRY, ISR, CNTR2, RCR, TCR, IMR] = [3, 7, 0x0f, 0x0c, 0x0d, 0x0f];

function create(width: 1 | 2 | 4 = 2) {
  const world = new FakeWorld();
  const packets: Uint8Array[] = [];
  const emit = (output: Output) => {
    if (output.kind === 'packet') packets.push(output.data);
    world.emit(output);
  };
  const device = new Ne2000({ environment: { emit }, irq: world.line('irq 9'), nic: 0, mac: MAC });
  const ports = new PortBus();
  ports.insert('ne2000', NE2000_ISA_PORT, NE2000_PORT_COUNT, device, 4);
  const driver = new Ne2000Driver(ports, NE2000_ISA_PORT, width);
  const irq = () => world.levels.get('irq 9') ?? false;
  const busy = () => {
    driver.start(0x1f);
    driver.out(0, 0x62);
    driver.out(8, 0x55);
    driver.out(0, 0x22);
    for (let i = 0; i < 20; i++) device.receive(frame(MAC, 1000));
    driver.send(frame(BROADCAST, 99));
    driver.out(8, 0x00);
    driver.out(9, 0x46);
    driver.out(10, 200);
    driver.out(0, 0x0a);
    ports.read(NE2000_ISA_PORT + 0x10, 2);
  };
  const blocks = [{ registers: device, bytes: NE2000_PORT_COUNT }];
  return { world, device, driver, ports, packets, irq, busy, blocks, calls: world.calls };
}

/** A frame of `bytes` bytes for `destination`, its content depending on `seed`. */
function frame(destination: Uint8Array, bytes: number, seed = 0): Uint8Array {
  const data = Uint8Array.from({ length: bytes }, (_, index) => (index * 31 + seed * 7 + bytes) & 0xff);
  data.set(destination);
  return data;
}

/** As it is after the wire: at least 60 bytes. */
function padded(data: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.max(60, data.length));
  result.set(data);
  return result;
}

describeDeviceContract('NE2000', create);

describe('probing', () => {
  test('the reset port sets RST and stops the card', () => {
    const { driver, device } = create();
    driver.start();
    expect(driver.in(ISR) & 0x80).toBe(0);
    expect(driver.resetCard()).toBe(true);
    expect([driver.in(0), device.receive(frame(MAC, 60))]).toEqual([0x21, false]);
  });

  test.each([1, 2, 4] as const)('the PROM has each byte of the address twice, and the mark (width %d)', (width) => {
    const { driver } = create(width);
    expect([...driver.start()]).toEqual([...MAC]);
    const prom = driver.readMemory(0, 32);
    expect(prom.subarray(0, 12)).toEqual(Uint8Array.from(MAC, (byte) => byte).reduce(twice, new Uint8Array(0)));
    expect([...prom.subarray(28)]).toEqual([0x57, 0x57, 0x57, 0x57]);
  });

  test('byte reads in word mode show every other byte', () => {
    const { driver } = create(2);
    driver.start();
    driver.readMemory(0, 0);
    for (const [register, value] of [
      [10, 32],
      [11, 0],
      [8, 0],
      [9, 0],
      [0, 0x0a],
    ] as const) {
      driver.out(register, value);
    }
    const bytes = Array.from({ length: 17 }, () => driver.in(0x10));
    expect(bytes).toEqual([...MAC, 0, 0, 0, 0, 0, 0, 0, 0, 0x57, 0x57, 0xff]);
    expect(driver.in(ISR) & 0x40).toBe(0x40);
  });

  test.each([1, 2, 4] as const)('packet memory is 16 KiB at 0x4000 (width %d)', (width) => {
    const { driver } = create(width);
    driver.start();
    driver.out(2, 0);
    const data = Uint8Array.from({ length: 0x4000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
    driver.writeMemory(0x4000, data);
    expect(driver.readMemory(0x4000, 0x4000)).toEqual(data);
    driver.writeMemory(0x8000, Uint8Array.of(1, 2, 3, 4));
    driver.writeMemory(0x2000, Uint8Array.of(1, 2, 3, 4));
    expect([...driver.readMemory(0x8000, 4), ...driver.readMemory(0x2000, 4)]).toEqual(new Array(8).fill(0xff));
  });

  test('page 2 reads back the configuration, page 1 the addresses, and an ISA card has no page 3', () => {
    const { driver } = create();
    driver.start();
    driver.out(0, 0xa2);
    expect([1, 2, 4, 0x0c, 0x0d, 0x0e, 0x0f].map((register) => driver.in(register))).toEqual([
      RING_START,
      RING_STOP,
      0,
      0xc4,
      0xe0,
      0xc9,
      0xbf,
    ]);
    driver.out(0, 0x62);
    expect([1, 2, 3, 4, 5, 6].map((register) => driver.in(register))).toEqual([...MAC]);
    driver.out(0, 0xe2);
    expect([driver.in(0), driver.in(5)]).toEqual([0xe2, 0xff]);
  });

  test('a transfer of nothing is complete at once, and an aborted one moves nothing', () => {
    const { driver } = create();
    driver.start();
    driver.readMemory(0x4000, 0);
    expect(driver.in(ISR) & 0x40).toBe(0x40);
    driver.out(10, 4);
    driver.out(0, 0x22);
    expect(driver.in(0x10)).toBe(0xff);
  });
});

function twice(result: Uint8Array, byte: number): Uint8Array {
  return Uint8Array.of(...result, byte, byte);
}

describe('transmission', () => {
  test.each([1, 2, 4] as const)('a frame leaves whole and interrupts (width %d)', (width) => {
    const { driver, packets, irq } = create(width);
    driver.start();
    const data = frame(BROADCAST, 1514);
    driver.send(data);
    expect(packets).toEqual([data]);
    expect([driver.in(ISR) & 0x02, driver.in(4), driver.in(0), irq()]).toEqual([2, 1, 0x22, true]);
    driver.out(ISR, 0x02);
    expect(irq()).toBe(false);
  });

  test('in loopback, stopped, or with no fit length nothing leaves', () => {
    const { driver, packets, device } = create();
    driver.start();
    driver.out(TCR, 0x02);
    driver.send(frame(BROADCAST, 60));
    driver.out(TCR, 0);
    for (const bytes of [0, 13, 1519]) driver.send(new Uint8Array(bytes));
    driver.out(0, 0x21);
    driver.out(5, 60);
    driver.out(0, 0x25);
    expect([packets, device.counters.transmitDropped]).toEqual([[], 4]);
  });

  test('from outside the memory all ones leave', () => {
    const { driver, packets } = create();
    driver.start();
    driver.send(frame(BROADCAST, 60));
    driver.out(4, 0x80);
    driver.out(0, 0x26);
    expect(packets[1]).toEqual(new Uint8Array(60).fill(0xff));
  });
});

describe('reception', () => {
  test('a frame lies in the ring with status, next page, length and check sequence', () => {
    const { driver, device, irq } = create();
    driver.start();
    const data = frame(MAC, 300);
    expect([device.receive(data), irq(), driver.in(ISR) & 0x7f, driver.in(0x0c)]).toEqual([true, true, 0x01, 1]);
    const image = driver.readMemory(RING_START << 8, 308);
    expect([...image.subarray(0, 4)]).toEqual([0x01, RING_START + 2, 304 & 0xff, 304 >> 8]);
    expect(image.subarray(4, 304)).toEqual(data);
    expect(~ethernetCrc(data) >>> 0).toBe(new DataView(image.buffer).getUint32(304, true));
  });

  test('short frames are padded as on the wire', () => {
    const { driver, device } = create();
    driver.start();
    device.receive(frame(MAC, 42));
    expect(driver.receiveAll()).toEqual([padded(frame(MAC, 42))]);
  });

  test('frames that are none are refused', () => {
    const { driver, device } = create();
    driver.start();
    expect([device.receive(new Uint8Array(13).fill(0xff)), device.receive(new Uint8Array(1519).fill(0xff))]).toEqual([
      false,
      false,
    ]);
  });

  test('the filter: own address, broadcast, multicast by its bit, everything', () => {
    const { driver, device } = create();
    const group = Uint8Array.of(0x01, 0x00, 0x5e, 0x00, 0x00, 0x01);
    const other = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x57);
    const accepted = (receive: number, filter: number) => {
      driver.start(receive);
      driver.out(0, 0x62);
      for (let i = 8; i < 16; i++) driver.out(i, filter);
      driver.out(0, 0x22);
      return [MAC, BROADCAST, group, other].map((address) => device.receive(frame(address, 60)));
    };
    expect(accepted(0x00, 0xff)).toEqual([true, false, false, false]);
    expect(accepted(0x04, 0xff)).toEqual([true, true, false, false]);
    expect(accepted(0x08, 0xff)).toEqual([true, false, true, false]);
    expect(accepted(0x08, 0x00)).toEqual([true, false, false, false]);
    expect(accepted(0x1c, 0xff)).toEqual([true, true, true, true]);
    driver.receiveAll();
    expect(device.counters.receiveFiltered).toBe(3 + 2 + 2 + 3);
  });

  test('status tells group addresses', () => {
    const { driver, device } = create();
    driver.start();
    device.receive(frame(BROADCAST, 60));
    expect([driver.in(0x0c), driver.readMemory(RING_START << 8, 1)[0]]).toEqual([0x21, 0x21]);
  });

  test('monitor mode counts and keeps nothing', () => {
    const { driver, device } = create();
    driver.start();
    driver.out(RCR, 0x24);
    expect(device.receive(frame(MAC, 60))).toBe(false);
    expect([driver.in(0x0c), driver.in(CNTR2), driver.in(CNTR2)]).toEqual([0x10, 1, 0]);
    expect(driver.receiveAll()).toEqual([]);
  });

  test('a full ring loses frames, says so, and goes on when there is room', () => {
    const { driver, device } = create();
    driver.start();
    let stored = 0;
    while (device.receive(frame(MAC, 1514, stored))) stored++;
    // 58 pages, 6 a frame, and one page always stays free.
    expect(stored).toBe(9);
    expect(driver.in(ISR) & 0x90).toBe(0x90);
    expect(driver.in(CNTR2)).toBe(1);
    expect(driver.receiveAll().length).toBe(9);
    driver.out(ISR, 0x10);
    expect([driver.in(ISR) & 0x90, device.receive(frame(MAC, 1514))]).toEqual([0, true]);
  });

  test('the counter of lost frames stops at 192 and asks for attention from 128 on', () => {
    const { driver, device } = create();
    driver.start();
    driver.out(RCR, 0x24);
    for (let i = 0; i < 127; i++) device.receive(frame(MAC, 60));
    expect(driver.in(ISR) & 0x20).toBe(0);
    for (let i = 0; i < 100; i++) device.receive(frame(MAC, 60));
    expect([driver.in(ISR) & 0x20, driver.in(CNTR2)]).toEqual([0x20, 192]);
  });

  test('the driver gets every frame, whole and in order, at every width and fill of the ring', () => {
    const lengths = fc.array(fc.integer({ min: 14, max: 1518 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(lengths, fc.constantFrom(1, 2, 4), fc.integer({ min: 1, max: 9 }), (sizes, width, batch) => {
        const { driver, device, irq } = create(width);
        driver.start();
        const expected: Uint8Array[] = [];
        const received: Uint8Array[] = [];
        sizes.forEach((bytes, index) => {
          const data = frame(MAC, bytes, index);
          expect(device.receive(data)).toBe(true);
          expected.push(padded(data));
          if (index % batch !== batch - 1) return;
          expect(irq()).toBe(true);
          driver.out(ISR, 0x3f);
          expect(irq()).toBe(false);
          received.push(...driver.receiveAll());
        });
        received.push(...driver.receiveAll());
        expect(received).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });
});

test('only unmasked events interrupt, and RST is none', () => {
  const { driver, device, irq } = create();
  driver.start();
  driver.out(IMR, 0);
  device.receive(frame(MAC, 60));
  expect(irq()).toBe(false);
  driver.out(IMR, 0x01);
  expect(irq()).toBe(true);
  driver.out(ISR, 0xff);
  driver.out(IMR, 0xff);
  driver.out(0, 0x21);
  expect([driver.in(ISR), irq()]).toEqual([0x80, false]);
  expect(driver.in(BNRY)).toBe(RING_STOP - 1);
});

test('hostile registers: nothing throws, nothing leaves that is no frame, state is always restorable', () => {
  const access = fc.record({
    offset: fc.integer({ min: 0, max: 0x1f }),
    size: fc.constantFrom(1, 2, 4),
    value: fc.integer({ min: 0, max: 0xffffffff }),
    kind: fc.constantFrom('read', 'write', 'write', 'write', 'start', 'receive'),
  });
  fc.assert(
    fc.property(fc.array(access, { maxLength: 80 }), (accesses) => {
      const { device, packets } = create();
      for (const { offset, size, value, kind } of accesses) {
        if (kind === 'read') expect(device.read(offset, size)).toBeLessThan(2 ** (8 * size));
        else if (kind === 'write') device.write(offset, size, value);
        else if (kind === 'start') device.write(0, 1, 0x02 | (value & 0xfc));
        else device.receive(frame(BROADCAST, 14 + (value % 1505)));
      }
      for (const packet of packets) expect(packet.length >= 14 && packet.length <= 1518).toBe(true);
      const other = create().device;
      other.restore(device.save());
      expect(Buffer.compare(encodeState(other.save()), encodeState(device.save()))).toBe(0);
    }),
    { numRuns: 200 },
  );
});
