/**
 * Goal: DHCP and TFTP clients that nobody here wrote (busybox in Debian's Linux) get an address, its options and files from
 * the virtual host, give the address back, are refused what they must not have, and both replicas see the same.
 * Method: a pair on a real switch with a folder to serve; a digest every 100 ms; the switch's own counters at the end.
 */
import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startSwitch } from '../tools/switch/test-network.js';
import { ft86, images, withScratch } from './ft86.js';

const built = existsSync(join(images, '../guests/linux/bzImage'));

/** What udhcpc starts with each step: prints what it was told, and sets the address. */
const STEP = [
  '#!/bin/sh',
  'echo "$1: $ip/$mask $router $serverid $lease $siaddr $boot_file $tftp"',
  '[ "$1" != bound ] || ip addr replace $ip/$mask dev $interface',
];
const LINES = [
  `printf '%s\\n' ${STEP.map((line) => `'${line}'`).join(' ')} >/tmp/step; chmod +x /tmp/step; ip addr flush dev eth0`,
  'udhcpc -n -i eth0 -s /tmp/step -p /tmp/pid',
  'tftp -g -r file -l /tmp/file -b 1400 10.86.0.1; sha256sum /tmp/file',
  'tftp -g -r ../outside -l /tmp/outside 10.86.0.1; tftp -p -l /tmp/step -r step 10.86.0.1',
  'kill -USR2 $(cat /tmp/pid); ping -c 2 10.86.0.1 >/dev/null; ft86-exit 3',
];

if (!built && process.env['CI'] === undefined) {
  test('the Linux guest is not built: make guests', () => {
    expect(built).toBe(false);
  });
} else {
  describe('busybox on two replicas', () => {
    test('gets an address by DHCP and files by TFTP', async () => {
      await withScratch(async (folder) => {
        const content = new Uint8Array(70_000).map((_, i) => i ^ (i >> 8));
        mkdirSync(join(folder, 'served'));
        writeFileSync(join(folder, 'served', 'file'), content);
        writeFileSync(join(folder, 'outside'), 'secret');
        const script = join(folder, 'script.txt');
        writeFileSync(script, LINES.map((line) => `${line}\n`).join(''));
        const running = await startSwitch({ uplinks: [`host:tftp=${join(folder, 'served')},bootfile=file`] });
        const net = ['--net', `switch=${running.address}`];
        const run = await ft86(['pair', 'linux', ...net, '--digest-ms', '100', '--script', script, '--json']);
        const { uplinks } = await running.stop();
        const console = run.stderr.replaceAll('\r', '');
        if (run.status !== 0) throw new Error(`status ${run.status ?? '?'}\n${console}`);
        expect(JSON.parse(run.stdout)).toMatchObject({ stop: 'debug-exit', exitCode: 3, identical: true });
        expect(console).toMatch(
          /^bound: 10\.86\.0\.128\/24 10\.86\.0\.1 10\.86\.0\.1 3600 10\.86\.0\.1 file 10\.86\.0\.1$/m,
        );
        expect(console).toContain(`${createHash('sha256').update(content).digest('hex')}  /tmp/file`);
        expect(console).toContain('server error: (2) file not allowed');
        expect(console).toContain('server error: (2) files are read only');
        expect(uplinks).toEqual([
          expect.objectContaining({
            dhcp: expect.objectContaining({ releases: 1, refusals: 0, declined: 0, ignored: 0 }),
            tftp: expect.objectContaining({ completed: 1, timedOut: 0, aborted: 0, bytes: 70_000 }),
          }),
        ]);
      });
    }, 180_000);
  });
}
