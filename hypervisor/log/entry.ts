/**
 * The log's entries: every non-deterministic event of a run, each at the instruction count before which
 * it applies ("at"), in order of sequence number. Nothing else is needed to reproduce a run from its
 * initial state.
 *
 * Invariants: seq has no gaps (it is implied by position); `at` never decreases; entries with an equal
 * `at` apply in seq order, after the devices' own deadlines at that icount.
 */

/** Fixed-point scale of the clock's rate: guest nanoseconds per 1024 instructions. */
export const RATE_ONE_NS = 1024;

/**
 * clock      guest time jumps forward by skipNs (or to the next device deadline) and then runs at `rate`
 *            (ns per 1024 instructions; null = unchanged)
 * interrupt  the CPU takes the interrupt its controller offers; the vector is asserted
 * packet     a frame arrives at a NIC
 * disk       a request completes (tag as in DiskRequest); data only for reads that the backup does not do itself
 * serial     bytes typed at the console
 * output     the Output Rule's entry: what left (or will leave) by then, with a CRC-32 of its bytes
 * digest     hash of the machine's state, 16 bytes as lower-case hex
 * mark       nothing happened until here
 * control    an operation of the monitors
 */
export type Entry =
  | { readonly kind: 'clock'; readonly at: number; readonly skipNs: number | 'deadline'; readonly rate: number | null }
  | { readonly kind: 'interrupt'; readonly at: number; readonly vector: number }
  | { readonly kind: 'packet'; readonly at: number; readonly nic: number; readonly data: Uint8Array }
  | {
      readonly kind: 'disk';
      readonly at: number;
      readonly drive: number;
      readonly tag: number;
      readonly status: 'ok' | 'error';
      /** Empty for writes, flushes and errors. */
      readonly data: Uint8Array;
    }
  | { readonly kind: 'serial'; readonly at: number; readonly data: Uint8Array }
  | {
      readonly kind: 'output';
      readonly at: number;
      readonly channel: OutputChannel;
      /** Bytes that left: console bytes since the last console entry, one packet, or one disk request. */
      readonly bytes: number;
      readonly crc: number;
    }
  | { readonly kind: 'digest'; readonly at: number; readonly digest: string }
  | { readonly kind: 'mark'; readonly at: number }
  | { readonly kind: 'control'; readonly at: number; readonly control: Control };

export type OutputChannel = 'console' | 'packet' | 'disk';

export type Control =
  | { readonly op: 'stop'; readonly reason: StopReason; readonly exitCode: number }
  /** Whoever was asked for a snapshot called `name` takes it here. */
  | { readonly op: 'checkpoint'; readonly name: string }
  | { readonly op: 'configure'; readonly setting: string; readonly value: string };

/** Why a run ended, as the `stop` field of the JSON results. */
export type StopReason = 'halted' | 'debug-exit' | 'until' | 'shutdown' | 'reset' | 'triple-fault' | 'stopped';

export type EntryKind = Entry['kind'];
export const ENTRY_KINDS = [
  'clock',
  'interrupt',
  'packet',
  'disk',
  'serial',
  'output',
  'digest',
  'mark',
  'control',
] as const satisfies readonly EntryKind[];
