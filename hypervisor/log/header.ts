/**
 * The header in front of a log: what a replica must be to replay it.
 *
 *   offset  size
 *   0       8     magic "FT86LOG\0"
 *   8       4     version (little-endian)
 *   12      4     bytes of JSON, at most 64 KiB
 *   16      4     CRC-32 of bytes 0 to 15 followed by the JSON
 *   20      -     JSON, UTF-8: the fields of LogHeader
 *
 * Invariants: the version is looked at before anything that it governs; a header of another version is
 * refused with both numbers, a header of another machine with the field's name and both values.
 */
import { crc32 } from 'node:zlib';
import * as z from 'zod';
import { ConfigError, DecodeError, assert } from '../../emulator/errors.js';
import { ByteReader } from './bytes.js';

const LOG_VERSION = 2;
/** Bytes before the JSON. */
export const HEADER_PREFIX_BYTES = 20;
export const HEADER_JSON_BYTES_MAX = 64 << 10;
export const LOG_MAGIC: Uint8Array = Buffer.from('FT86LOG\0', 'latin1');
const CRC_OFFSET = 16;
const TEXT_CHARACTERS_MAX = 4096;
const DEPTH_MAX = 16;

/** Plain JSON, as machine configurations are made of. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };

const text = z.string().max(TEXT_CHARACTERS_MAX);
const count = z.int().min(0);
const headerSchema = z.strictObject({
  /** Version of ft86 itself: device models belong to it. */
  ft86Version: text,
  /** Name of the CPU engine, e.g. `unicorn`. */
  engine: text,
  engineVersion: text,
  /** Architecture of the host: translated floating point and hints may differ. */
  arch: text,
  /** The name or path the image was given by; not compared. */
  image: text,
  imageSha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Everything the guest can see of its machine: memory, devices, clock, command line, ... */
  machine: z.record(z.string().max(TEXT_CHARACTERS_MAX), z.json()),
  /** seq of the first entry; not compared. */
  firstSeq: count,
  /** icount at which the log begins; not compared. */
  firstIcount: count,
});

export type LogHeader = Readonly<z.infer<typeof headerSchema>>;

/** One thing in which two headers differ; null stands for an absent value. */
export interface HeaderDifference {
  /** e.g. `engineVersion`, `machine.memoryBytes` */
  readonly field: string;
  readonly a: JsonValue;
  readonly b: JsonValue;
}

/** @throws InvariantError when a field breaks its limit */
export function encodeHeader(header: LogHeader): Uint8Array {
  assert(headerSchema.safeParse(header).success, 'a log header has the fields of its format');
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  assert(json.length <= HEADER_JSON_BYTES_MAX, 'a log header is within its limit');
  const bytes = Buffer.alloc(HEADER_PREFIX_BYTES + json.length);
  bytes.set(LOG_MAGIC);
  bytes.writeUInt32LE(LOG_VERSION, 8);
  bytes.writeUInt32LE(json.length, 12);
  bytes.set(json, HEADER_PREFIX_BYTES);
  bytes.writeUInt32LE(crc32(json, crc32(bytes.subarray(0, CRC_OFFSET))), CRC_OFFSET);
  return new Uint8Array(bytes);
}

/**
 * Return how many bytes the header that starts with `prefix` has in all, and check magic and version.
 * @throws DecodeError when these are not a log's, or fewer than {@link HEADER_PREFIX_BYTES} are given
 */
export function headerBytes(prefix: Uint8Array): number {
  if (Buffer.compare(LOG_MAGIC, prefix.subarray(0, LOG_MAGIC.length)) !== 0)
    throw new DecodeError('bad-magic', 0, 'not an ft86 log');
  const reader = new ByteReader(prefix, LOG_MAGIC.length);
  const version = reader.u32();
  if (version !== LOG_VERSION) {
    throw new DecodeError('bad-version', 8, `log format version ${version}; this ft86 reads version ${LOG_VERSION}`);
  }
  return HEADER_PREFIX_BYTES + reader.limited32(HEADER_JSON_BYTES_MAX, 'a log header length');
}

/** Decode exactly one header. @throws DecodeError on anything that is not one */
export function decodeHeader(bytes: Uint8Array): LogHeader {
  const length = headerBytes(bytes);
  const reader = new ByteReader(bytes, CRC_OFFSET);
  const crc = reader.u32();
  const json = reader.view(length - HEADER_PREFIX_BYTES);
  reader.end();
  if (crc32(json, crc32(bytes.subarray(0, CRC_OFFSET))) !== crc) {
    throw new DecodeError('bad-crc', CRC_OFFSET, 'the CRC of the log header does not match');
  }
  const parsed = headerSchema.safeParse(parseJson(json));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new DecodeError(
    'bad-header',
    HEADER_PREFIX_BYTES,
    `log header field ${issue?.path.join('.')}: ${issue?.message}`,
  );
}

function parseJson(json: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json));
  } catch {
    throw new DecodeError('bad-header', HEADER_PREFIX_BYTES, 'the log header is not JSON');
  }
  if (depthAbove(value, DEPTH_MAX)) {
    throw new DecodeError('bad-header', HEADER_PREFIX_BYTES, 'the log header is nested too deeply');
  }
  return value;
}

function depthAbove(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => depthAbove(inner, levels - 1));
}

/** List in which fields, by dotted name, two headers describe different machines. */
export function compareHeaders(a: LogHeader, b: LogHeader): HeaderDifference[] {
  const differences: HeaderDifference[] = [];
  for (const field of ['ft86Version', 'engine', 'engineVersion', 'arch', 'imageSha256'] as const) {
    if (a[field] !== b[field]) differences.push({ field, a: a[field], b: b[field] });
  }
  compareJson('machine', a.machine, b.machine, differences);
  return differences;
}

function compareJson(
  field: string,
  a: JsonValue | undefined,
  b: JsonValue | undefined,
  differences: HeaderDifference[],
): void {
  if (Object.is(a, b)) return;
  if (!isContainer(a) || !isContainer(b) || Array.isArray(a) !== Array.isArray(b)) {
    differences.push({ field, a: a ?? null, b: b ?? null });
    return;
  }
  const ofA = new Map<string, JsonValue>(Object.entries(a));
  const ofB = new Map<string, JsonValue>(Object.entries(b));
  for (const name of new Set([...ofA.keys(), ...ofB.keys()])) {
    const path = Array.isArray(a) ? `${field}[${name}]` : `${field}.${name}`;
    compareJson(path, ofA.get(name), ofB.get(name), differences);
  }
}

function isContainer(value: JsonValue | undefined): value is JsonValue[] | { [name: string]: JsonValue } {
  return typeof value === 'object' && value !== null;
}

/**
 * Refuse a log that another machine recorded; `ours` is this machine, `theirs` came with the log.
 * @throws ConfigError naming the first differing field and both values
 */
export function requireSameMachine(ours: LogHeader, theirs: LogHeader): void {
  const [first, ...more] = compareHeaders(theirs, ours);
  if (first === undefined) return;
  const others = more.length === 0 ? '' : `; ${more.map(({ field }) => field).join(', ')} differ too`;
  throw new ConfigError(
    first.field,
    JSON.stringify(first.a),
    `the log was recorded with it, this replica has ${JSON.stringify(first.b)}${others}`,
  );
}
