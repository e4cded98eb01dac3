/**
 * Goal: firmware and programs that nobody here wrote run unmodified, alone and byte-identical on two replicas: SeaBIOS,
 * GRUB and what it loads from ext2, memtest86+.
 * Method: Debian's files as they are (`make extras`), started by the command line; pairs compare a digest every 100 ms.
 */
import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootDisk } from '../hypervisor/loader/bios-sector.js';
import { ft86, images, withScratch } from './ft86.js';

const root = join(images, '../..');
const linux = join(images, '../guests/linux');
const MEMTEST = '/boot/memtest86+ia32.bin';
const NEEDED = ['/usr/share/seabios/bios.bin', '/usr/lib/grub/i386-pc/boot.img', MEMTEST, join(linux, 'bzImage')];
const PAIR = ['--digest-ms', '100'];
const MINUTES = 60_000;

interface Result {
  readonly stop: string;
  readonly exitCode: number;
  readonly icount: number;
  readonly identical?: boolean | null;
  readonly log?: { readonly byKind: Record<string, { entries: number }> };
}

/** Run `ft86 ARGS --json`; gives the result and the guest's console. */
async function run(args: readonly string[]): Promise<{ result: Result; console: string }> {
  const { status, stdout, stderr } = await ft86([...args, '--json']);
  if (status !== 0) throw new Error(`ft86 ${args.join(' ')}: status ${status ?? '?'}\n${stderr}`);
  return { result: JSON.parse(stdout) as Result, console: stderr.replaceAll('\r', '') };
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
    test.each([
      ['alone', ['boot']],
      ['on two replicas', ['pair', ...PAIR]],
    ])(
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

  describe('GRUB', () => {
    test('loads a Multiboot kernel from ext2, alone', async () => {
      await withScratch(async (folder) => {
        const entry = ['multiboot /boot/timer.elf ticks=20'];
        const { result, console } = await run(['boot', grubDisk(folder, entry, [join(images, 'timer.elf')])]);
        expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 0 });
        expect(console).toMatch(/^timer: ok, 20 ticks/m);
      });
    }, 60_000);

    test(
      'loads Linux from ext2, which then mounts the same file system, on two replicas',
      async () => {
        await withScratch(async (folder) => {
          const kernel =
            'linux /boot/bzImage console=ttyS0 quiet nolapic noapic acpi=off nokaslr mitigations=off tsc=reliable cryptomgr.notests initcall_blacklist=load_system_certificate_list';
          const files = [join(linux, 'bzImage'), join(linux, 'initrd.gz')];
          const disk = grubDisk(folder, [kernel, 'initrd /boot/initrd.gz'], files);
          const script = join(folder, 'script.txt');
          const wait = 'while [ ! -e /dev/sda1 ]; do sleep 1; done';
          writeFileSync(script, `${wait}; mount -t ext4 -o ro /dev/sda1 /mnt && ls /mnt/boot; ft86-exit 5\n`);
          const { result, console } = await run(['pair', disk, '--memory', '96M', ...PAIR, '--script', script]);
          expect(result).toMatchObject({ stop: 'debug-exit', exitCode: 5, identical: true });
          expect(result.log!.byKind['digest']!.entries).toBeGreaterThan(10);
          expect(console).toMatch(/GRUB loading/);
          expect(console).toMatch(/^bzImage +grub +initrd\.gz/m);
        });
      },
      5 * MINUTES,
    );
  });

  describe('memtest86+', () => {
    test.each([
      ['alone', ['boot']],
      ['on two replicas', ['pair', ...PAIR]],
    ])(
      'passes its first tests over all memory without an error, %s',
      async (_, [command = '', ...options]) => {
        const append = ['--append', 'console=ttyS0,115200 nosmp'];
        const { result, console } = await run([
          command,
          MEMTEST,
          ...['--memory', '8M', ...append, '--until', '4000000000', ...options],
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
  });
}
