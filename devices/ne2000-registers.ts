/**
 * Registers of the DP8390 and what the NE2000 puts around it.
 *
 *   0x00..0x0f  DP8390: the command register, and 15 registers in four pages
 *   0x10..0x17  data port of the remote DMA            0x18..0x1f  reading resets the chip
 *
 * Source: NS DP8390D/NS32490D data sheet, section 10 (10.1 register map, 10.3 command to interrupt mask, 10.4 to 10.7 DMA,
 * address, multicast and tally registers); Realtek RTL8029AS specification, page 3 and bits that always read 1.
 */

export const COMMAND = 0x00;
export const DATA_PORT = 0x10;
export const RESET_PORT = 0x18;

/** Command register. */
export const CR_STOP = 0x01;
export const CR_START = 0x02;
export const CR_TRANSMIT = 0x04;
export const CR_REMOTE = 0x38;
export const CR_REMOTE_READ = 0x08;
export const CR_REMOTE_WRITE = 0x10;
export const CR_REMOTE_ABORT = 0x20;
export const CR_PAGE_SHIFT = 6;

/** Page 0, reads. */
export const R0_TRANSMIT_STATUS = 0x04;
export const R0_REMOTE_ADDRESS_LOW = 0x08;
export const R0_REMOTE_ADDRESS_HIGH = 0x09;
/** RTL8029AS. */
export const R0_ID_LOW = 0x0a;
export const R0_ID_HIGH = 0x0b;
export const R0_RECEIVE_STATUS = 0x0c;
export const R0_MISSED = 0x0f;
/** Page 0, writes; page 2 reads most of them back. */
export const W0_PAGE_START = 0x01;
export const W0_PAGE_STOP = 0x02;
export const W0_TRANSMIT_PAGE = 0x04;
export const W0_TRANSMIT_BYTES_LOW = 0x05;
export const W0_TRANSMIT_BYTES_HIGH = 0x06;
export const W0_REMOTE_ADDRESS_LOW = 0x08;
export const W0_REMOTE_ADDRESS_HIGH = 0x09;
export const W0_REMOTE_BYTES_LOW = 0x0a;
export const W0_REMOTE_BYTES_HIGH = 0x0b;
export const W0_RECEIVE_CONFIG = 0x0c;
export const W0_TRANSMIT_CONFIG = 0x0d;
export const W0_DATA_CONFIG = 0x0e;
export const W0_INTERRUPT_MASK = 0x0f;
/** Page 0, both. */
export const BOUNDARY = 0x03;
export const INTERRUPT_STATUS = 0x07;
/** Page 1: the station address at 1 to 6, the multicast filter at 8 to 15. */
export const R1_ADDRESS = 0x01;
export const R1_CURRENT_PAGE = 0x07;
export const R1_MULTICAST = 0x08;
/** Page 2, reads. */
export const R2_LOCAL_NEXT_PAGE = 0x05;
/** Page 3, RTL8029AS: CONFIG2 and CONFIG3. */
export const R3_CONFIG_2 = 0x05;
export const R3_CONFIG_3 = 0x06;

/** Interrupt status and mask. */
export const ISR_RECEIVED = 0x01;
export const ISR_TRANSMITTED = 0x02;
export const ISR_OVERFLOW = 0x10;
export const ISR_COUNTER = 0x20;
export const ISR_REMOTE_DONE = 0x40;
/** A state, not an event: makes no interrupt and cannot be cleared by writing. */
export const ISR_RESET = 0x80;
export const ISR_EVENTS = 0x7f;

export const DCR_WORD = 0x01;
export const TCR_LOOPBACK = 0x06;
export const TSR_TRANSMITTED = 0x01;

export const RCR_BROADCAST = 0x04;
export const RCR_MULTICAST = 0x08;
export const RCR_PROMISCUOUS = 0x10;
export const RCR_MONITOR = 0x20;

export const RSR_INTACT = 0x01;
export const RSR_MISSED = 0x10;
export const RSR_MULTICAST = 0x20;

/** Bits that read 1 (RTL8029AS). */
export const RCR_ONES = 0xc0;
export const TCR_ONES = 0xe0;
export const DCR_ONES = 0x80;
export const IMR_ONES = 0x80;
/** RTL8029AS: "PC", and a 10BASE-T link in full duplex. */
export const ID_LOW = 0x50;
export const ID_HIGH = 0x43;
export const CONFIG_2_LINK = 0x40;
export const CONFIG_3_FULL_DUPLEX = 0x40;

/** A tally counter stops here; from bit 7 on it asks for attention. */
export const TALLY_MAX = 192;
export const TALLY_ATTENTION = 128;
