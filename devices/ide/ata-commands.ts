/**
 * Commands that move no sectors: what each does to the drive's settings and registers, and what is left to do.
 *
 * What a drive may leave out (SMART, security, host protected area, packet commands, ...) is aborted, and IDENTIFY
 * announces none of it.
 * Source: ATA/ATAPI-6 (T13 1410D), section 8; ATA-2 (X3T10 948D), section 9 (RECALIBRATE, INITIALIZE DEVICE PARAMETERS).
 */
import {
  CMD_CHECK_POWER_MODE,
  CMD_FLUSH_CACHE,
  CMD_FLUSH_CACHE_EXT,
  CMD_IDENTIFY,
  CMD_IDLE,
  CMD_IDLE_IMMEDIATE,
  CMD_INITIALIZE_PARAMETERS,
  CMD_RECALIBRATE,
  CMD_RECALIBRATE_LAST,
  CMD_SEEK,
  CMD_SET_FEATURES,
  CMD_SET_MULTIPLE,
  CMD_SLEEP,
  CMD_STANDBY,
  CMD_STANDBY_IMMEDIATE,
} from './ata-registers.js';
import type { DriveSettings, PowerMode } from './drive-settings.js';
import type { TaskFile } from './task-file.js';

/** What the drive does after the command's own effect. `flush`: write the cache back, then done. */
export type CommandOutcome = 'done' | 'flush' | 'identify' | 'seek' | 'abort';

/** Commands that set a power mode, with it. Before the medium stops, the cache is written back (6.12). */
const POWER_COMMANDS: ReadonlyMap<number, PowerMode> = new Map<number, PowerMode>([
  ...CMD_IDLE_IMMEDIATE.map((code) => [code, 'idle'] as const),
  ...CMD_IDLE.map((code) => [code, 'idle'] as const),
  ...CMD_STANDBY_IMMEDIATE.map((code) => [code, 'standby'] as const),
  ...CMD_STANDBY.map((code) => [code, 'standby'] as const),
  ...CMD_SLEEP.map((code) => [code, 'sleep'] as const),
]);

/** Sector count of CHECK POWER MODE (8.6). */
const POWER_VALUES = { active: 0xff, idle: 0x80, standby: 0x00, sleep: 0x00 } as const;

export function driveCommand(code: number, taskFile: TaskFile, settings: DriveSettings): CommandOutcome {
  const power = POWER_COMMANDS.get(code);
  if (power !== undefined) {
    settings.power = power;
    return power === 'idle' ? 'done' : 'flush';
  }
  if (CMD_CHECK_POWER_MODE.some((check) => check === code)) {
    taskFile.count = POWER_VALUES[settings.power];
    return 'done';
  }
  if (code >= CMD_RECALIBRATE && code <= CMD_RECALIBRATE_LAST) return 'done';
  switch (code) {
    case CMD_SEEK:
      return 'seek';
    case CMD_INITIALIZE_PARAMETERS:
      return settings.setGeometry(taskFile.head + 1, taskFile.count) ? 'done' : 'abort';
    case CMD_SET_MULTIPLE:
      return settings.setMultiple(taskFile.count) ? 'done' : 'abort';
    case CMD_SET_FEATURES:
      if (!settings.setFeature(taskFile.features, taskFile.count)) return 'abort';
      // Without a write cache nothing may wait in one.
      return settings.writeCache ? 'done' : 'flush';
    case CMD_FLUSH_CACHE:
    case CMD_FLUSH_CACHE_EXT:
      return 'flush';
    case CMD_IDENTIFY:
      return 'identify';
    default:
      return 'abort';
  }
}
