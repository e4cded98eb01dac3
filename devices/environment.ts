/**
 * All that devices may ask of the world. The hypervisor implements it: once for a primary, a backup, a
 * machine alone and a replay; devices cannot tell which.
 */

/** A request to a disk backend. Sectors are 512 bytes. */
export interface DiskRequest {
  /** Index of the drive, 0-based, in the order of the machine's configuration. */
  readonly drive: number;
  /** Unique among the drive's pending requests; the completion carries it back. */
  readonly tag: number;
  readonly op: 'read' | 'write' | 'flush';
  /** First sector; 0 for flush. Always inside the disk as the device was configured. */
  readonly sector: number;
  /** Bytes to transfer, a multiple of 512; 0 for flush. */
  readonly bytes: number;
  /** The data of a write, a private copy taken at the doorbell's icount; empty otherwise. */
  readonly data: Uint8Array;
}

/** The answer to a {@link DiskRequest}; it reaches the device at an exact icount. */
export interface DiskCompletion {
  readonly drive: number;
  readonly tag: number;
  readonly status: 'ok' | 'error';
  /** What a successful read returned (exactly the requested bytes); empty otherwise. */
  readonly data: Uint8Array;
}

/** Something the guest sends out. Buffers are private copies. */
export type Output =
  | { readonly kind: 'console'; readonly byte: number }
  | { readonly kind: 'packet'; readonly nic: number; readonly data: Uint8Array }
  | { readonly kind: 'disk'; readonly request: DiskRequest };

export interface Environment {
  /** Guest time at the current instruction, in ns since power-on. A safe integer, monotonic. */
  nowNs(): number;
  /** Guest wall-clock time at power-on, in seconds since 1970 (machine configuration). */
  readonly bootUnixSeconds: number;
  /** Hand over an output. Returns at once; a disk request is answered later by its completion. */
  emit(output: Output): void;
  /** A timed device's next deadline moved: the machine asks all of them again. */
  deadlineChanged(): void;
  /** The interrupt controller's output to the CPU changed. */
  interruptRequest(level: boolean): void;
  /** A non-maskable interrupt for the CPU. It follows from what the guest did, so it is no event of the log. */
  nonMaskableInterrupt(): void;
  /** The guest ends the run, e.g. through isa-debug-exit with the byte it wrote. */
  stop(reason: 'debug-exit' | 'shutdown' | 'reset', code: number): void;
  /** Level of the A20 gate. */
  setA20(on: boolean): void;
}
