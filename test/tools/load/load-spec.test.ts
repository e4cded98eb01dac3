/**
 * Goal: a load's text is understood, with defaults, or refused by the part at fault.
 * Method: tables.
 */
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import { guestPort, parseLoad } from '../../../tools/load/load-spec.js';

describe('--load', () => {
  test('has defaults and takes every option', () => {
    expect(parseLoad('kv')).toEqual({
      ...{ kind: 'kv', operations: 2000, clients: 4, ratePerSecond: null, timeoutMs: 30_000, seed: 1 },
    });
    expect(parseLoad('echo:ops=10,clients=3,rate=50,timeout-ms=100,seed=0')).toEqual({
      ...{ kind: 'echo', operations: 10, clients: 3, ratePerSecond: 50, timeoutMs: 100, seed: 0 },
    });
  });

  test('has no more clients than operations, and a port for each guest', () => {
    expect(parseLoad('counter:ops=2,clients=9').clients).toBe(2);
    expect(['kv', 'echo', 'counter'].map((kind) => guestPort(parseLoad(kind)))).toEqual([8086, 7, 8087]);
  });

  test.each([
    ['', /must be kv, echo, counter/],
    ['redis:ops=1', /must be kv, echo, counter/],
    ['kv:', /is not one of ops=/],
    ['kv:ops', /is not one of ops=/],
    ['kv:speed=1', /is not one of ops=/],
    ['kv:ops=0', /ops= 0: must be a whole number from 1/],
    ['kv:ops=1,ops=2', /given twice/],
    ['kv:clients=257', /from 1 to 256/],
    ['kv:rate=0', /from 1/],
    ['kv:timeout-ms=1e3', /timeout-ms=/],
    ['kv:seed=-1', /seed=/],
  ])('"%s" is refused', (text, message) => {
    expect(() => parseLoad(text)).toThrow(ConfigError);
    expect(() => parseLoad(text)).toThrow(message);
  });
});
