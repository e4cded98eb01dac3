/**
 * Goal: heartbeats over UDP show that a replica lives while its channel stands still; nobody else's do, and nothing that
 * arrives there disturbs anything.
 * Method: real sessions in this process, a relay that holds back the channel, datagrams of strangers.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSocket, type Socket } from 'node:dgram';
import { HeartbeatPort } from '../../../tools/replica/heartbeat-socket.js';
import { DETECT_MS, Rig, until, type BackupRig, type LiveRig } from './rig.js';

const LOOPBACK = 'tcp://127.0.0.1:0';
let rig: Rig;
let port: HeartbeatPort;
const sockets: Socket[] = [];

beforeEach(async () => {
  rig = new Rig();
  port = (await HeartbeatPort.open('--channel', LOOPBACK))!;
});
afterEach(async () => {
  await rig.close();
  port.close();
  for (const socket of sockets.splice(0)) socket.close();
});

/** A pair over TCP whose channel stands still, both ways, while `held()`. */
async function pair(held: () => boolean, heartbeats: HeartbeatPort | null): Promise<[LiveRig, BackupRig]> {
  const live = await rig.live({}, heartbeats);
  const address = await rig.relay(live.address, () => (held() ? 'hold' : null));
  const backup = await rig.backup(address);
  await until(() => (backup.session.replica?.comparedIcount ?? 0) > 0, 'they follow');
  return [live, backup];
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function stranger(): Socket {
  const socket = createSocket('udp4');
  sockets.push(socket);
  return socket;
}

describe('a pair', () => {
  test('hears heartbeats on both sides', async () => {
    const [live, backup] = await pair(() => false, port);
    await until(() => live.session.heartbeats!.received > 3, 'the live replica hears');
    await until(() => backup.session.heartbeats!.received > 3, 'the backup hears');
    for (const { session } of [live, backup]) {
      expect(session.heartbeats).toMatchObject({ malformed: 0, foreign: 0, stale: 0 });
    }
  });

  test('whose channel stands still: the backup leaves it to the live replica to contend, and powers off', async () => {
    let held = false;
    const [live, backup] = await pair(() => held, port);
    held = true;
    await until(() => live.session.state === 'alone', 'the live replica went on alone');
    expect(live.events.filter(({ kind }) => kind === 'backup-lost')).toHaveLength(1);
    // Until it had won, the backup heard it and waited.
    expect(rig.arbiter.asked).toEqual(['live-0']);
    expect(String(await backup.ended)).toMatch(/another replica won epoch 2/);
    expect(rig.arbiter.winners.get(2)).toBe('live-0');
    expect(backup.events.find(({ kind }) => kind === 'primary-silent')).toMatchObject({ reason: 'silent' });
  });

  test('without UDP a channel that stands still is silence to both', async () => {
    let held = false;
    const [, backup] = await pair(() => held, null);
    expect(backup.session.heartbeats).toBeNull();
    held = true;
    await until(() => rig.arbiter.asked.length === 2, 'both contend');
    await backup.ended;
  });

  test('whose state takes long to arrive: a backup that cannot say anything yet is not taken for a stalled channel', async () => {
    const live = await rig.live({}, port);
    let held = false;
    const address = await rig.relay(live.address, ({ type }) => {
      held ||= type === 'state';
      return held ? 'hold' : null;
    });
    const backup = await rig.backup(address);
    await until(() => live.events.some(({ kind }) => kind === 'backup-lost'), 'it is given up after the time-out');
    const kinds = live.events.map(({ kind }) => kind);
    expect(kinds).toContain('backup-joined');
    expect(kinds).not.toContain('channel-broken');
    await backup.ended;
  });

  test('an acknowledgement that is owed is not excused by heartbeats', async () => {
    let held = false;
    const [live] = await pair(() => held, port);
    held = true;
    const received = live.session.heartbeats!.received;
    await sleep(DETECT_MS / 2);
    expect(live.session.heartbeats!.received).toBeGreaterThan(received);
    await until(() => live.session.state === 'alone', 'the live replica went on alone', 4 * DETECT_MS);
  });
});

describe('what strangers send to the port', () => {
  test('is counted, and nothing else', async () => {
    const [live, backup] = await pair(() => false, port);
    const number = port.port;
    const socket = stranger();
    const send = (bytes: Uint8Array): void => {
      socket.send(bytes, number, '127.0.0.1');
    };
    for (let length = 0; length < 100; length++) send(Buffer.alloc(length, 'F'));
    send(Buffer.alloc(60_000));
    const forged = Buffer.alloc(48);
    forged.write('FTHB\x01\x01');
    for (let i = 0; i < 10; i++) send(forged);
    await until(() => live.session.heartbeats!.malformed === 101, 'the malformed ones are counted');
    await until(() => live.session.heartbeats!.foreign === 10, 'the forged ones are counted');
    const { received } = backup.session.heartbeats!;
    await until(() => backup.session.heartbeats!.received > received + 3, 'the backup still gets the answers');
    expect(live.session.state).toBe('paired');
  });

  test('finds nobody before a backup joins', async () => {
    const live = await rig.live({}, port);
    const socket = stranger();
    socket.send(Buffer.alloc(48), port.port, '127.0.0.1');
    await sleep(50);
    expect(live.session.heartbeats).toBeNull();
    await rig.backup(live.address);
    await until(() => (live.session.heartbeats?.received ?? 0) > 3, 'a backup joined');
    expect(live.session.heartbeats).toMatchObject({ malformed: 0, foreign: 0, stale: 0 });
  });
});

test('a UNIX socket needs none, a port in use is named', async () => {
  expect(await HeartbeatPort.open('--channel', 'unix:/tmp/x')).toBeNull();
  await expect(HeartbeatPort.open('--channel', `tcp://127.0.0.1:${port.port}`)).rejects.toThrow(
    /cannot listen on udp 127.0.0.1:\d+: the address is in use/,
  );
});
