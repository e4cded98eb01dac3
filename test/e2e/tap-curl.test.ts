/** Goal: through a TAP interface curl gets 50 MB of an unmodified Linux on two replicas while the live one is killed in the middle;
 *  50 transfers at once outlive the next kill, when a new backup has joined; an idle connection outlives both. No byte is wrong.
 *  Method: a network namespace of its own; busybox httpd and an echo server in the guest, curl and Node's sockets beside it. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { livePid, withScratch, type RunningProgram } from './ft86.js';
import { GUEST_IP, startBeside, startOnTap } from './tap-network.js';

const guest = join(import.meta.dirname, '../../build/guests/linux');
const MINUTES = 60_000;
/** Copies of busybox (2 MB) in the large file. */
const COPIES = 25;
const BYTES_MIN = 50_000_000;
const CONNECTIONS = 50;
const PART_BYTES = 100_000;
const SCRIPT = `mkdir /www; for i in $(seq ${COPIES}); do cat /bin/busybox; done >/www/big
head -c ${PART_BYTES} /bin/busybox >/www/part; sha256sum /www/big /www/part
httpd -h /www; nc -ll -p 7 -e cat & sleep 1; echo "serv"ing
sleep 100000
`;
/** A connection with TCP's own keep-alive that says what it is told, and repeats what it hears. */
const ECHO_CLIENT = `const s = require('net').connect(7, '${GUEST_IP}').setKeepAlive(true, 1000); process.stdin.pipe(s).pipe(process.stdout)`;

function sha256Of(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function bytesOf(file: string): number {
  return existsSync(file) ? statSync(file).size : 0;
}

async function echo(client: RunningProgram, line: string): Promise<void> {
  client.stdin.write(`${line}\n`);
  await client.until(() => client.stdout().endsWith(`${line}\n`), MINUTES);
}

/** Kill the live replica while `transfer` runs, as soon as `started`; gives how the transfer ended, with what it printed. */
async function overKill(pair: RunningProgram, transfer: RunningProgram, started: () => boolean) {
  await transfer.until(started, MINUTES);
  process.kill(livePid(pair.stderr()), 'SIGKILL');
  const { status, stdout, stderr } = await transfer.ended;
  return { status, stdout, stderr };
}

beforeAll(() => {
  if (!existsSync(join(guest, 'initrd.gz'))) throw new Error('no Linux guest here: make guests');
});

describe('Linux behind a TAP interface', () => {
  test(
    'one server to curl: 50 MB over a kill, 50 connections over the next, an idle one over both',
    async () => {
      await withScratch(async (folder) => {
        const [script, serial, big] = ['script', 'console', 'big'].map((name) => join(folder, name)) as [
          string,
          string,
          string,
        ];
        writeFileSync(script, SCRIPT);
        const options = ['--memory', '192M', '--uplink', 'tap:ft0', '--replace'];
        const pair = startOnTap(['pair', 'linux', ...options, '--script', script, '--serial', `file:${serial}`]);
        const curl = (...args: string[]): RunningProgram =>
          startBeside(pair, 'curl', '-sS', '--no-progress-meter', ...args);
        try {
          const terminal = (): string => (existsSync(serial) ? readFileSync(serial, 'utf8') : '');
          await pair.until(() => terminal().includes('serving'), 3 * MINUTES);
          const sha256 = (name: string): string =>
            new RegExp(`^([0-9a-f]{64})  /www/${name}`, 'm').exec(terminal())![1]!;
          const idle = startBeside(pair, process.execPath, '-e', ECHO_CLIENT);
          await echo(idle, 'before');

          const one = curl('-o', big, '-w', '%{size_download}', `http://${GUEST_IP}/big`);
          const { stdout, ...end } = await overKill(pair, one, () => bytesOf(big) > BYTES_MIN / 3);
          expect(end).toEqual({ status: 0, stderr: '' });
          expect(Number(stdout)).toBeGreaterThanOrEqual(BYTES_MIN);
          expect(sha256Of(big)).toBe(sha256('big'));
          await echo(idle, 'after one');

          await pair.until(() => /backup-\d+: has the whole state/.test(pair.stderr()), MINUTES);
          const parallel = ['-Z', '--parallel-immediate', '--parallel-max', String(CONNECTIONS)];
          const url = `http://${GUEST_IP}/part?[1-${CONNECTIONS}]`;
          const many = curl(...parallel, '-o', join(folder, 'part-#1'), url);
          const parts = (): string[] => readdirSync(folder).filter((name) => name.startsWith('part-'));
          const all = await overKill(pair, many, () => parts().length > CONNECTIONS / 2);
          expect(all).toEqual({ status: 0, stdout: '', stderr: '' });
          expect(parts()).toHaveLength(CONNECTIONS);
          expect(new Set(parts().map((name) => sha256Of(join(folder, name))))).toEqual(new Set([sha256('part')]));
          await echo(idle, 'after two');
          expect(idle.stdout()).toBe('before\nafter one\nafter two\n');
          expect(pair.stderr().match(/: LIVE/g)).toHaveLength(2);
          idle.stdin.end();
          await idle.stop();
        } finally {
          await pair.stop();
        }
      });
    },
    6 * MINUTES,
  );
});
