/**
 * The server's side of one NBD connection, without its socket.
 *
 *   bytes -> push()   next() -> events: bytes to send, requests to perform, ...
 *   a request performed -> answer() -> bytes to send
 *
 *   greeting -> client flags -> options ... -> GO or EXPORT_NAME -> requests ... -> DISC
 *
 * Invariants: next() looks at nothing beyond the event that it returns, so whoever cannot perform a request now stops
 * asking and holds the client back; a request is handed out only if it is legal for its export (range, read-only);
 * every length is checked before anything is kept for it; a byte that must not come is a DecodeError and ends this
 * connection only.
 * Source: The NBD protocol, doc/proto.md; sections "Handshake", "Transmission", "Option haggling".
 */
import { DecodeError, assert } from '../../emulator/errors.js';
import { ChunkQueue } from '../channel/chunk-queue.js';
import type { Claim, ClaimAnswer } from './claim-option.js';
import { OptionHaggle, type HaggleResult, type ServedExport } from './option-haggle.js';
import {
  Command,
  CommandFlag,
  GREETING_BYTES,
  HandshakeFlag,
  NBD_MAGIC,
  NbdError,
  OPTION_BYTES_MAX,
  OPTION_HEADER_BYTES,
  OPTION_MAGIC,
  PAYLOAD_BYTES_MAX,
  REPLY_FLAG_DONE,
  REQUEST_BYTES,
  REQUEST_MAGIC,
  ReplyType,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_BYTES,
  STRUCTURED_REPLY_MAGIC,
} from './protocol.js';

/** Options that one client may try before it chooses an export. */
const OPTIONS_MAX = 512;

export interface NbdRequest {
  readonly op: 'read' | 'write' | 'flush' | 'trim' | 'write-zeroes';
  /** Index of the export. */
  readonly export: number;
  /** The client's name for the request, any 8 bytes. */
  readonly cookie: Uint8Array;
  readonly offset: number;
  readonly bytes: number;
  /** What is written must be on stable storage before the answer. */
  readonly fua: boolean;
  /** The data of a write; empty otherwise. */
  readonly data: Uint8Array;
}

export type ServerEvent =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /** Send `bytes`, then speak TLS; everything agreed so far is forgotten. */
  | { readonly kind: 'start-tls'; readonly bytes: Uint8Array }
  | { readonly kind: 'request'; readonly request: NbdRequest }
  /** A replica's word about who is live; next() gives nothing until claimed() was called. */
  | { readonly kind: 'claim'; readonly claim: Claim }
  /** The client has chosen an export and is told so. */
  | { readonly kind: 'opened'; readonly bytes: Uint8Array; readonly export: number }
  /** The client goes in order: finish what is pending, send `bytes`, close. */
  | { readonly kind: 'close'; readonly bytes: Uint8Array };

const NOTHING = new Uint8Array(0);

export class NbdServerSession {
  readonly #exports: readonly ServedExport[];
  readonly #queue = new ChunkQueue();
  readonly #haggle: OptionHaggle;
  #state: 'greeting' | 'flags' | 'options' | 'requests' | 'closed' = 'greeting';
  #optionsTried = 0;
  #claiming = false;
  /** A header that was read before its data were there. */
  #option: { readonly option: number; readonly bytes: number } | null = null;
  #request: Buffer | null = null;
  #export = 0;

  /** @param tls whether clients must, or cannot, start TLS before they do anything else */
  constructor(exports: readonly ServedExport[], tls: 'none' | 'required') {
    this.#exports = exports;
    this.#haggle = new OptionHaggle(exports, tls);
  }

  /** Bytes that came and were not looked at. */
  get heldBytes(): number {
    return this.#queue.length;
  }

  /** Whether the client has chosen its export. */
  get opened(): boolean {
    return this.#state === 'requests';
  }

  /** The chunk is kept by reference and must not change afterwards. */
  push(chunk: Uint8Array): void {
    this.#queue.push(chunk);
  }

