/** What describes a PCI function before power-on: identity, BARs, capabilities, storage. */
import type { IrqLine, RegisterBlock } from './device.js';

/** A range of registers that the guest places with a base address register. All BARs are 32 bits wide. */
export interface PciBar {
  readonly kind: 'io' | 'memory';
  /** Size of the range: a power of two, at least 4 (I/O) or 16 (memory). */
  readonly bytes: number;
  /**
   * Gets every access of 1, 2 or 4 bytes that lies wholly inside the range, at any alignment. An access that sticks
   * out of it arrives as single bytes.
   */
  readonly registers: RegisterBlock;
}

/** One entry of the capability list. They are chained in the order given. */
export interface PciCapability {
  readonly id: number;
  /** The body: what follows the id and next bytes. Its power-on content, and its length. */
  readonly bytes: Uint8Array;
  /** Bits of the body that the guest can change, same length; absent: none. */
  readonly writableMask?: Uint8Array;
  /**
   * When present, every access to the body goes here (offset 0 is the body's first byte, i.e. 2 bytes after the
   * capability's start) and `bytes` gives the length only; nothing of the body is then kept here. An access that
   * is partly outside the body arrives as single bytes.
   */
  readonly handler?: RegisterBlock;
}

/** Device-specific registers from 0x40 on that are plain storage. */
export interface PciStorage {
  readonly offset: number;
  /** Power-on content, and the length. */
  readonly bytes: Uint8Array;
  /** Bits that the guest can change, same length; absent: none. */
  readonly writableMask?: Uint8Array;
}

export interface PciFunctionConfig {
  readonly vendorId: number;
  readonly deviceId: number;
  /** 24 bits: base class, sub-class, programming interface. */
  readonly classCode: number;
  readonly revision: number;
  readonly subsystemVendorId: number;
  readonly subsystemId: number;
  /** 0: none, 1: INTA# to 4: INTD#. */
  readonly interruptPin: 0 | 1 | 2 | 3 | 4;
  /** At most 6; null leaves a BAR out. */
  readonly bars: readonly (PciBar | null)[];
  readonly capabilities?: readonly PciCapability[];
  readonly storage?: readonly PciStorage[];
  /** Set on function 0 of a device that has more functions. */
  readonly multifunction?: boolean;
  /** Where `inta` leads, for devices that use it. */
  readonly irq?: IrqLine;
}
