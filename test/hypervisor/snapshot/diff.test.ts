/** Goal: a diff names exactly what differs: each register, each byte of memory, each device field.
 *  Method: change one thing in a copy of a state, in memory and through files, and look at the whole result. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, DecodeError } from '../../../emulator/errors.js';
import type { StateRecord } from '../../../devices/state.js';
import type { SnapshotDiff } from '../../../hypervisor/snapshot/diff.js';
import { diffSnapshots } from '../../../hypervisor/snapshot/diff.js';
import { openSnapshot, readSnapshot, writeSnapshot } from '../../../hypervisor/snapshot/snapshot-file.js';
import type { SnapshotContent } from '../../../hypervisor/snapshot/snapshot.js';
import { PAGE_BYTES, snapshotOf } from '../../../hypervisor/snapshot/snapshot.js';
import { sampleContent, sampleRam } from './sample-snapshot.js';

const IDENTICAL: SnapshotDiff = {
  identical: true,
  registers: [],
  pages: [],
  devices: [],
  pageCount: 0,
  fieldCount: 0,
  firstDivergence: null,
};

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ft86-diff-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** Compare the sample with `content` and `ram`, in memory and as files; both ways must say the same. */
function diffWith(content: SnapshotContent, ram: Uint8Array): SnapshotDiff {
  const inMemory = diffSnapshots(snapshotOf(sampleContent(), sampleRam()), snapshotOf(content, ram));
  writeSnapshot(join(directory, 'a'), sampleContent(), sampleRam());
  writeSnapshot(join(directory, 'b'), content, ram);
  const a = readSnapshot(join(directory, 'a'));
  const b = readSnapshot(join(directory, 'b'));
  expect(diffSnapshots(a, b)).toEqual(inMemory);
  a.close();
  b.close();
  return inMemory;
}

function diffDevices(devices: StateRecord): SnapshotDiff {
  return diffWith({ ...sampleContent(), devices: { ...sampleContent().devices, ...devices } }, sampleRam());
}

test('equal states are identical, whatever the role and the digest', () => {
  const content = sampleContent();
  expect(diffWith(content, sampleRam())).toEqual(IDENTICAL);
  const meta = { ...content.meta, role: 'backup', image: './timer.elf', digest: 'f'.repeat(32) };
  expect(diffWith({ ...content, meta }, sampleRam())).toEqual(IDENTICAL);
});

describe('one change is named, and nothing else', () => {
  test('one flipped byte of memory', () => {
    const ram = sampleRam();
    ram[2 * PAGE_BYTES + 7] = 0xab;
    expect(diffWith(sampleContent(), ram)).toEqual({
      ...IDENTICAL,
      identical: false,
      pages: [{ address: 0x2000, bytes: [{ offset: 7, a: 0xaa, b: 0xab }], byteCount: 1 }],
      pageCount: 1,
    });
  });

  test('one byte of a page that is zeros on one side', () => {
    const ram = sampleRam();
    ram[9 * PAGE_BYTES + 4095] = 0;
    ram[11 * PAGE_BYTES] = 3;
    expect(diffWith(sampleContent(), ram).pages).toEqual([
      { address: 0x9000, bytes: [{ offset: 4095, a: 1, b: 0 }], byteCount: 1 },
      { address: 0xb000, bytes: [{ offset: 0, a: 0, b: 3 }], byteCount: 1 },
    ]);
  });

  test('one register, also when the cpu state that holds it differs', () => {
    const content = sampleContent();
    const cpuState = content.cpuState.slice();
    cpuState[40] = 99;
    const registers = { ...content.registers, eax: 6 };
    expect(diffWith({ ...content, registers, cpuState }, sampleRam())).toEqual({
      ...IDENTICAL,
      identical: false,
      registers: [{ name: 'eax', a: 5, b: 6 }],
    });
  });

  test('a byte of the cpu state that no register shows', () => {
    const content = sampleContent();
    const cpuState = content.cpuState.slice();
    cpuState[40] = 99;
    expect(diffWith({ ...content, cpuState }, sampleRam()).registers).toEqual([
      { name: 'cpu-state[40]', a: 40, b: 99 },
    ]);
    const shorter = diffWith({ ...content, cpuState: content.cpuState.slice(0, 59) }, sampleRam());
    expect(shorter.registers).toEqual([{ name: 'cpu-state.length', a: 60, b: 59 }]);
  });

  test('a device field deep inside', () => {
    expect(diffDevices({ pit: { channels: [{ mode: 2 }, { mode: 3 }, { mode: 1 }] } })).toEqual({
      ...IDENTICAL,
      identical: false,
      devices: [{ path: 'devices.pit.channels[2].mode', a: 0, b: 1 }],
      fieldCount: 1,
    });
  });

  test('a byte of a device buffer', () => {
    expect(diffDevices({ vga: { text: Uint8Array.of(0x48, 7, 0x6a, 7) } }).devices).toEqual([
      { path: 'devices.vga.text[2]', a: 0x69, b: 0x6a },
    ]);
  });

  test('a field that only one side has, told apart from null', () => {
    expect(diffDevices({ uart: { fifo: [1], irq: null } }).devices).toEqual([
      { path: 'devices.uart.fifo[1]', a: 2, b: null, absentIn: 'b' },
      { path: 'devices.uart.irq', a: null, b: null, absentIn: 'a' },
    ]);
    expect(diffDevices({ constructor: 1 }).devices).toEqual([
      { path: 'devices.constructor', a: null, b: 1, absentIn: 'a' },
    ]);
  });

  test('a field of another type', () => {
    expect(diffDevices({ uart: { fifo: Uint8Array.of(1, 2) } }).devices).toEqual([
      { path: 'devices.uart.fifo', a: '[1,2]', b: '0102' },
    ]);
  });

  test('the icount, guest time and configuration', () => {
    const content = sampleContent();
    const meta = { ...content.meta, icount: 1, guestNs: 2, configuration: { append: 'n=2', nics: [] } };
    const diff = diffWith({ ...content, meta }, sampleRam());
    expect(diff.registers.map(({ name }) => name)).toEqual(['icount', 'guest-ns']);
    expect(diff.devices).toEqual([{ path: 'configuration.append', a: 'n=1', b: 'n=2' }]);
  });
});

