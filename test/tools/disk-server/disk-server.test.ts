/**
 * Goal: the clients that people have work with the disk server, its answers mean what NBD says, and a bad client
 * hurts only itself.
 * Method: nbdinfo, nbdcopy, qemu-img and qemu-io as processes against a server in this one; connections of our own
 * for many requests at once, damaged bytes, and a client that does not listen.
 */
import { describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../../emulator/errors.js';
import { runDiskServer } from '../../../tools/disk-server/disk-server.js';
import { ft86, withScratch } from '../../e2e/ft86.js';
import { goData, option, PLAIN_FLAGS, request, simpleReply } from '../../hypervisor/nbd/nbd-bytes.js';
import { client, DISK_BYTES, RawClient, withServedDisk } from './served-disk.js';

const OPEN = Buffer.concat([PLAIN_FLAGS, option(7, goData('disk'))]);
/** Greeting, export info, acknowledgement. */
const OPEN_ANSWER_BYTES = 18 + 32 + 20;

describe('real clients', () => {
  test('nbdinfo sees both exports and what they can do', async () => {
    await withServedDisk(async ({ address }) => {
      const { status, text } = await client('nbdinfo', ['--json', '--list', `nbd://${address}`]);
      expect(status).toBe(0);
      const { exports } = JSON.parse(text) as { exports: Record<string, unknown>[] };
      expect(exports.map((one) => one['export-name'])).toEqual(['disk', 'other']);
      expect(exports[0]).toMatchObject({
        'export-size': DISK_BYTES,
        can_flush: true,
        can_fua: true,
        can_trim: true,
        can_zero: true,
        can_df: true,
        can_multi_conn: true,
      });
    });
  });

  test('nbdcopy and qemu-img carry a disk there and back', async () => {
    await withServedDisk(async ({ address, folder, path }) => {
      const image = join(folder, 'image');
      writeFileSync(image, randomBytes(DISK_BYTES));
      expect(await client('nbdcopy', ['--flush', image, `nbd://${address}/disk`])).toMatchObject({ status: 0 });
      expect(readFileSync(path).equals(readFileSync(image))).toBe(true);
      const back = join(folder, 'back');
      const convert = ['convert', '-f', 'raw', '-O', 'raw', `nbd://${address}/disk`, back];
      expect(await client('qemu-img', convert)).toMatchObject({ status: 0 });
      expect(readFileSync(back).equals(readFileSync(image))).toBe(true);
    });
  });

  test('qemu-io writes, zeroes, discards and flushes', async () => {
    const result = await withServedDisk(async ({ address }) => {
      const commands = ['write -f -P 7 4k 8k', 'read -P 7 4k 8k', 'write -z 4k 4k', 'read -P 0 4k 4k', 'discard 0 4k'];
      const args = [...commands, 'flush', 'read -P 7 8k 4k'].flatMap((command) => ['-c', command]);
      const { status, text } = await client('qemu-io', ['-f', 'raw', ...args, `nbd://${address}/other`]);
      expect(text).not.toMatch(/fail|error/i);
      expect(status).toBe(0);
    });
    expect(result).toMatchObject({ malformed: 0, errors: 0 });
    expect(result.requests.flush).toBeGreaterThan(0);
    expect(result.requests['write-zeroes']).toBe(1);
    expect(result.requests.trim).toBe(1);
  });

  test('with a key, clients with it come in over TLS and the others do not', async () => {
    const key = randomBytes(32);
    await withServedDisk(
      async ({ address, folder, log }) => {
        const psk = (bytes: Buffer): string => {
          const name = join(folder, bytes.toString('hex', 0, 4));
          mkdirSync(name);
          writeFileSync(join(name, 'keys.psk'), `ft86-channel-1:${bytes.toString('hex')}\n`);
          return name;
        };
        const image = `driver=nbd,host=127.0.0.1,port=${address.split(':')[1]},export=disk`;
        const info = (folderOfKey: string): Promise<{ status: number | string; text: string }> =>
          client('qemu-img', [
            ...['info', '--object', `tls-creds-psk,id=t,dir=${folderOfKey},endpoint=client,username=ft86-channel-1`],
            ...['--image-opts', `${image},tls-creds=t`],
          ]);
        expect(await info(psk(key))).toMatchObject({ status: 0, text: expect.stringContaining('4 MiB') });
        expect((await info(psk(randomBytes(32)))).status).not.toBe(0);
        expect((await client('nbdinfo', [`nbd://${address}/disk`])).status).not.toBe(0);
        expect(log.filter((line) => line.includes('no TLS with the same key'))).toHaveLength(1);
      },
      { key },
    );
  });
});

describe('requests', () => {
  test('many at once are all answered, each with its own data', async () => {
    await withServedDisk(async ({ port, path }) => {
      const content = randomBytes(DISK_BYTES);
      writeFileSync(path, content);
      const raw = new RawClient(port);
      const COUNT = 500;
      const BYTES = 8192;
      raw.send(OPEN);
      for (let i = 0; i < COUNT; i++) {
        raw.send(request({ command: 0, cookie: BigInt(i), offset: (i * BYTES) % DISK_BYTES, bytes: BYTES }));
      }
      await raw.take(OPEN_ANSWER_BYTES);
      const seen = new Set<number>();
      for (let i = 0; i < COUNT; i++) {
        const reply = await raw.take(16 + BYTES);
        const cookie = Number(reply.readBigUInt64BE(8));
        seen.add(cookie);
        const at = (cookie * BYTES) % DISK_BYTES;
        expect(reply.subarray(16).equals(content.subarray(at, at + BYTES))).toBe(true);
      }
      expect(seen.size).toBe(COUNT);
      raw.socket.destroy();
    });
  });

  test('those before a DISC are performed', async () => {
    const result = await withServedDisk(async ({ port, path }) => {
      const raw = new RawClient(port);
      const data = Buffer.alloc(1 << 20, 'x');
      raw.send(OPEN, request({ command: 1, offset: 1 << 20, bytes: data.length, data }), request({ command: 2 }));
      await raw.closed;
      expect(await raw.take(OPEN_ANSWER_BYTES + 16)).toHaveLength(OPEN_ANSWER_BYTES + 16);
      expect(
        readFileSync(path)
          .subarray(1 << 20, 2 << 20)
          .equals(data),
      ).toBe(true);
    });
    expect(result).toMatchObject({ bytesWritten: 1 << 20, malformed: 0 });
  });

  test('a file that was cut short behind the server is an I/O error for the client', async () => {
    const result = await withServedDisk(async ({ port, path, log }) => {
      writeFileSync(path, '');
      const raw = new RawClient(port);
      raw.send(OPEN, request({ command: 0, bytes: 512 }));
      await raw.take(OPEN_ANSWER_BYTES);
      expect(await raw.take(16)).toEqual(simpleReply(5));
      raw.socket.destroy();
      expect(log.join('\n')).toMatch(/read at 0 failed: the file ends at byte 0/);
    });
    expect(result.errors).toBe(1);
  });

  test('a client that does not listen is not read from any more, and others are served', async () => {
    await withServedDisk(async ({ port, address }) => {
      const deaf = new RawClient(port);
      deaf.socket.pause();
      deaf.send(OPEN);
      const MANY = 20;
      for (let i = 0; i < MANY; i++) deaf.send(request({ command: 0, bytes: DISK_BYTES, cookie: BigInt(i) }));
      const heap = process.memoryUsage().arrayBuffers;
      expect((await client('nbdinfo', ['--size', `nbd://${address}/disk`])).text.trim()).toBe(String(DISK_BYTES));
      expect(process.memoryUsage().arrayBuffers - heap).toBeLessThan(40 << 20);
      deaf.socket.resume();
      await deaf.take(OPEN_ANSWER_BYTES + MANY * (16 + DISK_BYTES));
      deaf.socket.destroy();
    });
  });
});

describe('bad clients', () => {
  test('damaged dialogues close their own connection, are counted, and a good client is served all the time', async () => {
    const ROUNDS = 60;
    const good = Buffer.concat([
      PLAIN_FLAGS,
      option(8),
      option(7, goData('other')),
      request({ command: 1, offset: 0, bytes: 64, data: Buffer.alloc(64, 1) }),
      request({ command: 0, offset: 0, bytes: 64 }),
      request({ command: 2 }),
    ]);
    const result = await withServedDisk(async ({ port }) => {
      const witness = new RawClient(port);
      witness.send(OPEN);
      await witness.take(OPEN_ANSWER_BYTES);
      for (let round = 0; round < ROUNDS; round++) {
        const bytes = Buffer.from(good);
        const damage = randomBytes(8);
        for (let i = 0; i < 4; i++) bytes[damage.readUInt16BE(2 * i) % bytes.length] = damage[i]!;
        const bad = new RawClient(port);
        bad.send(round % 3 === 0 ? randomBytes(300) : bytes);
        bad.socket.end();
        await bad.closed;
        witness.send(request({ command: 0, bytes: 512 }));
        expect((await witness.take(16 + 512)).subarray(0, 16)).toEqual(simpleReply(0));
      }
      witness.socket.destroy();
    });
    expect(result.connections).toBe(ROUNDS + 1);
    expect(result.malformed).toBeGreaterThan(ROUNDS / 4);
  });

  test.each([
    ['a file that is not there', ['/nonexistent/disk'], 'tcp://127.0.0.1:0', /must be accessible/],
    ['an empty file', ['/dev/null'], 'tcp://127.0.0.1:0', /regular file that is not empty/],
    ['one name twice', ['a=/dev/null', 'a=/dev/null'], 'tcp://127.0.0.1:0', /already/],
    ['a name that URIs cannot have', ['a b=/dev/null'], 'tcp://127.0.0.1:0', /no blanks/],
    ['an address for everybody without a key', [], 'tcp://0.0.0.0:0', /without --key/],
  ])('%s is refused', async (_what, files, listen, message) => {
    const options = {
      files,
      readonly: false,
      epochs: undefined,
      listen: [listen],
      key: null,
      onReady: () => undefined,
      log: () => undefined,
    };
    const run = runDiskServer(options, new AbortController().signal);
    await expect(run).rejects.toThrow(ConfigError);
    await expect(run).rejects.toThrow(message);
  });
});

test('the command serves on a UNIX socket until it is told to stop, and prints what it did', async () => {
  await withScratch(async (folder) => {
    const socket = join(folder, 'nbd.sock');
    const path = join(folder, 'disk');
    writeFileSync(path, Buffer.alloc(8192, 5));
    let answer = '';
    const run = await ft86(
      ['disk-server', `d=${path}`, '--readonly', '--listen', `unix:${socket}`, '--json'],
      (pid) => {
        const timer = setInterval(() => {
          void client('nbdinfo', [`nbd+unix:///d?socket=${socket}`]).then(({ text }) => {
            if (!text.includes('export-size') || answer !== '') return;
            answer = text;
            clearInterval(timer);
            process.kill(pid, 'SIGTERM');
          });
        }, 500);
      },
    );
    expect(run.status).toBe(0);
    expect(answer).toMatch(/export-size: 8192[^]*is_read_only: true/);
    expect(JSON.parse(run.stdout)).toMatchObject({ version: 1, stop: 'stopped', malformed: 0 });
    expect(run.stderr).toContain(`ft86: the disk server listens at unix:${socket}`);
  });
}, 30_000);
