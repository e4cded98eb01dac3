/**
 * Goal: frames go out at the doorbell and come in whole or not at all, with the header each kind of driver expects.
 * Method: a small guest driver over the BARs, legacy and modern, with and without mergeable buffers; the test plays
 * the network.
 */
import { describe, expect, test } from '@jest/globals';
import { VirtioNet } from '../../../devices/virtio/virtio-net.js';
import { FakeEnvironment, FakeIrq, FakeRam } from './fake-world.js';
import {
  F_EVENT_IDX,
  F_INDIRECT,
  LegacyDriver,
  ModernDriver,
  NEEDS_RESET,
  type Driver,
  type DriverRing,
} from './guest-driver.js';

const F_MAC = 5;
const F_MRG_RXBUF = 15;
const F_STATUS = 16;
const MAC = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
const RX = 0;
const TX = 1;
const TX_AT = 0x20_0000;
const RX_AT = 0x30_0000;
const RX_STRIDE = 2048;

function frame(bytes: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + seed) & 0xff);
}

class Rig {
  readonly ram = new FakeRam();
  readonly irq = new FakeIrq();
  readonly environment = new FakeEnvironment();
  nic = this.create();
  readonly driver: Driver;
  readonly rx: DriverRing;
  readonly tx: DriverRing;
  readonly headerBytes: number;

  constructor(kind: 'legacy' | 'modern', features: readonly number[] = []) {
    const driver = kind === 'legacy' ? LegacyDriver : ModernDriver;
    this.driver = new driver(this.nic.pci, this.ram);
    [this.rx, this.tx] = this.driver.start([F_MAC, F_STATUS, ...features], [0x1_0000, 0x1_4000]) as [
      DriverRing,
      DriverRing,
    ];
    this.headerBytes = kind === 'legacy' && !features.includes(F_MRG_RXBUF) ? 10 : 12;
  }
  create(): VirtioNet {
    return new VirtioNet({ environment: this.environment, dma: this.ram, irq: this.irq, nic: 2, mac: MAC });
  }
  /** Offer receive buffer `index` of `bytes` bytes. */
  offer(index: number, bytes: number): number {
    return this.rx.add([{ address: RX_AT + index * RX_STRIDE, bytes, write: true }]);
  }
  received(index: number, bytes: number): Uint8Array {
    return this.ram.read(RX_AT + index * RX_STRIDE, bytes)!;
  }
  /** Put a packet into RAM and offer it as header and frame apart. */
  send(data: Uint8Array): void {
    this.ram.memory.fill(0, TX_AT, TX_AT + this.headerBytes);
    this.ram.write(TX_AT + 64, data);
    this.tx.add([
      { address: TX_AT, bytes: this.headerBytes, write: false },
      { address: TX_AT + 64, bytes: data.length, write: false },
    ]);
  }
}

const KINDS = [
  ['legacy', []],
  ['legacy', [F_MRG_RXBUF]],
  ['modern', []],
  ['modern', [F_MRG_RXBUF, F_EVENT_IDX, F_INDIRECT]],
] as const;

