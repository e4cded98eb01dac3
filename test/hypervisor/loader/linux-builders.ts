/** Linux kernels made by hand for the loader's tests: a setup header, some code, a payload and a checksum. */
import { crc32 } from 'node:zlib';

export interface TestKernel {
  readonly version?: number;
  readonly setupSectors?: number;
  readonly codeBytes?: number;
  readonly loadFlags?: number;
  readonly extendedLoadFlags?: number;
  readonly initrdAddressMax?: number;
  readonly commandLineBytes?: number;
  readonly runAddress?: number;
  readonly runBytes?: number;
  /** The packed payload; its last four bytes say how long it is unpacked. */
  readonly payload?: Uint8Array;
  /** The kernel's own version string. */
  readonly release?: string;
}

export const RUN_ADDRESS = 0x200000;
export const PAYLOAD_OFFSET = 64;

/** A bzImage with an intact checksum. */
export function bzImage(kernel: TestKernel = {}): Uint8Array {
  const setupBytes = ((kernel.setupSectors ?? 3) + 1) * 512;
  const codeBytes = kernel.codeBytes ?? 4096;
  const file = new Uint8Array(setupBytes + codeBytes).map((_, i) => (i < setupBytes ? 0 : i % 251));
  const view = new DataView(file.buffer);
  file.fill(0, 0, setupBytes);
  view.setUint8(0x1f1, kernel.setupSectors ?? 3);
  view.setUint32(0x1f4, codeBytes / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  file.set([0xeb, 0x66], 0x200);
  file.set(Buffer.from('HdrS'), 0x202);
  view.setUint16(0x206, kernel.version ?? 0x20f, true);
  view.setUint16(0x20e, 0x300 - 0x200, true);
  file.set(Buffer.from(`${kernel.release ?? '6.1.0-test'} (x@y)\0`), 0x300);
  view.setUint8(0x211, kernel.loadFlags ?? 1);
  view.setUint32(0x22c, kernel.initrdAddressMax ?? 0x7fffffff, true);
  view.setUint16(0x236, kernel.extendedLoadFlags ?? 0, true);
  view.setUint32(0x238, kernel.commandLineBytes ?? 255, true);
  const { payload } = kernel;
  if (payload !== undefined) {
    view.setUint32(0x248, PAYLOAD_OFFSET, true);
    view.setUint32(0x24c, payload.length, true);
    file.set(payload, setupBytes + PAYLOAD_OFFSET);
  }
  view.setUint32(0x258, kernel.runAddress ?? RUN_ADDRESS, true);
  view.setUint32(0x260, kernel.runBytes ?? 0x100000, true);
  return seal(file);
}

/** Put the checksum that belongs to the bytes at their end. */
export function seal(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  view.setUint32(file.length - 4, (crc32(file.subarray(0, -4)) ^ 0xffffffff) >>> 0, true);
  return file;
}

/** Bytes that stand for a packed payload of `unpackedBytes`. */
export function packed(unpackedBytes: number): Uint8Array {
  const bytes = new Uint8Array(64).fill(0x5a);
  new DataView(bytes.buffer).setUint32(60, unpackedBytes, true);
  return bytes;
}
