/**
 * Goal: --kill names one replica, one unit and one number; anything else is refused with what is allowed.
 * Method: every good form; a table of near misses.
 */
import { describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../emulator/errors.js';
import { parseKill, parseKills } from '../../tools/pair/kill.js';

describe('parseKill', () => {
  test.each(['primary', 'backup'] as const)('reads every form for the %s', (victim) => {
    expect(parseKill(`${victim}@icount:1000000`)).toEqual({ victim, unit: 'icount', value: 1_000_000 });
    expect(parseKill(`${victim}@ms:0`)).toEqual({ victim, unit: 'ms', value: 0 });
  });

  test('takes numbers that are exact, up to 15 digits', () => {
    expect(parseKill('primary@icount:999999999999999').value).toBe(999_999_999_999_999);
    expect(parseKill('primary@icount:007').value).toBe(7);
  });

  test.each([
    '',
    'primary',
    'primary@',
    'primary@ms',
    'primary@ms:',
    'primary@ms:-1',
    'primary@ms:1.5',
    'primary@ms:1e3',
    'primary@ms: 1',
    'primary@ms:1s',
    'primary@s:1',
    'primary@icount:1000000000000000',
    'Primary@ms:1',
    'switch@ms:1',
    'primary@ms:1,backup@ms:2',
    ' primary@ms:1',
    'primary@ms:1\n',
    'both@ms:1',
  ])('refuses %j', (text) => {
    expect(() => parseKill(text)).toThrow(
      new ConfigError('--kill', text, 'must be primary@icount:N, primary@ms:N, backup@icount:N or backup@ms:N'),
    );
  });
});

describe('parseKills', () => {
  test('takes any number of times, and one icount for each victim', () => {
    const texts = ['primary@ms:1', 'primary@ms:2', 'backup@icount:3', 'primary@icount:4', 'backup@ms:5'];
    expect(parseKills(texts).map(({ value }) => value)).toEqual([1, 2, 3, 4, 5]);
    expect(() => parseKills(['backup@icount:3', 'primary@ms:1', 'backup@icount:4'])).toThrow(
      new ConfigError('--kill', 'backup@icount:4', 'only one icount for the backup: use ms for more kills'),
    );
  });
});
