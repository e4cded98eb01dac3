/**
 * What the CPU's interrupt pin looks like to the machine: the 8259 pair alone, or the local APIC with the pair behind it.
 * A change of `output` is announced through Environment.interruptRequest.
 */
export interface InterruptSource {
  /** Level of the interrupt request to the CPU. */
  readonly output: boolean;
  /** The vector that acknowledge() would return, or null when nothing is requested. Changes nothing. */
  pendingVector(): number | null;
  /** The CPU takes the interrupt: returns its vector. Spurious when nothing is requested. */
  acknowledge(): number;
}

/** An interrupt message on its way to local APICs. */
export interface InterruptMessage {
  readonly vector: number;
  readonly level: boolean;
  /** Whether `destination` is a set of logical IDs; otherwise it is one APIC's ID, 0xff for all. */
  readonly logical: boolean;
  readonly destination: number;
}