describe.each(KINDS)('%s driver with features %j', (kind, features) => {
  test('sees the MAC address and a link that is up', () => {
    const rig = new Rig(kind, features);
    expect(Array.from({ length: 6 }, (_, i) => rig.driver.readConfig(i, 1))).toEqual([...MAC]);
    expect(rig.driver.readConfig(6, 2)).toBe(1);
  });

  test('transmits at the doorbell, several frames in order, one interrupt', () => {
    const rig = new Rig(kind, features);
    rig.send(frame(60));
    rig.tx.setUsedEvent(0);
    rig.driver.notify(TX);
    expect(rig.environment.outputs).toEqual([{ kind: 'packet', nic: 2, data: frame(60) }]);
    expect(rig.tx.takeUsed()).toEqual([{ head: 0, bytes: 0 }]);
    expect(rig.driver.readIsr()).toBe(1);
    rig.environment.takePackets();
    // One buffer holding header and frame together.
    rig.ram.write(TX_AT + 512 + rig.headerBytes, frame(1514, 3));
    rig.tx.add([{ address: TX_AT + 512, bytes: rig.headerBytes + 1514, write: false }]);
    rig.send(frame(99, 5));
    rig.tx.setUsedEvent(1);
    rig.driver.notify(TX);
    expect(rig.environment.takePackets()).toEqual([frame(1514, 3), frame(99, 5)]);
    expect(rig.irq.level).toBe(true);
    expect(rig.nic.counters.transmitted).toBe(3);
  });

  test('drops and counts what is no frame, and uses its chain all the same', () => {
    const rig = new Rig(kind, features);
    rig.send(frame(13));
    rig.send(frame(1519));
    rig.tx.add([{ address: TX_AT, bytes: 4, write: false }]);
    rig.tx.add([{ address: TX_AT, bytes: 0xffff_ffff, write: false }]);
    rig.send(frame(1518));
    rig.driver.notify(TX);
    expect(rig.environment.takePackets()).toEqual([frame(1518)]);
    expect(rig.tx.takeUsed()).toHaveLength(5);
    expect(rig.nic.counters).toMatchObject({ transmitted: 1, transmitDropped: 4 });
    expect(rig.driver.readStatus() & NEEDS_RESET).toBe(0);
  });

  test('receives a frame into one buffer, after a header of the right size', () => {
    const rig = new Rig(kind, features);
    rig.offer(0, 1600);
    rig.driver.notify(RX);
    expect(rig.nic.receive(frame(200))).toBe(true);
    const bytes = rig.headerBytes + 200;
    expect(rig.rx.takeUsed()).toEqual([{ head: 0, bytes }]);
    const header = new Uint8Array(rig.headerBytes);
    if (rig.headerBytes === 12) header[10] = 1;
    expect(rig.received(0, rig.headerBytes)).toEqual(header);
    expect(rig.received(0, bytes).subarray(rig.headerBytes)).toEqual(frame(200));
    expect(rig.driver.readIsr()).toBe(1);
  });

  test('drops and counts without buffers, and delivers again once there are some', () => {
    const rig = new Rig(kind, features);
    expect(rig.nic.receive(frame(100))).toBe(false);
    rig.offer(0, 1600);
    expect(rig.nic.receive(frame(100, 2))).toBe(true);
    expect(rig.nic.counters).toMatchObject({ received: 1, receiveDropped: 1 });
    expect(rig.rx.takeUsed()).toHaveLength(1);
  });

  test('drops frames that are too short or too long', () => {
    const rig = new Rig(kind, features);
    rig.offer(0, 2048);
    expect(rig.nic.receive(frame(13))).toBe(false);
    expect(rig.nic.receive(frame(1519))).toBe(false);
    expect(rig.nic.receive(new Uint8Array(0))).toBe(false);
    expect(rig.nic.receive(frame(1518))).toBe(true);
  });

  test('save in between, restore into a new card: the same life goes on', () => {
    const rigs = [new Rig(kind, features), new Rig(kind, features)] as const;
    for (const rig of rigs) {
      rig.offer(0, 1600);
      rig.offer(1, 1600);
      rig.nic.receive(frame(64));
      rig.send(frame(70));
      rig.driver.notify(TX);
    }
    const [first, second] = rigs;
    const state = first.nic.save();
    const moves = second.irq.moves;
    const copy = second.create();
    copy.restore(state);
    expect(second.irq.moves).toBe(moves);
    expect(copy.save()).toEqual(state);
    first.nic.receive(frame(80));
    copy.receive(frame(80));
    expect(second.ram.sameAs(first.ram.memory)).toBe(true);
    expect(copy.save()).toEqual(first.nic.save());
  });
});

