/**
 * Goal: the kernel's own network reaches a guest through a TAP interface and the other way round, a burst included; an interface
 * that is made goes with the switch, one that is there stays; what cannot be had is one clear line.
 * Method: the switch's command in a network namespace of its own, with ping and ip as Debian ships them; the guest is a network
 * stack on a SwitchPort, joined by a UNIX socket.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseIpv4 } from '../../../hypervisor/network/ipv4.js';
import { Guest, until } from './test-network.js';

const ft86 = join(import.meta.dirname, '../../../ft86');
const ROOT = process.getuid?.() === 0;
const UNSHARE = ['unshare', ...(ROOT ? [] : ['-U', '-r']), '-n'];
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

interface TapSwitch {
  readonly guest: Guest;
  readonly child: ChildProcess;
  readonly result: Promise<{ uplinks: unknown[] }>;
  stderr(): string;
  /** Run a command in the switch's namespace. */
  inside(...command: string[]): string;
}

/** A switch with `tap:ft0`, after the commands of `before`, in a namespace of its own; a guest is plugged in. */
async function tapSwitch(before: string): Promise<TapSwitch> {
  const folder = mkdtempSync(join(tmpdir(), 'ft86-tap-'));
  cleanUp.push(() => {
    rmSync(folder, { recursive: true });
  });
  const address = `unix:${join(folder, 'switch')}`;
  const line = `${before} exec "$0" "$@"`;
  const args = [process.execPath, ft86, 'switch', '--listen', address, '--uplink', 'tap:ft0', '--json'];
  const [file, ...rest] = [...UNSHARE, 'sh', '-c', line, ...args] as [string, ...string[]];
  const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  cleanUp.push(() => child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const result = new Promise<{ uplinks: unknown[] }>((resolve) => {
    child.on('close', () => {
      resolve(JSON.parse(stdout === '' ? '{"uplinks":[]}' : stdout) as { uplinks: unknown[] });
    });
  });
  await until('the switch listens', () => stderr.includes('listens at') && existsSync(join(folder, 'switch')));
  const guest = await Guest.plugIn({ address, answer: (datagram) => datagram.slice().reverse() });
  cleanUp.push(() => {
    guest.port.close();
  });
  const enter = ['-t', String(child.pid), ...(ROOT ? [] : ['-U', '--preserve-credentials']), '-n', '--'];
  const inside = (...command: string[]): string =>
    execFileSync('nsenter', [...enter, ...command], { encoding: 'utf8' });
  return { guest, child, result, stderr: () => stderr, inside };
}

function pingGuest(each: TapSwitch, ...options: string[]): Promise<string> {
  const enter = ['-t', String(each.child.pid), ...(ROOT ? [] : ['-U', '--preserve-credentials']), '-n', '--'];
  return new Promise((resolve) => {
    const child = spawn('nsenter', [...enter, 'ping', ...options, '10.86.0.2'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    child.on('close', () => {
      resolve(text);
    });
  });
}

describe('uplink tap', () => {
  test('pings go both ways, bursts included, and frames for an interface that is down are counted', async () => {
    const each = await tapSwitch('');
    // The switch's own frame about the guest's MAC was the first that the interface refused, this is the second.
    each.guest.port.send(Buffer.alloc(60, 0xff).fill(0x52, 6, 12));
    await new Promise((resolve) => setTimeout(resolve, 100));
    each.inside('ip', 'address', 'add', '10.86.0.1/24', 'dev', 'ft0');
    each.inside('ip', 'link', 'set', 'ft0', 'up');
    expect(await pingGuest(each, '-c', '3', '-i', '0.01')).toContain(
      '3 packets transmitted, 3 received, 0% packet loss',
    );
    expect(await pingGuest(each, '-c', '200', '-l', '200', '-s', '1400')).toContain('200 received, 0% packet loss');
    each.guest.host.ping(parseIpv4('ip', '10.86.0.1'), 1, 1, new Uint8Array(56), performance.now());
    await until('the kernel answers', () => each.guest.echoes === 1);
    each.child.kill('SIGINT');
    const { uplinks } = await each.result;
    expect(uplinks).toEqual([expect.objectContaining({ kind: 'tap', refused: 2, unfit: 0, dropped: 0, stale: 0 })]);
  });

  test('an interface that is deleted is told, and the switch goes on', async () => {
    const each = await tapSwitch('');
    each.inside('ip', 'link', 'delete', 'ft0');
    await until('it says so', () => each.stderr().includes('tap ft0: the interface is gone'));
    each.guest.port.send(Buffer.alloc(60, 0xff).fill(0x52, 6, 12));
    each.child.kill('SIGINT');
    expect((await each.result).uplinks).toEqual([expect.objectContaining({ kind: 'tap' })]);
  });

  test('one that is there is used and stays', async () => {
    const each = await tapSwitch(
      'ip tuntap add dev ft0 mode tap; ip address add 10.86.0.1/24 dev ft0; ip link set ft0 up;',
    );
    expect(await pingGuest(each, '-c', '1')).toContain('1 received');
    const second = [
      ...UNSHARE.slice(0, 0),
      process.execPath,
      ft86,
      'switch',
      '--listen',
      'unix:x',
      '--uplink',
      'tap:ft0',
    ];
    expect(() => each.inside(...second)).toThrow(/tap:ft0 \(--uplink\): the interface is in use by another program/);
  });

  test('what cannot be had is one line and status 4', () => {
    const args = [ft86, 'switch', '--listen', 'tcp://127.0.0.1:0', '--uplink'];
    const run = (prefix: string[], uplink: string): [number | null, string] => {
      const [file, ...rest] = [...prefix, process.execPath, ...args, uplink] as unknown as [string, ...string[]];
      const { status, stderr } = spawnSync(file, rest, { encoding: 'utf8' });
      return [status, stderr];
    };
    const nobody = ROOT ? ['setpriv', '--reuid', '65534', '--clear-groups', '--bounding-set', '-all'] : [];
    expect(run(nobody, 'tap:ft0')).toEqual([
      4,
      'ft86: tap:ft0 (--uplink): permission denied: it needs root (CAP_NET_ADMIN), or an interface made for this user\n',
    ]);
    expect(run(UNSHARE, 'tap:lo')).toEqual([
      4,
      'ft86: tap:lo (--uplink): there is an interface of that name that is no TAP interface\n',
    ]);
  });
});
