/**
 * Goal: people and other machines can use Debian Linux as any other: a shell at the terminal, a page served over the wire, a
 * disk that keeps its files over a reboot; a primary's death goes unnoticed; a panic is on the console; what is not installed is named.
 * Method: the command line with a pipe as its terminal, alone and as a pair; two machines on one switch, one of them a
 * pair; a copy of the project without guests.
 */
import { describe, expect, test } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ft86, images, withScratch, type Run } from './ft86.js';
import { typed } from './terminal.js';

const root = join(images, '../..');
const built = existsSync(join(images, '../guests/linux/bzImage'));
const MINUTES = 60_000;
const QUICK =
  'console=ttyS0 quiet acpi=off nokaslr mitigations=off tsc=reliable cryptomgr.notests ' +
  'initcall_blacklist=load_system_certificate_list';
const LEGACY = `${QUICK} nolapic noapic`;

/** A switch, and its way to be plugged into; it ends with `use`. */
async function withSwitch<T>(folder: string, use: (address: string) => Promise<T>): Promise<T> {
  const address = `unix:${join(folder, 'switch.sock')}`;
  const child = spawn(process.execPath, [join(root, 'ft86'), 'switch', '--listen', address], { stdio: 'pipe' });
  const ended = new Promise((resolve) => child.on('close', resolve));
  try {
    await new Promise((resolve) => child.stderr.once('data', resolve));
    return await use(address);
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

function result(run: Run, status = 0): unknown {
  if (run.status !== status) throw new Error(`status ${run.status ?? '?'}\n${run.stderr}`);
  return JSON.parse(run.stdout);
}

/** The project without what was built beside the program itself. */
function bareCopy(folder: string): string {
  for (const name of ['ft86', 'package.json']) cpSync(join(root, name), join(folder, name));
  cpSync(join(root, 'build/js'), join(folder, 'build/js'), { recursive: true });
  for (const name of ['node_modules', 'build/native', 'images']) symlinkSync(join(root, name), join(folder, name));
  return join(folder, 'ft86');
}

test.each(['boot', 'pair'])('%s names the command that installs Linux', async (command) => {
  await withScratch((folder) => {
    const run = spawnSync(process.execPath, [bareCopy(folder), command, 'linux'], { encoding: 'utf8' });
    expect(run.stderr).toBe('ft86: IMAGE linux: is not built: run `make -C images linux`\n');
    expect(run.status).toBe(2);
    return Promise.resolve();
  });
});

if (!built && process.env['CI'] === undefined) {
  test('the Linux guest is not built: make guests', () => {
    expect(built).toBe(false);
  });
} else {
  describe('Debian Linux', linuxTests);
}

function linuxTests(): void {
  test(
    'has a shell at the terminal, on two replicas and alone, and its disk keeps a file over a reboot',
    async () => {
      await withScratch(async (folder) => {
        const disk = join(folder, 'disk.img');
        writeFileSync(disk, '');
        truncateSync(disk, 16 << 20);
        const linux = ['linux', '--append', LEGACY, '--drive', `file=${disk}`, '--serial', 'stdio'];
        const pair = await typed(
          ['pair', ...linux, '--digest-ms', '100'],
          [
            [
              '# ',
              'mke2fs -F /dev/vda >/dev/null && mount -t ext4 /dev/vda /mnt && echo kept by two >/mnt/note; sync\r',
            ],
            ['# ', 'echo six times seven is $((6 * 7)); reboot -f\r'],
          ],
        );
        expect(result(pair)).toMatchObject({ stop: 'reset', identical: true });
        expect(pair.stderr).toMatch(/^six times seven is 42$/m);
        const alone = await typed(
          ['boot', ...linux],
          [['# ', 'mount -t ext4 /dev/vda /mnt; cat /mnt/note; ft86-exit 3\r']],
        );
        expect(result(alone)).toMatchObject({ stop: 'debug-exit', exitCode: 3 });
        expect(alone.stderr).toMatch(/^kept by two$/m);
      });
    },
    3 * MINUTES,
  );

  test(
    'serves a page on two replicas to a machine with other cards: NE2000, IDE by DMA, a local APIC without an I/O APIC',
    async () => {
      await withScratch(async (folder) => {
        const disk = join(folder, 'disk.img');
        writeFileSync(disk, '');
        truncateSync(disk, 8 << 20);
        await withSwitch(folder, async (address) => {
          // Ends when the page was asked for and the client is content.
          const serve =
            'mkdir /www; seq 20000 >/www/page; httpd -f -p 80 -h /www & while ! nc -l -p 81; do :; done; sleep 1; true';
          const stop = new AbortController();
          const server = ft86(
            [
              ...['pair', 'linux', '--net', `switch=${address}`, '--digest-ms', '100', '--json'],
              ...['--append', `${LEGACY} ft86.run="${serve}" ft86.exit`],
            ],
            (pid) => {
              stop.signal.addEventListener('abort', () => process.kill(pid, 'SIGTERM'));
            },
          );
          const fetch = [
            'n=0; until wget -qO page http://10.86.0.2/page; do n=$((n + 1)); [ $n -lt 60 ] || exit 1; sleep 1; done',
            'cp page /dev/sda; sync; echo 3 >/proc/sys/vm/drop_caches; head -c 108894 /dev/sda | md5sum',
            'ping -c 2 10.86.0.2; cat /proc/interrupts; echo over | nc 10.86.0.2 81',
          ].join('; ');
          const client = await ft86([
            ...['boot', 'linux', '--drive', `file=${disk},if=ide`, '--json'],
            ...['--net', `switch=${address},model=ne2k,mac=52:54:00:86:00:03`],
            ...['--append', `${QUICK} noapic ft86.ip=10.86.0.3/24 ft86.run="${fetch}" ft86.exit`],
          ]);
          // A client that failed has not told the server to end.
          if (!client.stdout.includes('"exitCode": 0')) stop.abort();
          const said = client.stderr.replaceAll('\r', '');
          expect(result(client)).toMatchObject({ stop: 'debug-exit', exitCode: 0 });
          expect(said).toMatch(/^e071f707df7bbeee2a6a1eb48011ddd0/m);
          expect(said).toContain('2 packets transmitted, 2 packets received');
          expect(said).toMatch(/^ *11: +\d{2,} +XT-PIC +eth0/m);
          expect(said).toMatch(/^ *14: +\d+ +XT-PIC +ata_piix/m);
          expect(said).toMatch(/^ *LOC: +\d{2,}/m);
          expect(result(await server)).toMatchObject({ stop: 'debug-exit', exitCode: 0, identical: true });
        });
      });
    },
    3 * MINUTES,
  );

  test(
    'goes on writing its IDE disk and using its NE2000 when the primary dies by kill -9',
    async () => {
      await withScratch(async (folder) => {
        const disk = join(folder, 'disk.img');
        writeFileSync(disk, '');
        truncateSync(disk, 16 << 20);
        const command = [
          'mke2fs -F /dev/sda >/dev/null; mount -t ext4 /dev/sda /mnt',
          'for i in 1 2 3 4 5 6; do seq 20000 >/mnt/$i; sync; done; umount /mnt; mount -t ext4 /dev/sda /mnt',
          'cat /mnt/[1-6] | md5sum; ping -c 2 10.86.0.1',
        ].join('; ');
        const run = await ft86([
          ...['pair', 'linux', '--append', `${LEGACY} ft86.run="${command}" ft86.exit`],
          ...['--drive', `file=${disk},if=ide`, '--net', 'model=ne2k', '--kill', 'primary@icount:750000000', '--json'],
        ]);
        // The kernel is up before 600 million instructions; the files take more than as many again.
        expect(result(run)).toMatchObject({ stop: 'debug-exit', exitCode: 0, primary: { survived: false } });
        expect((result(run) as { icount: number }).icount).toBeGreaterThan(900_000_000);
        expect(run.stderr).toMatch(/^ea805ad0c27b59ff67e754ed9b50d48d/m);
        expect(run.stderr).toContain('2 packets transmitted, 2 packets received');
      });
    },
    2 * MINUTES,
  );

  test('shows its panic on the console; the triple fault that follows ends the run with status 1', async () => {
    const run = await ft86(['boot', 'linux', '--append', `${LEGACY} rdinit=/none panic=-1 reboot=t`, '--json']);
    expect(result(run, 1)).toMatchObject({ stop: 'triple-fault' });
    expect(run.stderr).toContain('Kernel panic - not syncing: VFS: Unable to mount root fs');
  }, 60_000);
}
