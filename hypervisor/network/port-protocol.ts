/**
 * What a port and the switch say to each other, one message per transport frame. First byte: the type.
 * Integers are as in log/bytes.ts (little-endian, varints, counted strings).
 *
 *   port HELLO -> switch WELCOME (or REFUSED and the connection closes); then, at any time:
 *   PACKET both ways, ANNOUNCE port -> switch, PING -> PONG both ways, COUNT -> COUNTERS
 *
 * | type | body |
 * |---|---|
 * | 1 hello | u8 version, u8 role, u8 nic, string pair name, string replica id, varint epoch |
 * | 2 welcome | u8 version |
 * | 3 refused | string reason |
 * | 4 packet | u8 nic, Ethernet frame of 14 to 1518 bytes |
 * | 5 announce | varint epoch, 6 bytes MAC |
 * | 6 ping | u32 token |
 * | 7 pong | u32 token |
 * | 8 count | - |
 * | 9 counters | varint received, sent, dropped, stale |
 *
 * Invariants: a message has one encoding and nothing follows it; one connection is one cable: its packets
 * carry the nic of its hello.
 */
import { DecodeError, assert } from '../../emulator/errors.js';
import { ByteReader, ByteWriter } from '../log/bytes.js';
import { ETHERNET_FRAME_BYTES_MAX, ETHERNET_HEADER_BYTES, MAC_BYTES, isGroup } from './ethernet.js';

export const PORT_PROTOCOL = 1;
const NAME_BYTES_MAX = 128;
const REASON_BYTES_MAX = 1024;
const ROLES = ['replica', 'host', 'collector'] as const;

/**
 * replica     a machine's NIC: transmits only while its epoch is the newest of its pair
 * host        any other station
 * collector   asks for counters; sends and gets no packets
 */
export type PortRole = (typeof ROLES)[number];

export interface PortHello {
  readonly version: number;
  readonly role: PortRole;
  /** Number of the NIC in its machine. */
  readonly nic: number;
  /** Name of the pair of replicas; any name for other roles. */
  readonly pair: string;
  readonly replicaId: string;
  readonly epoch: number;
}

/** Counters of one port, seen from the switch. */
export interface PortCounters {
  /** Frames taken from the port, including those dropped as stale. */
  readonly received: number;
  /** Frames handed to the port. */
  readonly sent: number;
  /** Frames for the port that found its queue full. */
  readonly dropped: number;
  /** Frames from the port refused because its epoch is not the newest. */
  readonly stale: number;
}

export type PortMessage =
  | { readonly type: 'hello'; readonly hello: PortHello }
  | { readonly type: 'welcome'; readonly version: number }
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'packet'; readonly nic: number; readonly frame: Uint8Array }
  | { readonly type: 'announce'; readonly epoch: number; readonly mac: Uint8Array }
  | { readonly type: 'ping'; readonly token: number }
  | { readonly type: 'pong'; readonly token: number }
  | { readonly type: 'count' }
  | { readonly type: 'counters'; readonly counters: PortCounters };

const TYPES = [
  null,
  'hello',
  'welcome',
  'refused',
  'packet',
  'announce',
  'ping',
  'pong',
  'count',
  'counters',
] as const satisfies readonly (PortMessage['type'] | null)[];

const PACKET = TYPES.indexOf('packet');
const PACKET_HEAD_BYTES = 2;

