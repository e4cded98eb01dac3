/**
 * Requests and replies of the shipped services, one per UDP datagram. All numbers big-endian.
 *
 *   offset  size  request           reply
 *   0       4     magic 66743836h   the same
 *   4       4     client id         the same
 *   8       4     sequence          the same
 *   12      1     op                status
 *   13      1     key bytes         0
 *   14      2     value bytes       value bytes
 *   16      -     key, value        value
 *
 * The shipped services take keys of up to 32 bytes and values of up to 64.
 * A client numbers its requests 1, 2, 3, ... and has one in flight; the same number again is answered with the
 * stored reply. Op 0 with number 0 is a greeting.
 * Source: images/service.h.
 */
import { assert } from '../../emulator/errors.js';

export const SERVICE_MAGIC = 0x66743836;
export const SERVICE_HEADER_BYTES = 16;

export const OP_HELLO = 0;
export const KV_PUT = 1;
export const KV_GET = 2;
export const KV_DELETE = 3;
export const KV_ADD = 4;
export const COUNTER_INCREMENT = 1;
export const COUNTER_READ = 2;
/** The echo guest returns whatever it gets; this only marks our own datagrams. */
export const ECHO = 1;

const STATUSES = ['ok', 'not-found', 'bad-request', 'full', 'stale'] as const;
export type ServiceStatus = (typeof STATUSES)[number];

export interface ServiceRequest {
  readonly client: number;
  readonly sequence: number;
  readonly op: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface ServiceAnswer {
  readonly status: ServiceStatus;
  readonly value: Uint8Array;
}

export interface ServiceReply extends ServiceAnswer {
  readonly client: number;
  readonly sequence: number;
}

export function encodeRequest(request: ServiceRequest): Uint8Array {
  const { key, value } = request;
  assert(key.length <= 0xff && value.length <= 0xffff, 'a request fits its length fields');
  const bytes = Buffer.allocUnsafe(SERVICE_HEADER_BYTES + key.length + value.length);
  bytes.writeUInt32BE(SERVICE_MAGIC, 0);
  bytes.writeUInt32BE(request.client, 4);
  bytes.writeUInt32BE(request.sequence, 8);
  bytes.writeUInt8(request.op, 12);
  bytes.writeUInt8(key.length, 13);
  bytes.writeUInt16BE(value.length, 14);
  bytes.set(key, SERVICE_HEADER_BYTES);
  bytes.set(value, SERVICE_HEADER_BYTES + key.length);
  return bytes;
}

/** Whether a datagram is about that client's request: its reply, or the request itself as the echo guest returns it. */
export function isAbout(datagram: Uint8Array, client: number, sequence: number): boolean {
  return datagram.length >= SERVICE_HEADER_BYTES && word(datagram, 4) === client && word(datagram, 8) === sequence;
}

/** What a reply says, copied out of the datagram; null when that is no reply. */
export function decodeReply(datagram: Uint8Array): ServiceAnswer | null {
  if (datagram.length < SERVICE_HEADER_BYTES || word(datagram, 0) !== SERVICE_MAGIC) return null;
  const status = STATUSES[datagram[12]!];
  if (status === undefined || datagram[13] !== 0) return null;
  if (datagram.length !== SERVICE_HEADER_BYTES + ((datagram[14]! << 8) | datagram[15]!)) return null;
  return { status, value: Buffer.from(datagram.subarray(SERVICE_HEADER_BYTES)) };
}

/** A request as the echo guest returned it: the payload as it came back, copied. */
export function decodeEcho(datagram: Uint8Array): ServiceAnswer {
  return { status: 'ok', value: Buffer.from(datagram.subarray(SERVICE_HEADER_BYTES)) };
}

/** Without a view: these are read for every datagram. */
function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Encode a reply, as a service does. */
export function encodeReply(reply: ServiceReply): Uint8Array {
  const bytes = Buffer.alloc(SERVICE_HEADER_BYTES + reply.value.length);
  bytes.writeUInt32BE(SERVICE_MAGIC, 0);
  bytes.writeUInt32BE(reply.client, 4);
  bytes.writeUInt32BE(reply.sequence, 8);
  bytes.writeUInt8(STATUSES.indexOf(reply.status), 12);
  bytes.writeUInt16BE(reply.value.length, 14);
  bytes.set(reply.value, SERVICE_HEADER_BYTES);
  return bytes;
}
