/**
 * Goal: the times of replication have bounds, and a number outside is the user's mistake, named.
 * Method: the values on both sides of each bound.
 */
import { expect, test } from '@jest/globals';
import { ConfigError } from '../../../emulator/errors.js';
import { replicationTimes } from '../../../tools/commands/common.js';

const fine = { detectMs: '500', lagMs: '200', digestMs: '1000' };

test.each([
  ['detectMs', '--detect-ms', 50, 10_000],
  ['lagMs', '--lag-ms', 10, 10_000],
  ['digestMs', '--digest-ms', 10, 3_600_000],
] as const)('%s', (name, option, least, most) => {
  for (const value of [least, most]) {
    expect(replicationTimes({ ...fine, [name]: String(value) })).toMatchObject({ [name]: value });
  }
  for (const value of [String(least - 1), String(most + 1), '-1', '1e3', '100.5', '', ' 100', '100ms']) {
    expect(() => replicationTimes({ ...fine, [name]: value })).toThrow(ConfigError);
    expect(() => replicationTimes({ ...fine, [name]: value })).toThrow(
      `${option} ${value}: must be a whole number from ${least} to ${most}`,
    );
  }
});
