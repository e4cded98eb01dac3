/**
 * Goal: SeaBIOS as Debian ships it (128 and 256 KiB) runs unchanged: it finds the chips, boots from the IDE disk, and
 * its services work for a boot sector.
 * Method: the machine of the product without replicas; a hand-made boot sector that asks INT 10h, 12h, 13h, 15h, 16h and 1Ah
 * and leaves the answers in RAM; the same with single-stepped slices; a VGA BIOS as a fw_cfg file.
 */
import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ioApicPin } from '../../../devices/io-apic.js';
import { ANSWERS, bootDisk, SECTOR_BYTES } from './bios-sector.js';
import { FirmwareMachine } from './firmware-machine.js';

const FIRMWARE_DIRECTORY = '/usr/share/seabios';
const INSTRUCTIONS_MAX = 50_000_000;

function firmware(name: string): Uint8Array {
  return readFileSync(join(FIRMWARE_DIRECTORY, name));
}

const installed = existsSync(join(FIRMWARE_DIRECTORY, 'bios.bin'));
const SERIAL_CONSOLE = { name: 'etc/sercon-port', data: Uint8Array.of(0xf8, 0x03, 0, 0, 0, 0, 0, 0) };

function answers(machine: FirmwareMachine): number[] {
  return Array.from({ length: 15 }, (_, n) => machine.machine.vcpu.ram.readU16(ANSWERS + 2 * n)!);
}

// In CI the package is there: a missing file then fails the tests instead of leaving them out.
if (!installed && process.env['CI'] === undefined) {
  test('the package seabios is not installed: there is no firmware to run', () => {
    expect(installed).toBe(false);
  });
} else {
  describe('SeaBIOS', firmwareTests);
}

function firmwareTests(): void {
  test.each(['bios.bin', 'bios-256k.bin'])('%s boots a sector from the disk and answers what it asks', (name) => {
    const disk = bootDisk();
    const machine = new FirmwareMachine(firmware(name), disk, [SERIAL_CONSOLE]);
    expect(machine.run(INSTRUCTIONS_MAX)).toBe(42);
    const [drive, low, read, written, cx, dx, below16M, above16M, time, seconds, year, day, , tick, next] =
      answers(machine);
    expect([drive! & 0xff, low, read! >> 8, written! >> 8]).toEqual([0x80, 639, 0, 0]);
    // 63 sectors a track, 16 heads, one drive; 15 MiB below 16 MiB, then 64 KiB units.
    expect([cx! & 0x3f, dx]).toEqual([63, 0x0f01]);
    expect([below16M, above16M! * 64]).toEqual([15 * 1024, 16 * 1024]);
    // Power-on was at 01:46:40 on 9 September 2001; the boot takes under ten seconds of guest time.
    expect([time, year, day]).toEqual([0x0146, 0x2001, 0x0909]);
    expect(seconds! >> 8).toBeGreaterThanOrEqual(0x40);
    expect(next! - tick!).toBe(1);
    expect(Buffer.from(disk.subarray(2 * SECTOR_BYTES, 2 * SECTOR_BYTES + 13)).toString()).toBe('second sector');
    expect(machine.console).toContain('Booting from Hard Disk...');
    expect(machine.console).toContain('boot\r\n');
    expect(machine.machine.board.debugConsole.text()).toContain('PCI: init bdf=00:01.1 id=8086:7010');
    machine.machine.vcpu.dispose();
  });

  test('its MP tables put the timer at the pin of the I/O APIC where it is', () => {
    const override = { name: 'etc/irq0-override', data: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) };
    const machine = new FirmwareMachine(firmware('bios-256k.bin'), bootDisk(), [SERIAL_CONSOLE, override]);
    expect(machine.run(INSTRUCTIONS_MAX)).toBe(42);
    const rom = Buffer.from(machine.machine.vcpu.ram.read(0xe0000, 0x20000)!);
    // An ISA interrupt: type, kind, flags, bus, IRQ, APIC, pin (MultiProcessor Specification 1.4, 4.3.4).
    const isaInterrupt = (irq: number, pin: number) => rom.indexOf(Buffer.from([3, 0, 0, 0, 1, irq, 0, pin]));
    const table = rom.indexOf('PCMP');
    expect(isaInterrupt(0, ioApicPin(0))).toBeGreaterThan(table);
    expect(isaInterrupt(0, 0)).toBe(-1);
    machine.machine.vcpu.dispose();
  });

  test('slices and flushes of translated code change nothing of a boot', () => {
    const runs = [Infinity, 100_003].map((every) => {
      const machine = new FirmwareMachine(firmware('bios-256k.bin'), bootDisk(), [SERIAL_CONSOLE]);
      for (let at = every; machine.run(Math.min(at, INSTRUCTIONS_MAX)) === null && at < INSTRUCTIONS_MAX; at += every) {
        machine.machine.vcpu.flushTlb();
        machine.machine.vcpu.flushTranslations();
      }
      const { icount } = machine.machine;
      const digest = Buffer.concat([machine.machine.vcpu.saveState(), machine.machine.vcpu.ramDigest()]).toString(
        'hex',
      );
      const { console: sent, end } = machine;
      machine.machine.vcpu.dispose();
      return { icount, digest, sent, end };
    });
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[0]!.end).toBe(42);
  });

  test('with a VGA BIOS from fw_cfg the boot is seen on the text screen', () => {
    const rom = { name: 'vgaroms/vgabios.bin', data: firmware('vgabios-isavga.bin') };
    const machine = new FirmwareMachine(firmware('bios.bin'), bootDisk(), [rom]);
    expect(machine.run(INSTRUCTIONS_MAX)).toBe(42);
    const screen = machine.machine.board.vga.text().map((line) => line.trimEnd());
    expect(screen).toContain('Booting from Hard Disk...');
    expect(screen).toContain('boot');
    machine.machine.vcpu.dispose();
  });
}
