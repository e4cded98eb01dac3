/** Edge: starts `ft86` processes that end with this one's IPC pipe. */
import { spawn, type ChildProcess } from 'node:child_process';

/** Start `PROGRAM ARGS`, with an IPC pipe. Its messages for a person go to our stderr. */
export function spawnChild(program: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: childEnvironment(args),
  });
}

/**
 * NODE_EXTRA_CA_CERTS has Node read and decode all certificates of that file when a process starts, 80 ms for those of a Debian. Only
 * an arbiter at https: is known by a certificate, all else by a shared key.
 */
export function childEnvironment(args: readonly string[]): NodeJS.ProcessEnv {
  if (args.some((word) => word.includes('https:'))) return process.env;
  const { NODE_EXTRA_CA_CERTS: _unused, ...environment } = process.env;
  return environment;
}
