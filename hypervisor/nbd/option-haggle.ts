/**
 * The server's answers to a client's options, before the client has chosen an export.
 *
 * Invariants: every option gets at least one reply, an unknown one "unsupported", so that clients newer than this server
 * go on; an option that promises nothing changes nothing; where TLS is required nothing is told before it.
 * Source: The NBD protocol, doc/proto.md; sections "Option types", "Option reply types", "Block size constraints".
 */
import { DecodeError } from '../../emulator/errors.js';
import {
  CLAIM_OPTION,
  CLAIM_REPLY,
  decodeClaim,
  encodeClaimAnswer,
  type Claim,
  type ClaimAnswer,
} from './claim-option.js';
import {
  ExportFlag,
  Info,
  Option,
  OPTION_REPLY_HEADER_BYTES,
  OPTION_REPLY_MAGIC,
  OptionReply,
  PAYLOAD_BYTES_MAX,
  RESERVED_ZEROES,
} from './protocol.js';

/** An export as clients see it. The first one is also the default, with the empty name. */
export interface ServedExport {
  readonly name: string;
  readonly bytes: number;
  readonly readonly: boolean;
}

/** `bytes` go to the client; then the next option comes, or something else happens. */
export type HaggleResult =
  | { readonly then: 'more' | 'start-tls' | 'close'; readonly bytes: Uint8Array }
  | { readonly then: 'open'; readonly bytes: Uint8Array; readonly export: number }
  /** Ask who decides, then give the answer to claimed(). */
  | { readonly then: 'claim'; readonly claim: Claim };

const NOTHING = new Uint8Array(0);
const PREFERRED_BLOCK_BYTES = 4096;

export class OptionHaggle {
  /** Agreed: the answer to EXPORT_NAME has no padding. */
  noZeroes = false;
  readonly #exports: readonly ServedExport[];
  #tls: 'none' | 'required' | 'started';
  #structured = false;

  constructor(exports: readonly ServedExport[], tls: 'none' | 'required') {
    this.#exports = exports;
    this.#tls = tls;
  }

  /** Agreed: reads are answered by structured replies. */
  get structured(): boolean {
    return this.#structured;
  }

