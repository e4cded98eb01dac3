/**
 * A network namespace of its own that holds an `ft86` with its switch and a TAP interface, and programs that run beside it in there
 * as clients of the guest. Needs no root: a user namespace does.
 *
 *   clients -> ft0 (10.86.0.1/24, this kernel) -> switch -> the live replica's guest (10.86.0.2)
 */
import { startFt86, startProgram, type RunningProgram } from './ft86.js';

export const GUEST_IP = '10.86.0.2';
const ROOT = process.getuid?.() === 0;
const NETWORK =
  'ip link set lo up; ip tuntap add dev ft0 mode tap; ip address add 10.86.0.1/24 dev ft0; ip link set ft0 up; exec "$0" "$@"';

/** Run `ft86 ARGS` in a new namespace; ARGS name the uplink `tap:ft0`. */
export function startOnTap(args: readonly string[]): RunningProgram {
  return startFt86(args, ['unshare', ...(ROOT ? [] : ['-U', '-r']), '-n', 'sh', '-c', NETWORK]);
}

/** Run a program in the namespace of `neighbour`. */
export function startBeside(neighbour: RunningProgram, ...command: readonly string[]): RunningProgram {
  const user = ROOT ? [] : ['-U', '--preserve-credentials'];
  return startProgram(['nsenter', '-t', String(neighbour.pid), ...user, '-n', '--', ...command]);
}
