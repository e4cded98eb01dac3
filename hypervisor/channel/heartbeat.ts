/**
 * The heartbeat datagram: what two replicas tell each other over UDP, beside the logging channel.
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 4 | magic "FTHB" |
 * | 4 | 1 | version, 1 |
 * | 5 | 1 | sender: 0 the live replica, 1 the backup |
 * | 6 | 2 | 0 |
 * | 8 | 8 | session, as WELCOME names it |
 * | 16 | 8 | epoch in which the two were paired |
 * | 24 | 8 | counter: 1 for the sender's first datagram, then one more each |
 * | 32 | 16 | first half of HMAC-SHA256 over bytes 0 to 31, with the secret of WELCOME |
 *
 * Numbers are little-endian. The secret is made for one join and travels over the channel, so a datagram of another
 * pair, another join or an older epoch has another MAC, and whoever can read the channel only has the key file.
 * Invariant: bytes that were not encoded with the same secret are refused; the session is compared first, so strangers
 * do not make us compute MACs.
 * Source: RFC 2104 (HMAC, section 5: truncated output).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { assert, DecodeError } from '../../emulator/errors.js';

const MAGIC = 'FTHB';
const VERSION = 1;
const SESSION_AT = 8;
const EPOCH_AT = 16;
const COUNTER_AT = 24;
const MAC_AT = 32;
export const HEARTBEAT_BYTES = 48;
export const SESSION_BYTES = 8;
export const SECRET_BYTES = 32;

export const HEARTBEAT_SENDERS = ['live', 'backup'] as const;
export type HeartbeatSender = (typeof HEARTBEAT_SENDERS)[number];

/** What tells the heartbeats of one join from all others. */
export interface HeartbeatKeys {
  /** 8 bytes, no secret. */
  readonly session: Uint8Array;
  /** 32 bytes that only the two replicas know. */
  readonly secret: Uint8Array;
}

export interface Heartbeat {
  readonly sender: HeartbeatSender;
  readonly epoch: number;
  /** At least 1. */
  readonly counter: number;
}

export function encodeHeartbeat({ sender, epoch, counter }: Heartbeat, keys: HeartbeatKeys): Uint8Array {
  assert(
    keys.session.length === SESSION_BYTES && keys.secret.length === SECRET_BYTES,
    'heartbeat keys have their length',
  );
  const bytes = Buffer.alloc(HEARTBEAT_BYTES);
  bytes.write(MAGIC, 'latin1');
  bytes[4] = VERSION;
  bytes[5] = HEARTBEAT_SENDERS.indexOf(sender);
  bytes.set(keys.session, SESSION_AT);
  bytes.writeBigUInt64LE(BigInt(epoch), EPOCH_AT);
  bytes.writeBigUInt64LE(BigInt(counter), COUNTER_AT);
  mac(bytes, keys.secret).copy(bytes, MAC_AT);
  return bytes;
}

/** @throws DecodeError: `not-ours` when it is a heartbeat of somebody else, any other code when it is none */
export function decodeHeartbeat(bytes: Uint8Array, keys: HeartbeatKeys): Heartbeat {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (buffer.length !== HEARTBEAT_BYTES)
    throw new DecodeError('bad-length', 0, `a heartbeat of ${buffer.length} bytes`);
  if (buffer.toString('latin1', 0, 4) !== MAGIC) throw new DecodeError('bad-magic', 0, 'no heartbeat');
  if (buffer[4] !== VERSION) throw new DecodeError('bad-version', 4, `heartbeat of version ${buffer[4]!}`);
  const sender = HEARTBEAT_SENDERS[buffer[5]!];
  if (sender === undefined) throw new DecodeError('bad-sender', 5, `heartbeat of sender ${buffer[5]!}`);
  if (buffer.readUInt16LE(6) !== 0) throw new DecodeError('bad-padding', 6, 'bytes that must be 0');
  if (!buffer.subarray(SESSION_AT, EPOCH_AT).equals(keys.session)) {
    throw new DecodeError('not-ours', SESSION_AT, 'a heartbeat of another session');
  }
  if (!timingSafeEqual(mac(buffer, keys.secret), buffer.subarray(MAC_AT))) {
    throw new DecodeError('not-ours', MAC_AT, 'a heartbeat with another secret');
  }
  return { sender, epoch: number(buffer, EPOCH_AT, 0), counter: number(buffer, COUNTER_AT, 1) };
}

function number(buffer: Buffer, at: number, least: number): number {
  const value = Number(buffer.readBigUInt64LE(at));
  if (!Number.isSafeInteger(value) || value < least) throw new DecodeError('bad-number', at, `${value} in a heartbeat`);
  return value;
}

function mac(bytes: Buffer, secret: Uint8Array): Buffer {
  return createHmac('sha256', secret)
    .update(bytes.subarray(0, MAC_AT))
    .digest()
    .subarray(0, HEARTBEAT_BYTES - MAC_AT);
}