  option(option: number, data: Buffer): HaggleResult {
    if (option === Option.abort) return { then: 'close', bytes: reply(option, OptionReply.ack) };
    if (option === Option.startTls) return this.#startTls(data);
    if (option === Option.exportName) return this.#exportName(data);
    if (this.#tls === 'required') return error(option, OptionReply.tlsRequired, 'start TLS first');
    switch (option) {
      case Option.list:
        return data.length > 0 ? invalid(option) : more([...this.#exports.map(listed), reply(option, OptionReply.ack)]);
      case Option.structuredReply:
        if (data.length > 0) return invalid(option);
        this.#structured = true;
        return more([reply(option, OptionReply.ack)]);
      case Option.info:
      case Option.go:
        return this.#info(option, data);
      case CLAIM_OPTION:
        return claimOf(data);
      default:
        return error(option, OptionReply.unsupported, 'no such option here');
    }
  }

  /** The replies to a claim. */
  claimed(answer: ClaimAnswer): Uint8Array {
    return Buffer.concat([
      reply(CLAIM_OPTION, CLAIM_REPLY, encodeClaimAnswer(answer)),
      reply(CLAIM_OPTION, OptionReply.ack),
    ]);
  }

  #startTls(data: Buffer): HaggleResult {
    const option = Option.startTls;
    if (this.#tls === 'none') return error(option, OptionReply.policy, 'this server has no key');
    if (this.#tls === 'started' || data.length > 0) return invalid(option);
    this.#tls = 'started';
    this.#structured = false;
    return { then: 'start-tls', bytes: reply(option, OptionReply.ack) };
  }

  /** The only option whose failure can be told in no other way than by closing. */
  #exportName(data: Buffer): HaggleResult {
    const index = this.#find(data.toString('utf8'));
    const served = this.#exports[index];
    if (served === undefined || this.#tls === 'required') return { then: 'close', bytes: NOTHING };
    const bytes = Buffer.alloc(10 + (this.noZeroes ? 0 : RESERVED_ZEROES));
    bytes.writeBigUInt64BE(BigInt(served.bytes), 0);
    bytes.writeUInt16BE(this.#flags(served), 8);
    return { then: 'open', bytes, export: index };
  }

  #info(option: number, data: Buffer): HaggleResult {
    const nameBytes = data.length < 6 ? Infinity : data.readUInt32BE(0);
    if (data.length < nameBytes + 6) return invalid(option);
    const count = data.readUInt16BE(4 + nameBytes);
    if (data.length !== 6 + nameBytes + 2 * count) return invalid(option);
    const name = data.toString('utf8', 4, 4 + nameBytes);
    const index = this.#find(name);
    const served = this.#exports[index];
    if (served === undefined) return error(option, OptionReply.unknown, 'no such export');
    const wanted = new Set(Array.from({ length: count }, (_, i) => data.readUInt16BE(6 + nameBytes + 2 * i)));
    const replies = [exportInfo(option, served.bytes, this.#flags(served))];
    if (wanted.has(Info.name)) replies.push(textInfo(option, Info.name, served.name));
    if (wanted.has(Info.blockSize)) replies.push(blockSizes(option));
    replies.push(reply(option, OptionReply.ack));
    const bytes = Buffer.concat(replies);
    return option === Option.go ? { then: 'open', bytes, export: index } : { then: 'more', bytes };
  }

  #find(name: string): number {
    return name === '' ? 0 : this.#exports.findIndex((served) => served.name === name);
  }

  #flags(served: ServedExport): number {
    const writable = ExportFlag.sendFua | ExportFlag.sendTrim | ExportFlag.sendWriteZeroes;
    return (
      ExportFlag.hasFlags |
      ExportFlag.sendFlush |
      ExportFlag.canMultiConn |
      (served.readonly ? ExportFlag.readOnly : writable) |
      (this.#structured ? ExportFlag.sendDontFragment : 0)
    );
  }
}

function claimOf(data: Buffer): HaggleResult {
  try {
    return { then: 'claim', claim: decodeClaim(data) };
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    return invalid(CLAIM_OPTION);
  }
}

function more(replies: readonly Uint8Array[]): HaggleResult {
  return { then: 'more', bytes: Buffer.concat(replies) };
}

function error(option: number, type: number, text: string): HaggleResult {
  return more([reply(option, type, Buffer.from(text))]);
}

function invalid(option: number): HaggleResult {
  return error(option, OptionReply.invalid, 'malformed option');
}

function reply(option: number, type: number, data: Uint8Array = NOTHING): Buffer {
  const bytes = Buffer.alloc(OPTION_REPLY_HEADER_BYTES + data.length);
  bytes.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  bytes.writeUInt32BE(option, 8);
  bytes.writeUInt32BE(type, 12);
  bytes.writeUInt32BE(data.length, 16);
  bytes.set(data, OPTION_REPLY_HEADER_BYTES);
  return bytes;
}

function listed(served: ServedExport): Buffer {
  const name = Buffer.from(served.name);
  const data = Buffer.alloc(4 + name.length);
  data.writeUInt32BE(name.length, 0);
  data.set(name, 4);
  return reply(Option.list, OptionReply.server, data);
}

function exportInfo(option: number, size: number, flags: number): Buffer {
  const data = Buffer.alloc(12);
  data.writeUInt16BE(Info.export, 0);
  data.writeBigUInt64BE(BigInt(size), 2);
  data.writeUInt16BE(flags, 10);
  return reply(option, OptionReply.info, data);
}

function textInfo(option: number, info: number, text: string): Buffer {
  const data = Buffer.from(`\0\0${text}`);
  data.writeUInt16BE(info, 0);
  return reply(option, OptionReply.info, data);
}

function blockSizes(option: number): Buffer {
  const data = Buffer.alloc(14);
  data.writeUInt16BE(Info.blockSize, 0);
  data.writeUInt32BE(1, 2);
  data.writeUInt32BE(PREFERRED_BLOCK_BYTES, 6);
  data.writeUInt32BE(PAYLOAD_BYTES_MAX, 10);
  return reply(option, OptionReply.info, data);
}
