/**
 * The type-0 header of PCI configuration space: offsets and bits, little-endian.
 *
 * Source: PCI Local Bus Specification 3.0, section 6.1 and figure 6-1.
 */

export const PCI_CONFIG_BYTES = 256;
export const PCI_BARS_MAX = 6;

/** Offsets in the type-0 header (section 6.1). */
export const PCI_COMMAND = 0x04;
export const PCI_STATUS = 0x06;
export const PCI_CACHE_LINE_SIZE = 0x0c;
export const PCI_LATENCY_TIMER = 0x0d;
export const PCI_HEADER_TYPE = 0x0e;
export const PCI_BAR0 = 0x10;
export const PCI_SUBSYSTEM_VENDOR = 0x2c;
export const PCI_CAPABILITIES_POINTER = 0x34;
export const PCI_INTERRUPT_LINE = 0x3c;
export const PCI_INTERRUPT_PIN = 0x3d;
export const PCI_DEVICE_SPECIFIC = 0x40;

/** Command register bits (6.2.2). */
export const COMMAND_IO = 1 << 0;
export const COMMAND_MEMORY = 1 << 1;
export const COMMAND_BUS_MASTER = 1 << 2;
const COMMAND_PARITY = 1 << 6;
const COMMAND_SERR = 1 << 8;
export const COMMAND_INTERRUPT_DISABLE = 1 << 10;
export const COMMAND_WRITABLE =
  COMMAND_IO | COMMAND_MEMORY | COMMAND_BUS_MASTER | COMMAND_PARITY | COMMAND_SERR | COMMAND_INTERRUPT_DISABLE;

/** Status register bits (6.2.3). */
export const STATUS_INTERRUPT = 1 << 3;
export const STATUS_CAPABILITIES = 1 << 4;

/** Lowest bit of a BAR: I/O space. */
export const PCI_BAR_IO = 1;
