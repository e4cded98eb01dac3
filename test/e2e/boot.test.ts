/** Goal: `boot` runs real guests to the end that their manifest promises, and refuses bad input in one clear line.
 *  Method: the command line as a process; the shipped guests; damaged files. */
import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ft86, ft86Json, images, withScratch } from './ft86.js';

interface BootResult {
  readonly stop: string;
  readonly exitCode: number;
  readonly icount: number;
  readonly digest: string;
}

describe('boot', () => {
  test('prints the boot sector’s greeting and ends with its exit code', async () => {
    const run = await ft86(['boot', 'hello', '--json']);
    expect(run.status).toBe(0);
    expect(run.stderr).toMatch(/greets you/);
    const result = JSON.parse(run.stdout) as BootResult;
    expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 0 });
    expect(result.digest).toMatch(/^[0-9a-f]{32}$/);
  });

  test('runs the self-checking torture guest', async () => {
    const run = await ft86(['boot', 'chaos']);
    expect(run.stdout).toMatch(/chaos: ok/);
    expect(run.status).toBe(0);
  }, 120_000);

  test('writes, reads back and verifies a disk', async () => {
    const result = await ft86Json<BootResult>(['boot', 'disk']);
    expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 0 });
  });

  test('is a pure function of the image under the icount clock', async () => {
    const args = ['boot', 'bench-timer', '--clock', 'icount', '--until', '100000000'];
    const first = await ft86Json<BootResult>(args);
    const second = await ft86Json<BootResult>(args);
    expect(first.icount).toBe(100_000_000);
    expect(second.digest).toBe(first.digest);
  }, 60_000);

  test('disk I/O under the icount clock does not depend on the host’s speed', async () => {
    const first = await ft86Json<BootResult>(['boot', 'disk', '--clock', 'icount']);
    const second = await ft86Json<BootResult>(['boot', 'disk', '--clock', 'icount']);
    expect(second.digest).toBe(first.digest);
    expect(second.icount).toBe(first.icount);
  });

  test('passes --append to a Multiboot kernel given by its path', async () => {
    await withScratch(async (folder) => {
      const kernel = join(folder, 'third-party.elf');
      copyFileSync(join(images, 'bench-cpu.elf'), kernel);
      const few = await ft86Json<BootResult>(['boot', kernel, '--append', 'n=1000']);
      const many = await ft86Json<BootResult>(['boot', kernel, '--append', 'n=100000']);
      expect(few.stop).toBe('debug-exit');
      expect(many.icount).toBeGreaterThan(few.icount + 1_000_000);
    });
  });

  test('a triple fault is the guest’s: status 1', async () => {
    const run = await ft86(['boot', 'triple', '--json']);
    expect(run.status).toBe(1);
    expect((JSON.parse(run.stdout) as BootResult).stop).toBe('triple-fault');
  });

  test('a guest that jumps into nowhere ends as a triple fault or a halt, not as a crash of the host', async () => {
    const run = await ft86(['boot', 'wild', '--until', '50000000', '--json']);
    expect([0, 1]).toContain(run.status);
    expect(run.signal).toBeNull();
  });

  test('hostile virtio rings harm nobody but the guest', async () => {
    const run = await ft86(['boot', 'badring']);
    expect(run.status).toBe(0);
    expect(run.stdout).toMatch(/badring: ok/);
  });
});

describe('a snapshot as an image', () => {
  test('is what it was: what it had is refused anew, what is missing is named, damage is found', async () => {
    await withScratch(async (folder) => {
      const snapshot = join(folder, 'disk.ftsnap');
      const disk = join(folder, 'disk');
      writeFileSync(disk, Buffer.alloc(1 << 20));
      const drive = ['--drive', `file=${disk}`];
      await ft86Json(['boot', 'disk', ...drive, '--until', '100000', '--snapshot', snapshot]);
      const damaged = join(folder, 'damaged.ftsnap');
      const bytes = readFileSync(snapshot);
      bytes[bytes.length - 1]! ^= 1;
      writeFileSync(damaged, bytes);
      const refusals: [args: string[], message: RegExp][] = [
        [[snapshot], /--drive \(none\): the machine in the snapshot has: if=virtio/],
        [[snapshot, '--drive', `file=${disk},if=ide`], /the machine in the snapshot has: if=virtio/],
        [[snapshot, ...drive, '--net', 'model=ne2k'], /--net model=ne2k: the machine in the snapshot has: none/],
        [[snapshot, ...drive, '--memory', '32M'], /--memory 32M: a machine from a snapshot has what it had/],
        [[snapshot, ...drive, '--fw-cfg', 'name=a,string=b'], /--fw-cfg .*has what it had/],
        [[damaged, ...drive], /CRC/],
      ];
      for (const [args, message] of refusals) {
        const run = await ft86(['boot', ...args]);
        expect(run.stderr).toMatch(message);
        expect([run.status, run.stderr.trim().split('\n').length]).toEqual([2, 1]);
      }
      const result = await ft86Json<BootResult>(['boot', snapshot, ...drive]);
      expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 0 });
    });
  }, 60_000);

  test('under the icount clock a disk request that was under way is answered when it would have been', async () => {
    await withScratch(async (folder) => {
      const disk = join(folder, 'disk');
      writeFileSync(disk, Buffer.alloc(1 << 20));
      const options = ['--drive', `file=${disk}`, '--clock', 'icount'];
      const recording = join(folder, 'disk.ftlog');
      const plain = await ft86Json<BootResult>(['boot', 'disk', ...options, '--record', recording]);
      const doorbells = (await ft86(['log', recording])).stdout.match(/\d+(?= output +channel=disk)/g) ?? [];
      for (const doorbell of [doorbells[0], doorbells[5]]) {
        const snapshot = join(folder, `${doorbell}.ftsnap`);
        const until = String(Number(doorbell) + 10);
        await ft86Json(['boot', 'disk', ...options, '--until', until, '--snapshot', snapshot]);
        const resumed = await ft86Json<BootResult>(['boot', snapshot, '--drive', `file=${disk}`]);
        expect(resumed).toMatchObject({ icount: plain.icount, digest: plain.digest });
      }
    });
  }, 60_000);
});

