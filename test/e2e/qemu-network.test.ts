/** Goal: a guest of QEMU and a guest on two replicas are on one network: ping and TCP, both ways, every byte right.
 *  Method: Debian's Linux in both, the pair's switch and QEMU joined by `dgram`; each serves a file that the other fetches. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startFt86, withScratch } from './ft86.js';

const guest = join(import.meta.dirname, '../../build/guests/linux');
const MINUTES = 60_000;
const QEMU_IP = '10.86.0.3';
const PAIR_IP = '10.86.0.2';

/** Serve a file, fetch the peer's as soon as it has one, ping the peer. */
function exchange(peer: string): string[] {
  return [
    'mkdir /www; cat /bin/busybox /bin/busybox >/www/big; dd if=/dev/urandom of=/www/big bs=1k count=1k conv=notrunc 2>/dev/null',
    'sha256sum /www/big; httpd -h /www',
    `until wget -q -O /got http://${peer}/big; do sleep 1; done; sha256sum /got`,
    `ping -c 3 ${peer}; echo "fini"shed`,
  ];
}

function hashes(console: string): Record<string, string> {
  return Object.fromEntries([...console.matchAll(/^([0-9a-f]{64}) {2}(\S+)/gm)].map((m) => [m[2]!, m[1]!]));
}

async function freePorts(): Promise<number[]> {
  const sockets = [createSocket('udp4'), createSocket('udp4')];
  for (const socket of sockets) await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const ports = sockets.map((socket) => socket.address().port);
  for (const socket of sockets) await new Promise<void>((resolve) => socket.close(resolve));
  return ports;
}

/** QEMU with the same Linux, its console in a file; gives how to end it. */
function startQemu(folder: string, local: number, remote: number): { console: () => string; stop: () => void } {
  const file = join(folder, 'qemu-console');
  const inet = (end: string, port: number): string => `${end}.type=inet,${end}.host=127.0.0.1,${end}.port=${port}`;
  const append = `console=ttyS0 quiet ft86.ip=${QEMU_IP}/24 ft86.run="${exchange(PAIR_IP).join('; ').replaceAll('"', '')}"`;
  const child = spawn(
    'qemu-system-i386',
    [
      ...['-m', '128M', '-display', 'none', '-no-reboot', '-serial', `file:${file}`],
      ...['-kernel', join(guest, 'bzImage'), '-initrd', join(guest, 'initrd.gz'), '-append', append],
      ...['-netdev', `dgram,id=net,${inet('local', local)},${inet('remote', remote)}`],
      ...['-device', 'virtio-net-pci,netdev=net,mac=52:54:00:00:00:03,romfile='],
    ],
    { stdio: 'inherit' },
  );
  return {
    console: () => (existsSync(file) ? readFileSync(file, 'utf8').replaceAll('\r', '') : ''),
    stop: () => child.kill('SIGKILL'),
  };
}

beforeAll(() => {
  if (!existsSync(join(guest, 'initrd.gz'))) throw new Error('no Linux guest here: make guests');
});

describe('a guest of QEMU next to a pair', () => {
  test(
    'ping and TCP between them, both ways',
    async () => {
      await withScratch(async (folder) => {
        const [local, remote] = await freePorts();
        const [script, serial] = [join(folder, 'script'), join(folder, 'console')];
        writeFileSync(script, `${[...exchange(QEMU_IP), 'sleep 1000'].join('\n')}\n`);
        const uplink = `dgram:127.0.0.1:${local!},127.0.0.1:${remote!}`;
        const run = startFt86(['pair', 'linux', '--uplink', uplink, '--script', script, '--serial', `file:${serial}`]);
        const qemu = startQemu(folder, remote!, local!);
        try {
          const pair = (): string => (existsSync(serial) ? readFileSync(serial, 'utf8').replaceAll('\r', '') : '');
          await run.until(() => /^finished/m.test(pair()) && /^finished/m.test(qemu.console()), 4 * MINUTES);
          const [mine, its] = [hashes(pair()), hashes(qemu.console())];
          expect([mine['/got'], its['/got']]).toEqual([its['/www/big'], mine['/www/big']]);
          expect(mine['/got']).not.toBe(mine['/www/big']);
          for (const console of [pair(), qemu.console()]) {
            expect(console).toContain('3 packets transmitted, 3 packets received, 0% packet loss');
          }
        } finally {
          qemu.stop();
          await run.stop();
        }
      });
    },
    5 * MINUTES,
  );
});