describe('mergeable buffers', () => {
  test('a frame spreads over several buffers and num_buffers says how many', () => {
    const rig = new Rig('modern', [F_MRG_RXBUF]);
    for (let i = 0; i < 4; i++) rig.offer(i, 100);
    expect(rig.nic.receive(frame(250))).toBe(true);
    expect(rig.rx.takeUsed()).toEqual([
      { head: 0, bytes: 100 },
      { head: 1, bytes: 100 },
      { head: 2, bytes: 62 },
    ]);
    expect(rig.ram.readU16(RX_AT + 10)).toBe(3);
    const whole = Uint8Array.from([...rig.received(0, 100), ...rig.received(1, 100), ...rig.received(2, 62)]);
    expect(whole.subarray(12)).toEqual(frame(250));
  });

  test('a frame for which the buffers do not suffice takes none of them', () => {
    const rig = new Rig('legacy', [F_MRG_RXBUF]);
    rig.offer(0, 100);
    rig.offer(1, 100);
    const state = rig.nic.save();
    expect(rig.nic.receive(frame(250))).toBe(false);
    expect(rig.rx.takeUsed()).toEqual([]);
    expect(rig.irq.level).toBe(false);
    expect(rig.nic.save()['transport']).toEqual(state['transport']);
    expect(rig.nic.receive(frame(180))).toBe(true);
    expect(rig.rx.takeUsed()).toHaveLength(2);
  });
});

test('without mergeable buffers a buffer that is too small stays for a smaller frame', () => {
  const rig = new Rig('legacy');
  rig.offer(0, 128);
  expect(rig.nic.receive(frame(200))).toBe(false);
  expect(rig.nic.receive(frame(100))).toBe(true);
  expect(rig.rx.takeUsed()).toEqual([{ head: 0, bytes: 110 }]);
});

test('a burst raises one interrupt, and with EVENT_IDX only at the element the driver waits for', () => {
  const rig = new Rig('modern', [F_EVENT_IDX, F_MRG_RXBUF]);
  for (let i = 0; i < 4; i++) rig.offer(i, 1600);
  rig.rx.setUsedEvent(2);
  const levels = [1, 2, 3].map((seed) => {
    rig.nic.receive(frame(100, seed));
    return rig.irq.level;
  });
  expect(levels).toEqual([false, false, true]);
  expect(rig.driver.readIsr()).toBe(1);
  rig.nic.receive(frame(100, 4));
  expect(rig.irq.level).toBe(false);
});

test('only a legacy driver changes the MAC address, until it resets the card', () => {
  const legacy = new Rig('legacy');
  legacy.driver.writeConfig(0, 4, 0x0403_0202);
  legacy.driver.writeConfig(6, 1, 0);
  expect(legacy.driver.readConfig(0, 4)).toBe(0x0403_0202);
  expect(legacy.driver.readConfig(6, 2)).toBe(1);
  expect(legacy.nic.save()['mac']).toEqual(Uint8Array.of(2, 2, 3, 4, 2, 3));
  legacy.driver.writeStatus(0);
  expect(legacy.driver.readConfig(0, 1)).toBe(MAC[0]);
  const modern = new Rig('modern');
  modern.driver.writeConfig(0, 4, 0);
  expect(modern.driver.readConfig(0, 1)).toBe(MAC[0]);
});

test('a modern card is silent before DRIVER_OK, a legacy one is not', () => {
  const modern = new Rig('modern');
  modern.offer(0, 1600);
  modern.send(frame(60));
  modern.driver.writeStatus(1 | 2 | 8);
  modern.driver.notify(TX);
  expect(modern.environment.outputs).toEqual([]);
  expect(modern.nic.receive(frame(60))).toBe(false);
  const legacy = new Rig('legacy');
  legacy.driver.writeStatus(1 | 2);
  legacy.send(frame(60));
  legacy.driver.notify(TX);
  expect(legacy.environment.takePackets()).toHaveLength(1);
});

test('receive buffers outside RAM stop the card', () => {
  const rig = new Rig('modern');
  rig.rx.add([{ address: 0xa_0000, bytes: 1600, write: true }]);
  expect(rig.nic.receive(frame(60))).toBe(false);
  expect(rig.driver.readStatus() & NEEDS_RESET).toBe(NEEDS_RESET);
  expect(rig.driver.readIsr() & 2).toBe(2);
  expect(rig.nic.receive(frame(60))).toBe(false);
});

test('reset equals new', () => {
  const rig = new Rig('legacy');
  rig.driver.writeConfig(0, 1, 0);
  rig.nic.receive(frame(60));
  rig.nic.reset();
  expect(rig.nic.save()).toEqual(rig.create().save());
});
