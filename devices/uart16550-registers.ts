/**
 * Registers of a 16550A and their bits.
 *
 * Source: NS PC16550D data sheet, section 8, tables II and IV.
 */

/** Offsets; the first two are the divisor latch while DLAB is set. */
export const RBR_THR = 0;
export const IER = 1;
export const IIR_FCR = 2;
export const LCR = 3;
export const MCR = 4;
export const LSR = 5;
export const MSR = 6;
export const SCR = 7;

export const IER_RECEIVED = 0x01;
export const IER_TRANSMITTER = 0x02;
export const IER_LINE_STATUS = 0x04;
export const IER_MODEM_STATUS = 0x08;
/** Interrupt identification, highest priority first (table IV). */
export const IIR_LINE_STATUS = 0x06;
export const IIR_RECEIVED = 0x04;
export const IIR_TIMEOUT = 0x0c;
export const IIR_TRANSMITTER = 0x02;
export const IIR_MODEM_STATUS = 0x00;
export const IIR_NONE = 0x01;
export const IIR_FIFOS = 0xc0;
export const FCR_ENABLE = 0x01;
export const FCR_CLEAR_RECEIVER = 0x02;
export const FCR_TRIGGER_SHIFT = 6;
export const LCR_DLAB = 0x80;
export const MCR_DTR = 0x01;
export const MCR_RTS = 0x02;
export const MCR_OUT1 = 0x04;
export const MCR_OUT2 = 0x08;
export const MCR_LOOPBACK = 0x10;
export const MCR_WRITABLE = 0x1f;
export const LSR_DATA_READY = 0x01;
export const LSR_OVERRUN = 0x02;
export const LSR_TRANSMITTER_EMPTY = 0x60;
export const MSR_CTS = 0x10;
export const MSR_DSR = 0x20;
export const MSR_RI = 0x40;
export const MSR_DCD = 0x80;
/** What the far end of the cable drives. */
export const MSR_CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD;
/** Change bits, in the low half, of the lines in the high half; RI counts when it falls. */
export const MSR_DELTAS = 0x0f;

export const FIFO_BYTES = 16;
/** Trigger levels that FCR bits 7..6 select (8.4). */
export const TRIGGER_BYTES = [1, 4, 8, 14] as const;
