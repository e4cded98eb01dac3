/**
 * The messages that make a joining backup's own copies of disks equal to the live replica's. A copy is compared in blocks
 * of 64 KiB, the last one maybe shorter; only blocks that differ travel.
 *
 *   live DIGESTS of a few blocks -> ; backup <- WANTED, those that differ here; live BLOCK for each ->
 *   blocks that the guest wrote meanwhile: live BLOCK..., BLOCKS-END -> ; backup <- BLOCKS-STORED
 *
 * | type | body (numbers are little-endian) |
 * |---|---|
 * | 16 digests | u32 drive, u32 first block, 16 bytes of SHA-256 for each block |
 * | 17 wanted | u32 drive, u32 block, repeated |
 * | 18 block | u32 drive, u32 block, its bytes; none: zeros |
 * | 19 blocks-end | u32 number |
 * | 20 blocks-stored | u32 number of the blocks-end that it answers |
 */
import { DecodeError } from '../../emulator/errors.js';
import { BLOCK_BYTES } from '../backend/own-disk.js';

export const BLOCK_DIGEST_BYTES = 16;
/** Blocks in one DIGESTS message, and what is sent before an answer is waited for. */
export const BLOCKS_PER_MESSAGE = 256;

export const COPY_MESSAGES = ['digests', 'wanted', 'block', 'blocks-end', 'blocks-stored'] as const;

export type CopyMessage =
  | {
      readonly type: 'digests';
      readonly drive: number;
      readonly first: number;
      readonly digests: readonly Uint8Array[];
    }
  | { readonly type: 'wanted'; readonly drive: number; readonly blocks: readonly number[] }
  | { readonly type: 'block'; readonly drive: number; readonly block: number; readonly data: Uint8Array }
  | { readonly type: 'blocks-end'; readonly number: number }
  | { readonly type: 'blocks-stored'; readonly number: number };

export function isCopyMessage(message: { readonly type: string }): message is CopyMessage {
  return (COPY_MESSAGES as readonly string[]).includes(message.type);
}

/** What follows the type. */
export function copyBody(message: CopyMessage): Uint8Array[] {
  switch (message.type) {
    case 'digests':
      return [u32(message.drive, message.first), ...message.digests];
    case 'wanted':
      return [u32(message.drive, ...message.blocks)];
    case 'block':
      return [u32(message.drive, message.block), message.data];
    case 'blocks-end':
    case 'blocks-stored':
      return [u32(message.number)];
  }
}

/** @throws DecodeError */
export function decodeCopyMessage(type: CopyMessage['type'], rest: Buffer): CopyMessage {
  switch (type) {
    case 'digests': {
      const bytes = length(rest, 8, BLOCKS_PER_MESSAGE * BLOCK_DIGEST_BYTES, BLOCK_DIGEST_BYTES);
      const digests: Uint8Array[] = [];
      for (let at = 8; at < 8 + bytes; at += BLOCK_DIGEST_BYTES)
        digests.push(rest.subarray(at, at + BLOCK_DIGEST_BYTES));
      return { type, drive: rest.readUInt32LE(0), first: rest.readUInt32LE(4), digests };
    }
    case 'wanted': {
      const count = length(rest, 4, BLOCKS_PER_MESSAGE * 4, 4) / 4;
      const blocks = Array.from({ length: count }, (_, i) => rest.readUInt32LE(4 + i * 4));
      return { type, drive: rest.readUInt32LE(0), blocks };
    }
    case 'block':
      length(rest, 8, BLOCK_BYTES, 512);
      return { type, drive: rest.readUInt32LE(0), block: rest.readUInt32LE(4), data: rest.subarray(8) };
    case 'blocks-end':
    case 'blocks-stored':
      length(rest, 4, 0, 1);
      return { type, number: rest.readUInt32LE(0) };
  }
}

/** Check what follows `head` bytes: at most `max`, in units of `unit`. Returns how many bytes it has. */
function length(rest: Buffer, head: number, max: number, unit: number): number {
  const bytes = rest.length - head;
  if (bytes >= 0 && bytes <= max && bytes % unit === 0) return bytes;
  throw new DecodeError('bad-length', 1, `a message about disk blocks of ${rest.length} bytes`);
}

function u32(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => out.writeUInt32LE(value, i * 4));
  return out;
}