describe('a reader of standard output', () => {
  const root = join(images, '../..');

  test('may go before the end of a long log: nobody complains', async () => {
    await withScratch(async (folder) => {
      const recording = join(folder, 'timer.ftlog');
      await ft86Json(['boot', 'timer', '--until', '40000000', '--clock', 'icount', '--record', recording]);
      const { stdout, stderr, status } = spawnSync(
        'bash',
        ['-c', `./ft86 log "$1" | head -1; exit "\${PIPESTATUS[0]}"`, '-', recording],
        { cwd: root, encoding: 'utf8' },
      );
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout.split('\n')).toHaveLength(2);
    });
  }, 30_000);

  test('that is a full disk is one clear line and status 4', () => {
    const { stderr, status } = spawnSync('bash', ['-c', './ft86 images >/dev/full'], { cwd: root, encoding: 'utf8' });
    expect(stderr).toMatch(/^ft86: cannot write to standard output: .*ENOSPC.*\n$/);
    expect(status).toBe(4);
  });
});

describe('bad input', () => {
  const cases: [name: string, args: (folder: string) => string[], message: RegExp][] = [
    ['a missing image', () => ['boot', './no-such-image'], /IMAGE .*no-such-image/],
    ['an unknown guest', () => ['boot', 'helo'], /hello/],
    ['memory too small', () => ['boot', 'hello', '--memory', '3x'], /--memory 3x/],
    ['unaligned memory', () => ['boot', 'hello', '--memory', '5000001'], /--memory 5000001.*4096/],
    [
      'an option given twice',
      () => ['boot', 'hello', '--memory', '64M', '--memory', '32M'],
      /--memory may be given once/,
    ],
    [
      'a second drive that is missing',
      (folder) => ['boot', 'disk', '--drive', `file=${join(folder, 'disk')}`, '--drive', 'file=/nonexistent/y'],
      /--drive .*nonexistent/,
    ],
    ['an unknown option', () => ['boot', 'hello', '--memroy', '64M'], /memroy/],
    ['a malformed drive', () => ['boot', 'disk', '--drive', 'path=x'], /--drive/],
    ['a missing disk', () => ['boot', 'disk', '--drive', 'file=/nonexistent/x.img'], /--drive/],
    ['an until of zero', () => ['boot', 'timer', '--until', '0'], /--until 0/],
    ['a text file as an image', (folder) => ['boot', join(folder, 'text')], /text/],
    ['a truncated kernel', (folder) => ['boot', join(folder, 'cut.elf')], /cut\.elf/],
    ['an empty image', (folder) => ['boot', join(folder, 'empty')], /empty/],
    ['a log that is none', (folder) => ['log', join(folder, 'text')], /not an ft86 log/],
    ['a snapshot that is none', (folder) => ['diff', join(folder, 'text'), join(folder, 'text')], /snapshot/],
    ['a pair option that is none', () => ['pair', 'timer', '--kill', 'primary'], /--kill primary/],
    [
      'a channel off this machine without a key',
      () => ['primary', 'timer', '--name', 'k', '--channel', 'tcp://0.0.0.0:0'],
      /key/,
    ],
  ];
  test.each(cases)('%s is one clear line and status 2', async (_name, args, message) => {
    await withScratch(async (folder) => {
      writeFileSync(join(folder, 'text'), 'this is not an image\n'.repeat(100));
      writeFileSync(join(folder, 'empty'), '');
      writeFileSync(join(folder, 'disk'), Buffer.alloc(1 << 20));
      writeFileSync(join(folder, 'cut.elf'), readFileSync(join(images, 'timer.elf')));
      truncateSync(join(folder, 'cut.elf'), 5000);
      const run = await ft86(args(folder));
      expect(run.stderr).toMatch(message);
      expect(run.stderr.trim().split('\n')).toHaveLength(1);
      expect(run.stderr).not.toMatch(/\n\s+at /);
      expect(run.status).toBe(2);
    });
  });
});
