/**
 * Goal: an unmodified operating system is a pure function of its initial state and the log, however its run is cut,
 * looked at, saved or moved, and stays one for billions of instructions.
 * Method: Debian Linux short of memory, so that it reclaims pages by their accessed bits, under the icount clock: a
 * plain run, one cut into odd pieces with translations thrown away, one saved in the middle and gone on with in a new
 * process, and a pair with a digest every 20 ms must end with one digest. Then a shell workload with fork, pipes,
 * compression, hashes, network and disk under the host's clock on two replicas.
 */
import { describe, expect, test } from '@jest/globals';
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ft86, images, withScratch } from './ft86.js';

const built = ['linux', 'linux-pae'].every((guest) => existsSync(join(images, `../guests/${guest}/bzImage`)));
const MINUTES = 60_000;
const OPTIONS =
  'console=ttyS0 nolapic noapic acpi=off nokaslr mitigations=off tsc=reliable cryptomgr.notests quiet ' +
  'initcall_blacklist=load_system_certificate_list';

interface Result {
  readonly stop: string;
  readonly exitCode: number;
  readonly icount: number;
  readonly digest: string;
  readonly identical?: boolean | null;
}

async function run(args: readonly string[]): Promise<{ result: Result; console: string }> {
  const { status, stdout, stderr } = await ft86([...args, '--json']);
  if (status !== 0) throw new Error(`ft86 ${args.join(' ')}: status ${status ?? '?'}\n${stderr}`);
  return { result: JSON.parse(stdout) as Result, console: stderr.replaceAll('\r', '') };
}

function emptyDisk(folder: string, mebibytes: number): string {
  const disk = join(folder, 'disk.img');
  writeFileSync(disk, '');
  truncateSync(disk, mebibytes << 20);
  return `file=${disk}`;
}

function withCommand(options: string, command: string): string[] {
  return ['--append', `${OPTIONS} ${options} ft86.run="${command}" ft86.exit`];
}

if (!built && process.env['CI'] === undefined) {
  test('the Linux guest is not built: make guests', () => {
    expect(built).toBe(false);
  });
} else {
  describe('Debian Linux', determinismTests);
}

function determinismTests(): void {
  test(
    'ends in one state under page reclaim: plain, in pieces, saved and restored, on two replicas with many digests',
    async () => {
      await withScratch(async (folder) => {
        const drive = ['--drive', emptyDisk(folder, 48)];
        const read = 'dd if=/dev/vda of=/dev/null bs=64k';
        const work = `${read}; seq 20000 | gzip | md5sum; ${read}`;
        const command = `${work}; grep pgsteal_kswapd /proc/vmstat`;
        const linux = ['linux', ...drive, '--clock', 'icount', ...withCommand('mem=40M', command)];
        const plain = await run(['boot', ...linux]);
        expect(plain.result).toMatchObject({ stop: 'debug-exit', exitCode: 0 });
        const [, reclaimed] = /pgsteal_kswapd (\d+)/.exec(plain.console) ?? [];
        expect(Number(reclaimed)).toBeGreaterThan(1000);

        const { icount, digest } = plain.result;
        expect((await run(['boot', ...linux, '--stress', '7'])).result).toMatchObject({ icount, digest });
        const half = String(Math.floor(icount / 2));
        const snapshot = join(folder, 'half.ftsnap');
        await run(['boot', ...linux, '--until', half, '--snapshot', snapshot]);
        expect((await run(['boot', snapshot, ...drive])).result).toMatchObject({ icount, digest });
        const pair = await run(['pair', ...linux, '--digest-ms', '20']);
        expect(pair.result).toMatchObject({ icount, digest, identical: true });
      });
    },
    6 * MINUTES,
  );

  test(
    'ends in one state with the kernel for PAE: plain, in pieces, on two replicas',
    async () => {
      await withScratch(async (folder) => {
        const drive = ['--drive', emptyDisk(folder, 48)];
        const command = `uname -r; grep -ow pae /proc/cpuinfo; dd if=/dev/vda of=/dev/null bs=64k; seq 20000 | gzip | md5sum`;
        const linux = ['linux-pae', ...drive, '--clock', 'icount', ...withCommand('mem=40M', command)];
        const plain = await run(['boot', ...linux]);
        expect(plain.result).toMatchObject({ stop: 'debug-exit', exitCode: 0 });
        expect(plain.console).toMatch(/^\S+-686-pae\npae$/m);
        const { icount, digest } = plain.result;
        expect((await run(['boot', ...linux, '--stress', '7'])).result).toMatchObject({ icount, digest });
        const pair = await run(['pair', ...linux, '--digest-ms', '20']);
        expect(pair.result).toMatchObject({ icount, digest, identical: true });
      });
    },
    3 * MINUTES,
  );

  test(
    'runs a shell workload for 5e9 instructions in lockstep under the host’s clock',
    async () => {
      await withScratch(async (folder) => {
        const round = [
          'seq 200000 | gzip | gunzip | sha256sum',
          'cp /bin/busybox /mnt/b; sync; sha256sum /mnt/b; rm /mnt/b',
          'for f in $(seq 60); do /bin/true; done; find /bin | sort | wc -l',
          'wget -qO- http://10.86.0.2/big | md5sum; ping -c 1 10.86.0.1',
        ].join('; ');
        const prepare =
          'mke2fs -F /dev/vda >/dev/null; mount -t ext4 /dev/vda /mnt; mkdir /www; seq 100000 >/www/big; httpd -h /www';
        const args = ['--drive', emptyDisk(folder, 16), '--digest-ms', '100', '--until', '5000000000'];
        const command = withCommand('', `${prepare}; while :; do ${round}; done`);
        const { result, console } = await run(['pair', 'linux', ...args, ...command]);
        expect(result).toMatchObject({ stop: 'until', icount: 5_000_000_000, identical: true });
        const sums = [...console.matchAll(/^([0-9a-f]{64}) {2}-$/gm)].map(([, sum]) => sum);
        expect(sums.length).toBeGreaterThan(1);
        expect(new Set(sums).size).toBe(1);
        expect(console).toContain('1 packets received');
      });
    },
    10 * MINUTES,
  );
}
