/** Starts `ft86 switch` as a child process and waits until it is ready. */
import { join } from 'node:path';
import { ReplicaError } from '../../emulator/errors.js';
import { projectRoot } from '../images/manifest.js';
import { spawnChild } from '../spawn-child.js';
import type { SwitchReady } from './switch-process.js';
import type { BoundForward } from './uplink.js';

export interface SwitchProcess {
  /** Where ports connect. */
  readonly address: string;
  /** In the order of the uplinks. */
  readonly forwards: readonly BoundForward[];
  stop(): Promise<void>;
}

const STOP_MS = 3000;

/**
 * @param socket path of the UNIX socket for ports
 * @param pcap a capture file, or null
 * @param keyFile who plugs in must have this key; undefined: none
 * @throws ReplicaError when it does not come up; it has said why
 */
export function startSwitch(
  socket: string,
  uplinks: readonly string[],
  pcap: string | null = null,
  keyFile?: string,
): Promise<SwitchProcess> {
  const args = [
    ...['switch', '--listen', `unix:${socket}`, ...uplinks.flatMap((uplink) => ['--uplink', uplink])],
    ...(pcap === null ? [] : ['--pcap', pcap]),
    ...(keyFile === undefined ? [] : ['--key', keyFile]),
  ];
  const child = spawnChild(join(projectRoot(), 'ft86'), args);
  const exited = new Promise<void>((resolve) => {
    child.on('exit', () => {
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.kill('SIGTERM');
    await exited;
    clearTimeout(timer);
  };
  return new Promise((resolve, reject) => {
    child.once('message', (message) => {
      const ready = message as SwitchReady;
      resolve({
        address: ready.listen[0] ?? `unix:${socket}`,
        forwards: ready.forwards,
        stop,
      });
    });
    void exited.then(() => {
      reject(new ReplicaError('the switch ended before it was ready'));
    });
  });
}
