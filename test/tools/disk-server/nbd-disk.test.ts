/**
 * Goal: a guest's drive may be on any NBD server, and when the server goes away its requests wait: nothing fails, nothing that
 * was answered is lost.
 * Method: nbdkit, qemu-nbd and nbd-server as processes; our own server killed with -9 under requests and started again.
 */
import { describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, ReplicaError } from '../../../emulator/errors.js';
import type { DiskCompletion, DiskRequest } from '../../../devices/environment.js';
import { DiskServerArbiter } from '../../../hypervisor/ft/arbiter-disk-server.js';
import { NbdDisk } from '../../../hypervisor/nbd/nbd-disk.js';
import { parseNbdUri } from '../../../hypervisor/nbd/uri.js';
import { withScratch } from '../../e2e/ft86.js';
import { withServedDisk } from './served-disk.js';

const BYTES = 1 << 20;
const USER = { pair: 'demo', replicaId: 'a', epoch: 1 };
const ft86 = join(import.meta.dirname, '../../../ft86');

/** Open, trying until the server is up. */
async function openDrive(text: string, said: string[] = []): Promise<NbdDisk> {
  const uri = parseNbdUri('--drive', text);
  for (let tries = 0; ; tries++) {
    try {
      return await NbdDisk.open({ uri, text, key: null, readonly: false, slot: 0, say: (line) => said.push(line) });
    } catch (error) {
      if (!(error instanceof ReplicaError) || tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

let tags = 0;
function ask(disk: NbdDisk, op: DiskRequest['op'], sector = 0, data: Uint8Array | number = 0): Promise<DiskCompletion> {
  const bytes = typeof data === 'number' ? data : data.length;
  const payload = typeof data === 'number' ? new Uint8Array(0) : data;
  return new Promise((resolve) => {
    disk.submit({ drive: 0, tag: tags++, op, sector, bytes, data: payload }, resolve);
  });
}

/** Start a server; one that is not installed fails the test. */
function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, [...args], { stdio: 'ignore' });
  child.on('error', () => {
    throw new Error(`${command} is not installed; "make extras" installs it`);
  });
  return child;
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    child.once('exit', () => {
      resolve();
    });
    child.kill('SIGKILL');
  });
}

describe('other servers', () => {
  interface OtherServer {
    readonly name: string;
    readonly export: string;
    /** @returns what ends it */
    readonly start: (file: string, socket: string) => () => Promise<void>;
  }

  const foreground = (name: string, args: (file: string, socket: string) => string[]): OtherServer => ({
    name,
    export: '',
    start: (file, socket) => {
      const child = start(name, args(file, socket));
      return () => stopped(child);
    },
  });

  const servers: readonly OtherServer[] = [
    foreground('nbdkit', (file, socket) => ['-f', '-U', socket, 'file', file]),
    foreground('qemu-nbd', (file, socket) => ['-f', 'raw', '-t', '-e', '4', '-k', socket, file]),
    {
      name: 'nbd-server',
      export: 'disk',
      start: (file, socket) => {
        // It goes into the background, and says in a file who it is. Its port must be one; nobody else listens on that address.
        const generic = ['[generic]', `unixsock = ${socket}`, 'listenaddr = 127.86.0.1', 'port = 10809'];
        const disk = ['[disk]', `exportname = ${file}`, 'flush = true', ''];
        writeFileSync(`${file}.conf`, [...generic, ...disk].join('\n'));
        start('nbd-server', ['-C', `${file}.conf`, '-p', `${file}.pid`]);
        return () => {
          process.kill(Number(readFileSync(`${file}.pid`, 'utf8')), 'SIGKILL');
          return Promise.resolve();
        };
      },
    },
  ];

  test.each(servers)(
    '$name holds a drive, and cannot fence',
    async (server) => {
      await withScratch(async (folder) => {
        const [file, socket, said] = [join(folder, 'disk'), join(folder, 'sock'), [] as string[]];
        writeFileSync(file, '');
        truncateSync(file, BYTES);
        const stop = server.start(file, socket);
        try {
          const text = `nbd+unix:///${server.export}?socket=${socket}`;
          const disk = await openDrive(text, said);
          const arbiter = new DiskServerArbiter(parseNbdUri('', text), null, 'demo');
          expect(await arbiter.supported()).toBe(false);
          await expect(arbiter.claim(1, 'a')).rejects.toThrow(/is no "ft86 disk-server"/);
          await disk.attach(USER);
          const data = new Uint8Array(8192).fill(0x5a);
          expect(await ask(disk, 'write', 3, data)).toMatchObject({ status: 'ok' });
          expect(await ask(disk, 'flush')).toMatchObject({ status: 'ok' });
          const read = await ask(disk, 'read', 3, 8192);
          expect(Buffer.from(read.data).equals(data)).toBe(true);
          await disk.close();
          expect(
            readFileSync(file)
              .subarray(3 * 512, 3 * 512 + 8192)
              .equals(data),
          ).toBe(true);
          expect(said.join('\n')).toMatch(/this server cannot fence/);
        } finally {
          await stop();
        }
      });
    },
    30_000,
  );
});

