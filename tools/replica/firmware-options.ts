/**
 * `--bios` and `--fw-cfg`: what a machine with firmware starts from.
 *
 * Disk images start through a BIOS: the one of --bios, or SeaBIOS where a package has installed it. Unless --fw-cfg says
 * otherwise SeaBIOS is told to use the serial line as its console, not to wait for a boot menu, and that the timer is at
 * pin 2 of the I/O APIC (its MP tables say so then), and gets the VGA BIOS that its package has beside it, so that what it
 * prints is on the text screen, too.
 * Source: SeaBIOS documentation, "Runtime config" (names and formats of the files).
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { FwCfgFile } from '../../devices/fw-cfg.js';
import { ConfigError } from '../../emulator/errors.js';
import { checkFirmware } from '../../hypervisor/loader/firmware.js';
import { BLOB_BYTES_MAX, FILES_MAX } from '../../hypervisor/machine/machine-config.js';
import type { NicOptions } from './net-options.js';
import { readOptionFile } from './option-files.js';

/** Where Debian and others install SeaBIOS. */
const BIOS_PATHS = ['/usr/share/seabios/bios-256k.bin', '/usr/share/qemu/bios-256k.bin', '/usr/share/seabios/bios.bin'];

const COM1 = Uint8Array.of(0xf8, 0x03, 0, 0, 0, 0, 0, 0);
const YES = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);
const DEFAULT_FILES: readonly FwCfgFile[] = [
  { name: 'etc/sercon-port', data: COM1 },
  { name: 'etc/show-boot-menu', data: new Uint8Array(8) },
  { name: 'etc/irq0-override', data: YES },
];

const VGA_BIOS_NAME = 'vgaroms/vgabios.bin';
const VGA_BIOS_FILE = 'vgabios-isavga.bin';

/** Vendor and device on the PCI bus, as SeaBIOS names a card's ROM. */
const NIC_ROM_NAMES = { virtio: 'pci1af4,1000.rom', ne2k: 'pci10ec,8029.rom' } as const;

/** The BIOS that disk images start through when --bios names none. @throws ConfigError when none is installed */
export function defaultBios(): string {
  const found = BIOS_PATHS.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new ConfigError(
    '--bios',
    '(none)',
    'a disk image starts through a BIOS: install one with `make extras`, or give --bios FILE',
  );
}

/** @throws ConfigError */
export function readBios(path: string): Uint8Array {
  const bytes = readOptionFile('--bios', path, BLOB_BYTES_MAX);
  checkFirmware(bytes, path);
  return bytes;
}

/** Files for the firmware: those of --fw-cfg and --option-rom, the NICs' ROMs, defaults. @throws ConfigError */
export function planFiles(
  fwCfg: readonly string[],
  optionRoms: readonly string[],
  nics: readonly NicOptions[],
  biosPath: string,
): FwCfgFile[] {
  const given = [
    ...fwCfg.map(parseFwCfg),
    ...optionRoms.map((path) => ({
      name: `genroms/${basename(path)}`,
      data: readOptionFile('--option-rom', path, BLOB_BYTES_MAX),
    })),
    ...nics.flatMap(({ kind, romfile }) =>
      kind === 'ne2k-isa' || romfile === null
        ? []
        : [{ name: NIC_ROM_NAMES[kind], data: readOptionFile('--net', romfile, BLOB_BYTES_MAX) }],
    ),
  ];
  const names = given.map(({ name }) => name);
  given.forEach(({ name, data }, i) => {
    if (names.indexOf(name) !== i) throw new ConfigError('--fw-cfg', name, 'is there twice');
    if (!/^[ -~]{1,55}$/.test(name)) throw new ConfigError('--fw-cfg', name, 'must be 1 to 55 printable characters');
    if (data.length === 0) throw new ConfigError('--fw-cfg', name, 'must not be empty');
  });
  const files = [...given, ...[...DEFAULT_FILES, ...vgaBios(biosPath)].filter(({ name }) => !names.includes(name))];
  if (files.length > FILES_MAX) throw new ConfigError('--fw-cfg', `${given.length} files`, `at most ${FILES_MAX}`);
  return files;
}

function vgaBios(biosPath: string): FwCfgFile[] {
  const path = join(dirname(biosPath), VGA_BIOS_FILE);
  return existsSync(path) ? [{ name: VGA_BIOS_NAME, data: readOptionFile('--bios', path, BLOB_BYTES_MAX) }] : [];
}

/** `name=NAME,file=PATH` or `name=NAME,string=TEXT`; NAME may contain commas. */
function parseFwCfg(text: string): FwCfgFile {
  const match = /^(?:name=)?(?<name>.+?),(?<kind>file|string)=(?<value>.*)$/s.exec(text)?.groups;
  if (match?.['name'] === undefined) {
    throw new ConfigError('--fw-cfg', text, 'must be name=NAME,file=PATH or name=NAME,string=TEXT');
  }
  const value = match['value'] ?? '';
  const data = match['kind'] === 'file' ? readOptionFile('--fw-cfg', value, BLOB_BYTES_MAX) : Buffer.from(value);
  return { name: match['name'], data };
}
