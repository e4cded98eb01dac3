/**
 * Benchmarks with a whole operating system and with a disk: what a person waits for.
 *
 *   linux   host seconds from power-on until Debian's kernel has booted, run its init and stopped
 *   ide     words a second through the data port of an IDE disk
 */
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../images/manifest.js';
import {
  installed,
  qemuModes,
  runFt86,
  runQemu,
  shippedForQemu,
  withScratch,
  type Configuration,
  type Figures,
} from './measure.js';

const IDE_COMMANDS = { quick: 20, full: 300 };
const IDE_WORDS_A_COMMAND = 128 * 256;
const IDE_DISK_BYTES = 65536;

const LINUX_APPEND =
  'console=ttyS0 nolapic noapic acpi=off nokaslr mitigations=off tsc=reliable cryptomgr.notests ' +
  'initcall_blacklist=load_system_certificate_list ft86.run="true" ft86.exit';
const LINUX_BASE = 'boot linux, bzImage';

export function ideConfigurations(size: 'quick' | 'full'): Configuration[] {
  const commands = IDE_COMMANDS[size];
  const base = 'boot bench-ide';
  const rate = (few: Figures, many: Figures): Figures => ({
    megawords: ((commands - 1) * IDE_WORDS_A_COMMAND) / ((many.seconds ?? NaN) - (few.seconds ?? NaN)) / 1e6,
  });
  const ours = (n: number): Figures => {
    const args = ['boot', 'bench-ide', '--append', `n=${n}`, '--serial', 'none'];
    return { seconds: runFt86(args)['seconds'] as number };
  };
  const qemu = (n: number): Figures =>
    withScratch((scratch) => {
      const disk = join(scratch, 'disk.img');
      writeFileSync(disk, '');
      truncateSync(disk, IDE_DISK_BYTES);
      const drive = ['-drive', `file=${disk},if=none,format=raw,id=d`, '-device', 'ide-hd,drive=d,bus=ide.0'];
      return runQemu(shippedForQemu('bench-ide', `n=${n}`, drive), []);
    });
  const own = { name: base, base, measure: () => rate(ours(1), ours(commands)) };
  if (!installed('qemu-system-i386')) return [own];
  return [own, { name: 'qemu tcg bench-ide', base, measure: () => rate(qemu(1), qemu(commands)) }];
}

/** Nothing when the guest is not built (`make guests`). */
export function linuxConfigurations(): Configuration[] {
  const guest = join(projectRoot(), 'build/guests/linux');
  const [kernel, initrd, payload] = ['bzImage', 'initrd.gz', 'vmlinux'].map((file) => join(guest, file));
  if (kernel === undefined || initrd === undefined || payload === undefined || !existsSync(kernel)) return [];
  const image = [kernel, '--initrd', initrd, '--memory', '128M', '--append', LINUX_APPEND];
  const fast = [...image, '--payload', payload];
  const linux = { kernel, append: LINUX_APPEND, memory: '128', devices: ['-initrd', initrd] };
  return [
    { name: LINUX_BASE, base: LINUX_BASE, measure: () => timed(['boot', ...image, '--serial', 'none']) },
    { name: 'boot linux, payload', base: LINUX_BASE, measure: () => timed(['boot', ...fast, '--serial', 'none']) },
    { name: 'pair linux, bzImage', base: LINUX_BASE, measure: () => timed(['pair', ...image]) },
    ...qemuModes().map(({ name, args }) => ({
      name: `${name} linux, bzImage`,
      base: LINUX_BASE,
      measure: () => withScratch((scratch) => runQemu(linux, args(scratch))),
    })),
  ];
}

/** Seconds that the guest ran: without the start of Node and of the replicas. */
function timed(args: readonly string[]): Figures {
  const result = runFt86(args);
  const own = (result['primary'] ?? result) as { seconds: number };
  const log = result['log'] as { bytes: number } | undefined;
  return { seconds: own.seconds, ...(log === undefined ? {} : { logBytes: log.bytes }) };
}
