/**
 * Goal: firmware and programs that nobody here wrote run unmodified, alone and byte-identical on two replicas: SeaBIOS,
 * the Bochs BIOS, U-Boot, GRUB and what it loads from ext2, memtest86+; a replica's death in the middle of it changes nothing.
 * Method: Debian's files as they are (`make extras`), started by the command line; pairs compare a digest every 100 ms.
 */
import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootDisk } from '../hypervisor/loader/bios-sector.js';
import { ft86, images, withScratch } from './ft86.js';
import { typed } from './terminal.js';

const root = join(images, '../..');
const linux = join(images, '../guests/linux');
const GRUB_DISK = join(images, '../guests/grub/disk.img');
const MEMTEST = '/boot/memtest86+ia32.bin';
const UBOOT = '/usr/lib/u-boot/qemu-x86/u-boot.rom';
const NEEDED = [
  '/usr/share/seabios/bios.bin',
  '/usr/share/bochs/BIOS-bochs-latest',
  UBOOT,
  '/usr/lib/grub/i386-pc/boot.img',
  MEMTEST,
  join(linux, 'bzImage'),
  GRUB_DISK,
];
const PAIR = ['pair', '--digest-ms', '100'];
const MODES: [name: string, command: string[]][] = [
  ['alone', ['boot']],
  ['on two replicas', PAIR],
];
const MINUTES = 60_000;

interface Result {
  readonly stop: string;
  readonly exitCode: number;
  readonly icount: number;
  readonly identical?: boolean | null;
  readonly takeover?: { readonly icount: number } | null;
  readonly log?: { readonly byKind: Record<string, { entries: number }> };
}

/** Run `ft86 ARGS --json`; gives the result and the guest's console. */
async function run(args: readonly string[]): Promise<{ result: Result; console: string }> {
  const { status, stdout, stderr } = await ft86([...args, '--json']);
  if (status !== 0) throw new Error(`ft86 ${args.join(' ')}: status ${status ?? '?'}\n${stderr}`);
  return { result: JSON.parse(stdout) as Result, console: stderr.replaceAll('\r', '') };
}

/** The text screen of the run called `name`; empty while there is none. */
async function screenOf(name: string): Promise<string> {
  const { status, stdout } = await ft86(['status', name, '--json']);
  if (status !== 0) return '';
  return (JSON.parse(stdout) as { display: { screen: string[] } | null }).display?.screen.join('\n') ?? '';
}

/** A disk that GRUB starts from, with `entry` as its only one. */
function grubDisk(folder: string, entry: readonly string[], files: readonly string[]): string {
  const config = join(folder, 'grub.cfg');
  const serial = ['serial --unit=0 --speed=115200', 'terminal_input serial', 'terminal_output serial', 'set timeout=0'];
  writeFileSync(config, [...serial, "menuentry 'it' {", ...entry, '}', ''].join('\n'));
  const disk = join(folder, 'disk.img');
  execFileSync('bash', [join(root, 'images/grub/make-disk.sh'), disk, config, ...files]);
  return disk;
}