test('long lists are cut, counts are not', () => {
  const ram = sampleRam().fill(0x11);
  const diff = diffWith(sampleContent(), ram);
  expect(diff.pageCount).toBe(12);
  expect(diff.pages[1]!.bytes).toHaveLength(64);
  expect(diff.pages[1]!.byteCount).toBe(4096);
  const fifo = Array.from({ length: 5000 }, () => 0);
  expect(diffDevices({ uart: { fifo } }).devices).toHaveLength(4096);
  expect(diffDevices({ uart: { fifo } }).fieldCount).toBe(5000);
});

test('machines of different memory size are not compared', () => {
  const content = sampleContent();
  const larger = { ...content, meta: { ...content.meta, memoryBytes: 13 * PAGE_BYTES } };
  expect(() => diffWith(larger, new Uint8Array(13 * PAGE_BYTES))).toThrow(ConfigError);
});

describe('many pages in files', () => {
  const PAGES = 600;
  const content = { ...sampleContent(), meta: { ...sampleContent().meta, memoryBytes: PAGES * PAGE_BYTES } };
  /** No page of zeros but page 3. */
  const filled = (): Uint8Array => new Uint8Array(PAGES * PAGE_BYTES).fill(7).fill(0, 3 * PAGE_BYTES, 4 * PAGE_BYTES);

  /** Compare a file of filled() with one of `ram`, both opened without reading their pages. */
  function diffOpened(ram: Uint8Array): { readonly same: boolean; readonly diff: SnapshotDiff } {
    writeSnapshot(join(directory, 'a'), content, filled());
    writeSnapshot(join(directory, 'b'), { ...content, meta: { ...content.meta, role: 'backup' } }, ram);
    using a = openSnapshot(join(directory, 'a'));
    using b = openSnapshot(join(directory, 'b'));
    return { same: a.samePages(b), diff: diffSnapshots(a, b) };
  }

  test('that are equal are compared at once', () => {
    expect(diffOpened(filled())).toEqual({ same: true, diff: IDENTICAL });
  });

  test.each([
    ['a byte of the first page', 0, 0, 8],
    ['a byte of the last one', PAGES - 1, 4095, 6],
    ['a byte of the page of zeros', 3, 9, 1],
  ])('of which %s differs', (_, page, offset, value) => {
    const ram = filled();
    const was = ram[page * PAGE_BYTES + offset]!;
    ram[page * PAGE_BYTES + offset] = value;
    const { same, diff } = diffOpened(ram);
    expect(same).toBe(false);
    expect(diff.pages).toEqual([{ address: page * PAGE_BYTES, bytes: [{ offset, a: was, b: value }], byteCount: 1 }]);
  });

  test('of which one side lacks one', () => {
    const ram = filled().fill(0, 500 * PAGE_BYTES, 501 * PAGE_BYTES);
    const { same, diff } = diffOpened(ram);
    expect(same).toBe(false);
    expect(diff.pages).toMatchObject([{ address: 500 * PAGE_BYTES, byteCount: PAGE_BYTES }]);
  });

  test('of which one was damaged on the disk: no difference of the machines', () => {
    diffOpened(filled());
    const bytes = readFileSync(join(directory, 'b'));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(join(directory, 'b'), bytes);
    using a = openSnapshot(join(directory, 'a'));
    using b = openSnapshot(join(directory, 'b'));
    expect(() => diffSnapshots(a, b)).toThrow(DecodeError);
  });
});
