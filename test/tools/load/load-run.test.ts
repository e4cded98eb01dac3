/**
 * Goal: a load does exactly its operations over a lossy network and passes a correct service; every broken service is
 * found out; silence, refusal and an abort end the run with what was acknowledged.
 * Method: real UDP sockets on loopback against a model of the service with faults.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { createSocket, type Socket } from 'node:dgram';
import { ReplicaError } from '../../../emulator/errors.js';
import type { LoadResult } from '../../../tools/load/load-result.js';
import { LoadError, clientIds, runLoad, type LoadHooks } from '../../../tools/load/load-run.js';
import { parseLoad } from '../../../tools/load/load-spec.js';
import type { UdpTarget } from '../../../tools/load/udp-client.js';
import { ModelService, type Faults } from './model-service.js';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

async function serve(answer: (datagram: Uint8Array) => Uint8Array | null): Promise<UdpTarget> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  socket.on('message', (datagram, { address, port }) => {
    const reply = answer(datagram);
    if (reply !== null) socket.send(reply, port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { host: '127.0.0.1', port: socket.address().port };
}

async function load(text: string, faults: Faults = {}, hooks: LoadHooks = {}): Promise<LoadResult> {
  const spec = parseLoad(text);
  const service = new ModelService(spec.kind, faults);
  return runLoad(spec, await serve((datagram) => service.answer(datagram)), hooks);
}

async function failure(run: Promise<LoadResult>): Promise<LoadError> {
  const error = await run.then(
    () => null,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(LoadError);
  expect(error).toBeInstanceOf(ReplicaError);
  return error as LoadError;
}

describe('runLoad', () => {
  test.each(['kv:ops=400,clients=4', 'counter:ops=300,clients=3', 'echo:ops=200,clients=2', 'kv:ops=5,clients=5'])(
    '%s passes a correct service',
    async (text) => {
      const progress: number[] = [];
      const result = await load(text, {}, { onProgress: (acked) => progress.push(acked) });
      const { operations } = parseLoad(text);
      expect(result).toMatchObject({
        operations,
        acked: operations,
        lost: 0,
        duplicated: 0,
        completed: true,
        findings: [],
      });
      expect(progress).toEqual(Array.from({ length: operations }, (_, i) => i + 1));
      expect(result.p99Ms).toBeGreaterThanOrEqual(result.p50Ms);
      expect(result.gapMs).toBeGreaterThan(0);
      expect(result.opsPerSecond).toBeGreaterThan(0);
    },
  );

  test.each(['kv:ops=60,clients=3', 'counter:ops=60,clients=3', 'echo:ops=60,clients=3'])(
    '%s passes a correct service behind a lossy network',
    async (text) => {
      const result = await load(text, { loseEvery: 5 });
      expect(result).toMatchObject({ acked: 60, lost: 0, duplicated: 0, completed: true });
      expect(result.retransmissions).toBeGreaterThan(5);
      expect(result.gapMs).toBeGreaterThan(20);
    },
  );

  test('an earlier run on the same service is no reason to complain', async () => {
    const spec = parseLoad('kv:ops=50,clients=2');
    const service = new ModelService('kv');
    const target = await serve((datagram) => service.answer(datagram));
    for (const runId of [1, 2, 3]) {
      expect(await runLoad(spec, target, { runId })).toMatchObject({ acked: 50, lost: 0, duplicated: 0 });
    }
    expect(service.clients).toBe(6);
  });

  test('a service that forgets its clients applies retries twice and is found out', async () => {
    // Its answer to the first try is lost, so each request is asked twice.
    let count = 0;
    const spec = parseLoad('counter:ops=10,clients=1');
    const service = new ModelService('counter', { forgetClients: true });
    const target = await serve((datagram) => {
      const reply = service.answer(datagram);
      return ++count % 2 === 0 ? null : reply;
    });
    const result = await runLoad(spec, target, {});
    expect(result.duplicated).toBeGreaterThan(0);
    expect(result.findings.length).toBeGreaterThan(0);
  });

  test.each(['kv:ops=200', 'counter:ops=200'])('%s finds effects that are dropped or doubled', async (text) => {
    expect((await load(text, { dropEffectEvery: 20 })).lost).toBeGreaterThan(0);
    expect((await load(text, { repeatEffectEvery: 10 })).duplicated).toBeGreaterThan(0);
  });

  test('silence ends the run with what was acknowledged', async () => {
    let answers = 30;
    const service = new ModelService('kv');
    const target = await serve((datagram) => (answers-- > 0 ? service.answer(datagram) : null));
    const error = await failure(runLoad(parseLoad('kv:ops=500,clients=2,timeout-ms=300'), target, {}));
    expect(error.message).toMatch(/no reply for 300 ms \(\d+ of 500 done\)/);
    expect(error.result.completed).toBe(false);
    expect(error.result.acked).toBeGreaterThan(5);
    expect(error.result.operations).toBeGreaterThan(error.result.acked);
    expect([error.result.lost, error.result.duplicated]).toEqual([0, 0]);
  });

  test('a guest that is not there yet is waited for', async () => {
    let up = false;
    let ready = false;
    const service = new ModelService('kv');
    const target = await serve((datagram) => (up ? service.answer(datagram) : null));
    setTimeout(() => (up = true), 300);
    const result = await runLoad(parseLoad('kv:ops=10,timeout-ms=5000'), target, { onReady: () => (ready = true) });
    expect([ready, result.acked, result.retransmissions]).toEqual([true, 10, 0]);
  });

  test.each([
    ['bad-request', /bad request/],
    ['stale', /another seed/],
    ['full', /no room for another client/],
  ] as const)('the answer "%s" to everything fails the run', async (alwaysStatus, message) => {
    expect((await failure(load('kv:ops=10', { alwaysStatus }))).message).toMatch(message);
  });

  test('an abort ends the run early, without an error, also before it began and while it waits for its rate', async () => {
    const abort = new AbortController();
    const onProgress = (acked: number): void => {
      if (acked === 20) abort.abort();
    };
    const result = await load('kv:ops=100000', {}, { signal: abort.signal, onProgress });
    expect(result).toMatchObject({ completed: false, lost: 0, duplicated: 0 });
    expect(result.acked).toBeGreaterThanOrEqual(20);
    expect(await load('kv', {}, { signal: abort.signal })).toMatchObject({ operations: 0, acked: 0, completed: false });
    const later = AbortSignal.timeout(100);
    expect((await load('echo:ops=100,clients=1,rate=1', {}, { signal: later })).acked).toBeLessThan(3);
  });

  test('a rate is kept', async () => {
    const result = await load('echo:ops=20,clients=2,rate=100,timeout-ms=100');
    expect(result.acked).toBe(20);
    expect(result.seconds).toBeGreaterThan(0.18);
  });

  test('clients have different identities, within a run and between runs', () => {
    const spec = parseLoad('kv:ops=1000,clients=256');
    const ids = [clientIds(spec, 1), clientIds(spec, 2), clientIds({ ...spec, seed: 2 }, 1)].flat();
    expect(new Set(ids).size).toBe(3 * 256);
    expect(clientIds(spec, 1)).toEqual(clientIds(spec, 1));
  });
});
