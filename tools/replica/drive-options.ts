/** `--drive`: the disks of a machine. */
import { closeSync, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../emulator/errors.js';
import { IDE_DRIVES_MAX, type DriveKind } from '../../devices/pc-cards.js';
import type { DriveReplication } from '../../hypervisor/backend/drive-replication.js';
import { DRIVES_MAX } from '../../hypervisor/machine/machine-config.js';
import { isNbdUri, parseNbdUri } from '../../hypervisor/nbd/uri.js';
import type { ShippedImage } from '../images/manifest.js';
import { parseKeyValues } from '../key-values.js';

export interface DriveOptions extends DriveReplication {
  /** A file, or where an NBD server has the disk. */
  readonly path: string;
  readonly kind: DriveKind;
  readonly readonly: boolean;
}

/** Parse one --drive. @throws ConfigError */
export function parseDrive(text: string): DriveOptions {
  const comma = text.indexOf(',');
  const head = comma < 0 ? text : text.slice(0, comma);
  const served = isNbdUri(head);
  if (served) parseNbdUri('--drive', head);
  const given = parseKeyValues('--drive', served ? `file=${text}` : text, {
    file: null,
    if: ['virtio', 'ide'],
    shared: ['on', 'off'],
    readonly: ['on', 'off'],
    'backup-reads': ['on', 'off'],
  });
  if (given['file'] === undefined || given['file'] === '')
    throw new ConfigError('--drive', text, 'needs file=PATH or nbd://HOST:PORT/EXPORT');
  return {
    path: given['file'],
    kind: given['if'] === 'ide' ? 'ide' : 'virtio',
    readonly: given['readonly'] === 'on',
    shared: given['shared'] !== 'off',
    backupReads: given['backup-reads'] === 'on',
  };
}

/** The text that parseDrive() reads. */
export function formatDrive({ path, kind, readonly, shared, backupReads }: DriveOptions): string {
  const reads = `${shared ? '' : ',shared=off'}${backupReads ? ',backup-reads=on' : ''}`;
  return `${isNbdUri(path) ? '' : 'file='}${path},if=${kind},readonly=${readonly ? 'on' : 'off'}${reads}`;
}

/** The drive of a file without any option. */
export function plainDrive(path: string, kind: DriveKind): DriveOptions {
  return { path, kind, readonly: false, shared: true, backupReads: false };
}

/**
 * The drives of two replicas on one machine: of a disk that nobody writes, the backup reads itself what its guest asks for, and the
 * log does without. Not where an option says otherwise, nor where the log must do alone: in a recording, or for checkpoints.
 * @param texts those of --drive: the last of `drives`
 */
export function pairDrives(
  drives: readonly DriveOptions[],
  texts: readonly string[],
  logAlone: boolean,
): DriveOptions[] {
  return drives.map((drive, i) => {
    const said = /(^|,)backup-reads=/.test(texts[i - (drives.length - texts.length)] ?? '');
    return { ...drive, backupReads: drive.backupReads || (drive.readonly && drive.shared && !said && !logAlone) };
  });
}

/** Refuse what a backup that executes nothing cannot do, and a recording that could not be replayed. @throws ConfigError */
export function checkDrivesFit(
  drives: readonly DriveOptions[],
  checkpointMs: number | null,
  record: string | undefined,
): void {
  for (const { shared, backupReads } of drives) {
    const idle = 'under --replication checkpoint the backup executes nothing';
    if (!shared && checkpointMs !== null) throw new ConfigError('--drive', 'shared=off', idle);
    if (!backupReads) continue;
    if (checkpointMs !== null) throw new ConfigError('--drive', 'backup-reads=on', idle);
    if (record === undefined) continue;
    throw new ConfigError('--drive', 'backup-reads=on', 'with --record the log needs what the disk returned');
  }
}

/** Refuse to join a live replica that has its drives in another way. @throws ConfigError */
export function checkReplication(own: readonly DriveReplication[], live: readonly DriveReplication[]): void {
  const onOff = (on: boolean): string => (on ? 'on' : 'off');
  const textOf = (drive: DriveReplication): string =>
    `shared=${onOff(drive.shared)},backup-reads=${onOff(drive.backupReads)}`;
  for (const [i, theirs] of live.entries()) {
    const here = own[i];
    if (here === undefined || textOf(here) === textOf(theirs)) continue;
    throw new ConfigError('--drive', textOf(here), `the live replica has drive ${i} with ${textOf(theirs)}`);
  }
}

/**
 * The drives of a machine: the disk image that it starts from, then those of --drive, or the one that a shipped guest
 * needs, made in `scratch`; null: refuse instead.
 * @throws ConfigError
 */
export function planDrives(
  texts: readonly string[],
  bootDisk: DriveOptions | null,
  shipped: ShippedImage | null,
  scratch: string | null,
): DriveOptions[] {
  const given = texts.map(parseDrive);
  const drives = bootDisk === null ? given : [bootDisk, ...given];
  if (drives.length > DRIVES_MAX) throw new ConfigError('--drive', `${drives.length} times`, `at most ${DRIVES_MAX}`);
  if (drives.filter(({ kind }) => kind === 'ide').length > IDE_DRIVES_MAX) {
    throw new ConfigError('--drive', 'if=ide', `at most ${IDE_DRIVES_MAX}, with the image that is started from`);
  }
  const bytes = shipped?.needs.diskBytes;
  if (drives.length > 0 || shipped === null || bytes === undefined) return drives;
  if (scratch === null) throw new ConfigError('--drive', '(none)', `${shipped.name} needs a disk: --drive file=PATH`);
  const path = join(scratch, 'disk0.img');
  const file = openSync(path, 'a+');
  if (fstatSync(file).size < bytes) ftruncateSync(file, bytes);
  closeSync(file);
  return [plainDrive(path, shipped.needs.driveKind)];
}