  /** What to do next; null when more bytes are needed. @throws DecodeError; the connection is useless from there on */
  next(): ServerEvent | null {
    if (this.#claiming) return null;
    switch (this.#state) {
      case 'greeting':
        this.#state = 'flags';
        return { kind: 'send', bytes: greeting() };
      case 'flags':
        return this.#clientFlags();
      case 'options':
        return this.#nextOption();
      case 'requests':
        return this.#nextRequest();
      case 'closed':
        return null;
    }
  }

  /** The reply to a request that was handed out. @param error 0, or one of NbdError @param data of a successful read */
  answer(request: NbdRequest, error: number, data: Uint8Array = NOTHING): Uint8Array[] {
    if (request.op === 'read') {
      assert(data.length === (error === 0 ? request.bytes : 0), 'the answer to a read has the bytes asked for');
      if (this.#haggle.structured) return structuredRead(request.cookie, request.offset, error, data);
    }
    const header = simpleReply(request.cookie, error);
    return data.length > 0 ? [header, data] : [header];
  }

  /** The answer to the claim that was handed out, in bytes to send. */
  claimed(answer: ClaimAnswer): Uint8Array {
    assert(this.#claiming, 'an answer follows a claim');
    this.#claiming = false;
    return this.#haggle.claimed(answer);
  }

  // --- handshake ---

  #clientFlags(): ServerEvent | null {
    if (this.#queue.length < 4) return null;
    const flags = this.#queue.take(4).readUInt32BE(0);
    if ((flags & ~(HandshakeFlag.fixedNewstyle | HandshakeFlag.noZeroes)) !== 0) {
      throw new DecodeError('bad-flags', 0, `client flags 0x${flags.toString(16)}`);
    }
    this.#haggle.noZeroes = (flags & HandshakeFlag.noZeroes) !== 0;
    this.#state = 'options';
    return this.#nextOption();
  }

  #nextOption(): ServerEvent | null {
    this.#option ??= this.#optionHeader();
    const header = this.#option;
    if (header === null || this.#queue.length < header.bytes) return null;
    this.#option = null;
    return this.#after(this.#haggle.option(header.option, this.#queue.take(header.bytes)));
  }

  #optionHeader(): { readonly option: number; readonly bytes: number } | null {
    if (this.#queue.length < OPTION_HEADER_BYTES) return null;
    const header = this.#queue.take(OPTION_HEADER_BYTES);
    if (header.readBigUInt64BE(0) !== OPTION_MAGIC) throw new DecodeError('bad-magic', 0, 'an option’s magic number');
    if (++this.#optionsTried > OPTIONS_MAX) throw new DecodeError('too-many', 0, `more than ${OPTIONS_MAX} options`);
    const bytes = header.readUInt32BE(12);
    if (bytes > OPTION_BYTES_MAX) throw new DecodeError('too-large', 12, `an option of ${bytes} bytes`);
    return { option: header.readUInt32BE(8), bytes };
  }

  #after(result: HaggleResult): ServerEvent {
    if (result.then === 'claim') {
      this.#claiming = true;
      return { kind: 'claim', claim: result.claim };
    }
    const { bytes } = result;
    switch (result.then) {
      case 'more':
        return { kind: 'send', bytes };
      case 'open':
        this.#export = result.export;
        this.#state = 'requests';
        return { kind: 'opened', bytes, export: result.export };
      case 'start-tls':
        // Bytes behind the option would be taken as if they had come encrypted.
        if (this.#queue.length > 0) throw new DecodeError('unexpected', 0, 'plain bytes behind the start of TLS');
        return { kind: 'start-tls', bytes };
      case 'close':
        this.#state = 'closed';
        return { kind: 'close', bytes };
    }
  }

  // --- transmission ---

  #nextRequest(): ServerEvent | null {
    if (this.#request === null) {
      if (this.#queue.length < REQUEST_BYTES) return null;
      this.#request = this.#queue.take(REQUEST_BYTES);
    }
    const header = this.#request;
    if (header.readUInt32BE(0) !== REQUEST_MAGIC) throw new DecodeError('bad-magic', 0, 'a request’s magic number');
    const command = header.readUInt16BE(6);
    const bytes = header.readUInt32BE(24);
    const payload = command === Command.write ? bytes : 0;
    if (payload > PAYLOAD_BYTES_MAX) throw new DecodeError('too-large', 24, `a write of ${payload} bytes`);
    if (this.#queue.length < payload) return null;
    this.#request = null;
    const data = this.#queue.take(payload);
    if (command === Command.disconnect) {
      this.#state = 'closed';
      return { kind: 'close', bytes: NOTHING };
    }
    return this.#checked(header, command, data);
  }

  /** A request for the disk, or the error that its client gets. */
  #checked(header: Buffer, command: number, data: Uint8Array): ServerEvent {
    const flags = header.readUInt16BE(4);
    const cookie = Uint8Array.prototype.slice.call(header, 8, 16);
    const offset = Number(header.readBigUInt64BE(16));
    const bytes = header.readUInt32BE(24);
    const op = OPERATIONS.get(command);
    const served = this.#exports[this.#export]!;
    const error = refusal(op, flags, offset, bytes, served);
    if (error === 0 && op !== undefined) {
      const fua = (flags & CommandFlag.fua) !== 0;
      return { kind: 'request', request: { op, export: this.#export, cookie, offset, bytes, fua, data } };
    }
    const structured = op === 'read' && this.#haggle.structured;
    const reply = structured ? structuredRead(cookie, offset, error, NOTHING) : [simpleReply(cookie, error)];
    return { kind: 'send', bytes: Buffer.concat(reply) };
  }
}

const OPERATIONS: ReadonlyMap<number, NbdRequest['op']> = new Map([
  [Command.read, 'read'],
  [Command.write, 'write'],
  [Command.flush, 'flush'],
  [Command.trim, 'trim'],
  [Command.writeZeroes, 'write-zeroes'],
]);

const FLAGS_OF: Readonly<Record<NbdRequest['op'], number>> = {
  read: CommandFlag.fua | CommandFlag.dontFragment,
  write: CommandFlag.fua,
  flush: CommandFlag.fua,
  trim: CommandFlag.fua,
  'write-zeroes': CommandFlag.fua | CommandFlag.noHole,
};

/** Why a request cannot be performed, as an NBD error; 0: it can. */
function refusal(
  op: NbdRequest['op'] | undefined,
  flags: number,
  offset: number,
  bytes: number,
  served: ServedExport,
): number {
  if (op === undefined || (flags & ~FLAGS_OF[op]) !== 0) return NbdError.invalid;
  if (op === 'flush') return offset === 0 && bytes === 0 ? 0 : NbdError.invalid;
  if (op !== 'read' && served.readonly) return NbdError.perm;
  if (bytes === 0 || (op === 'read' && bytes > PAYLOAD_BYTES_MAX)) return NbdError.invalid;
  if (offset + bytes > served.bytes) return op === 'read' || op === 'trim' ? NbdError.invalid : NbdError.noSpace;
  return 0;
}

function greeting(): Uint8Array {
  const bytes = Buffer.alloc(GREETING_BYTES);
  bytes.writeBigUInt64BE(NBD_MAGIC, 0);
  bytes.writeBigUInt64BE(OPTION_MAGIC, 8);
  bytes.writeUInt16BE(HandshakeFlag.fixedNewstyle | HandshakeFlag.noZeroes, 16);
  return bytes;
}

function simpleReply(cookie: Uint8Array, error: number): Buffer {
  const bytes = Buffer.alloc(SIMPLE_REPLY_BYTES);
  bytes.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  bytes.writeUInt32BE(error, 4);
  bytes.set(cookie, 8);
  return bytes;
}

/** The whole answer in one chunk, so that "do not fragment" is always kept. */
function structuredRead(cookie: Uint8Array, offset: number, error: number, data: Uint8Array): Uint8Array[] {
  const inner = error === 0 ? 8 : 6;
  const bytes = Buffer.alloc(STRUCTURED_REPLY_BYTES + inner);
  bytes.writeUInt32BE(STRUCTURED_REPLY_MAGIC, 0);
  bytes.writeUInt16BE(REPLY_FLAG_DONE, 4);
  bytes.writeUInt16BE(error === 0 ? ReplyType.offsetData : ReplyType.error, 6);
  bytes.set(cookie, 8);
  bytes.writeUInt32BE(inner + data.length, 16);
  if (error === 0) {
    bytes.writeBigUInt64BE(BigInt(offset), 20);
    return [bytes, data];
  }
  bytes.writeUInt32BE(error, 20);
  bytes.writeUInt16BE(0, 24);
  return [bytes];
}
