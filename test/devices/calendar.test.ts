/**
 * Goal: dates are those of the Gregorian calendar.
 * Method: known dates, every day of 800 years in sequence, and the host's own calendar as an oracle.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { daysSinceEpoch, toDateTime, toSeconds, weekday } from '../../devices/calendar.js';

test('known days', () => {
  expect(daysSinceEpoch(1970, 1, 1)).toBe(0);
  expect(daysSinceEpoch(2000, 3, 1)).toBe(11017);
  expect(toDateTime(951_782_399)).toEqual({ year: 2000, month: 2, day: 28, hour: 23, minute: 59, second: 59 });
  expect(toDateTime(951_782_400)).toMatchObject({ month: 2, day: 29, hour: 0 });
  expect([weekday(0), weekday(951_782_400), weekday(-1)]).toEqual([5, 3, 4]);
});

test('days follow each other without a gap from 1600 to 2400', () => {
  let { year, month, day } = { year: 1600, month: 1, day: 1 };
  const daysOf = (y: number) => {
    const leap = (y % 4 === 0 && y % 100 !== 0) || y % 400 === 0;
    return [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  };
  for (let days = daysSinceEpoch(1600, 1, 1); year < 2400; days++) {
    const found = toDateTime(days * 86400);
    if (found.year !== year || found.month !== month || found.day !== day) {
      throw new Error(`day ${days}: expected ${year}-${month}-${day}, found ${JSON.stringify(found)}`);
    }
    day++;
    if (day > daysOf(year)[month - 1]!) {
      day = 1;
      month++;
    }
    if (month > 12) {
      month = 1;
      year++;
    }
  }
});

test('any second converts there and back, and agrees with the host', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 35), max: 2 ** 35 }), (seconds) => {
      const time = toDateTime(seconds);
      expect(toSeconds(time)).toBe(seconds);
      const host = new Date(seconds * 1000);
      expect([time.year, time.month, time.day]).toEqual([
        host.getUTCFullYear(),
        host.getUTCMonth() + 1,
        host.getUTCDate(),
      ]);
      expect([time.hour, time.minute, time.second, weekday(seconds)]).toEqual([
        host.getUTCHours(),
        host.getUTCMinutes(),
        host.getUTCSeconds(),
        host.getUTCDay() + 1,
      ]);
    }),
  );
});
