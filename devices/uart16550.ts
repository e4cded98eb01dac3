/**
 * 16550A UART: eight byte registers, one IRQ line, no baud timing.
 *
 *   guest OUT -> THR -> Environment.emit(console), at once         (in loopback: -> receiver FIFO)
 *   serial log entry -> receive() -> waiting -> receiver FIFO (16 bytes, or 1) -> RBR -> guest IN
 *
 *   0 RBR/THR/DLL | 1 IER/DLM | 2 IIR/FCR | 3 LCR | 4 MCR | 5 LSR | 6 MSR | 7 SCR
 *
 * The transmitter is always empty. Bytes from outside wait in front of the FIFO until it is empty, so none is lost
 * and each refill gives the interrupt controller a new edge; only loopback can overrun. As no time passes between
 * characters, the character timeout is immediate: below the trigger level it is the timeout that interrupts.
 *
 * Invariants: the IRQ level is a function of the registers, set only by #sync(), and gated by OUT2 as on a PC;
 * `waiting` holds bytes only while the FIFO is not empty or loopback is on; restore() never touches the line.
 * Source: NS PC16550D data sheet, section 8 (8.1 to 8.7), tables II and IV.
 */
import type { DeviceModel, IrqLine, RegisterBlock } from './device.js';
import type { Environment } from './environment.js';
import type { StateRecord } from './state.js';
import {
  FCR_CLEAR_RECEIVER,
  FCR_ENABLE,
  FCR_TRIGGER_SHIFT,
  FIFO_BYTES,
  IER,
  IER_LINE_STATUS,
  IER_MODEM_STATUS,
  IER_RECEIVED,
  IER_TRANSMITTER,
  IIR_FCR,
  IIR_FIFOS,
  IIR_LINE_STATUS,
  IIR_MODEM_STATUS,
  IIR_NONE,
  IIR_RECEIVED,
  IIR_TIMEOUT,
  IIR_TRANSMITTER,
  LCR,
  LCR_DLAB,
  LSR,
  LSR_DATA_READY,
  LSR_OVERRUN,
  LSR_TRANSMITTER_EMPTY,
  MCR,
  MCR_DTR,
  MCR_LOOPBACK,
  MCR_OUT1,
  MCR_OUT2,
  MCR_RTS,
  MCR_WRITABLE,
  MSR,
  MSR_CONNECTED,
  MSR_CTS,
  MSR_DCD,
  MSR_DELTAS,
  MSR_DSR,
  MSR_RI,
  RBR_THR,
  SCR,
  TRIGGER_BYTES,
} from './uart16550-registers.js';
import { SavedFields } from './saved-fields.js';

export const COM1_PORT = 0x3f8;
export const COM1_IRQ = 4;
export const UART_PORT_COUNT = 8;
/** Bytes from outside that may wait in front of the FIFO. */
export const UART_WAITING_BYTES_MAX = 64 * 1024;

const NOTHING = new Uint8Array(0);

export interface Uart16550Options {
  readonly environment: Pick<Environment, 'emit'>;
  readonly irq: IrqLine;
}

export class Uart16550 implements DeviceModel, RegisterBlock {
  readonly #options: Uart16550Options;
  #received: number[] = [];
  #waiting: Uint8Array = NOTHING;
  #interruptEnable = 0;
  #lineControl = 0;
  #modemControl = 0;
  #scratch = 0;
  #divisor = 0;
  #fifoEnabled = false;
  #trigger = 0;
  #overrun = false;
  /** The transmitter became empty and nobody was told yet. */
  #transmitterPending = false;
  #modemDeltas = 0;

  constructor(options: Uart16550Options) {
    this.#options = options;
  }

