/**
 * Goal: firmware finds its files, and nothing where there is nothing.
 * Method: the accesses of a firmware: select with a word, read bytes; the directory is parsed as the specification says.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvariantError } from '../../emulator/errors.js';
import { FW_CFG_PORT, FW_CFG_PORT_COUNT, FwCfg, type FwCfgFile } from '../../devices/fw-cfg.js';
import { PortBus } from '../../devices/port-bus.js';
import { describeDeviceContract } from './device-contract.js';
import { FakeWorld } from './fake-world.js';

const FILES: readonly FwCfgFile[] = [
  { name: 'genroms/pxe.rom', data: Uint8Array.of(0x55, 0xaa, 2) },
  { name: 'bootorder', data: new TextEncoder().encode('/rom@genroms/pxe.rom\0') },
  { name: 'etc/sercon-port', data: Uint8Array.of(0xf8, 3, 0, 0, 0, 0, 0, 0) },
];

function create(files = FILES, ramBytes = 64 * 1024 * 1024) {
  const world = new FakeWorld();
  const device = new FwCfg({ ramBytes, files });
  const ports = new PortBus();
  ports.insert('fw_cfg', FW_CFG_PORT, FW_CFG_PORT_COUNT, device, 2);
  const item = (selector: number, bytes: number) => {
    ports.write(0x510, 2, selector);
    return Uint8Array.from({ length: bytes }, () => ports.read(0x511, 1));
  };
  const number = (selector: number, bytes: number) =>
    item(selector, bytes).reduceRight((value, byte) => value * 256 + byte, 0);
  /** Name to content, as a firmware collects them. */
  const readAll = () => {
    const count = new DataView(item(0x19, 4).buffer).getUint32(0);
    const directory = item(0x19, 4 + 64 * count);
    const view = new DataView(directory.buffer);
    return Array.from({ length: count }, (_, index) => {
      const at = 4 + 64 * index;
      const name = String.fromCharCode(...directory.subarray(at + 8, at + 64)).replace(/\0+$/, '');
      return { name, data: item(view.getUint16(at + 4), view.getUint32(at)), selector: view.getUint16(at + 4) };
    });
  };
  const busy = () => item(0x20, 3);
  const blocks = [{ registers: device, bytes: FW_CFG_PORT_COUNT }];
  return { device, ports, item, number, readAll, blocks, calls: world.calls, busy };
}

describeDeviceContract('fw_cfg', create);

describe('items', () => {
  test('signature and features: there is no DMA', () => {
    const { item, number, ports } = create();
    expect(String.fromCharCode(...item(0, 4))).toBe('QEMU');
    expect(number(1, 4)).toBe(1);
    expect(ports.read(0x514, 4)).toBe(0xffffffff);
  });

  test('RAM size and number of CPUs', () => {
    const { number } = create(FILES, 3 * 2 ** 30);
    expect([number(3, 8), number(5, 2), number(0x0f, 2)]).toEqual([3 * 2 ** 30, 1, 1]);
  });

  test('behind the end of an item there are zeros', () => {
    const { item } = create();
    expect([...item(0, 6)]).toEqual([0x51, 0x45, 0x4d, 0x55, 0, 0]);
  });

  test('no bit of the selector is ignored: 0x8000, 0x4000 and unknown items are empty', () => {
    const { item } = create();
    for (const selector of [0x8000, 0x8001, 0x4000, 0xc000, 0x02, 0x0d, 0x23, 0xffff]) {
      expect([...item(selector, 4)]).toEqual([0, 0, 0, 0]);
    }
  });

  test('selecting again starts over, and bytes written are ignored', () => {
    const { item, ports } = create();
    item(0, 2);
    ports.write(0x511, 1, 0xff);
    ports.write(0x510, 1, 0x01);
    expect(ports.read(0x511, 1)).toBe(0x4d);
    expect(item(0, 1)[0]).toBe(0x51);
  });
});

describe('files', () => {
  test('are listed by name, numbered from 0x20', () => {
    const { readAll } = create();
    expect(readAll().map(({ name, selector }) => [name, selector])).toEqual([
      ['bootorder', 0x20],
      ['etc/sercon-port', 0x21],
      ['genroms/pxe.rom', 0x22],
    ]);
  });

  test('are found by name with their content, whatever their order was', () => {
    const name = fc.stringMatching(/^[a-z/.-]{1,55}$/);
    const file = fc.record({ name, data: fc.uint8Array({ maxLength: 40 }) });
    const list = fc.uniqueArray(file, { selector: (entry) => entry.name, maxLength: 12 });
    fc.assert(
      fc.property(list, (files) => {
        const { readAll } = create(files);
        const found = new Map(readAll().map((entry) => [entry.name, [...entry.data]]));
        expect(found).toEqual(new Map(files.map((entry) => [entry.name, [...entry.data]])));
        expect([...found.keys()]).toEqual([...found.keys()].sort());
      }),
    );
  });

  test('a name that is too long, not ASCII, empty or used twice is refused', () => {
    const data = new Uint8Array(1);
    for (const name of ['x'.repeat(56), 'ümlaut', '']) {
      expect(() => create([{ name, data }])).toThrow(InvariantError);
    }
    const twice = { name: 'twice', data };
    expect(() => create([twice, twice])).toThrow(InvariantError);
  });
});
