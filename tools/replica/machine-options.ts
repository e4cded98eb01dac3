/**
 * The options that describe a machine, shared by `boot`, `primary` and `pair`, and what becomes of them:
 * the image read and recognised, drives opened, the machine's configuration.
 */
import { createHash } from 'node:crypto';
import type { Argv } from 'yargs';
import { ConfigError } from '../../emulator/errors.js';
import { MEDIUM_HEAD_BYTES, MEDIUM_TAIL_BYTES, recogniseMedium } from '../../hypervisor/loader/boot-medium.js';
import { BlobStore } from '../../hypervisor/machine/blob-store.js';
import { parseMemory, type MachineConfig } from '../../hypervisor/machine/machine-config.js';
import { findShippedImage, type ShippedImage } from '../images/manifest.js';
import { parseCount } from '../key-values.js';
import { parseDrive, plainDrive, planDrives, type DriveOptions } from './drive-options.js';
import { defaultBios, planFiles, readBios } from './firmware-options.js';
import { parseNet, planNics, unpluggedNic, type NicOptions } from './net-options.js';
import { driveSectors } from './open-disks.js';
import { fileSize, readOptionFile, readPart } from './option-files.js';
import { snapshotConfig } from './snapshot-config.js';

/** Largest image or module file read. */
const IMAGE_BYTES_MAX = 1024 ** 3;
/** 2026-01-01 00:00:00 UTC: what the guest's clock shows at power-on when --rtc is not given. */
const DEFAULT_BOOT_UNIX_SECONDS = 1767225600;

export interface MachineArguments {
  /** Undefined: the machine starts from --bios alone. */
  readonly image: string | undefined;
  readonly bios?: string | undefined;
  readonly fwCfg: readonly string[];
  readonly optionRom: readonly string[];
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
  readonly stress?: string | undefined;
}

/** An image that the loader places in RAM, firmware and the disk that it is to start from, or a saved machine. */
export type MachineStart =
  | { readonly kind: 'image'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'firmware';
      readonly bios: Uint8Array;
      readonly biosPath: string;
      readonly disk: DriveOptions | null;
    }
  | { readonly kind: 'snapshot'; readonly path: string };

/** Everything needed to power a machine on. */
export interface MachinePlan {
  readonly config: MachineConfig;
  /** What `config` names by hash. */
  readonly blobs: BlobStore;
  readonly start: MachineStart;
  readonly modules: readonly { readonly bytes: Uint8Array; readonly string: string }[];
  /** Linux only. */
  readonly initrd: Uint8Array | null;
  readonly payload: Uint8Array | null;
  readonly format: string | undefined;
  readonly shipped: ShippedImage | null;
  readonly drives: readonly DriveOptions[];
  readonly nics: readonly NicOptions[];
  readonly until: number;
  /** For tests: seed of where runs are cut, or null. */
  readonly stress: number | null;
}

/** Declare the image on a command. */
export function withImage<T>(argv: Argv<T>): Argv<T> {
  return argv.positional('image', {
    type: 'string',
    describe: 'a shipped guest, a kernel, a boot sector, a disk image; none with --bios alone',
  });
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
    .option('bios', { type: 'string', describe: 'firmware: a ROM of 64 KiB to 1 MiB; disk images default to SeaBIOS' })
    .option('fw-cfg', {
      type: 'string',
      array: true,
      default: [],
      describe: 'a file for the firmware: name=NAME,file=PATH or name=NAME,string=TEXT',
    })
    .option('option-rom', { type: 'string', array: true, default: [], describe: 'an option ROM for the firmware' })
    .option('format', { type: 'string', choices: ['flat'], describe: 'load the image as a flat binary at 1 MiB' })
    .option('drive', {
      type: 'string',
      array: true,
      default: [],
      describe:
        'file=PATH or nbd://HOST:PORT/EXPORT, then [,if=virtio|ide][,readonly=on|off][,shared=on|off][,backup-reads=on|off]',
    })
    .option('net', {
      type: 'string',
      array: true,
      default: [],
      describe: 'switch=ADDRESS[,model=virtio|ne2k|ne2k-isa][,mac=MAC][,romfile=FILE]',
    })
    .option('clock', {
      type: 'string',
      choices: ['host', 'icount'],
      default: 'host',
      describe: 'what guest time follows',
    })
    .option('rtc', { type: 'string', describe: 'guest wall-clock time at power-on, seconds since 1970' })
    .option('until', { type: 'string', describe: 'stop at this instruction count' })
    .option('stress', { type: 'string', hidden: true });
}

