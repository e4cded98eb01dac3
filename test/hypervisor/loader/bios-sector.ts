/** A boot sector that asks the BIOS for its services by INT 10h, 12h, 13h, 15h, 16h and 1Ah and leaves the answers in RAM. */

export const SECTOR_BYTES = 512;
const DISK_SECTORS = 2048;
/** Where the boot sector leaves the answers. */
export const ANSWERS = 0x9000;

/** Store AX, BX, CX or DX at an answer: mov [ANSWERS + 2 n], register. */
const STORE = { ax: 0x06, cx: 0x0e, dx: 0x16, bx: 0x1e } as const;
function store(register: keyof typeof STORE, n: number): number[] {
  return [0x89, STORE[register], (ANSWERS + 2 * n) & 0xff, (ANSWERS + 2 * n) >> 8];
}
/** mov ax, value */
function ax(value: number): number[] {
  return [0xb8, value & 0xff, value >> 8];
}
/** mov ah, 0eh; mov al, character; mov bx, 7; int 10h */
function print(text: string): number[] {
  return Array.from(Buffer.from(text)).flatMap((byte) => [...ax(0x0e00 | byte), 0xbb, 0x07, 0x00, 0xcd, 0x10]);
}

/** What a boot sector may ask; it ends with 42 to the debug-exit port. */
const BOOT_SECTOR: readonly number[] = [
  ...[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb], // xor ax,ax; ds=es=ss=0; sp=7c00h; sti
  ...store('dx', 0), // the drive it came from
  ...[0xcd, 0x12, ...store('ax', 1)], // conventional memory
  ...[...ax(0x0201), 0xbb, 0x00, 0x80, 0xb9, 2, 0, 0xba, 0x80, 0, 0xcd, 0x13, ...store('ax', 2)], // read sector 2
  ...[...ax(0x0301), 0xbb, 0x00, 0x80, 0xb9, 3, 0, 0xba, 0x80, 0, 0xcd, 0x13, ...store('ax', 3)], // write it to sector 3
  ...[...ax(0x0800), 0xba, 0x80, 0, 0xcd, 0x13, ...store('cx', 4), ...store('dx', 5)], // geometry
  ...[...ax(0xe801), 0x31, 0xc9, 0x31, 0xd2, 0xcd, 0x15, ...store('ax', 6), ...store('bx', 7)], // extended memory
  ...[...ax(0x0200), 0xcd, 0x1a, ...store('cx', 8), ...store('dx', 9)], // time of day
  ...[...ax(0x0400), 0xcd, 0x1a, ...store('cx', 10), ...store('dx', 11)], // date
  ...[...ax(0x0100), 0xcd, 0x16, 0x9c, 0x58, ...store('ax', 12)], // a key? flags
  ...[...ax(0), 0xcd, 0x1a, ...store('dx', 13)], // ticks since midnight
  ...[0xf4, ...ax(0), 0xcd, 0x1a, ...store('dx', 14)], // the same after the next interrupt
  ...print('boot\r\n'),
  ...[0xb9, 4, 0, 0xf4, 0xe2, 0xfd], // wait for 4 interrupts: the serial console sends the last character late
  ...[0xb0, 0x2a, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd], // out f4h, 42; hlt
];

/** A disk of 1 MiB that begins with it. */
export function bootDisk(): Uint8Array {
  const disk = new Uint8Array(DISK_SECTORS * SECTOR_BYTES);
  disk.set(BOOT_SECTOR);
  disk.set([0x55, 0xaa], SECTOR_BYTES - 2);
  disk.set(Buffer.from('second sector'), SECTOR_BYTES);
  return disk;
}
