/** Bytes that an NBD client sends, written down from the protocol's text and not with the product's code. */

export const MAGIC = Buffer.from('IHAVEOPT');
export const PLAIN_FLAGS = Buffer.from([0, 0, 0, 3]);

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: bigint | number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function option(number: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([MAGIC, u32(number), u32(data.length), data]);
}

/** The data of GO and INFO. */
export function goData(name: string, ...infos: number[]): Buffer {
  return Buffer.concat([u32(name.length), Buffer.from(name), u16(infos.length), ...infos.map(u16)]);
}

export interface RawRequest {
  readonly flags?: number;
  readonly command: number;
  readonly cookie?: bigint;
  readonly offset?: bigint | number;
  readonly bytes?: number;
  readonly data?: Uint8Array;
}

export function request({ flags = 0, command, cookie = 7n, offset = 0, bytes = 0, data }: RawRequest): Buffer {
  const header = [u32(0x25609513), u16(flags), u16(command), u64(cookie), u64(offset), u32(bytes)];
  return Buffer.concat(data === undefined ? header : [...header, data]);
}

export function optionReply(number: number, type: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([u64(0x3e889045565a9n), u32(number), u32(type), u32(data.length), data]);
}

export function simpleReply(error: number, cookie = 7n): Buffer {
  return Buffer.concat([u32(0x67446698), u32(error), u64(cookie)]);
}
