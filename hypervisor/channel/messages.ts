/**
 * The messages of the logging channel, one per transport frame. The first byte is the type; numbers are
 * little-endian; icounts, offsets and sequence numbers are float64 (safe integers; -1: no entry yet).
 *
 *   joining   backup HELLO -> ; primary <- BLOB..., WELCOME (or REFUSED), rounds of PAGES, ZEROS, ROUND; backup <- STORED;
 *             primary STATE: from this frame on the primary counts as paired
 *   running   primary LOG, HEARTBEAT -> ; backup <- ACK (the first one acknowledges STATE)
 *             under checkpoints PAGES, ZEROS and STATE again and again instead of LOG, which comes last
 *   ending    backup END (its final digest) or DIVERGED; primary BYE (it goes on without this backup)
 *
 * | type | body |
 * |---|---|
 * | 1 hello | JSON Hello |
 * | 2 refused | JSON { reason } |
 * | 3 welcome | u32 length, JSON Welcome, log header |
 * | 4 pages | (u32 page number, 4096 bytes) repeated |
 * | 5 state | u32 pages sent in all, f64 first seq, f64 console offset, u32 length, console bytes, state of machine and settings (state codec) |
 * | 6 log | one log frame |
 * | 7 ack | f64 received seq, f64 executed seq, f64 icount, f64 lag in ms |
 * | 8 heartbeat | f64 released console offset |
 * | 9 diverged | UTF-8 text |
 * | 10 end | JSON End |
 * | 11 bye | UTF-8 reason |
 * | 12 blob | bytes that the machine's configuration names by hash |
 * | 13 zeros | u32 number of a page that has become all zeros, repeated |
 * | 14 round | u32 number of the round that ends here, u32 pages sent in it |
 * | 15 stored | u32 number of the round |
 * | 16 to 20 | copies of disks: copy-messages.ts |
 * | 21, 22 | a connection that broke is replaced: resume-messages.ts |
 * | 23 to 25 | a live replica without its disks hands over: hand-over-messages.ts |
 */
import * as z from 'zod';
import { DecodeError } from '../../emulator/errors.js';
import {
  endSchema,
  helloSchema,
  refusedSchema,
  welcomeSchema,
  type End,
  type Hello,
  type Welcome,
} from './join-schemas.js';
import { decodeHandOverMessage, HAND_OVER_MESSAGES, type HandOverMessage } from './hand-over-messages.js';
import { COPY_MESSAGES, copyBody, decodeCopyMessage, type CopyMessage } from './copy-messages.js';
import { decodeResumeMessage, resumeBody, RESUME_MESSAGES, type ResumeMessage } from './resume-messages.js';

export const CHANNEL_PROTOCOL = 11;
export const PAGE_BYTES = 4096;
const PAGE_RECORD_BYTES = 4 + PAGE_BYTES;
/** Pages sent, first seq, console offset, length of the console bytes. */
const STATE_HEAD_BYTES = 24;
/** Page records in one message. */
export const PAGES_PER_MESSAGE = 128;
/** Numbers of pages in one ZEROS message. */
export const ZEROS_PER_MESSAGE = 65_536;
/** Console bytes in a STATE message. */
export const CONSOLE_TAIL_BYTES_MAX = 4 << 20;

export type { End, Hello, Welcome };

export interface Page {
  readonly page: number;
  readonly bytes: Uint8Array;
}

export type Message =
  | { readonly type: 'hello'; readonly hello: Hello }
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'welcome'; readonly welcome: Welcome; readonly header: Uint8Array }
  | { readonly type: 'pages'; readonly pages: readonly Page[] }
  | {
      readonly type: 'state';
      /** Page and zero records of the whole transfer. */
      readonly pagesSent: number;
      /** Sequence number that the log goes on with. */
      readonly firstSeq: number;
      /** Position of the first byte of `console` in the guest's console stream. */
      readonly consoleOffset: number;
      /** Console bytes written before `firstSeq` that may not have left the live replica yet. */
      readonly console: Uint8Array;
      readonly state: Uint8Array;
    }
  | { readonly type: 'log'; readonly frame: Uint8Array }
  | {
      readonly type: 'ack';
      readonly receivedSeq: number;
      readonly executedSeq: number;
      readonly icount: number;
      readonly lagMs: number;
    }
  | { readonly type: 'heartbeat'; readonly consoleReleased: number }
  | { readonly type: 'diverged'; readonly what: string }
  | { readonly type: 'end'; readonly end: End }
  | { readonly type: 'bye'; readonly reason: string }
  | { readonly type: 'blob'; readonly data: Uint8Array }
  | { readonly type: 'zeros'; readonly pages: readonly number[] }
  | { readonly type: 'round'; readonly round: number; readonly pages: number }
  | { readonly type: 'stored'; readonly round: number }
  | CopyMessage
  | ResumeMessage
  | HandOverMessage;

