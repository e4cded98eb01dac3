/**
 * Goal: any width at any offset touches exactly the registers under it, each once.
 * Method: a small map of storage registers and one that counts its reads.
 */
import { expect, test } from '@jest/globals';
import { InvariantError } from '../../../emulator/errors.js';
import { byteRegisters, RegisterMap, type Register } from '../../../devices/virtio/register-map.js';

function storage(offset: number, bytes: 1 | 2 | 4, initial: number): Register & { value: number } {
  const register = {
    offset,
    bytes,
    value: initial,
    read: () => register.value,
    write: (value: number) => {
      register.value = value;
    },
  };
  return register;
}

test('reads and writes of every width see the bytes of the registers, and gaps read all ones', () => {
  const dword = storage(0, 4, 0x8765_4321);
  const word = storage(4, 2, 0xbbaa);
  const map = new RegisterMap([dword, word]);
  expect([map.read(0, 4), map.read(4, 2)]).toEqual([0x8765_4321, 0xbbaa]);
  expect([map.read(3, 1), map.read(1, 2), map.read(2, 4), map.read(4, 4), map.read(100, 2)]).toEqual([
    0x87, 0x6543, 0xbbaa_8765, 0xffff_bbaa, 0xffff,
  ]);
  map.write(2, 4, 0x1122_3344);
  expect([dword.value, word.value]).toEqual([0x3344_4321, 0x1122]);
  map.write(5, 1, 0x99);
  expect(word.value).toBe(0x9922);
  map.write(100, 4, 0);
});

test('a read-only register ignores writes and a register that reading changes is read once', () => {
  let reads = 0;
  const clearing: Register = { offset: 0, bytes: 2, read: () => ++reads };
  const map = new RegisterMap([clearing, storage(2, 1, 7)]);
  expect(map.read(0, 4)).toBe(0xff07_0001);
  map.write(0, 4, 0);
  expect(reads).toBe(1);
  expect(map.read(2, 1)).toBe(0);
});

test('a table of bytes shows its present content and passes writes on', () => {
  const table = Uint8Array.of(1, 2, 3, 4);
  const writes: [number, number][] = [];
  const map = new RegisterMap(byteRegisters(8, table, (index, value) => writes.push([index, value])));
  table[1] = 0x20;
  expect(map.read(8, 4)).toBe(0x0403_2001);
  map.write(9, 2, 0xabcd);
  expect(writes).toEqual([
    [1, 0xcd],
    [2, 0xab],
  ]);
});

test('registers that overlap are refused', () => {
  expect(() => new RegisterMap([storage(0, 4, 0), storage(3, 1, 0)])).toThrow(InvariantError);
});
