/**
 * Goal: an unmodified Debian Linux boots to a shell, uses disk and network through its stock drivers, and stays
 * byte-identical on two replicas.
 * Method: the shipped guest `linux` (`make -C images linux`) driven by scripts on its serial console; alone by both
 * ways into the kernel, and as a pair with a digest every 100 ms. Without the guest there is nothing to do outside CI.
 */
import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ft86, images, withScratch } from './ft86.js';

const guest = join(images, '../guests/linux');
const built = existsSync(join(guest, 'bzImage'));
const MINUTES = 60_000;
/** Feature bits of virtio (1.2, sections 5.1.3 and 6). */
const [MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, VERSION_1] = [15, 28, 29, 32];

interface Result {
  readonly stop: string;
  readonly exitCode: number;
  readonly icount: number;
  readonly identical?: boolean | null;
  readonly log?: { readonly bytes: number; readonly byKind: Record<string, { entries: number; bytes: number }> };
}

/** Run `ft86 ARGS` with a script of these lines; gives the result and the guest's console. */
async function scripted(folder: string, args: readonly string[], lines: readonly string[]) {
  const script = join(folder, 'script.txt');
  writeFileSync(script, lines.map((line) => `${line}\n`).join(''));
  const run = await ft86([...args, '--script', script, '--json']);
  if (run.status !== 0) throw new Error(`status ${run.status ?? '?'}\n${run.stderr}`);
  return { result: JSON.parse(run.stdout) as Result, console: run.stderr.replaceAll('\r', '') };
}