describe('a server that goes away', () => {
  test('is waited for: kill -9 under writes loses nothing and fails nothing', async () => {
    await withScratch(async (folder) => {
      const [file, socket, said] = [join(folder, 'disk'), join(folder, 'sock'), [] as string[]];
      writeFileSync(file, '');
      truncateSync(file, BYTES);
      const serve = (): ChildProcess =>
        start(process.execPath, [ft86, 'disk-server', file, '--listen', `unix:${socket}`]);
      let server = serve();
      try {
        const disk = await openDrive(`nbd+unix:///disk?socket=${socket}`, said);
        await disk.attach(USER);
        const SECTORS = 64;
        const expected = new Uint8Array(SECTORS * 512);
        for (let round = 0; round < 3; round++) {
          const writes = Array.from({ length: SECTORS }, (_, sector) => {
            const data = new Uint8Array(512).fill(round * SECTORS + sector + 1);
            expected.set(data, sector * 512);
            return ask(disk, 'write', sector, data);
          });
          if (round < 2) {
            await writes[SECTORS / 4];
            await stopped(server);
            server = serve();
          }
          expect(new Set((await Promise.all(writes)).map(({ status }) => status))).toEqual(new Set(['ok']));
          expect(await ask(disk, 'flush')).toMatchObject({ status: 'ok' });
        }
        expect(readFileSync(file).subarray(0, expected.length).equals(expected)).toBe(true);
        await disk.close();
        expect(said.filter((line) => line.endsWith('connected again'))).toHaveLength(2);
      } finally {
        await stopped(server);
      }
    });
  }, 30_000);

  test('and has lost what was not flushed gets it from the replica that went live after the one that wrote it', async () => {
    await withScratch(async (folder) => {
      const [file, socket] = [join(folder, 'disk'), join(folder, 'sock')];
      writeFileSync(file, '');
      truncateSync(file, BYTES);
      const forgetful = ['-f', '-U', socket, '--filter=cache', 'file', file, 'cache=writeback'];
      let server = start('nbdkit', forgetful);
      try {
        const first = await openDrive(`nbd+unix:///?socket=${socket}`);
        const second = await openDrive(`nbd+unix:///?socket=${socket}`);
        await first.attach(USER);
        const writes = [1, 2, 3].map((fill) => ({
          tag: fill,
          offset: fill * 512,
          data: new Uint8Array(1024).fill(fill),
        }));
        for (const { offset, data } of writes) await ask(first, 'write', offset / 512, data);
        await stopped(server);
        // Its replica is dead, too.
        await first.close();
        rmSync(socket);
        server = start('nbdkit', forgetful);
        second.adopt(writes);
        await second.attach({ ...USER, replicaId: 'b', epoch: 2 });
        expect(await ask(second, 'flush')).toMatchObject({ status: 'ok' });
        const found = readFileSync(file).subarray(512, 5 * 512);
        expect([0, 512, 1024, 1536].map((at) => found[at])).toEqual([1, 2, 3, 3]);
        await second.close();
      } finally {
        await stopped(server);
      }
    });
  }, 30_000);

  test('and does not come back does not keep a run from ending', async () => {
    let disk: NbdDisk | null = null;
    await withServedDisk(async ({ address }) => {
      disk = await openDrive(`nbd://${address}/disk`);
    });
    const answer = ask(disk!, 'read', 0, 512);
    await disk!.close();
    await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 50))]);
  });
});

test('what is no disk for a guest is refused', async () => {
  await withServedDisk(
    async ({ address }) => {
      await expect(openDrive(`nbd://${address}/disk`)).rejects.toThrow(ConfigError);
      const text = `nbd://${address}/none`;
      const options = { uri: parseNbdUri('', text), text, key: null, readonly: true, slot: 0, say: () => undefined };
      await expect(NbdDisk.open(options)).rejects.toThrow(/no such export/);
    },
    { readonly: true },
  );
});
