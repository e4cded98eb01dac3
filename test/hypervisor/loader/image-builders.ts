/** Small images made by hand for the loader's tests, and a RAM that remembers what was written. */
import type { LoaderRam } from '../../../hypervisor/loader/guest-memory.js';

export const MEMORY_BYTES = 4 * 1024 * 1024;

/** RAM of the machine, all zeros, with the video hole. Counts the bytes it was asked to write elsewhere. */
export class FakeRam implements LoaderRam {
  readonly bytes = new Uint8Array(MEMORY_BYTES);
  refused = 0;

  write(address: number, data: Uint8Array): boolean {
    const end = address + data.length;
    if (end > this.bytes.length || (address < 0xc0000 && end > 0xa0000)) {
      this.refused++;
      return false;
    }
    this.bytes.set(data, address);
    return true;
  }

  u16(address: number): number {
    return new DataView(this.bytes.buffer).getUint16(address, true);
  }

  u32(address: number): number {
    return new DataView(this.bytes.buffer).getUint32(address, true);
  }

  /** The zero-terminated string at `address`. */
  string(address: number): string {
    return Buffer.from(this.bytes.subarray(address, this.bytes.indexOf(0, address))).toString('utf8');
  }
}

/** Bytes of 32-bit little-endian words. */
export function words(...values: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, index) => {
    view.setUint32(index * 4, value >>> 0, true);
  });
  return new Uint8Array(view.buffer);
}

/** A Multiboot header without address fields. */
export function multibootHeader(flags: number, ...addresses: number[]): Uint8Array {
  return words(0x1badb002, flags, -(0x1badb002 + flags), ...addresses);
}

export interface TestSegment {
  readonly virtual?: number;
  readonly physical: number;
  readonly data: Uint8Array;
  /** Size in memory; default that of the data. */
  readonly memoryBytes?: number;
  readonly type?: number;
}

/** A 32-bit ELF executable: header, program headers, then each segment's data. */
export function elf32(entry: number, segments: readonly TestSegment[], machine = 3, type = 2): Uint8Array {
  const headerBytes = 52 + 32 * segments.length;
  const total = segments.reduce((sum, segment) => sum + segment.data.length, headerBytes);
  const file = new Uint8Array(total);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, type, true);
  view.setUint16(18, machine, true);
  file.set(words(1, entry, 52), 20);
  view.setUint16(40, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, segments.length, true);
  let offset = headerBytes;
  segments.forEach((segment, index) => {
    const { physical, data, virtual = physical, memoryBytes = data.length } = segment;
    file.set(words(segment.type ?? 1, offset, virtual, physical, data.length, memoryBytes, 7, 1), 52 + 32 * index);
    file.set(data, offset);
    offset += data.length;
  });
  return file;
}

/** 512 bytes with the boot signature. */
export function bootSector(code: Uint8Array = Uint8Array.of(0xf4)): Uint8Array {
  const sector = new Uint8Array(512);
  sector.set(code);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

/** A flat Multiboot kernel: header, then code, loaded at `address` with `bssBytes` of zeros behind it. */
export function flatMultiboot(address: number, code: Uint8Array, bssBytes = 0): Uint8Array {
  const end = address + 32 + code.length;
  const header = multibootHeader(0x10000, address, address, end, bssBytes === 0 ? 0 : end + bssBytes, address + 32);
  return Uint8Array.from([...header, ...code]);
}