if (!built && process.env['CI'] === undefined) {
  test('the Linux guest is not built: make -C images linux', () => {
    expect(built).toBe(false);
  });
} else {
  describe('Debian Linux alone', () => {
    test(
      'gives a shell, and its disk keeps a file over a restart',
      async () => {
        await withScratch(async (folder) => {
          const disk = join(folder, 'disk.img');
          writeFileSync(disk, '');
          truncateSync(disk, 16 << 20);
          const args = ['boot', 'linux', '--drive', `file=${disk}`];
          const first = await scripted(folder, args, [
            'uname -a',
            'cat /proc/interrupts',
            'mke2fs -F /dev/vda >/dev/null && mount -t ext4 /dev/vda /mnt && seq 100000 >/mnt/numbers',
            'md5sum </mnt/numbers; umount /mnt; ft86-exit 7',
          ]);
          expect(first.result).toMatchObject({ stop: 'debug-exit', exitCode: 7 });
          expect(first.console).toMatch(/^Linux .* i686 GNU\/Linux$/m);
          expect(first.console).toMatch(/^ +\d+: +\d+ +XT-PIC +.*virtio\d/m);
          expect(first.console).toMatch(/^dea9193b768319cbb4ff1a137ac03113/m);
          const second = await scripted(folder, args, ['mount -t ext4 /dev/vda /mnt; md5sum </mnt/numbers']);
          expect(second.result.stop).toBe('stopped');
          expect(second.console).toMatch(/^dea9193b768319cbb4ff1a137ac03113/m);
        });
      },
      3 * MINUTES,
    );

    test(
      'unpacks itself by the 32-bit boot protocol',
      async () => {
        await withScratch(async (folder) => {
          const append =
            'console=ttyS0 nolapic noapic acpi=off tsc=reliable cryptomgr.notests quiet ft86.run="exit 9" ft86.exit';
          const args = ['boot', join(guest, 'bzImage'), '--initrd', join(guest, 'initrd.gz'), '--memory', '64M'];
          const { result } = await scripted(folder, [...args, '--append', append], []);
          expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 9 });
          expect(result.icount).toBeGreaterThan(2e9);
        });
      },
      5 * MINUTES,
    );

    test('is refused without enough memory, and when it is damaged', async () => {
      await withScratch(async (folder) => {
        const small = await ft86(['boot', 'linux', '--memory', '24M']);
        expect([small.status, small.stderr.includes('give more with --memory')]).toEqual([2, true]);
        const damaged = readFileSync(join(guest, 'bzImage'));
        damaged[damaged.length >> 1]! ^= 1;
        const file = join(folder, 'bzImage');
        writeFileSync(file, damaged);
        const refused = await ft86(['boot', file]);
        expect([refused.status, refused.stderr.includes('checksum')]).toEqual([2, true]);
      });
    });
  });

  describe('Debian Linux on two replicas', () => {
    test(
      'is byte-identical through boot, disk, network and pipes',
      async () => {
        await withScratch(async (folder) => {
          const { result, console } = await scripted(
            folder,
            ['pair', 'linux', '--digest-ms', '100'],
            [
              'mke2fs -F /dev/vda >/dev/null; mount -t ext4 /dev/vda /mnt; cp /bin/busybox /mnt; sync; umount /mnt',
              'seq 20000 | gzip | gunzip | md5sum',
              'ping -c 2 10.86.0.1; cat /sys/class/net/eth0/device/features',
              'mkdir /www; echo hello from httpd >/www/index.html; httpd -h /www; wget -qO- http://10.86.0.2/',
            ],
          );
          expect(result).toMatchObject({ stop: 'stopped', identical: true });
          expect(result.log!.byKind['digest']!.entries).toBeGreaterThan(10);
          expect(result.log!.byKind['packet']!.entries).toBeGreaterThan(1);
          expect(console).toContain('2 packets transmitted, 2 packets received');
          const accepted = Array.from(/^[01]{64}$/m.exec(console)![0]).flatMap((bit, i) => (bit === '1' ? [i] : []));
          expect(accepted).toEqual(expect.arrayContaining([MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, VERSION_1]));
          expect(console).toMatch(/^hello from httpd$/m);
        });
      },
      5 * MINUTES,
    );

    test(
      'drives IDE by DMA, NE2000 on PCI and ISA, and the APICs',
      async () => {
        await withScratch(async (folder) => {
          const disk = join(folder, 'disk.img');
          writeFileSync(disk, '');
          truncateSync(disk, 32 << 20);
          const append =
            'console=ttyS0 nokaslr mitigations=off tsc=reliable cryptomgr.notests initcall_blacklist=load_system_certificate_list';
          const cards = ['--drive', `file=${disk},if=ide`, '--net', 'model=ne2k', '--net', 'model=ne2k-isa'];
          const { result, console } = await scripted(
            folder,
            ['pair', 'linux', '--append', append, ...cards, '--digest-ms', '100'],
            [
              'mke2fs -F /dev/sda >/dev/null && mount -t ext4 /dev/sda /mnt && seq 20000 >/mnt/numbers && sync',
              'umount /mnt; mount -t ext4 /dev/sda /mnt && md5sum </mnt/numbers; umount /mnt',
              'ping -c 2 10.86.0.1; ip link set eth0 down',
              'modprobe ne io=0x300 irq=9 && ip address add 10.86.0.3/24 dev eth1 && ip link set eth1 up',
              'ping -c 3 10.86.0.1; cat /proc/interrupts; dmesg | grep -E "ata1|NE2000|RTL"',
            ],
          );
          expect(result).toMatchObject({ stop: 'stopped', identical: true });
          expect(console).toMatch(/^e071f707df7bbeee2a6a1eb48011ddd0/m);
          expect(console).toContain('2 packets transmitted, 2 packets received');
          expect(console).toContain('3 packets transmitted, 3 packets received');
          expect(console).toMatch(/^ *14: +\d{2,} +IO-APIC +14-edge +ata_piix/m);
          expect(console).toMatch(/ata1.00: configured for [UM].*DMA|ata1: PATA max MWDMA2.* bmdma 0x/);
          expect(console).toMatch(/NE2000 found at 0x300, using IRQ 9/);
          expect(console).toMatch(/^ *LOC: +\d{2,}/m);
        });
      },
      5 * MINUTES,
    );

    test(
      'needs less than 1 MB of log to boot',
      async () => {
        await withScratch(async (folder) => {
          const { result } = await scripted(folder, ['pair', 'linux'], []);
          expect(result).toMatchObject({ identical: true });
          expect(result.log!.bytes).toBeLessThan(1_000_000);
        });
      },
      5 * MINUTES,
    );
  });
}
