/**
 * Descriptor chains: what one request of a driver looks like in guest memory.
 *
 *   table[head] --next--> table[n] --next--> ... [--> one indirect table: 0 --next--> 1 ...]
 *   device-readable buffers come first, then device-writable ones
 *
 * Every number in here is the guest's, so each is checked, and a walk ends after a bounded number of steps.
 *
 *   offset  bytes  descriptor (little-endian)
 *        0      8  address of the buffer
 *        8      4  its length
 *       12      2  flags
 *       14      2  next
 *
 * Source: VIRTIO 1.2, sections 2.7.5 (descriptor table), 2.7.5.3 (indirect descriptors), 2.7.4 (layout).
 */
import { pooledBytes } from '../../emulator/byte-pool.js';
import type { Dma } from '../dma.js';
import { DESC_BYTES, DESC_INDIRECT, DESC_NEXT, DESC_WRITE, QUEUE_SIZE_MAX } from './constants.js';

/** Part of guest memory. The address may lie outside RAM; Dma then refuses the access. */
export interface Segment {
  readonly address: number;
  readonly bytes: number;
}

export interface Chain {
  /** Index of the first descriptor: the chain's name in the used ring. */
  readonly head: number;
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
  readonly readableBytes: number;
  readonly writableBytes: number;
}

/** Stands for every address that does not fit 32 bits; RAM never reaches it. */
export const OUTSIDE_RAM = 2 ** 52;

/** Join the two halves of a 64-bit guest-physical address. */
export function physicalAddress(low: number, high: number): number {
  return high === 0 ? low : OUTSIDE_RAM;
}

interface DescriptorTable {
  readonly address: number;
  readonly count: number;
  /** Whether a descriptor of this table may refer to an indirect table. */
  readonly indirectAllowed: boolean;
}

/** Collects the buffers of one chain. */
class ChainBuilder {
  readonly readable: Segment[] = [];
  readonly writable: Segment[] = [];
  readableBytes = 0;
  writableBytes = 0;

  /** Add a buffer. False when a readable one follows a writable one, which is forbidden (2.7.4.2). */
  add(address: number, bytes: number, write: boolean): boolean {
    if (!write && this.writable.length > 0) return false;
    if (write) {
      this.writable.push({ address, bytes });
      this.writableBytes += bytes;
    } else {
      this.readable.push({ address, bytes });
      this.readableBytes += bytes;
    }
    return true;
  }
}

/**
 * Follow the chain that starts at `head` of a queue's descriptor table. Null when it is malformed: outside RAM, an
 * index outside the table, longer than the table (a loop), readable after writable, or indirect in a way that is
 * not allowed.
 */
export function walkChain(
  dma: Dma,
  tableAddress: number,
  queueSize: number,
  head: number,
  indirect: boolean,
): Chain | null {
  const chain = new ChainBuilder();
  const table = { address: tableAddress, count: queueSize, indirectAllowed: indirect };
  if (!walkTable(dma, table, head, chain)) return null;
  const { readable, writable, readableBytes, writableBytes } = chain;
  return { head, readable, writable, readableBytes, writableBytes };
}

function walkTable(dma: Dma, table: DescriptorTable, first: number, chain: ChainBuilder): boolean {
  let index = first;
  for (let steps = 0; steps < table.count; steps++) {
    if (index >= table.count) return false;
    const at = table.address + index * DESC_BYTES;
    const low = dma.readU32(at);
    const high = dma.readU32(at + 4);
    const bytes = dma.readU32(at + 8);
    const rest = dma.readU32(at + 12);
    if (low === null || high === null || bytes === null || rest === null) return false;
    const flags = rest & 0xffff;
    const address = physicalAddress(low, high);
    if ((flags & DESC_INDIRECT) !== 0) {
      // 2.7.5.3.1: an indirect descriptor is the last of its table, and its table is a whole number of entries.
      const count = bytes / DESC_BYTES;
      if (!table.indirectAllowed || (flags & DESC_NEXT) !== 0) return false;
      if (!Number.isInteger(count) || count === 0 || count > QUEUE_SIZE_MAX) return false;
      return walkTable(dma, { address, count, indirectAllowed: false }, 0, chain);
    }
    if (!chain.add(address, bytes, (flags & DESC_WRITE) !== 0)) return false;
    if ((flags & DESC_NEXT) === 0) return true;
    index = rest >>> 16;
  }
  return false;
}

/**
 * Copy `bytes` bytes that start `skip` bytes into the segments. The caller has checked that they are there.
 * Null when a segment is not RAM.
 */
export function gather(dma: Dma, segments: readonly Segment[], skip: number, bytes: number): Uint8Array | null {
  const data = pooledBytes(bytes);
  return gatherInto(dma, segments, skip, data) ? data : null;
}

/** As gather(), into `data`. False when a segment is not RAM. */
export function gatherInto(dma: Dma, segments: readonly Segment[], skip: number, data: Uint8Array): boolean {
  let from = skip;
  let filled = 0;
  for (const segment of segments) {
    if (filled === data.length) break;
    if (from >= segment.bytes) {
      from -= segment.bytes;
      continue;
    }
    const count = Math.min(segment.bytes - from, data.length - filled);
    const part = count === data.length ? data : data.subarray(filled, filled + count);
    if (!dma.readInto(segment.address + from, part)) return false;
    filled += count;
    from = 0;
  }
  return filled === data.length;
}

/** Spread `data` over the segments from `skip` bytes in. False when it does not fit or a segment is not RAM. */
export function scatter(dma: Dma, segments: readonly Segment[], skip: number, data: Uint8Array): boolean {
  let from = skip;
  let done = 0;
  for (const segment of segments) {
    if (done === data.length) break;
    if (from >= segment.bytes) {
      from -= segment.bytes;
      continue;
    }
    const count = Math.min(segment.bytes - from, data.length - done);
    const part = count === data.length ? data : data.subarray(done, done + count);
    if (!dma.write(segment.address + from, part)) return false;
    done += count;
    from = 0;
  }
  return done === data.length;
}
