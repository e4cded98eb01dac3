/**
 * Goal: etcd decides who is live, and not reaching it is never a grant.
 * Method: a real etcd of one member on loopback; then the same etcd stopped and continued, killed, and a server that is none.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, ReplicaError } from '../../../emulator/errors.js';
import { EtcdArbiter } from '../../../hypervisor/ft/arbiter-etcd.js';
import { promisesOfAnArbiter } from './arbiter-contract.js';

const folder = mkdtempSync(join(tmpdir(), 'ft86-etcd-'));
let etcd: ChildProcess | null = null;
let url = '';

function freePort(): Promise<number> {
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

beforeAll(async () => {
  url = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  etcd = spawn(
    'etcd',
    [
      ...['--name', 'one', '--data-dir', folder, '--log-level', 'error'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `one=${peer}`],
    ],
    { stdio: 'ignore' },
  );
  const missing = new Promise<never>((_, reject) => {
    etcd?.on('error', () => {
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
}, 30_000);

afterAll(() => {
  etcd?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

describe('etcd', () => {
  promisesOfAnArbiter((pair) => new EtcdArbiter(url, pair));

  test('that is stopped is unreachable, and decides when it goes on', async () => {
    const arbiter = new EtcdArbiter(url, 'patience');
    etcd?.kill('SIGSTOP');
    try {
      expect(await arbiter.claim(1, 'a')).toBe('unreachable');
      await expect(arbiter.newestEpoch()).rejects.toThrow(ReplicaError);
    } finally {
      etcd?.kill('SIGCONT');
    }
    // The first try may have been carried out after all: its answer was lost, and the second gets the same.
    expect(await arbiter.claim(1, 'a')).toBe('granted');
    expect(await arbiter.claim(1, 'b')).toBe('denied');
  }, 20_000);

  test('that is not there is unreachable', async () => {
    const nowhere = new EtcdArbiter(`http://127.0.0.1:${await freePort()}`, 'demo');
    expect(await nowhere.claim(1, 'a')).toBe('unreachable');
    expect(await nowhere.release(1, 'a')).toBe('unreachable');
    await expect(nowhere.lastStopWasClean()).rejects.toThrow(/does not answer/);
  });

  test.each(['127.0.0.1:2379', 'ftp://h', 'http://'])('the address %s is refused', (text) => {
    expect(() => new EtcdArbiter(text, 'demo')).toThrow(ConfigError);
  });
});