/** Encode a message into bytes that the caller owns. */
export function encodePortMessage(message: PortMessage): Uint8Array {
  if (message.type === 'packet') return encodePacket(message.nic, message.frame);
  const writer = new ByteWriter(64);
  writer.u8(TYPES.indexOf(message.type));
  switch (message.type) {
    case 'hello':
      writer.u8(message.hello.version);
      writer.u8(ROLES.indexOf(message.hello.role));
      writer.u8(message.hello.nic);
      writer.string(message.hello.pair);
      writer.string(message.hello.replicaId);
      writer.varint(message.hello.epoch);
      break;
    case 'welcome':
      writer.u8(message.version);
      break;
    case 'refused':
      writer.string(message.reason);
      break;
    case 'announce':
      writer.varint(message.epoch);
      writer.bytes(message.mac);
      break;
    case 'ping':
    case 'pong':
      writer.u32(message.token);
      break;
    case 'count':
      break;
    case 'counters':
      writer.varint(message.counters.received);
      writer.varint(message.counters.sent);
      writer.varint(message.counters.dropped);
      writer.varint(message.counters.stale);
      break;
  }
  return writer.copy();
}

/** What stands in front of the Ethernet frame in a packet; the frame has 14 to 1518 bytes. */
export function packetHead(nic: number): Uint8Array {
  return Uint8Array.of(PACKET, nic);
}

function encodePacket(nic: number, frame: Uint8Array): Uint8Array {
  assert(isFrameLength(frame.length), 'an Ethernet frame has 14 to 1518 bytes');
  return Uint8Array.of(...packetHead(nic), ...frame);
}

/** Whether a frame of that many bytes can go through the switch. */
export function isFrameLength(bytes: number): boolean {
  return bytes >= ETHERNET_HEADER_BYTES && bytes <= ETHERNET_FRAME_BYTES_MAX;
}

/**
 * Decode one message; a packet's frame is a view of `bytes`.
 * A hello of another version is refused by its number (code `bad-version`) before anything else is read.
 * @throws DecodeError when the bytes are not exactly one message
 */
export function decodePortMessage(bytes: Uint8Array): PortMessage {
  // Nearly all messages: a packet of a right length.
  if (bytes[0] === PACKET && isFrameLength(bytes.length - PACKET_HEAD_BYTES)) {
    return { type: 'packet', nic: bytes[1]!, frame: bytes.subarray(PACKET_HEAD_BYTES) };
  }
  const reader = new ByteReader(bytes);
  const code = reader.u8();
  const type = TYPES[code] ?? null;
  if (type === null) throw new DecodeError('bad-type', 0, `port message of unknown type ${code}`);
  if (type === 'packet') {
    reader.u8();
    return reader.fail('bad-length', `an Ethernet frame of ${reader.remaining} bytes`);
  }
  const message = decodeBody(type, reader);
  reader.end();
  return message;
}

function decodeBody(type: Exclude<PortMessage['type'], 'packet'>, reader: ByteReader): PortMessage {
  switch (type) {
    case 'hello':
      return { type, hello: decodeHello(reader) };
    case 'welcome':
      return { type, version: reader.u8() };
    case 'refused':
      return { type, reason: reader.string(REASON_BYTES_MAX, 'a reason') };
    case 'announce': {
      const epoch = reader.varint();
      const mac = reader.view(MAC_BYTES);
      if (isGroup(mac)) reader.fail('bad-mac', 'a multicast address cannot be announced');
      return { type, epoch, mac };
    }
    case 'ping':
    case 'pong':
      return { type, token: reader.u32() };
    case 'count':
      return { type };
    case 'counters':
      return {
        type,
        counters: {
          received: reader.varint(),
          sent: reader.varint(),
          dropped: reader.varint(),
          stale: reader.varint(),
        },
      };
  }
}

function decodeHello(reader: ByteReader): PortHello {
  const version = reader.u8();
  if (version !== PORT_PROTOCOL) {
    reader.fail('bad-version', `port protocol ${version} where this switch speaks ${PORT_PROTOCOL}`);
  }
  const code = reader.u8();
  const role = ROLES[code];
  if (role === undefined) reader.fail('bad-role', `unknown port role ${code}`);
  return {
    version,
    role,
    nic: reader.u8(),
    pair: reader.string(NAME_BYTES_MAX, 'a pair name'),
    replicaId: reader.string(NAME_BYTES_MAX, 'a replica id'),
    epoch: reader.varint(),
  };
}
