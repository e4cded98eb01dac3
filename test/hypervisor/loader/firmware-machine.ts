/**
 * A machine with firmware, without replicas: disk requests are answered at the next instruction, HLT skips to the next
 * deadline. Everything is a function of the ROM, the disk and the files.
 */
import { Machine } from '../../../hypervisor/machine/machine.js';
import { BlobStore } from '../../../hypervisor/machine/blob-store.js';
import type { DiskRequest, Output } from '../../../devices/environment.js';
import type { FwCfgFile } from '../../../devices/fw-cfg.js';
import { checkFirmware, placeFirmwareShadow } from '../../../hypervisor/loader/firmware.js';

const RAM_BYTES = 32 * 1024 * 1024;
const RATE = 1024;
const SECTOR_BYTES = 512;
const SKIPS_MAX = 100_000;

export class FirmwareMachine {
  readonly machine: Machine;
  /** What the firmware and the guest sent through the serial port. */
  console = '';
  readonly #disk: Uint8Array;
  readonly #requests: DiskRequest[] = [];
  #skips = 0;

  constructor(bios: Uint8Array, disk: Uint8Array, files: readonly FwCfgFile[] = []) {
    checkFirmware(bios, 'bios');
    this.#disk = disk;
    const blobs = new BlobStore();
    this.machine = new Machine(
      {
        memoryBytes: RAM_BYTES,
        drives: [{ kind: 'ide', sectors: disk.length / SECTOR_BYTES, readonly: false }],
        nics: [],
        firmware: blobs.add(bios),
        files: files.map(({ name, data }) => ({ name, ...blobs.add(data) })),
        bootUnixSeconds: 1_000_000_000,
        clock: 'icount',
        image: 'disk',
        imageSha256: '0'.repeat(64),
        append: '',
      },
      RATE,
      (output) => this.#output(output),
      blobs,
    );
    placeFirmwareShadow(bios, this.machine.vcpu.ram);
  }

  /** The byte written to the debug-exit port, the reason for another end, or null: it still runs. */
  get end(): number | string | null {
    const { stopRequest, dead } = this.machine;
    if (stopRequest === null) return dead || this.#skips > SKIPS_MAX ? 'halted for good' : null;
    return stopRequest.reason === 'debug-exit' ? stopRequest.code : stopRequest.reason;
  }

  /** Run until the guest ends, or `target` instructions. Returns the end. */
  run(target: number): number | string | null {
    const { machine } = this;
    while (this.end === null && machine.icount < target) {
      const exit = machine.run(target);
      const at = machine.icount;
      if (exit === 'irq-window') machine.apply({ kind: 'interrupt', at, vector: machine.pendingVector! });
      for (const request of this.#requests.splice(0)) this.#answer(request);
      if (exit !== 'halted' || machine.pendingVector !== null) continue;
      this.#skips++;
      machine.apply({ kind: 'clock', at, skipNs: 'deadline', rate: null });
    }
    return this.end;
  }

  #output(output: Output): void {
    if (output.kind === 'console') this.console += String.fromCharCode(output.byte);
    if (output.kind === 'disk') this.#requests.push(output.request);
  }

  #answer({ drive, tag, op, sector, bytes, data }: DiskRequest): void {
    const start = sector * SECTOR_BYTES;
    if (op === 'write') this.#disk.set(data, start);
    const answer = op === 'read' ? this.#disk.slice(start, start + bytes) : new Uint8Array();
    this.machine.apply({ kind: 'disk', at: this.machine.icount, drive, tag, status: 'ok', data: answer });
  }
}
