/**
 * The options that describe a machine, shared by `boot`, `primary` and `pair`, and what becomes of them:
 * the image read and recognised, drives opened, the machine's configuration.
 */
import { createHash } from 'node:crypto';
import { openSync, closeSync, fstatSync, ftruncateSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Argv } from 'yargs';
import { ConfigError } from '../../emulator/errors.js';
import { DRIVES_MAX, NICS_MAX, parseMemory, type MachineConfig } from '../../hypervisor/machine/machine-config.js';
import { findShippedImage, type ShippedImage } from '../images/manifest.js';
import { parseCount, parseKeyValues } from '../key-values.js';

/** Largest image or module file read. */
const IMAGE_BYTES_MAX = 1024 ** 3;
/** 2026-01-01 00:00:00 UTC: what the guest's clock shows at power-on when --rtc is not given. */
const DEFAULT_BOOT_UNIX_SECONDS = 1767225600;

export interface MachineArguments {
  readonly image: string;
  readonly memory: string | undefined;
  readonly append: string | undefined;
  readonly module: readonly string[];
  readonly initrd?: string | undefined;
  readonly payload?: string | undefined;
  readonly format: string | undefined;
  readonly drive: readonly string[];
  readonly net: readonly string[];
  readonly clock: string;
  readonly rtc: string | undefined;
  readonly until: string | undefined;
}

export interface DriveOptions {
  readonly path: string;
  readonly readonly: boolean;
}

export interface NicOptions {
  /** Address of the switch, or null for a cable that ends nowhere. */
  readonly switch: string | null;
  readonly mac: string;
}

/** Everything needed to power a machine on. */
export interface MachinePlan {
  readonly config: MachineConfig;
  readonly imageBytes: Uint8Array;
  readonly modules: readonly { readonly bytes: Uint8Array; readonly string: string }[];
  /** Linux only. */
  readonly initrd: Uint8Array | null;
  readonly payload: Uint8Array | null;
  readonly format: string | undefined;
  readonly shipped: ShippedImage | null;
  readonly drives: readonly DriveOptions[];
  readonly nics: readonly NicOptions[];
  readonly until: number;
}

/** Declare the machine's options on a command. */
export function withMachineOptions<T>(argv: Argv<T>): Argv<T> {
  return argv
    .option('memory', { type: 'string', describe: 'guest RAM, 4M to 3G', defaultDescription: '64M' })
    .option('append', { type: 'string', describe: 'the guest’s command line' })
    .option('module', { type: 'string', array: true, default: [], describe: 'Multiboot module: FILE or "FILE ARGS"' })
    .option('initrd', { type: 'string', describe: 'Linux: the initial RAM disk' })
    .option('payload', {
      type: 'string',
      describe: 'Linux: the kernel’s unpacked payload (an ELF file), entered directly',
    })
    .option('format', { type: 'string', choices: ['flat'], describe: 'load the image as a flat binary at 1 MiB' })
    .option('drive', { type: 'string', array: true, default: [], describe: 'file=PATH[,if=virtio][,readonly=on|off]' })
    .option('net', { type: 'string', array: true, default: [], describe: 'switch=ADDRESS[,model=virtio][,mac=MAC]' })
    .option('clock', {
      type: 'string',
      choices: ['host', 'icount'],
      default: 'host',
      describe: 'what guest time follows',
    })
    .option('rtc', { type: 'string', describe: 'guest wall-clock time at power-on, seconds since 1970' })
    .option('until', { type: 'string', describe: 'stop at this instruction count' });
}

/**
 * Read the image and work out the machine. `scratch` is where a guest's disk is made when it needs one and no
 * --drive names it; null: refuse instead.
 * @throws ConfigError
 */
