/**
 * Goal: etcd decides who is live, and not reaching it is never a grant.
 * Method: a real etcd of one member on loopback; then the same etcd stopped and continued, killed, and a server that is none.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ConfigError, ReplicaError } from '../../../emulator/errors.js';
import { EtcdArbiter } from '../../../hypervisor/ft/arbiter-etcd.js';
import { promisesOfAnArbiter } from './arbiter-contract.js';
import { freePort, startEtcd, type EtcdServer } from './etcd-server.js';

let etcd: EtcdServer | null = null;

beforeAll(async () => {
  etcd = await startEtcd();
}, 30_000);

afterAll(() => {
  etcd?.close();
});

describe('etcd', () => {
  promisesOfAnArbiter((pair) => new EtcdArbiter(etcd!.url, pair));

  test('that is stopped is unreachable, and decides when it goes on', async () => {
    const arbiter = new EtcdArbiter(etcd!.url, 'patience');
    etcd?.process.kill('SIGSTOP');
    try {
      expect(await arbiter.claim(1, 'a')).toBe('unreachable');
      await expect(arbiter.newestEpoch()).rejects.toThrow(ReplicaError);
    } finally {
      etcd?.process.kill('SIGCONT');
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
