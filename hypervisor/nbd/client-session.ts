/**
 * The client's side of one NBD connection, without its socket.
 *
 *   bytes -> push()   next() -> events: bytes to send, replies, ...
 *   request() -> bytes to send; its reply comes as an event with the same cookie
 *
 *   greeting -> (STARTTLS) -> (our claim) -> (GO) -> requests ... -> DISC
 *
 * Asks for nothing that a server may lack: no structured replies, no block sizes. A server that does not know claims
 * says so, and everything else works.
 *
 * Invariants: a reply belongs to a request that was sent and not answered; every length is checked before anything is kept
 * for it; what no server may send is a DecodeError.
 * Source: The NBD protocol, doc/proto.md; sections "Handshake", "Option types", "Transmission".
 */
import { DecodeError, assert } from '../../emulator/errors.js';
import { ChunkQueue } from '../channel/chunk-queue.js';
import {
  CLAIM_OPTION,
  CLAIM_REPLY,
  decodeClaimAnswer,
  encodeClaim,
  type Claim,
  type ClaimAnswer,
} from './claim-option.js';
import {
  Command,
  GREETING_BYTES,
  HandshakeFlag,
  Info,
  NBD_MAGIC,
  Option,
  OPTION_BYTES_MAX,
  OPTION_HEADER_BYTES,
  OPTION_MAGIC,
  OPTION_REPLY_HEADER_BYTES,
  OPTION_REPLY_MAGIC,
  OptionReply,
  PAYLOAD_BYTES_MAX,
  REQUEST_BYTES,
  REQUEST_MAGIC,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
} from './protocol.js';

export interface ClientGoal {
  /** Null: claim only. */
  readonly export: string | null;
  readonly claim: Claim | null;
  readonly tls: boolean;
}