/**
 * Read the image and work out the machine. `scratch` is where a guest's disk is made when it needs one and no
 * --drive names it; null: refuse instead.
 * @throws ConfigError
 */
export async function planMachine(
  args: MachineArguments,
  scratch: string | null,
  key: Uint8Array | null,
): Promise<MachinePlan> {
  const shipped = args.image === undefined ? null : findShippedImage(args.image);
  const start = planStart(args, shipped);
  if (start.kind === 'snapshot') return planRestored(args, start.path);
  const firmware = start.kind === 'firmware' ? start : null;
  const nics = planNics(args.net, shipped);
  if (firmware === null) refuseFirmwareOptions(args, nics);
  else refuseKernelOptions(args);
  const drives = planDrives(args.drive, firmware?.disk ?? null, shipped, scratch);
  const blobs = new BlobStore();
  const files = firmware === null ? [] : planFiles(args.fwCfg, args.optionRom, nics, firmware.biosPath);
  const config: MachineConfig = {
    memoryBytes: parseMemory('--memory', args.memory ?? shipped?.memory ?? '64M'),
    drives: await planned(drives, key),
    nics: nics.map(({ kind, mac }) => ({ kind, mac })),
    firmware: firmware === null ? null : blobs.add(firmware.bios),
    files: files.map(({ name, data }) => ({ name, ...blobs.add(data) })),
    bootUnixSeconds: args.rtc === undefined ? DEFAULT_BOOT_UNIX_SECONDS : parseCount('--rtc', args.rtc, 0, 2 ** 33),
    clock: args.clock === 'icount' ? 'icount' : 'host',
    image: imageName(args),
    // A disk changes while it is used: what a machine with firmware starts from is its ROM.
    imageSha256: createHash('sha256')
      .update(start.kind === 'image' ? start.bytes : start.bios)
      .digest('hex'),
    append: firmware === null ? (args.append ?? shipped?.append ?? '') : '',
  };
  return {
    config,
    blobs,
    start,
    modules: args.module.map((text) => readModule(text)),
    initrd: readOptional('--initrd', args.initrd ?? shipped?.initrdPath),
    payload: readOptional('--payload', args.payload ?? shipped?.payloadPath),
    format: args.format,
    shipped,
    drives,
    nics,
    until: untilOf(args),
    stress: stressOf(args),
  };
}

function planned(drives: readonly DriveOptions[], key: Uint8Array | null): Promise<MachineConfig['drives'][number][]> {
  return Promise.all(
    drives.map(async (drive) => ({
      kind: drive.kind,
      sectors: await driveSectors(drive, key),
      readonly: drive.readonly,
    })),
  );
}

/** A machine that goes on from a snapshot is what it was; only its connections are given anew. */
function planRestored(args: MachineArguments, path: string): MachinePlan {
  const config = snapshotConfig(path);
  for (const option of ['memory', 'append', 'initrd', 'payload', 'format', 'bios', 'rtc'] as const) {
    refuseAnew(`--${option}`, args[option]);
  }
  refuseAnew('--module', args.module[0]);
  refuseAnew('--fw-cfg', args.fwCfg[0]);
  refuseAnew('--option-rom', args.optionRom[0]);
  const drives = args.drive.map(parseDrive);
  const nics =
    args.net.length === 0 ? config.nics.map(({ kind, mac }) => unpluggedNic(kind, mac)) : args.net.map(parseNet);
  const driveName = ({ kind }: { readonly kind: string }): string => `if=${kind}`;
  const nicName = ({ kind, mac }: { readonly kind: string; readonly mac: string }): string =>
    `model=${kind},mac=${mac}`;
  requireCards('--drive', args.drive, drives.map(driveName), config.drives.map(driveName));
  requireCards('--net', args.net, nics.map(nicName), config.nics.map(nicName));
  return {
    config,
    blobs: new BlobStore(),
    start: { kind: 'snapshot', path },
    ...{ modules: [], initrd: null, payload: null, format: undefined, shipped: null },
    ...{ drives, nics },
    ...{ until: untilOf(args), stress: stressOf(args) },
  };
}

