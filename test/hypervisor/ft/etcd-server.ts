/** A real etcd of one member on loopback, with its data in a folder of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface EtcdServer {
  readonly url: string;
  readonly process: ChildProcess;
  close(): void;
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => {
        resolve(port);
      });
    });
  });
}

/** Resolves when it answers. */
export async function startEtcd(): Promise<EtcdServer> {
  const folder = mkdtempSync(join(tmpdir(), 'ft86-etcd-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const etcd = spawn(
    'etcd',
    [
      ...['--name', 'one', '--data-dir', folder, '--log-level', 'error'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `one=${peer}`],
    ],
    { stdio: 'ignore' },
  );
  const missing = new Promise<never>((_, reject) => {
    etcd.on('error', () => {
      reject(new Error('etcd is not installed; "make extras" installs it'));
    });
  });
  const ready = async (): Promise<void> => {
    for (;;) {
      const answer = await fetch(`${url}/health`).catch(() => null);
      if (answer?.ok === true) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  await Promise.race([ready(), missing]);
  const close = (): void => {
    etcd.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  return { url, process: etcd, close };
}
