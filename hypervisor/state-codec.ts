/**
 * The canonical bytes of device state, for digests and snapshots.
 *
 *   u8 type   followed by
 *   0  null   -
 *   1  false  -
 *   2  true   -
 *   3  n >= 0 varint n
 *   4  n < 0  varint -1 - n
 *   5  string varint length, UTF-8
 *   6  bytes  varint length, bytes
 *   7  array  varint count, the values
 *   8  record varint count, then per field in ascending order of names: string name, value
 *
 * Names are ordered by UTF-16 code units, JavaScript's own order of strings.
 * Invariants: equal values have equal bytes, whatever the order in which their fields were set; every
 * value has one spelling; reading what was written gives the value back.
 */
import { assert } from '../emulator/errors.js';
import type { StateRecord, StateValue } from '../devices/state.js';
import { ByteReader, ByteWriter } from './log/bytes.js';

const TYPE_NULL = 0;
const TYPE_FALSE = 1;
const TYPE_TRUE = 2;
const TYPE_NATURAL = 3;
const TYPE_NEGATIVE = 4;
const TYPE_STRING = 5;
const TYPE_BYTES = 6;
const TYPE_ARRAY = 7;
const TYPE_RECORD = 8;

/** Levels of arrays and records inside each other. */
const STATE_DEPTH_MAX = 32;
const STATE_NAME_BYTES_MAX = 256;
const STATE_STRING_BYTES_MAX = 1 << 20;
/** Assigning a field of this name would set a prototype instead. */
const FORBIDDEN_NAME = '__proto__';

/** Encode `value` into bytes of its own. @throws InvariantError when it is no plain state (see StateValue) */
export function encodeState(value: StateValue): Uint8Array {
  const writer = new ByteWriter(4096);
  writeValue(writer, value, STATE_DEPTH_MAX);
  return writer.copy();
}

function writeValue(writer: ByteWriter, value: StateValue, levels: number): void {
  switch (typeof value) {
    case 'number':
      writeNumber(writer, value);
      return;
    case 'boolean':
      writer.u8(value ? TYPE_TRUE : TYPE_FALSE);
      return;
    case 'string':
      writer.u8(TYPE_STRING);
      assert(value.length <= STATE_STRING_BYTES_MAX / 4, 'a string of device state is within its limit');
      writer.string(value);
      return;
    default:
      assert(typeof value === 'object', 'device state is plain data');
  }
  if (value === null) {
    writer.u8(TYPE_NULL);
    return;
  }
  if (value instanceof Uint8Array) {
    writer.u8(TYPE_BYTES);
    writer.varint(value.length);
    writer.bytes(value);
    return;
  }
  assert(levels > 0, 'device state is nested within its limit');
  if (Array.isArray(value)) {
    writer.u8(TYPE_ARRAY);
    writer.varint(value.length);
    for (const element of value as readonly StateValue[]) writeValue(writer, element, levels - 1);
    return;
  }
  writeRecord(writer, value as StateRecord, levels);
}

function writeNumber(writer: ByteWriter, value: number): void {
  assert(Number.isSafeInteger(value), 'a number of device state is a safe integer');
  if (value >= 0) {
    writer.u8(TYPE_NATURAL);
    writer.varint(value);
  } else {
    writer.u8(TYPE_NEGATIVE);
    writer.varint(-1 - value);
  }
}

function writeRecord(writer: ByteWriter, record: StateRecord, levels: number): void {
  const prototype: unknown = Object.getPrototypeOf(record);
  assert(
    prototype === null || Object.getPrototypeOf(prototype) === null,
    'a record of device state is a plain object, not an instance',
  );
  const names = Object.keys(record).sort();
  writer.u8(TYPE_RECORD);
  writer.varint(names.length);
  for (const name of names) {
    assert(name !== FORBIDDEN_NAME && name.length <= STATE_NAME_BYTES_MAX / 4, 'a state field has a plain name');
    writer.string(name);
    writeValue(writer, record[name]!, levels - 1);
  }
}

/** Decode exactly one value. @throws DecodeError on bytes that encodeState does not write */
export function decodeState(bytes: Uint8Array): StateValue {
  const reader = new ByteReader(bytes);
  const value = readValue(reader, STATE_DEPTH_MAX);
  reader.end();
  return value;
}

/**
 * Decode exactly one record; `base` is added to the offsets in errors (where `bytes` lies in its file).
 * @throws DecodeError as decodeState does, and on another type of value
 */
export function decodeStateRecord(bytes: Uint8Array, base = 0): StateRecord {
  const reader = new ByteReader(bytes, 0, base);
  if (bytes[0] !== TYPE_RECORD) reader.fail('bad-state', 'a record of state starts with its type');
  reader.u8();
  const record = readRecord(reader, STATE_DEPTH_MAX);
  reader.end();
  return record;
}

function readValue(reader: ByteReader, levels: number): StateValue {
  const type = reader.u8();
  switch (type) {
    case TYPE_NULL:
      return null;
    case TYPE_FALSE:
      return false;
    case TYPE_TRUE:
      return true;
    case TYPE_NATURAL:
      return reader.varint();
    case TYPE_NEGATIVE:
      return -1 - reader.limited(Number.MAX_SAFE_INTEGER - 1, 'a negative number');
    case TYPE_STRING:
      return reader.string(STATE_STRING_BYTES_MAX, 'a string of state');
    case TYPE_BYTES:
      return reader.bytes(reader.limited(reader.remaining, 'a length'));
    case TYPE_ARRAY:
      return readArray(reader, levels);
    case TYPE_RECORD:
      return readRecord(reader, levels);
    default:
      return reader.fail('bad-state', `state type ${type} is unknown`);
  }
}

function readArray(reader: ByteReader, levels: number): StateValue {
  if (levels === 0) reader.fail('too-deep', 'state is nested too deeply');
  // An element takes a byte at least, so the count is bounded by what is there.
  const count = reader.limited(reader.remaining, 'an element count');
  const values: StateValue[] = [];
  for (let i = 0; i < count; i++) values.push(readValue(reader, levels - 1));
  return values;
}

function readRecord(reader: ByteReader, levels: number): StateRecord {
  if (levels === 0) reader.fail('too-deep', 'state is nested too deeply');
  const count = reader.limited(reader.remaining, 'a field count');
  const record: Record<string, StateValue> = {};
  let previous: string | null = null;
  for (let i = 0; i < count; i++) {
    const name = reader.string(STATE_NAME_BYTES_MAX, 'a field name');
    if (name === FORBIDDEN_NAME) reader.fail('bad-state', 'a field has a forbidden name');
    if (previous !== null && name <= previous) reader.fail('bad-state', 'the fields of a record are out of order');
    record[name] = readValue(reader, levels - 1);
    previous = name;
  }
  return record;
}