// In CI everything is there: a missing file then fails the tests instead of leaving them out.
if (!NEEDED.every((file) => existsSync(file)) && process.env['CI'] === undefined) {
  test('the optional guests are not there: make extras, make guests', () => {
    expect(NEEDED.every((file) => existsSync(file))).toBe(false);
  });
} else {
  describe.each(['bios.bin', 'bios-256k.bin'])('SeaBIOS %s', (name) => {
    test.each(MODES)(
      'boots a sector from the disk and serves it, %s',
      async (_, [command = '', ...options]) => {
        await withScratch(async (folder) => {
          const disk = join(folder, 'disk.img');
          writeFileSync(disk, bootDisk());
          const bios = ['--bios', `/usr/share/seabios/${name}`];
          const { result, console } = await run([command, disk, ...bios, ...options]);
          expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 42 });
          expect(result.identical ?? true).toBe(true);
          expect(console).toMatch(/Booting from Hard Disk\.\.\.\n(.*\n)*.*boot\n/);
        });
      },
      60_000,
    );
  });

  describe.each(['legacy', 'latest'])('the Bochs BIOS, %s,', (name) => {
    test('boots a sector from the disk on two replicas', async () => {
      await withScratch(async (folder) => {
        const disk = join(folder, 'disk.img');
        writeFileSync(disk, bootDisk());
        const { result } = await run([...PAIR, disk, '--bios', `/usr/share/bochs/BIOS-bochs-${name}`]);
        expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 42, identical: true });
      });
    }, 60_000);
  });

  test('U-Boot lists and reads an ext2 partition of the disk on two replicas', async () => {
    await withScratch(async (folder) => {
      const disk = join(folder, 'disk.img');
      copyFileSync(GRUB_DISK, disk);
      const script = join(folder, 'script.txt');
      writeFileSync(script, 'ls ide 0:1 /boot\nload ide 0:1 1000000 /boot/timer.elf\nmd.l 1000000 1\n');
      const typing = ['--script', script, '--prompt', '=> '];
      const { result, console } = await run([...PAIR, disk, '--bios', UBOOT, '--memory', '64M', ...typing]);
      expect(result).toMatchObject({ stop: 'stopped', identical: true });
      expect(console).toMatch(/^Model: QEMU x86 \(I440FX\)$/m);
      expect(console).toMatch(/^ +\d+ +timer\.elf$/m);
      expect(console).toMatch(/^01000000: 464c457f/m);
    });
  }, 90_000);

  describe('GRUB', () => {
    test.each(MODES)(
      'loads a Multiboot kernel from ext2, %s',
      async (_, [command = '', ...options]) => {
        await withScratch(async (folder) => {
          const disk = grubDisk(folder, ['multiboot /boot/timer.elf ticks=20'], [join(images, 'timer.elf')]);
          const { result, console } = await run([command, disk, ...options]);
          expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 0 });
          expect(result.identical ?? true).toBe(true);
          expect(console).toMatch(/^timer: ok, 20 ticks/m);
        });
      },
      60_000,
    );

    test.each(MODES)(
      'loads Linux from ext2, which then mounts the same file system, %s',
      async (_, [command = '', ...options]) => {
        await withScratch(async (folder) => {
          const kernel =
            'linux /boot/bzImage console=ttyS0 quiet nolapic noapic acpi=off nokaslr mitigations=off tsc=reliable cryptomgr.notests initcall_blacklist=load_system_certificate_list';
          const files = [join(linux, 'bzImage'), join(linux, 'initrd.gz')];
          const disk = grubDisk(folder, [kernel, 'initrd /boot/initrd.gz'], files);
          const script = join(folder, 'script.txt');
          const wait = 'while [ ! -e /dev/sda1 ]; do sleep 1; done';
          writeFileSync(script, `${wait}; mount -t ext4 -o ro /dev/sda1 /mnt && ls /mnt/boot; ft86-exit 5\n`);
          const { result, console } = await run([command, disk, '--memory', '96M', ...options, '--script', script]);
          expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 5 });
          expect(result.identical ?? true).toBe(true);
          expect(result.log?.byKind['digest']?.entries ?? 100).toBeGreaterThan(10);
          expect(console).toMatch(/GRUB loading/);
          expect(console).toMatch(/^bzImage +grub +initrd\.gz/m);
        });
      },
      5 * MINUTES,
    );
  });

  test('GRUB’s menu takes keys from the serial line of two replicas', async () => {
    await withScratch(async (folder) => {
      const disk = join(folder, 'disk.img');
      copyFileSync(GRUB_DISK, disk);
      // Ctrl-N is down.
      const { status, stdout, stderr } = await typed([...PAIR, disk], [['timer, a Multiboot kernel', '\x0e\r']]);
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ stop: 'debug-exit', exitCode: 0, identical: true });
      expect(stderr).toMatch(/^timer: ok, 500 ticks/m);
    });
  }, 90_000);

  test('GRUB goes on reading its disk when the primary dies by kill -9', async () => {
    await withScratch(async (folder) => {
      const disk = grubDisk(folder, ['multiboot /boot/timer.elf ticks=20'], [join(images, 'timer.elf')]);
      // SeaBIOS needs 7 million instructions, GRUB with its kernel 66 million.
      const { result, console } = await run(['pair', disk, '--kill', 'primary@icount:20000000']);
      expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 0, primary: { survived: false } });
      expect(result.takeover!.icount).toBeLessThan(30_000_000);
      expect(console).toMatch(/^timer: ok, 20 ticks/m);
    });
  }, 60_000);

  describe('memtest86+', () => {
    test.each(MODES)(
      'passes its first tests over all memory without an error, %s',
      async (_, [command = '', ...options]) => {
        const append = ['--append', 'console=ttyS0,115200 nosmp'];
        // It writes its screen every 2 s of guest time, from the third on: enough instructions for 5 s on a fast host, too.
        const { result, console } = await run([
          command,
          MEMTEST,
          ...['--memory', '8M', ...append, '--until', '8000000000', ...options],
        ]);
        expect(result).toMatchObject({ stop: 'until' });
        expect(result.identical ?? true).toBe(true);
        // Its screen, as it writes it to the serial line from time to time.
        const tests = [...console.matchAll(/#(\d+) +\[/g)].map(([, number]) => Number(number));
        const errors = [...console.matchAll(/Errors: (\d+)/g)].map(([, number]) => Number(number));
        expect(Math.max(...tests)).toBeGreaterThanOrEqual(5);
        expect(errors.length).toBeGreaterThan(2);
        expect(Math.max(...errors)).toBe(0);
      },
      3 * MINUTES,
    );

    test('is on the text screen, which `status` shows', async () => {
      const name = `memtest-${process.pid}`;
      const memtest = ft86([
        'boot',
        MEMTEST,
        '--memory',
        '8M',
        '--append',
        'nosmp',
        '--name',
        name,
        '--serial',
        'none',
      ]);
      const deadline = Date.now() + MINUTES;
      let screen = '';
      while (!/Test #[1-9].*Errors: 0/s.test(screen) && Date.now() < deadline) screen = await screenOf(name);
      expect((await ft86(['stop', name])).status).toBe(0);
      expect((await memtest).stderr).toMatch(/^ft86: stopped at icount/m);
      expect(screen).toMatch(/^ +Memtest86\+ v\d/);
      expect(screen).toMatch(/Memory +: +8MB/);
      expect(screen).toMatch(/Test #[1-9].*Errors: 0/s);
    }, 90_000);
  });
}
