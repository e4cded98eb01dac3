/**
 * What a live replica asks of the host: disks and the console's receiver. Backends are edges: they may use files and
 * streams; what is above them sees these interfaces only.
 *
 *   DiskRequest  -> submit() -> host file -> done(DiskCompletion) -> log entry -> device
 *   console byte -> output gate -> write(offset, bytes) -> file or stream
 */
import type { DiskCompletion, DiskRequest } from '../../devices/environment.js';

export const SECTOR_BYTES = 512;

/** One drive's storage. */
export interface DiskBackend {
  /** Size in sectors of 512 bytes. */
  readonly sectors: number;
  /**
   * Start a request. `done` is called exactly once, later, never from inside submit(). What the host cannot do
   * (no space, I/O error, a sector that is not there) is a completion with status `error`, the guest's to handle.
   */
  submit(request: DiskRequest, done: (completion: DiskCompletion) => void): void;
  /**
   * The data of a read when that takes no waiting, in the place of submit(); null: it must be submitted. Absent: always so.
   * The data may be borrowed (byte-pool.ts).
   */
  readAtOnce?(request: DiskRequest): Uint8Array | null;
  /** Wait for the requests in flight, then release the storage. Nothing may be submitted afterwards. */
  close(): Promise<void>;
}

/**
 * Receives a guest's console output. Offsets count bytes since power-on, so a replica that goes live may send
 * again what its predecessor may or may not have sent.
 */
export interface ConsoleSink {
  /** Bytes before this offset have left this process, or nobody is there to take them. */
  readonly released: number;
  /** Take `bytes`, the first of which has offset `offset`; bytes already taken are dropped. */
  write(offset: number, bytes: Uint8Array): void;
  /** Wait until everything taken has left this process, then release the receiver. */
  close(): Promise<void>;
}