function refuseAnew(option: string, value: string | undefined): void {
  if (value !== undefined) throw new ConfigError(option, value, 'a machine from a snapshot has what it had');
}

/** @throws ConfigError unless the cards given are, in order, those that the machine had */
function requireCards(
  option: string,
  texts: readonly string[],
  given: readonly string[],
  had: readonly string[],
): void {
  if (given.length === had.length && given.every((card, i) => card === had[i])) return;
  const all = had.join(' ') || 'none';
  throw new ConfigError(option, texts.join(' ') || '(none)', `the machine in the snapshot has: ${all}`);
}

function untilOf({ until }: MachineArguments): number {
  return until === undefined ? Infinity : parseCount('--until', until, 1, Number.MAX_SAFE_INTEGER);
}

function stressOf({ stress }: MachineArguments): number | null {
  return stress === undefined ? null : parseCount('--stress', stress, 0, 0xffffffff);
}

/** What to call the machine: its image, or its firmware. */
export function imageName({ image, bios }: Pick<MachineArguments, 'image' | 'bios'>): string {
  return image ?? bios ?? 'machine';
}

/** What the machine starts from. @throws ConfigError */
function planStart(args: MachineArguments, shipped: ShippedImage | null): MachineStart {
  const path = shipped?.path ?? args.image;
  if (path === undefined) {
    if (args.bios === undefined) throw new ConfigError('IMAGE', '(none)', 'give an image, or a ROM with --bios FILE');
    return { kind: 'firmware', bios: readBios(args.bios), biosPath: args.bios, disk: null };
  }
  const bytes = fileSize('IMAGE', path);
  const head = readPart('IMAGE', path, 0, MEDIUM_HEAD_BYTES);
  const tail = readPart('IMAGE', path, Math.max(0, bytes - MEDIUM_TAIL_BYTES), MEDIUM_TAIL_BYTES);
  const medium = args.format === undefined ? recogniseMedium(head, tail, bytes) : 'kernel';
  if (medium === 'bios' && (args.bios === undefined || args.bios === path)) {
    return { kind: 'firmware', bios: readBios(path), biosPath: path, disk: null };
  }
  if (medium === 'snapshot') return { kind: 'snapshot', path };
  if (args.bios === undefined && medium !== 'disk') {
    return { kind: 'image', bytes: readOptionFile('IMAGE', path, IMAGE_BYTES_MAX) };
  }
  if (medium === 'kernel')
    throw new ConfigError('--bios', args.bios ?? '', `${args.image} is started without firmware`);
  const biosPath = args.bios ?? defaultBios();
  return { kind: 'firmware', bios: readBios(biosPath), biosPath, disk: plainDrive(path, 'ide') };
}

/** Refuse what only firmware reads where there is none. @throws ConfigError */
function refuseFirmwareOptions(args: MachineArguments, nics: readonly NicOptions[]): void {
  const only = 'only firmware reads it: start a disk image, or give --bios FILE';
  if (args.fwCfg[0] !== undefined) throw new ConfigError('--fw-cfg', args.fwCfg[0], only);
  if (args.optionRom[0] !== undefined) throw new ConfigError('--option-rom', args.optionRom[0], only);
  const rom = nics.find(({ romfile }) => romfile !== null)?.romfile;
  if (rom !== undefined && rom !== null) throw new ConfigError('--net', `romfile=${rom}`, only);
}

/** Refuse what only a kernel has. @throws ConfigError */
function refuseKernelOptions(args: MachineArguments): void {
  const given = [
    ['--append', args.append || undefined],
    ['--initrd', args.initrd],
    ['--payload', args.payload],
    ['--module', args.module[0]],
  ] as const;
  for (const [option, value] of given) {
    if (value !== undefined) throw new ConfigError(option, value, 'a machine with firmware has no place for it');
  }
}

function readOptional(option: string, path: string | undefined): Uint8Array | null {
  return path === undefined ? null : readOptionFile(option, path, IMAGE_BYTES_MAX);
}

function readModule(text: string): { bytes: Uint8Array; string: string } {
  const path = text.split(' ', 1)[0] ?? text;
  return { bytes: readOptionFile('--module', path, IMAGE_BYTES_MAX), string: text };
}
