/**
 * Goal: another BIOS than SeaBIOS, the one of the Bochs emulator as Debian ships it, finds the disk and starts from it.
 * Method: the same machine and boot sector as for SeaBIOS, which uses INT 10h, 12h, 13h, 15h, 16h and 1Ah.
 */
import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ANSWERS, bootDisk, SECTOR_BYTES } from './bios-sector.js';
import { FirmwareMachine } from './firmware-machine.js';

const DIRECTORY = '/usr/share/bochs';
const INSTRUCTIONS_MAX = 50_000_000;
const installed = existsSync(join(DIRECTORY, 'BIOS-bochs-latest'));

// In CI the package is there: a missing file then fails the tests instead of leaving them out.
if (!installed && process.env['CI'] === undefined) {
  test('the package bochsbios is not installed: make extras', () => {
    expect(installed).toBe(false);
  });
} else {
  describe('the Bochs BIOS', firmwareTests);
}

function firmwareTests(): void {
  test.each(['BIOS-bochs-legacy', 'BIOS-bochs-latest'])('%s boots a sector from the disk', (name) => {
    const disk = bootDisk();
    const machine = new FirmwareMachine(readFileSync(join(DIRECTORY, name)), disk);
    expect(machine.run(INSTRUCTIONS_MAX)).toBe(42);
    const answer = (n: number): number => machine.machine.vcpu.ram.readU16(ANSWERS + 2 * n)!;
    const [drive, low, read, written, dx, time] = [0, 1, 2, 3, 5, 8].map(answer);
    expect([drive! & 0xff, low, read! >> 8, written! >> 8, dx, time]).toEqual([0x80, 639, 0, 0, 0x0f01, 0x0146]);
    expect(Buffer.from(disk.subarray(2 * SECTOR_BYTES, 2 * SECTOR_BYTES + 13)).toString()).toBe('second sector');
    machine.machine.vcpu.dispose();
  });
}
