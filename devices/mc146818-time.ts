/**
 * The clock half of an MC146818: time of day, alarm and periodic rate as functions of guest time.
 *
 *   divider phase ------ +1 s ------ +2 s ...      seconds(now) = baseSeconds + floor((now - phaseNs) / 10^9)
 *   UIP:          ____##|________##|               the last 2228 us of each second (244 us + the update of 1984 us)
 *
 * The divider chain also makes the periodic rate, so both share the phase. While the clock is stopped (SET, or the
 * divider held in reset) the time registers are plain bytes that the guest reads and writes.
 *
 * Source: Motorola MC146818A data sheet, "Update Cycle", "Divider Stages", "Periodic Interrupt Selection", table 3.
 */
import { toDateTime, toSeconds, weekday } from './calendar.js';
import { nsOfTick, ticksAt } from './tick-clock.js';

/** Offsets of the time and alarm registers. */
export const RTC_SECONDS = 0;
export const RTC_SECONDS_ALARM = 1;
export const RTC_MINUTES = 2;
export const RTC_MINUTES_ALARM = 3;
export const RTC_HOURS = 4;
export const RTC_HOURS_ALARM = 5;
export const RTC_WEEKDAY = 6;
export const RTC_DAY = 7;
export const RTC_MONTH = 8;
export const RTC_YEAR = 9;
/** Not in the chip: a byte of RAM that PC firmware keeps in step. */
export const RTC_CENTURY = 0x32;
/** Registers that hold the time. */
export const TIME_REGISTERS = [
  RTC_SECONDS,
  RTC_MINUTES,
  RTC_HOURS,
  RTC_WEEKDAY,
  RTC_DAY,
  RTC_MONTH,
  RTC_YEAR,
  RTC_CENTURY,
] as const;

/** Register B: number format. */
export const B_24_HOURS = 0x02;
export const B_BINARY = 0x04;
const PM = 0x80;

const DIVIDER_HZ = 32768;
const NS_PER_SECOND = 1_000_000_000;
/** UIP goes up 244 us before an update that takes 1984 us. */
const UPDATE_NS = 2_228_000;

/** Whole seconds since the phase at `now`; a clock that was just released has not reached its first one. */
function elapsedSeconds(nowNs: number, phaseNs: number): number {
  return Math.floor((nowNs - phaseNs) / NS_PER_SECOND);
}

/** A running clock: second 0 of its count began at guest time `phaseNs`. */
export interface RunningClock {
  /** Seconds since 1970 at `phaseNs`. */
  readonly baseSeconds: number;
  /** May be negative. */
  readonly phaseNs: number;
}

/** Seconds since 1970 that the clock shows. */
export function secondsAt(clock: RunningClock, nowNs: number): number {
  return clock.baseSeconds + elapsedSeconds(nowNs, clock.phaseNs);
}

/** Guest time at which the clock comes to show `seconds`. */
export function nsOfSecond(clock: RunningClock, seconds: number): number {
  return clock.phaseNs + (seconds - clock.baseSeconds) * NS_PER_SECOND;
}

/** Whether an update is in progress, or so near that a reader must wait. */
export function updateInProgress(clock: RunningClock, nowNs: number): boolean {
  const next = clock.phaseNs + (elapsedSeconds(nowNs, clock.phaseNs) + 1) * NS_PER_SECOND;
  return next - nowNs <= UPDATE_NS;
}

/** Periods of the rate selected by register A that have passed at `nowNs`; null when none is selected. */
export function periodsAt(phaseNs: number, rateSelect: number, nowNs: number): number | null {
  const divider = periodDivider(rateSelect);
  return divider === null ? null : Math.floor(ticksAt(nowNs - phaseNs, DIVIDER_HZ) / divider);
}

/** Guest time at which period `index` is over; null when no rate is selected. */
export function nsOfPeriod(phaseNs: number, rateSelect: number, index: number): number | null {
  const divider = periodDivider(rateSelect);
  return divider === null ? null : phaseNs + nsOfTick(index * divider, DIVIDER_HZ);
}

/** Ticks of the 32,768 Hz divider in a period: selections 1 and 2 are the same as 8 and 9. */
function periodDivider(rateSelect: number): number | null {
  if (rateSelect === 0) return null;
  return 1 << (rateSelect <= 2 ? rateSelect + 6 : rateSelect - 1);
}

