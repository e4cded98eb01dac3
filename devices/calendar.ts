/**
 * The Gregorian calendar as arithmetic: seconds since 1970 to date and time of day, and back. No time zones, no
 * leap seconds, no host clock.
 *
 * Years are counted from 1 March here, so the leap day comes last and a month's first day is a linear formula: the
 * months from March on have 31, 30, 31, 30, 31 days, over and over, which is (153 * m + 2) / 5 days before month m.
 */

export interface DateTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  /** 1 to 31. */
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

const SECONDS_PER_DAY = 86400;
const DAYS_PER_400_YEARS = 146097;
/** Days from 0000-03-01 to 1970-01-01. */
const EPOCH_DAYS = 719468;

/** Days since 1970-01-01 of a date; months and days out of range run over into the next ones. */
export function daysSinceEpoch(year: number, month: number, day: number): number {
  const months = year * 12 + (month - 1) - 2;
  const y = Math.floor(months / 12);
  const m = months - y * 12;
  const leapDays = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return y * 365 + leapDays + Math.floor((153 * m + 2) / 5) + day - 1 - EPOCH_DAYS;
}

export function toSeconds(time: DateTime): number {
  const days = daysSinceEpoch(time.year, time.month, time.day);
  return days * SECONDS_PER_DAY + time.hour * 3600 + time.minute * 60 + time.second;
}

export function toDateTime(seconds: number): DateTime {
  const days = Math.floor(seconds / SECONDS_PER_DAY);
  const rest = seconds - days * SECONDS_PER_DAY;
  const year = yearOfMarchDay(days + EPOCH_DAYS);
  const dayOfYear = days - daysSinceEpoch(year, 3, 1);
  const m = Math.floor((5 * dayOfYear + 2) / 153);
  return {
    year: m < 10 ? year : year + 1,
    month: m < 10 ? m + 3 : m - 9,
    day: dayOfYear - Math.floor((153 * m + 2) / 5) + 1,
    hour: Math.floor(rest / 3600),
    minute: Math.floor(rest / 60) % 60,
    second: rest % 60,
  };
}

/** 1 (Sunday) to 7 (Saturday). */
export function weekday(seconds: number): number {
  const days = Math.floor(seconds / SECONDS_PER_DAY);
  // 1970-01-01 was a Thursday.
  return ((((days + 4) % 7) + 7) % 7) + 1;
}

/** The year, beginning in March, that contains the day `days` after 0000-03-01. */
function yearOfMarchDay(days: number): number {
  // The mean year's guess is off by one at most.
  const guess = Math.floor((days * 400) / DAYS_PER_400_YEARS);
  const start = (year: number) => daysSinceEpoch(year, 3, 1) + EPOCH_DAYS;
  if (start(guess) > days) return guess - 1;
  return start(guess + 1) <= days ? guess + 1 : guess;
}
