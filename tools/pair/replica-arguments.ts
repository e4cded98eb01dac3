/** The command lines of a pair's replicas. */
import { join } from 'node:path';
import { formatDrive } from '../replica/drive-options.js';
import { formatNet } from '../replica/net-options.js';
import { drivesOf } from './own-copies.js';
import type { PairOptions } from './pair-options.js';

/** Where a replica takes a backup: on this machine, a port that is free. */
const ANY_CHANNEL = 'tcp://127.0.0.1:0';

/** The replica that starts live. `switchAddress`: where its NICs are plugged in. */
export function primaryArguments(options: PairOptions, switchAddress: string | null): string[] {
  const { checkpointMs, logWindowBytes, record } = options;
  return [
    'primary',
    ...options.machineArguments,
    ...commonArguments(options, 'primary', switchAddress),
    ...killArguments(options, 'primary'),
    ...['--channel', ANY_CHANNEL, '--wait-backup', ...(options.force === true ? ['--force'] : [])],
    ...(checkpointMs === null ? [] : ['--replication', 'checkpoint', '--checkpoint-ms', String(checkpointMs)]),
    ...(logWindowBytes === undefined ? [] : ['--log-window-kib', String(logWindowBytes >> 10)]),
    ...(record === undefined ? [] : ['--record', record]),
  ];
}

/** A backup called `name` of the replica that listens at `channel`; the first one of a pair may have to die. */
export function backupArguments(
  options: PairOptions,
  name: string,
  switchAddress: string | null,
  channel: string,
): string[] {
  return [
    'backup',
    ...commonArguments(options, name, switchAddress),
    ...(name === 'backup' ? killArguments(options, 'backup') : []),
    ...(name === 'backup' && options.corruptAt !== undefined ? ['--corrupt-at', options.corruptAt] : []),
    ...['--channel', channel],
    ...(options.throttle === undefined ? [] : ['--throttle', options.throttle]),
    ...(options.replace ? ['--listen', ANY_CHANNEL] : []),
  ];
}

/** Where the replica called `name` leaves its final state. */
export function finalSnapshot(options: Pick<PairOptions, 'runDirectory'>, name: string): string {
  return join(options.runDirectory, `final-${name}.ftsnap`);
}

function commonArguments(options: PairOptions, name: string, switchAddress: string | null): string[] {
  const { drives, nics, until } = options.plan;
  return [
    ...drivesOf(drives, name).flatMap((drive) => ['--drive', formatDrive(drive)]),
    ...nics.flatMap((nic) => ['--net', formatNet({ ...nic, switch: nic.switch ?? switchAddress })]),
    ...['--name', options.name, '--run-directory', options.runDirectory],
    ...(options.arbiter === null ? [] : ['--arbiter', options.arbiter]),
    ...(options.keyFile === undefined ? [] : ['--key', options.keyFile]),
    ...['--detect-ms', String(options.detectMs), '--lag-ms', String(options.lagMs)],
    ...['--digest-ms', String(options.digestMs), '--serial', 'stdio'],
    ...['--snapshot', finalSnapshot(options, name)],
    ...(until === Infinity ? [] : ['--until', String(until)]),
  ];
}

function killArguments(options: PairOptions, victim: 'primary' | 'backup'): string[] {
  const kill = options.kills.find((k) => k.victim === victim && k.unit === 'icount');
  return kill === undefined ? [] : ['--kill-at', String(kill.value)];
}
