/**
 * Goal: the real passt forwards ports to a guest and gives it an address, never runs as root, is started again when it
 * dies and gone with the switch; what it cannot do is one clear line.
 * Method: a switch in this process with passt as Debian ships it; the guest is a network stack on a SwitchPort.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Guest, startSwitch, until, type RunningSwitch } from './test-network.js';

const running: RunningSwitch[] = [];
const guests: Guest[] = [];
afterEach(async () => {
  for (const guest of guests.splice(0)) guest.port.close();
  await Promise.all(running.splice(0).map((each) => each.stop()));
});

async function network(uplink: string): Promise<RunningSwitch> {
  const each = await startSwitch({ uplinks: [uplink] });
  running.push(each);
  guests.push(await Guest.plugIn({ address: each.address, answer: (datagram) => datagram.slice().reverse() }));
  return each;
}

/** Ask until something answers: UDP promises nothing while passt is away. */
async function ask(port: number, text: string): Promise<string> {
  const socket = createSocket('udp4');
  const replies: string[] = [];
  socket.on('message', (reply) => replies.push(reply.toString()));
  const timer = setInterval(() => {
    socket.send(text, port, '127.0.0.1');
  }, 50);
  try {
    await until('a reply', () => replies.length > 0);
  } finally {
    clearInterval(timer);
    socket.close();
  }
  return replies[0]!;
}

function passtPids(lines: readonly string[]): number[] {
  return lines.flatMap((line) => /^passt: process (\d+)$/.exec(line)?.[1] ?? []).map(Number);
}

describe('uplink passt', () => {
  test('carries UDP between a port of this machine and the guest, and does not run as root', async () => {
    const each = await network('passt:udp=0:7');
    expect(each.ready.forwards).toEqual([
      { protocol: 'udp', host: '127.0.0.1', port: expect.any(Number), guestIp: '10.86.0.2', guestPort: 7 },
    ]);
    expect(await ask(each.ready.forwards[0]!.port, 'abc')).toBe('cba');
    const [pid] = passtPids(each.lines);
    expect(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid!}/status`, 'utf8'))![1]).not.toBe('0');
    running.splice(0);
    const result = await each.stop();
    expect(result.uplinks).toEqual([
      expect.objectContaining({ kind: 'passt', restarts: 0, unfit: 0, dropped: 0, stale: 0 }),
    ]);
    expect(existsSync(`/proc/${pid!}`)).toBe(false);
  });

  test('is started again, on the same ports, when it dies', async () => {
    const each = await network('passt:udp=0:7,tcp=0:80');
    const { port } = each.ready.forwards[0]!;
    expect(await ask(port, 'one')).toBe('eno');
    process.kill(passtPids(each.lines)[0]!, 'SIGKILL');
    await until('a second passt', () => passtPids(each.lines).length === 2);
    expect(each.lines).toContain('passt: ended with SIGKILL; starting it again');
    expect(await ask(port, 'two')).toBe('owt');
    running.splice(0);
    expect((await each.stop()).uplinks).toEqual([expect.objectContaining({ restarts: 1 })]);
  });

  test('a port that is taken is named, TCP and UDP', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const taken = `cannot listen on tcp 127.0.0.1:${port} (--uplink): the address is in use`;
    await expect(startSwitch({ uplinks: [`passt:tcp=${port}:80`] })).rejects.toThrow(taken);
    server.close();
    await expect(startSwitch({ uplinks: ['passt:udp=203.0.113.9/99:80'] })).rejects.toThrow(/no such address/);
  });

  test('that is missing, or refuses, is one line and status 4', () => {
    const ft86 = join(import.meta.dirname, '../../../ft86');
    const args = [ft86, 'switch', '--listen', 'tcp://127.0.0.1:0', '--uplink', 'passt'];
    const missing = spawnSync(process.execPath, args, { env: { PATH: '/nonexistent' }, encoding: 'utf8' });
    expect([missing.status, missing.stderr]).toEqual([
      4,
      'ft86: passt (--uplink): it is not installed (Debian: apt install passt)\n',
    ]);
  });
});