const TYPES = [
  '',
  'hello',
  'refused',
  'welcome',
  'pages',
  'state',
  'log',
  'ack',
  'heartbeat',
  'diverged',
  'end',
  'bye',
  'blob',
  'zeros',
  'round',
  'stored',
  ...COPY_MESSAGES,
  ...RESUME_MESSAGES,
  ...HAND_OVER_MESSAGES,
] as const;
type TypeName = Exclude<(typeof TYPES)[number], ''>;

/** What makes a frame of the log a message: it is large, and is sent as it is behind this. */
export const LOG_HEAD = Uint8Array.of(TYPES.indexOf('log'));

export function encodeMessage(message: Message): Uint8Array {
  const parts = body(message);
  let bytes = 1;
  for (const part of parts) bytes += part.length;
  const out = Buffer.allocUnsafe(bytes);
  out[0] = TYPES.indexOf(message.type);
  let at = 1;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function body(message: Message): Uint8Array[] {
  switch (message.type) {
    case 'hello':
      return [json(message.hello)];
    case 'refused':
      return [json({ reason: message.reason })];
    case 'welcome': {
      const welcome = json(message.welcome);
      return [u32(welcome.length), welcome, message.header];
    }
    case 'pages':
      return message.pages.flatMap(({ page, bytes }) => [u32(page), bytes]);
    case 'state': {
      const { pagesSent, firstSeq, consoleOffset, console, state } = message;
      return [u32(pagesSent), f64(firstSeq, consoleOffset), u32(console.length), console, state];
    }
    case 'log':
      return [message.frame];
    case 'ack':
      return [f64(message.receivedSeq, message.executedSeq, message.icount, message.lagMs)];
    case 'heartbeat':
      return [f64(message.consoleReleased)];
    case 'diverged':
      return [Buffer.from(message.what)];
    case 'end':
      return [json(message.end)];
    case 'bye':
      return [Buffer.from(message.reason)];
    case 'blob':
      return [message.data];
    case 'zeros':
      return [u32(...message.pages)];
    case 'round':
      return [u32(message.round, message.pages)];
    case 'stored':
      return [u32(message.round)];
    case 'resume':
    case 'resumed':
      return resumeBody(message);
    case 'disk-away':
    case 'disk-there':
    case 'yield':
      return [];
    default:
      return copyBody(message);
  }
}

/** @throws DecodeError when the bytes are not a message of this version */
export function decodeMessage(bytes: Uint8Array): Message {
  const type = TYPES[bytes[0] ?? 0] ?? '';
  if (type === '') throw new DecodeError('bad-type', 0, `channel message of unknown type ${bytes[0] ?? 'none'}`);
  return decodeBody(type, Buffer.from(bytes.buffer, bytes.byteOffset + 1, bytes.length - 1));
}

function decodeBody(type: TypeName, rest: Buffer): Message {
  switch (type) {
    case 'hello':
      return { type, hello: parse(helloSchema, rest) };
    case 'refused':
      return { type, reason: parse(refusedSchema, rest).reason };
    case 'welcome': {
      need(rest, 4);
      const end = 4 + rest.readUInt32LE(0);
      need(rest, end);
      return { type, welcome: parse(welcomeSchema, rest.subarray(4, end)), header: rest.subarray(end) };
    }
    case 'pages':
      return { type, pages: decodePages(rest) };
    case 'state':
      return decodeState(rest);
    case 'log':
      return { type, frame: rest };
    case 'ack': {
      const [receivedSeq, executedSeq, icount, lagMs] = numbers(rest, 4) as [number, number, number, number];
      checkInteger(receivedSeq, 0);
      checkInteger(executedSeq, 1);
      checkInteger(icount, 2);
      return { type, receivedSeq, executedSeq, icount, lagMs };
    }
    case 'heartbeat': {
      const [consoleReleased] = numbers(rest, 1) as [number];
      checkInteger(consoleReleased, 0);
      return { type, consoleReleased };
    }
    case 'diverged':
      return { type, what: rest.toString('utf8', 0, 4096) };
    case 'end':
      return { type, end: parse(endSchema, rest) };
    case 'bye':
      return { type, reason: rest.toString('utf8', 0, 4096) };
    case 'blob':
      return { type, data: rest };
    case 'zeros':
      return { type, pages: decodeZeros(rest) };
    case 'round':
      exactly(rest, 8);
      return { type, round: rest.readUInt32LE(0), pages: rest.readUInt32LE(4) };
    case 'stored':
      exactly(rest, 4);
      return { type, round: rest.readUInt32LE(0) };
    case 'resume':
    case 'resumed':
      return decodeResumeMessage(type, rest, parse);
    case 'disk-away':
    case 'disk-there':
    case 'yield':
      return decodeHandOverMessage(type, rest);
    default:
      return decodeCopyMessage(type, rest);
  }
}

function decodeState(rest: Buffer): Message {
  need(rest, STATE_HEAD_BYTES);
  const [firstSeq, consoleOffset] = numbers(rest.subarray(4, 20), 2) as [number, number];
  for (const value of [firstSeq, consoleOffset]) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new DecodeError('bad-number', 5, `${value} is not where a log or a console goes on`);
    }
  }
  const length = rest.readUInt32LE(20);
  if (length > CONSOLE_TAIL_BYTES_MAX) throw new DecodeError('too-large', 21, `${length} console bytes`);
  const end = STATE_HEAD_BYTES + length;
  need(rest, end);
  const console = rest.subarray(STATE_HEAD_BYTES, end);
  return {
    type: 'state',
    pagesSent: rest.readUInt32LE(0),
    firstSeq,
    consoleOffset,
    console,
    state: rest.subarray(end),
  };
}

