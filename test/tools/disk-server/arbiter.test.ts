/**
 * Goal: the disk server is an arbiter like the others, and the one that fences: after a take-over its predecessor's requests
 * are not performed, however late they come.
 * Method: the arbiters' contract over real connections; two drives that contend for one export; the server restarted.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { ReplicaError } from '../../../emulator/errors.js';
import type { DiskCompletion } from '../../../devices/environment.js';
import { DiskServerArbiter } from '../../../hypervisor/ft/arbiter-disk-server.js';
import { NbdDisk } from '../../../hypervisor/nbd/nbd-disk.js';
import { parseNbdUri } from '../../../hypervisor/nbd/uri.js';
import { promisesOfAnArbiter } from '../../hypervisor/ft/arbiter-contract.js';
import { withServedDisk, type ServedDisk } from './served-disk.js';

function openDrive(address: string, said: string[] = []): Promise<NbdDisk> {
  const text = `nbd://${address}/disk`;
  const uri = parseNbdUri('--drive', text);
  return NbdDisk.open({ uri, text, key: null, readonly: false, slot: 0, say: (line) => said.push(line) });
}

function write(disk: NbdDisk, tag: number, byte: number): Promise<DiskCompletion> {
  return new Promise((resolve) => {
    disk.submit({ drive: 0, tag, op: 'write', sector: 0, bytes: 512, data: new Uint8Array(512).fill(byte) }, resolve);
  });
}

describe('the disk server as arbiter', () => {
  let served: ServedDisk | null = null;
  let stop: () => void = () => undefined;
  let run: Promise<unknown> = Promise.resolve();

  beforeAll(async () => {
    await new Promise<void>((ready) => {
      run = withServedDisk(async (found) => {
        served = found;
        ready();
        await new Promise<void>((resolve) => (stop = resolve));
      });
    });
  });
  afterAll(async () => {
    stop();
    await run;
  });

  promisesOfAnArbiter((pair) => new DiskServerArbiter(parseNbdUri('', `nbd://${served!.address}`), null, pair));

  test('that is not there is unreachable', async () => {
    const nowhere = new DiskServerArbiter(parseNbdUri('', 'nbd://127.0.0.1:1'), null, 'demo');
    expect(await nowhere.claim(1, 'a')).toBe('unreachable');
    await expect(nowhere.newestEpoch()).rejects.toThrow(ReplicaError);
  });
});

describe('the fence', () => {
  test('a replica that lost does nothing to the disk and is told', async () => {
    const result = await withServedDisk(async ({ address, path }) => {
      const arbiter = new DiskServerArbiter(parseNbdUri('', `nbd://${address}`), null, 'demo');
      const [old, next] = [await openDrive(address), await openDrive(address)];
      await old.attach({ pair: 'demo', replicaId: 'a', epoch: 1 });
      expect(await write(old, 1, 1)).toMatchObject({ status: 'ok' });
      expect(await arbiter.claim(2, 'b')).toBe('granted');
      await next.attach({ pair: 'demo', replicaId: 'b', epoch: 2 });
      expect(await write(next, 1, 2)).toMatchObject({ status: 'ok' });
      let told = false;
      void write(old, 2, 1).then(() => (told = true));
      await expect(old.lost).rejects.toThrow(/another replica won epoch 2; this replica powers off/);
      await expect(old.attach({ pair: 'demo', replicaId: 'a', epoch: 1 })).rejects.toThrow(ReplicaError);
      expect(readFileSync(path)[0]).toBe(2);
      expect(told).toBe(false);
      await old.close();
      await next.close();
    });
    expect(result.malformed).toBe(0);
  });

  test('the winner of a newer epoch may come back with the one it knew', async () => {
    await withServedDisk(async ({ address }) => {
      const arbiter = new DiskServerArbiter(parseNbdUri('', `nbd://${address}`), null, 'demo');
      const disk = await openDrive(address);
      await disk.attach({ pair: 'demo', replicaId: 'a', epoch: 1 });
      expect(await arbiter.claim(2, 'a')).toBe('granted');
      await disk.attach({ pair: 'demo', replicaId: 'a', epoch: 1 });
      expect(await write(disk, 1, 1)).toMatchObject({ status: 'ok' });
      await disk.close();
    });
  });

  test('holds over a restart of the server: its epochs are on disk', async () => {
    await withServedDisk(async ({ path, address }) => {
      const arbiter = new DiskServerArbiter(parseNbdUri('', `nbd://${address}`), null, 'demo');
      expect(await arbiter.claim(2, 'b')).toBe('granted');
      const again = withServedDisk(
        async ({ address: second }) => {
          const late = await openDrive(second);
          await expect(late.attach({ pair: 'demo', replicaId: 'a', epoch: 1 })).rejects.toThrow(/won epoch 2/);
          await late.close();
        },
        { files: [`disk=${path}`], epochs: `${path}.epochs` },
      );
      expect((await again).connections).toBeGreaterThan(1);
    });
  });
});
