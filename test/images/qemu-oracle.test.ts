/**
 * Goal: the guests are right about the PC, not only about ours: another emulator runs them to the same end.
 * Method: each guest that stops by itself under qemu-system-i386 (where it is installed; in CI it must be), its
 * console held against the manifest, its exit code read from the debug-exit device.
 */
import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const QEMU = 'qemu-system-i386';
const MACHINE =
  '-nodefaults -no-user-config -display none -machine pc -accel tcg -m 64 -serial stdio -no-reboot ' +
  '-device isa-debug-exit,iobase=0xf4,iosize=1';
const DISK_BYTES = 1 << 20;

interface Guest {
  readonly name: string;
  readonly file: string;
  readonly format: string;
  readonly append: string;
  readonly needs: { readonly diskBytes?: number; readonly driveKind?: string; readonly nic?: boolean };
  readonly expectedOutput: readonly string[];
  readonly exitCode?: number;
  readonly endless: boolean;
}

const guests = JSON.parse(readFileSync(join(ROOT, 'images/manifest.json'), 'utf8')) as readonly Guest[];
const installed = spawnSync(QEMU, ['--version']).status === 0;

/** Arguments that make a run of seconds one of a moment; the other guests keep their defaults. */
const SHORTER: Readonly<Record<string, { append: string; expected: RegExp }>> = {
  timer: { append: 'ticks=100', expected: /^timer: ok, \d+ ticks, \d+ primes, largest \d+$/m },
  'bench-disk': { append: 'n=200', expected: /^bench-disk: n=200 depth=8 sum 00000000$/m },
  'bench-ide': { append: 'n=2', expected: /^bench-ide: n=2 words 65536 checksum [0-9a-f]{8}$/m },
  'bench-mem': { append: 'n=2', expected: /^bench-mem: n=2 checksum df4f483d$/m },
  'bench-timer': { append: 'n=2000000', expected: /^bench-timer: n=2000000 checksum [0-9a-f]{8} hz=1000 ticks=\d+$/m },
  idle: { append: 'ticks=20', expected: /^idle: ok, 20 ticks$/m },
};

/** QEMU gives up where a guest fetches from the open bus, and resets on a triple fault. */
const NOT_FOR_QEMU = new Set(['wild', 'triple']);

/** Run a guest; virtio devices with and without the 1.x interface. */
function run(guest: Guest, append: string, legacyOnly: boolean): { console: string; exitCode: number } {
  const folder = mkdtempSync(join(tmpdir(), 'ft86-qemu-'));
  try {
    const args = MACHINE.split(' ');
    const suffix = legacyOnly ? ',disable-modern=on' : '';
    const image = join(ROOT, 'build/images', guest.file);
    if (guest.format === 'boot-sector') args.push('-drive', `file=${image},format=raw,if=ide,snapshot=on`);
    else args.push('-kernel', image, '-append', append);
    if (guest.needs.diskBytes !== undefined) {
      const disk = join(folder, 'disk.img');
      writeFileSync(disk, '');
      truncateSync(disk, DISK_BYTES);
      const device = guest.needs.driveKind === 'ide' ? 'ide-hd,drive=d,bus=ide.0' : `virtio-blk-pci,drive=d${suffix}`;
      args.push('-drive', `file=${disk},if=none,format=raw,id=d`, '-device', device);
    }
    if (guest.needs.nic === true) args.push('-netdev', 'user,id=n', '-device', `virtio-net-pci,netdev=n${suffix}`);
    const result = spawnSync(QEMU, args, { encoding: 'utf8', timeout: 60_000 });
    return { console: result.stdout.replaceAll('\r', ''), exitCode: ((result.status ?? 0) - 1) / 2 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (!installed && process.env['CI'] === undefined) {
  test(`${QEMU} is not installed: there is nothing to compare with`, () => {
    expect(installed).toBe(false);
  });
} else {
  const stopping = guests.filter(({ name, endless }) => !NOT_FOR_QEMU.has(name) && (!endless || name in SHORTER));
  describe.each(stopping.map((guest) => [guest.name, guest] as const))(`%s under ${QEMU}`, (name, guest) => {
    const shorter = SHORTER[name];
    const virtio = guest.needs.nic === true || (guest.needs.diskBytes !== undefined && guest.needs.driveKind !== 'ide');
    const variants = virtio ? [false, true] : [false];
    test.each(variants)(
      'ends as the manifest says (legacy virtio only: %s)',
      (legacyOnly) => {
        const { console, exitCode } = run(guest, shorter?.append ?? guest.append, legacyOnly);
        const expected =
          shorter === undefined ? guest.expectedOutput.map((line) => new RegExp(line, 'm')) : [shorter.expected];
        for (const line of expected) expect(console).toMatch(line);
        expect(exitCode).toBe(guest.exitCode);
      },
      90_000,
    );
  });
}