function decodeZeros(rest: Buffer): number[] {
  if (rest.length % 4 !== 0 || rest.length > ZEROS_PER_MESSAGE * 4) {
    throw new DecodeError('bad-length', 1, `zero page message of ${rest.length} bytes`);
  }
  return Array.from({ length: rest.length / 4 }, (_, i) => rest.readUInt32LE(i * 4));
}

function decodePages(rest: Buffer): Page[] {
  if (rest.length % PAGE_RECORD_BYTES !== 0 || rest.length > PAGES_PER_MESSAGE * PAGE_RECORD_BYTES) {
    throw new DecodeError('bad-length', 1, `page message of ${rest.length} bytes`);
  }
  const pages: Page[] = [];
  for (let at = 0; at < rest.length; at += PAGE_RECORD_BYTES) {
    pages.push({ page: rest.readUInt32LE(at), bytes: rest.subarray(at + 4, at + PAGE_RECORD_BYTES) });
  }
  return pages;
}

function parse<T>(schema: z.ZodType<T>, bytes: Buffer): T {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new DecodeError('bad-json', 1, `channel message is not JSON: ${String(cause)}`);
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new DecodeError('bad-json', 1, `channel message: ${z.prettifyError(result.error)}`);
  return result.data;
}

function exactly(rest: Buffer, bytes: number): void {
  if (rest.length !== bytes) throw new DecodeError('bad-length', 1, `${rest.length} bytes where ${bytes} belong`);
}

function numbers(rest: Buffer, count: number): number[] {
  exactly(rest, count * 8);
  const values: number[] = [];
  for (let at = 0; at < rest.length; at += 8) {
    const value = rest.readDoubleLE(at);
    if (!Number.isFinite(value)) throw new DecodeError('bad-number', 1 + at, 'not a finite number');
    values.push(value);
  }
  return values;
}

function checkInteger(value: number, index: number): void {
  if (Number.isSafeInteger(value) && value >= -1) return;
  throw new DecodeError('bad-number', 1 + index * 8, `${value} is not a sequence number, an icount or an offset`);
}

function need(rest: Buffer, bytes: number): void {
  if (rest.length < bytes) throw new DecodeError('truncated', 1 + rest.length, 'channel message ends early');
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function u32(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => out.writeUInt32LE(value, i * 4));
  return out;
}

function f64(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => out.writeDoubleLE(value, i * 8));
  return out;
}