  /**
   * Deliver bytes while applying a log entry. Returns how many were taken, from the first on; the rest did not fit.
   */
  receive(data: Uint8Array): number {
    const count = Math.min(data.length, UART_WAITING_BYTES_MAX - this.#waiting.length);
    const waiting = new Uint8Array(this.#waiting.length + count);
    waiting.set(this.#waiting);
    waiting.set(data.subarray(0, count), this.#waiting.length);
    this.#waiting = waiting;
    this.#refill();
    this.#sync();
    return count;
  }

  read(offset: number, _size: number): number {
    switch (offset) {
      case RBR_THR:
        return this.#divisorLatched ? this.#divisor & 0xff : this.#readReceived();
      case IER:
        return this.#divisorLatched ? this.#divisor >> 8 : this.#interruptEnable;
      case IIR_FCR:
        return this.#readIdentification();
      case LCR:
        return this.#lineControl;
      case MCR:
        return this.#modemControl;
      case LSR:
        return this.#readLineStatus();
      case MSR:
        return this.#readModemStatus();
      case SCR:
        return this.#scratch;
      default:
        return 0xff;
    }
  }

  write(offset: number, _size: number, value: number): void {
    const byte = value & 0xff;
    switch (offset) {
      case RBR_THR:
        if (this.#divisorLatched) this.#divisor = (this.#divisor & 0xff00) | byte;
        else this.#transmit(byte);
        break;
      case IER:
        if (this.#divisorLatched) this.#divisor = (this.#divisor & 0xff) | (byte << 8);
        else this.#writeInterruptEnable(byte & 0x0f);
        break;
      case IIR_FCR:
        this.#writeFifoControl(byte);
        break;
      case LCR:
        this.#lineControl = byte;
        break;
      case MCR:
        this.#writeModemControl(byte & MCR_WRITABLE);
        break;
      case SCR:
        this.#scratch = byte;
        break;
    }
  }

  reset(): void {
    this.#received = [];
    this.#waiting = NOTHING;
    this.#interruptEnable = 0;
    this.#lineControl = 0;
    this.#modemControl = 0;
    this.#scratch = 0;
    this.#divisor = 0;
    this.#fifoEnabled = false;
    this.#trigger = 0;
    this.#overrun = false;
    this.#transmitterPending = false;
    this.#modemDeltas = 0;
  }

  save(): StateRecord {
    return {
      received: Uint8Array.from(this.#received),
      waiting: this.#waiting.slice(),
      interruptEnable: this.#interruptEnable,
      lineControl: this.#lineControl,
      modemControl: this.#modemControl,
      scratch: this.#scratch,
      divisor: this.#divisor,
      fifoEnabled: this.#fifoEnabled,
      trigger: this.#trigger,
      overrun: this.#overrun,
      transmitterPending: this.#transmitterPending,
      modemDeltas: this.#modemDeltas,
    };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'uart');
    const received = fields.bytes('received');
    const waiting = fields.bytes('waiting');
    const interruptEnable = fields.integer('interruptEnable', 0, 0x0f);
    const lineControl = fields.integer('lineControl', 0, 0xff);
    const modemControl = fields.integer('modemControl', 0, MCR_WRITABLE);
    const scratch = fields.integer('scratch', 0, 0xff);
    const divisor = fields.integer('divisor', 0, 0xffff);
    const fifoEnabled = fields.boolean('fifoEnabled');
    const trigger = fields.integer('trigger', 0, TRIGGER_BYTES.length - 1);
    const overrun = fields.boolean('overrun');
    const transmitterPending = fields.boolean('transmitterPending');
    const modemDeltas = fields.integer('modemDeltas', 0, MSR_DELTAS);
    fields.finish();
    if (received.length > (fifoEnabled ? FIFO_BYTES : 1)) throw fields.wrong('received', 'does not fit the FIFO');
    if (waiting.length > UART_WAITING_BYTES_MAX) throw fields.wrong('waiting', 'too long');
    this.#received = [...received];
    this.#waiting = waiting;
    this.#interruptEnable = interruptEnable;
    this.#lineControl = lineControl;
    this.#modemControl = modemControl;
    this.#scratch = scratch;
    this.#divisor = divisor;
    this.#fifoEnabled = fifoEnabled;
    this.#trigger = trigger;
    this.#overrun = overrun;
    this.#transmitterPending = transmitterPending;
    this.#modemDeltas = modemDeltas;
  }

  get #divisorLatched(): boolean {
    return (this.#lineControl & LCR_DLAB) !== 0;
  }
  get #loopback(): boolean {
    return (this.#modemControl & MCR_LOOPBACK) !== 0;
  }
  get #capacity(): number {
    return this.#fifoEnabled ? FIFO_BYTES : 1;
  }

  #transmit(byte: number): void {
    if (this.#loopback) {
      if (this.#received.length < this.#capacity) this.#received.push(byte);
      else this.#overrun = true;
    } else {
      this.#options.environment.emit({ kind: 'console', byte });
    }
    // The write ends one "transmitter empty" and the byte's departure begins the next: an edge for the controller.
    this.#transmitterPending = false;
    this.#sync();
    this.#transmitterPending = true;
    this.#sync();
  }

  #readReceived(): number {
    const byte = this.#received.shift() ?? 0;
    // Lower the line before more bytes come in, so that they make a new edge.
    this.#sync();
    this.#refill();
    this.#sync();
    return byte;
  }

  /** Fill an empty FIFO with what waits outside. In loopback the input pin is cut off. */
  #refill(): void {
    if (this.#received.length > 0 || this.#loopback || this.#waiting.length === 0) return;
    this.#received = [...this.#waiting.subarray(0, this.#capacity)];
    this.#waiting = this.#waiting.subarray(this.#received.length);
  }

  #writeInterruptEnable(value: number): void {
    // Enabling it while the transmitter is empty, as it always is, interrupts at once (8.6).
    if ((value & ~this.#interruptEnable & IER_TRANSMITTER) !== 0) this.#transmitterPending = true;
    this.#interruptEnable = value;
    this.#sync();
  }

  #writeFifoControl(value: number): void {
    const enabled = (value & FCR_ENABLE) !== 0;
    // The other bits are only programmed together with the enable bit; changing it empties the FIFOs (8.4).
    const clear = enabled !== this.#fifoEnabled || (enabled && (value & FCR_CLEAR_RECEIVER) !== 0);
    this.#fifoEnabled = enabled;
    this.#trigger = enabled ? value >> FCR_TRIGGER_SHIFT : 0;
    if (clear) this.#received = [];
    this.#sync();
    this.#refill();
    this.#sync();
  }

  #writeModemControl(value: number): void {
    const before = this.#modemLines;
    this.#modemControl = value;
    const after = this.#modemLines;
    const changed = (before ^ after) & ~MSR_RI;
    const ringEnded = before & ~after & MSR_RI;
    this.#modemDeltas |= (changed | ringEnded) >> 4;
    this.#refill();
    this.#sync();
  }

  /** The high half of MSR: in loopback the outputs of MCR (8.7). */
  get #modemLines(): number {
    if (!this.#loopback) return MSR_CONNECTED;
    const control = this.#modemControl;
    return (
      ((control & MCR_RTS) !== 0 ? MSR_CTS : 0) |
      ((control & MCR_DTR) !== 0 ? MSR_DSR : 0) |
      ((control & MCR_OUT1) !== 0 ? MSR_RI : 0) |
      ((control & MCR_OUT2) !== 0 ? MSR_DCD : 0)
    );
  }

  /** The pending interrupt of highest priority. */
  #identification(): number {
    const enable = this.#interruptEnable;
    if ((enable & IER_LINE_STATUS) !== 0 && this.#overrun) return IIR_LINE_STATUS;
    if ((enable & IER_RECEIVED) !== 0 && this.#received.length > 0) {
      const reached = !this.#fifoEnabled || this.#received.length >= TRIGGER_BYTES[this.#trigger]!;
      return reached ? IIR_RECEIVED : IIR_TIMEOUT;
    }
    if ((enable & IER_TRANSMITTER) !== 0 && this.#transmitterPending) return IIR_TRANSMITTER;
    if ((enable & IER_MODEM_STATUS) !== 0 && this.#modemDeltas !== 0) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  #readIdentification(): number {
    const identification = this.#identification();
    if (identification === IIR_TRANSMITTER) {
      this.#transmitterPending = false;
      this.#sync();
    }
    return identification | (this.#fifoEnabled ? IIR_FIFOS : 0);
  }

  #readLineStatus(): number {
    const status =
      LSR_TRANSMITTER_EMPTY | (this.#received.length > 0 ? LSR_DATA_READY : 0) | (this.#overrun ? LSR_OVERRUN : 0);
    this.#overrun = false;
    this.#sync();
    return status;
  }

  #readModemStatus(): number {
    const status = this.#modemLines | this.#modemDeltas;
    this.#modemDeltas = 0;
    this.#sync();
    return status;
  }

  #sync(): void {
    const connected = (this.#modemControl & MCR_OUT2) !== 0 && !this.#loopback;
    this.#options.irq.set(connected && this.#identification() !== IIR_NONE);
  }
}
