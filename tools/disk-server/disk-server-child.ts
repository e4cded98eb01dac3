/** Starts `ft86 disk-server` as a child process and waits until it is ready. */
import { join } from 'node:path';
import { ReplicaError } from '../../emulator/errors.js';
import { projectRoot } from '../images/manifest.js';
import { spawnChild } from '../spawn-child.js';
import type { DiskServerReady } from './disk-server.js';

export interface DiskServerProcess {
  /** NBD address of each file, in order. */
  readonly drives: readonly string[];
  /** NBD address of the server, as an arbiter. */
  readonly arbiter: string;
  stop(): Promise<void>;
}

const STOP_MS = 3000;

/**
 * @param folder where its socket and its epochs are
 * @param keyFile its clients must have this key; undefined: none
 * @throws ReplicaError when it does not come up
 */
export function startDiskServer(
  folder: string,
  files: readonly string[],
  keyFile: string | undefined,
): Promise<DiskServerProcess> {
  const socket = join(folder, 'disk-server.sock');
  const key = keyFile === undefined ? [] : ['--key', keyFile];
  const args = ['--listen', `unix:${socket}`, '--epochs', join(folder, 'epochs'), ...key];
  const exports = files.map((file, i) => `drive${i}=${file}`);
  const child = spawnChild(join(projectRoot(), 'ft86'), ['disk-server', ...exports, ...args]);
  const exited = new Promise<void>((resolve) => {
    child.on('exit', () => {
      resolve();
    });
  });
  const scheme = keyFile === undefined ? 'nbd+unix' : 'nbds+unix';
  const address = (name: string): string => `${scheme}:///${name}?socket=${encodeURIComponent(socket)}`;
  return new Promise((resolve, reject) => {
    child.once('message', (message) => {
      const ready = message as DiskServerReady;
      resolve({
        drives: ready.exports.map(({ name }) => address(name)),
        arbiter: address(''),
        stop: async () => {
          const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
          child.kill('SIGTERM');
          await exited;
          clearTimeout(timer);
        },
      });
    });
    void exited.then(() => {
      reject(new ReplicaError('the disk server ended before it was ready'));
    });
  });
}
