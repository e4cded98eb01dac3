/**
 * Registers, bits and command codes of the AT attachment.
 *
 *   command block  0 data | 1 error / features | 2 sector count | 3 LBA low | 4 LBA mid | 5 LBA high | 6 device | 7 status / command
 *   control block  0 alternate status / device control
 *
 * Commands 1xh, 91h, 94h to 99h and the "no retry" twins (21h, 31h, 41h, C9h, CBh) are of ATA-1 to 3; old drivers and
 * BIOSes use them, so drives went on taking them.
 * Source: ATA/ATAPI-6 (T13 1410D), section 7 (registers), section 8 and annex (command codes).
 */

/** Offsets in the command block. */
export const REG_DATA = 0;
export const REG_ERROR_FEATURES = 1;
export const REG_COUNT = 2;
export const REG_LBA_LOW = 3;
export const REG_LBA_MID = 4;
export const REG_LBA_HIGH = 5;
export const REG_DEVICE = 6;
export const REG_STATUS_COMMAND = 7;
export const COMMAND_BLOCK_BYTES = 8;

/** Status register (7.15). DSC, "seek complete", is bit 4 of the older standards. */
export const STATUS_ERR = 1 << 0;
export const STATUS_DRQ = 1 << 3;
export const STATUS_DSC = 1 << 4;
export const STATUS_DRDY = 1 << 6;
export const STATUS_BSY = 1 << 7;

/** Error register (7.9), and what it holds after a reset or diagnostic that found no fault. */
export const ERROR_ABRT = 1 << 2;
export const ERROR_IDNF = 1 << 4;
export const ERROR_UNC = 1 << 6;
export const DIAGNOSTIC_PASSED = 0x01;

/** Device register (7.7): bits 7 and 5 are obsolete and read as ones. */
export const DEVICE_HEAD = 0x0f;
export const DEVICE_DEV = 1 << 4;
export const DEVICE_LBA = 1 << 6;
export const DEVICE_ONES = 0xa0;

/** Device control register (7.8). */
export const CONTROL_NIEN = 1 << 1;
export const CONTROL_SRST = 1 << 2;
export const CONTROL_HOB = 1 << 7;
export const CONTROL_WRITABLE = CONTROL_NIEN | CONTROL_SRST | CONTROL_HOB;

/** Commands that move no sectors. */
export const CMD_RECALIBRATE = 0x10;
export const CMD_RECALIBRATE_LAST = 0x1f;
export const CMD_SEEK = 0x70;
export const CMD_EXECUTE_DIAGNOSTIC = 0x90;
export const CMD_INITIALIZE_PARAMETERS = 0x91;
export const CMD_SET_MULTIPLE = 0xc6;
export const CMD_FLUSH_CACHE = 0xe7;
export const CMD_FLUSH_CACHE_EXT = 0xea;
export const CMD_IDENTIFY = 0xec;
export const CMD_SET_FEATURES = 0xef;
/** Power management: the code of today and that of ATA-1. */
export const CMD_STANDBY_IMMEDIATE = [0xe0, 0x94] as const;
export const CMD_IDLE_IMMEDIATE = [0xe1, 0x95] as const;
export const CMD_STANDBY = [0xe2, 0x96] as const;
export const CMD_IDLE = [0xe3, 0x97] as const;
export const CMD_CHECK_POWER_MODE = [0xe5, 0x98] as const;
export const CMD_SLEEP = [0xe6, 0x99] as const;

/** How a command moves sectors: over the data port, by bus master, or nowhere. */
export type TransferKind = 'pio-in' | 'pio-out' | 'dma-in' | 'dma-out' | 'verify';
export const TRANSFER_KINDS: readonly TransferKind[] = ['pio-in', 'pio-out', 'dma-in', 'dma-out', 'verify'];

export interface TransferCommand {
  readonly kind: TransferKind;
  /** 48-bit address and 16-bit count. */
  readonly extended: boolean;
  /** Blocks of as many sectors as SET MULTIPLE MODE said. */
  readonly multiple: boolean;
}

function command(kind: TransferKind, extended = false, multiple = false): TransferCommand {
  return { kind, extended, multiple };
}

export const TRANSFER_COMMANDS: ReadonlyMap<number, TransferCommand> = new Map([
  [0x20, command('pio-in')],
  [0x21, command('pio-in')],
  [0x24, command('pio-in', true)],
  [0x25, command('dma-in', true)],
  [0x29, command('pio-in', true, true)],
  [0x30, command('pio-out')],
  [0x31, command('pio-out')],
  [0x34, command('pio-out', true)],
  [0x35, command('dma-out', true)],
  [0x39, command('pio-out', true, true)],
  [0x40, command('verify')],
  [0x41, command('verify')],
  [0x42, command('verify', true)],
  [0xc4, command('pio-in', false, true)],
  [0xc5, command('pio-out', false, true)],
  [0xc8, command('dma-in')],
  [0xc9, command('dma-in')],
  [0xca, command('dma-out')],
  [0xcb, command('dma-out')],
]);
