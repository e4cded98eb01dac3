/** Goal: programs of this machine hold TCP connections to a server in an unmodified Linux on two replicas, through the
 *  real passt, while the live replica is killed, twice: no byte is lost, none is wrong, and an idle connection lives.
 *  Method: busybox httpd and an echo server in the guest, Node's sockets outside; kill -9 amid downloads. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { livePid, startFt86, withScratch, type RunningProgram } from './ft86.js';

const guest = join(import.meta.dirname, '../../build/guests/linux');
const MINUTES = 60_000;
/** Six copies of busybox: 12 MB. */
const SCRIPT = `udhcpc -i eth0 -n -q && ip address show eth0
mkdir /www; for i in 0 1 2 3 4 5; do cat /bin/busybox; done >/www/big; echo tiny >/www/tiny
sha256sum /www/big
httpd -h /www; nc -ll -p 7 -e cat & sleep 1; echo "serv"ing
sleep 100000
`;

interface Download {
  readonly sha256: string;
  readonly bytes: number;
}

function download(url: string, onBytes?: (bytes: number) => void): Promise<Download> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      const hash = createHash('sha256');
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        bytes += chunk.length;
        onBytes?.(bytes);
      });
      response.on('error', reject);
      response.on('end', () => {
        resolve({ sha256: hash.digest('hex'), bytes });
      });
    }).on('error', reject);
  });
}

/** What comes back for a line sent on an open connection. */
function echo(socket: Socket, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = '';
    socket.on('data', (chunk: Buffer) => {
      got += chunk.toString();
      if (got.endsWith('\n')) {
        socket.removeAllListeners('data');
        resolve(got);
      }
    });
    socket.once('close', () => {
      reject(new Error('the connection was closed'));
    });
    socket.write(`${line}\n`);
  });
}

/** Start a download and kill the live replica when a quarter of it is here. */
async function downloadOverKill(url: string, run: RunningProgram, bytes: number): Promise<Download> {
  let killed = false;
  return download(url, (got) => {
    if (killed || got < bytes / 4) return;
    killed = true;
    process.kill(livePid(run.stderr()), 'SIGKILL');
  });
}

beforeAll(() => {
  if (!existsSync(join(guest, 'initrd.gz'))) throw new Error('no Linux guest here: make guests');
});

describe('Linux behind passt', () => {
  test(
    'one server to its clients: downloads and an idle connection over two kills, and 50 connections at once',
    async () => {
      await withScratch(async (folder) => {
        const script = join(folder, 'script');
        writeFileSync(script, SCRIPT);
        const serial = join(folder, 'console');
        const pcap = join(folder, 'net.pcap');
        const args = ['pair', 'linux', '--uplink', 'passt:tcp=0:80,tcp=0:7', '--replace', '--pcap', pcap];
        const run = startFt86([...args, '--script', script, '--serial', `file:${serial}`]);
        try {
          const console = (): string => (existsSync(serial) ? readFileSync(serial, 'utf8') : '');
          await run.until(() => console().includes('serving'), 3 * MINUTES);
          expect(console()).toMatch(/inet 10\.86\.0\.2\/24/);
          const sha256 = /^([0-9a-f]{64}) {2}\/www\/big/m.exec(console())![1]!;
          const ports = [...run.stderr().matchAll(/tcp 127\.0\.0\.1:(\d+)/g)].map((match) => Number(match[1]));
          const url = `http://127.0.0.1:${ports[0]!}`;
          const { bytes } = await download(`${url}/big`);
          const idle = connect(ports[1]!, '127.0.0.1');
          expect(await echo(idle, 'before')).toBe('before\n');

          expect(await downloadOverKill(`${url}/big`, run, bytes)).toEqual({ sha256, bytes });
          expect(await echo(idle, 'after one')).toBe('after one\n');
          await run.until(() => /backup-\d+: has the whole state/.test(run.stderr()), MINUTES);
          expect(await downloadOverKill(`${url}/big`, run, bytes)).toEqual({ sha256, bytes });
          expect(await echo(idle, 'after two')).toBe('after two\n');
          expect(run.stderr().match(/: LIVE/g)).toHaveLength(2);
          idle.destroy();

          const many = await Promise.all(Array.from({ length: 50 }, () => download(`${url}/tiny`)));
          expect(new Set(many.map((each) => each.bytes))).toEqual(new Set([5]));
        } finally {
          await run.stop();
        }
      });
    },
    6 * MINUTES,
  );
});