/** Write the time `seconds` into the registers, in the format that register B selects. */
export function encodeTime(seconds: number, registerB: number, weekdayShift: number, out: Uint8Array): void {
  const time = toDateTime(seconds);
  const encode = (value: number) => ((registerB & B_BINARY) !== 0 ? value : toBcd(value));
  out[RTC_SECONDS] = encode(time.second);
  out[RTC_MINUTES] = encode(time.minute);
  out[RTC_HOURS] = encodeHour(time.hour, registerB);
  out[RTC_WEEKDAY] = encode(((weekday(seconds) - 1 + weekdayShift) % 7) + 1);
  out[RTC_DAY] = encode(time.day);
  out[RTC_MONTH] = encode(time.month);
  out[RTC_YEAR] = encode(time.year % 100);
  out[RTC_CENTURY] = encode(Math.floor(time.year / 100) % 100);
}

/** The time that the registers show. Values out of range, which a guest may write, are brought into it. */
export function decodeTime(registers: Uint8Array, registerB: number): number {
  const decode = (at: number) => ((registerB & B_BINARY) !== 0 ? registers[at]! : fromBcd(registers[at]!));
  return toSeconds({
    year: Math.min(decode(RTC_CENTURY), 99) * 100 + Math.min(decode(RTC_YEAR), 99),
    month: clamp(decode(RTC_MONTH), 1, 12),
    day: clamp(decode(RTC_DAY), 1, 31),
    hour: Math.min(decodeHour(registers[RTC_HOURS]!, registerB), 23),
    minute: Math.min(decode(RTC_MINUTES), 59),
    second: Math.min(decode(RTC_SECONDS), 59),
  });
}

/** By how many days the weekday register is ahead of the date's true weekday, 0 to 6. */
export function weekdayShiftOf(registers: Uint8Array, registerB: number): number {
  const shown = clamp((registerB & B_BINARY) !== 0 ? registers[RTC_WEEKDAY]! : fromBcd(registers[RTC_WEEKDAY]!), 1, 7);
  return (shown - weekday(decodeTime(registers, registerB)) + 7) % 7;
}

/** The first second after `seconds` at which the alarm registers match, or null when they match no time of day. */
export function nextAlarm(seconds: number, registers: Uint8Array, registerB: number): number | null {
  const from = seconds + 1;
  const dayStart = from - (((from % 86400) + 86400) % 86400);
  const all = (count: number) => Array.from({ length: count }, (_, index) => index);
  const decode = (value: number) => ((registerB & B_BINARY) !== 0 ? value : fromBcd(value));
  // "Don't care": both upper bits set.
  const choices = (value: number, count: number, decoded: number) =>
    value >= 0xc0 ? all(count) : all(count).filter((candidate) => candidate === decoded);
  const hourAlarm = registers[RTC_HOURS_ALARM]!;
  const minuteAlarm = registers[RTC_MINUTES_ALARM]!;
  const secondAlarm = registers[RTC_SECONDS_ALARM]!;
  const hours = choices(hourAlarm, 24, decodeHour(hourAlarm, registerB));
  const minutes = choices(minuteAlarm, 60, decode(minuteAlarm));
  const ofMinute = choices(secondAlarm, 60, decode(secondAlarm));
  for (const day of [dayStart, dayStart + 86400]) {
    for (const hour of hours) {
      const hourStart = day + hour * 3600;
      if (hourStart + 3599 < from) continue;
      for (const minute of minutes) {
        const minuteStart = hourStart + minute * 60;
        const found = ofMinute.find((second) => minuteStart + second >= from);
        if (found !== undefined) return minuteStart + found;
      }
    }
  }
  return null;
}

function encodeHour(hour: number, registerB: number): number {
  const encode = (value: number) => ((registerB & B_BINARY) !== 0 ? value : toBcd(value));
  if ((registerB & B_24_HOURS) !== 0) return encode(hour);
  return encode(hour % 12 === 0 ? 12 : hour % 12) | (hour >= 12 ? PM : 0);
}

function decodeHour(value: number, registerB: number): number {
  const decode = (byte: number) => ((registerB & B_BINARY) !== 0 ? byte : fromBcd(byte));
  if ((registerB & B_24_HOURS) !== 0) return decode(value);
  return (decode(value & ~PM) % 12) + ((value & PM) !== 0 ? 12 : 0);
}

function toBcd(value: number): number {
  return (Math.floor(value / 10) << 4) | (value % 10);
}

function fromBcd(value: number): number {
  return (value >> 4) * 10 + (value & 15);
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