export function planMachine(args: MachineArguments, scratch: string | null): MachinePlan {
  const shipped = findShippedImage(args.image);
  const imageBytes = readImage('IMAGE', shipped?.path ?? args.image);
  const drives = planDrives(args, shipped, scratch);
  const nics = planNics(args, shipped);
  const config: MachineConfig = {
    memoryBytes: parseMemory('--memory', args.memory ?? shipped?.memory ?? '64M'),
    drives: drives.map(({ path, readonly }) => ({ sectors: driveSectors(path), readonly })),
    nics: nics.map(({ mac }) => ({ mac })),
    bootUnixSeconds: args.rtc === undefined ? DEFAULT_BOOT_UNIX_SECONDS : parseCount('--rtc', args.rtc, 0, 2 ** 33),
    clock: args.clock === 'icount' ? 'icount' : 'host',
    image: shipped?.name ?? args.image,
    imageSha256: createHash('sha256').update(imageBytes).digest('hex'),
    append: args.append ?? shipped?.append ?? '',
  };
  return {
    config,
    imageBytes,
    modules: args.module.map((text) => readModule(text)),
    initrd: readOptional('--initrd', args.initrd ?? shipped?.initrdPath),
    payload: readOptional('--payload', args.payload ?? shipped?.payloadPath),
    format: args.format,
    shipped,
    drives,
    nics,
    until: args.until === undefined ? Infinity : parseCount('--until', args.until, 1, Number.MAX_SAFE_INTEGER),
  };
}

/** Parse one --drive. @throws ConfigError */
export function parseDrive(text: string): DriveOptions {
  const given = parseKeyValues('--drive', text, {
    file: null,
    if: ['virtio'],
    shared: ['on'],
    readonly: ['on', 'off'],
  });
  if (given['file'] === undefined || given['file'] === '') throw new ConfigError('--drive', text, 'needs file=PATH');
  return { path: given['file'], readonly: given['readonly'] === 'on' };
}

/** Parse one --net; `index` decides the default MAC. @throws ConfigError */
export function parseNet(text: string, index: number): NicOptions {
  const given = parseKeyValues('--net', text, { switch: null, model: ['virtio'], mac: null });
  const mac = given['mac']?.toLowerCase() ?? defaultMac(index);
  if (!/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac)) {
    throw new ConfigError('--net', text, 'mac must be six hex bytes with an even first one, e.g. 52:54:00:12:34:56');
  }
  return { switch: given['switch'] ?? null, mac };
}

function defaultMac(index: number): string {
  return `52:54:00:86:00:${(index + 1).toString(16).padStart(2, '0')}`;
}

function planDrives(args: MachineArguments, shipped: ShippedImage | null, scratch: string | null): DriveOptions[] {
  if (args.drive.length > DRIVES_MAX) {
    throw new ConfigError('--drive', `${args.drive.length} times`, `at most ${DRIVES_MAX} drives`);
  }
  if (args.drive.length > 0) return args.drive.map(parseDrive);
  const bytes = shipped?.needs.diskBytes;
  if (bytes === undefined) return [];
  if (scratch === null) throw new ConfigError('--drive', '(none)', `${args.image} needs a disk: --drive file=PATH`);
  const path = join(scratch, 'disk0.img');
  const file = openSync(path, 'a+');
  if (fstatSync(file).size < bytes) ftruncateSync(file, bytes);
  closeSync(file);
  return [{ path, readonly: false }];
}

function planNics(args: MachineArguments, shipped: ShippedImage | null): NicOptions[] {
  if (args.net.length > NICS_MAX)
    throw new ConfigError('--net', `${args.net.length} times`, `at most ${NICS_MAX} NICs`);
  if (args.net.length > 0) return args.net.map(parseNet);
  return shipped?.needs.nic === true ? [{ switch: null, mac: defaultMac(0) }] : [];
}

function driveSectors(path: string): number {
  const bytes = fileSize('--drive', path);
  if (bytes === 0 || bytes % 512 !== 0) {
    throw new ConfigError('--drive', path, `must be a whole number of 512-byte sectors, not ${bytes} bytes`);
  }
  return bytes / 512;
}

function fileSize(option: string, path: string): number {
  try {
    const status = statSync(path);
    if (status.isFile()) return status.size;
  } catch (error) {
    throw new ConfigError(option, path, `cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
  throw new ConfigError(option, path, 'must be a regular file');
}

function readImage(option: string, path: string): Uint8Array {
  const bytes = fileSize(option, path);
  if (bytes > IMAGE_BYTES_MAX) throw new ConfigError(option, path, `must be at most ${IMAGE_BYTES_MAX} bytes`);
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigError(option, path, `cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}

function readOptional(option: string, path: string | undefined): Uint8Array | null {
  return path === undefined ? null : readImage(option, path);
}

function readModule(text: string): { bytes: Uint8Array; string: string } {
  const path = text.split(' ', 1)[0] ?? text;
  return { bytes: readImage('--module', path), string: text };
}
