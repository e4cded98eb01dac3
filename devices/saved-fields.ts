/**
 * Reads saved state field by field and refuses what save() could not have written: a missing field, a wrong type,
 * a number out of range, or a field that nobody asked for.
 */
import { DecodeError } from '../emulator/errors.js';
import type { StateRecord, StateValue } from './state.js';

export class SavedFields {
  readonly #record: StateRecord;
  readonly #path: string;
  readonly #seen = new Set<string>();

  /** `path` names the record in error messages, e.g. `virtio-blk.queues[0]`. */
  constructor(value: StateValue | undefined, path: string) {
    if (!isRecord(value)) throw new DecodeError('bad-state', 0, `${path} is not a record`);
    this.#record = value;
    this.#path = path;
  }

  /** An integer from `min` to `max`, both inclusive. */
  integer(field: string, min: number, max: number): number {
    const value = this.#take(field);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
      throw this.wrong(field, `not an integer from ${min} to ${max}`);
    }
    return value;
  }

  boolean(field: string): boolean {
    const value = this.#take(field);
    if (typeof value !== 'boolean') throw this.wrong(field, 'not a boolean');
    return value;
  }

  /** One of the given words. */
  word<Word extends string>(field: string, words: readonly Word[]): Word {
    const value = this.#take(field);
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw this.wrong(field, `not one of ${words.join(', ')}`);
    return word;
  }

  /** A private copy of a byte array; `bytes` is its required length, if there is one. */
  bytes(field: string, bytes?: number): Uint8Array {
    const value = this.#take(field);
    if (!(value instanceof Uint8Array) || (bytes !== undefined && value.length !== bytes)) {
      throw this.wrong(field, bytes === undefined ? 'not bytes' : `not ${bytes} bytes`);
    }
    return new Uint8Array(value);
  }

  /** A list of at most `countMax` non-negative integers. */
  integers(field: string, countMax: number): readonly number[] {
    const value = this.#take(field);
    if (!Array.isArray(value) || value.length > countMax) throw this.wrong(field, `not a list of up to ${countMax}`);
    const items = value as readonly StateValue[];
    return items.map((item) => {
      if (typeof item === 'number' && Number.isSafeInteger(item) && item >= 0) return item;
      throw this.wrong(field, 'not all non-negative integers');
    });
  }

  record(field: string): SavedFields {
    return new SavedFields(this.#take(field), `${this.#path}.${field}`);
  }

  /** A field for another part's own restore(). */
  stateRecord(field: string): StateRecord {
    const value = this.#take(field);
    if (!isRecord(value)) throw this.wrong(field, 'not a record');
    return value;
  }

  /** A list of at most `countMax` records. */
  list(field: string, countMax: number): readonly SavedFields[] {
    const value = this.#take(field);
    if (!Array.isArray(value) || value.length > countMax) throw this.wrong(field, `not a list of up to ${countMax}`);
    return (value as readonly StateValue[]).map(
      (item, index) => new SavedFields(item, `${this.#path}.${field}[${index}]`),
    );
  }

  /** Call last. @throws DecodeError when the record has a field that was not read. */
  finish(): void {
    for (const field of Object.keys(this.#record)) {
      if (!this.#seen.has(field)) throw this.wrong(field, 'unknown');
    }
  }

  #take(field: string): StateValue | undefined {
    this.#seen.add(field);
    return Object.hasOwn(this.#record, field) ? this.#record[field] : undefined;
  }

  /** The error for a field whose value cannot be, for the caller to throw. */
  wrong(field: string, what: string): DecodeError {
    return new DecodeError('bad-state', 0, `${this.#path}.${field}: ${what}`);
  }
}

function isRecord(value: StateValue | undefined): value is StateRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