export type ClientEvent =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /** Speak TLS, then call secured(). */
  | { readonly kind: 'start-tls' }
  | { readonly kind: 'claimed'; readonly answer: ClaimAnswer | 'unsupported' }
  | { readonly kind: 'opened'; readonly bytes: number; readonly flags: number }
  /** The server will not have us. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'reply'; readonly cookie: number; readonly error: number; readonly data: Uint8Array };

const NOTHING = Buffer.alloc(0);
const ERROR_BIT = 0x80000000;

export class NbdClientSession {
  readonly #goal: ClientGoal;
  readonly #queue = new ChunkQueue();
  readonly #events: ClientEvent[] = [];
  /** Bytes of data that each request that waits for its reply brings. */
  readonly #waiting = new Map<number, number>();
  /** The option whose replies come. */
  #asked: 'tls' | 'claim' | 'go' | null = null;
  #state: 'greeting' | 'options' | 'requests' | 'over' = 'greeting';
  #option: { readonly type: number; readonly bytes: number } | null = null;
  #reply: { readonly cookie: number; readonly error: number; readonly bytes: number } | null = null;
  #claimAnswer: ClaimAnswer | null = null;
  #info: { readonly bytes: number; readonly flags: number } | null = null;

  constructor(goal: ClientGoal) {
    this.#goal = goal;
  }

  /** The chunk is kept by reference and must not change afterwards. */
  push(chunk: Uint8Array): void {
    this.#queue.push(chunk);
  }

  /** What to do next; null when more bytes are needed. @throws DecodeError; the connection is useless from there on */
  next(): ClientEvent | null {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (!this.#advance()) return null;
    }
  }

  /** TLS is spoken now. */
  secured(): void {
    this.#ask('claim');
  }

  /** @param bytes to read or write; 0 for a flush @returns what to send */
  request(op: 'read' | 'write' | 'flush', cookie: number, offset: number, bytes: number): Uint8Array {
    assert(this.#state === 'requests' && !this.#waiting.has(cookie), 'a request has its own cookie, on an open export');
    assert(bytes <= PAYLOAD_BYTES_MAX, 'a request is no longer than every server takes');
    this.#waiting.set(cookie, op === 'read' ? bytes : 0);
    return requestHeader(Command[op], cookie, offset, bytes);
  }

  /** The word that ends the connection in order. */
  disconnect(): Uint8Array {
    return this.#state === 'requests'
      ? requestHeader(Command.disconnect, 0, 0, 0)
      : optionHeader(Option.abort, NOTHING);
  }

  /** Take one message off the queue; false: it is not whole. */
  #advance(): boolean {
    switch (this.#state) {
      case 'greeting':
        return this.#greeting();
      case 'options':
        return this.#optionReply();
      case 'requests':
        return this.#requestReply();
      case 'over':
        return false;
    }
  }

  #greeting(): boolean {
    if (this.#queue.length < GREETING_BYTES) return false;
    const bytes = this.#queue.take(GREETING_BYTES);
    const newstyle = bytes.readBigUInt64BE(0) === NBD_MAGIC && bytes.readBigUInt64BE(8) === OPTION_MAGIC;
    const flags = bytes.readUInt16BE(16);
    if (!newstyle || (flags & HandshakeFlag.fixedNewstyle) === 0) {
      throw new DecodeError('bad-greeting', 0, 'this is no NBD server that speaks fixed newstyle');
    }
    const answer = Buffer.alloc(4);
    answer.writeUInt32BE(flags & (HandshakeFlag.fixedNewstyle | HandshakeFlag.noZeroes), 0);
    this.#events.push({ kind: 'send', bytes: answer });
    this.#state = 'options';
    this.#ask(this.#goal.tls ? 'tls' : 'claim');
    return true;
  }

  /** Ask for what comes next, from `what` on. */
  #ask(what: 'tls' | 'claim' | 'go'): void {
    const { claim, export: name } = this.#goal;
    if (what === 'claim' && claim === null) {
      this.#ask('go');
      return;
    }
    if (what === 'go' && name === null) return;
    this.#asked = what;
    let bytes: Uint8Array;
    if (what === 'tls') bytes = optionHeader(Option.startTls, NOTHING);
    else if (what === 'claim') bytes = optionHeader(CLAIM_OPTION, encodeClaim(claim!));
    else {
      const text = Buffer.from(name!);
      const data = Buffer.alloc(6 + text.length);
      data.writeUInt32BE(text.length, 0);
      data.set(text, 4);
      bytes = optionHeader(Option.go, data);
    }
    this.#events.push({ kind: 'send', bytes });
  }

  #optionReply(): boolean {
    if (this.#option === null) {
      if (this.#queue.length < OPTION_REPLY_HEADER_BYTES) return false;
      this.#option = this.#optionHeader(this.#queue.take(OPTION_REPLY_HEADER_BYTES));
    }
    const { type, bytes } = this.#option;
    if (this.#queue.length < bytes) return false;
    this.#option = null;
    this.#take(type, this.#queue.take(bytes));
    return true;
  }

  #optionHeader(header: Buffer): { readonly type: number; readonly bytes: number } {
    const option = { tls: Option.startTls, claim: CLAIM_OPTION, go: Option.go }[this.#asked ?? 'go'];
    const expected = this.#asked !== null && header.readUInt32BE(8) === option;
    if (header.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC || !expected) {
      throw new DecodeError('unexpected', 0, 'a reply to an option that was not asked');
    }
    const bytes = header.readUInt32BE(16);
    if (bytes > OPTION_BYTES_MAX) throw new DecodeError('too-large', 16, `a reply of ${bytes} bytes to an option`);
    return { type: header.readUInt32BE(12), bytes };
  }

  #take(type: number, data: Buffer): void {
    const asked = this.#asked;
    if (type >= ERROR_BIT) this.#refused(type, data);
    else if (type === OptionReply.ack) this.#acknowledged();
    else if (asked === 'claim' && type === CLAIM_REPLY) this.#claimAnswer = decodeClaimAnswer(data);
    else if (asked === 'go' && type === OptionReply.info) {
      if (data.length === 12 && data.readUInt16BE(0) === Info.export) {
        this.#info = { bytes: Number(data.readBigUInt64BE(2)), flags: data.readUInt16BE(10) };
      }
    } else throw new DecodeError('unexpected', 0, `a reply of type ${type} to an option`);
  }

  #acknowledged(): void {
    switch (this.#asked) {
      case 'tls':
        if (this.#queue.length > 0) throw new DecodeError('unexpected', 0, 'plain bytes behind the start of TLS');
        this.#events.push({ kind: 'start-tls' });
        break;
      case 'claim':
        if (this.#claimAnswer === null) throw new DecodeError('unexpected', 0, 'a claim without an answer');
        this.#events.push({ kind: 'claimed', answer: this.#claimAnswer });
        this.#asked = null;
        this.#ask('go');
        return;
      case 'go':
        if (this.#info === null) throw new DecodeError('unexpected', 0, 'an export without its size');
        this.#state = 'requests';
        this.#events.push({ kind: 'opened', ...this.#info });
        break;
      case null:
    }
    this.#asked = null;
  }

  #refused(type: number, data: Buffer): void {
    if (this.#asked === 'claim' && type === OptionReply.unsupported) {
      this.#events.push({ kind: 'claimed', answer: 'unsupported' });
      this.#asked = null;
      this.#ask('go');
      return;
    }
    this.#state = 'over';
    const why = REASONS.get(type) ?? `error ${type - ERROR_BIT}`;
    const text = data
      .toString('utf8')
      .replace(/[^\x20-\x7e]/g, '?')
      .slice(0, 200);
    this.#events.push({ kind: 'refused', reason: text === '' ? why : `${why} (${text})` });
  }

  #requestReply(): boolean {
    if (this.#reply === null) {
      if (this.#queue.length < SIMPLE_REPLY_BYTES) return false;
      const header = this.#queue.take(SIMPLE_REPLY_BYTES);
      const [error, cookie] = [header.readUInt32BE(4), Number(header.readBigUInt64BE(8))];
      const bytes = this.#waiting.get(cookie);
      if (header.readUInt32BE(0) !== SIMPLE_REPLY_MAGIC || bytes === undefined) {
        throw new DecodeError('unexpected', 0, 'a reply to no request');
      }
      this.#waiting.delete(cookie);
      this.#reply = { cookie, error, bytes: error === 0 ? bytes : 0 };
    }
    const { cookie, error, bytes } = this.#reply;
    if (this.#queue.length < bytes) return false;
    this.#reply = null;
    this.#events.push({ kind: 'reply', cookie, error, data: this.#queue.take(bytes) });
    return true;
  }
}

const REASONS: ReadonlyMap<number, string> = new Map([
  [OptionReply.unsupported, 'not supported'],
  [OptionReply.policy, 'not allowed'],
  [OptionReply.invalid, 'not understood'],
  [OptionReply.tlsRequired, 'TLS is required: nbds:// and --key'],
  [OptionReply.unknown, 'no such export'],
]);

function optionHeader(option: number, data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(OPTION_HEADER_BYTES + data.length);
  bytes.writeBigUInt64BE(OPTION_MAGIC, 0);
  bytes.writeUInt32BE(option, 8);
  bytes.writeUInt32BE(data.length, 12);
  bytes.set(data, OPTION_HEADER_BYTES);
  return bytes;
}

function requestHeader(command: number, cookie: number, offset: number, length: number): Uint8Array {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt32BE(REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(command, 6);
  bytes.writeBigUInt64BE(BigInt(cookie), 8);
  bytes.writeBigUInt64BE(BigInt(offset), 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}
