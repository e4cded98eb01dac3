/**
 * Goal: a capture of the switch is what Wireshark's and tcpdump's readers take for one, whole and in order, and a file
 * that cannot be written is one clear line and disturbs nobody; the ports are told one by one.
 * Method: guests ping over a switch in this process; the real tcpdump reads the file; /dev/full is the full disk.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseIpv4 } from '../../../hypervisor/network/ipv4.js';
import { withScratch } from '../../e2e/ft86.js';
import { Guest, GUEST_IP, startSwitch, until, type GuestOptions, type RunningSwitch } from './test-network.js';

const SECOND: Partial<GuestOptions> = { mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 3), ip: '10.86.0.3' };
const guests: Guest[] = [];
afterEach(() => {
  for (const guest of guests.splice(0)) guest.port.close();
});

/** Two guests, of which the second pings the first. */
async function pingOnce(running: RunningSwitch): Promise<void> {
  const [first, second] = await Promise.all([
    Guest.plugIn({ address: running.address, pair: 'one' }),
    Guest.plugIn({ address: running.address, pair: 'two', ...SECOND }),
  ]);
  guests.push(first, second);
  await until('both announced', () => running.lines.filter((line) => line.includes('is here')).length === 2);
  second.host.ping(parseIpv4('', GUEST_IP), 7, 1, Buffer.from('captured?'), 0);
  await until('an echo', () => second.echoes === 1);
}

function tcpdump(file: string): string[] {
  const text = execFileSync('tcpdump', ['-nn', '-e', '-tt', '-r', file], { encoding: 'utf8', stdio: 'pipe' });
  return text.trim().split('\n');
}

describe('--pcap', () => {
  test('tcpdump reads every frame that entered the bridge, once, in order, at its time', async () => {
    await withScratch(async (folder) => {
      const file = join(folder, 'net.pcap');
      const before = Date.now() / 1000;
      const running = await startSwitch({ pcap: file });
      await pingOnce(running);
      const { pcap } = await running.stop();
      const lines = tcpdump(file);
      expect(pcap).toEqual({ file, frames: lines.length, bytes: readFileSync(file).length });
      const order = [
        /Reverse Request who-is/,
        /Request who-has/,
        /Reply/,
        /echo request, id 7, seq 1/,
        /echo reply, id 7/,
      ];
      let at = -1;
      for (const what of order) {
        const found = lines.findIndex((line, index) => index > at && what.test(line));
        expect([what, found > at]).toEqual([what, true]);
        at = found;
      }
      expect(lines.filter((line) => line.includes('echo request'))).toHaveLength(1);
      const times = lines.map((line) => Number(line.split(' ')[0]));
      expect(Math.min(...times)).toBeGreaterThan(before - 1);
      expect(Math.max(...times)).toBeLessThan(Date.now() / 1000 + 1);
      expect([...times].sort((a, b) => a - b)).toEqual(times);
    });
  });

  test('is readable while the switch runs', async () => {
    await withScratch(async (folder) => {
      const file = join(folder, 'net.pcap');
      const running = await startSwitch({ pcap: file });
      await pingOnce(running);
      await until('the frames are in the file', () => tcpdump(file).some((line) => line.includes('echo reply')));
      await running.stop();
    });
  });

  test('a file that cannot be made is the user’s mistake; a disk that fills up ends the capture only', async () => {
    const nowhere = '/nonexistent/net.pcap';
    await expect(startSwitch({ pcap: nowhere })).rejects.toThrow(`--pcap ${nowhere}: cannot be written`);
    const running = await startSwitch({ pcap: '/dev/full' });
    await pingOnce(running);
    expect(running.lines.filter((line) => line.includes('the capture ends here'))).toHaveLength(1);
    await running.stop();
  });
});

test('the counters of each port are told, of those that left as well', async () => {
  const running = await startSwitch();
  await pingOnce(running);
  guests[1]!.port.close();
  await until('unplugged', () => running.lines.some((line) => line.includes('two/a: unplugged')));
  const { ports } = await running.stop();
  expect(ports.each).toEqual([
    expect.objectContaining({ role: 'replica', pair: 'two', replicaId: 'a', nic: 0, pluggedIn: false, stale: 0 }),
    expect.objectContaining({ role: 'replica', pair: 'one', replicaId: 'a', nic: 0, pluggedIn: true, dropped: 0 }),
  ]);
  expect(ports.each.reduce((sum, { received }) => sum + received, 0)).toBe(ports.received);
});
