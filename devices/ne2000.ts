/**
 * NE2000: a DP8390 Ethernet controller with 16 KiB of its own memory, which the guest reaches through a data port.
 *
 *   guest OUT -> remote DMA -> RAM -> transmit command -> Environment.emit, done at once
 *   log entry -> receive() -> address filter -> ring in RAM -> remote DMA -> guest IN
 *
 * The send-packet command and the comparison of looped-back frames in the FIFO, which drivers do not use, are not there:
 * in loopback nothing leaves and nothing comes in.
 *
 * Invariants: the IRQ level is a function of interrupt status and mask, set only by #sync(); no register value reaches
 * outside the card's memory; frames that leave have 14 to 1518 bytes.
 * Source: NS DP8390D/NS32490D data sheet, sections 7 (reception), 8 (transmission), 9 (remote DMA) and 10 (registers).
 */
import { assert } from '../emulator/errors.js';
import type { DeviceModel, IrqLine, RegisterBlock } from './device.js';
import type { Environment } from './environment.js';
import { acceptsFrame, storeFrame } from './ne2000-receive.js';
import * as dp from './ne2000-registers.js';
import { completeEmptyTransfer, readRemote, writeRemote } from './ne2000-remote-dma.js';
import { Ne2000State, type Ne2000Counters } from './ne2000-state.js';
import { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

/** Usual place of an ISA card. The range takes accesses of four bytes, NE2000_PORT_COUNT ports. */
export const NE2000_ISA_PORT = 0x300;
export const NE2000_PORT_COUNT = 0x20;

const FRAME_BYTES_MIN = 14;
const FRAME_BYTES_MAX = 1518;
const MAC_BYTES = 6;

export interface Ne2000Options {
  readonly environment: Pick<Environment, 'emit'>;
  readonly irq: IrqLine;
  /** Index of the card, as in the packet output. */
  readonly nic: number;
  /** 6 bytes. */
  readonly mac: Uint8Array;
  /** Shows the registers that an RTL8029AS has besides those of a DP8390. */
  readonly rtl8029?: boolean;
}

export class Ne2000 implements DeviceModel, RegisterBlock {
  readonly #options: Ne2000Options;
  readonly #state: Ne2000State;

  constructor(options: Ne2000Options) {
    assert(options.mac.length === MAC_BYTES, 'a MAC address has 6 bytes');
    this.#options = options;
    this.#state = new Ne2000State(options.mac);
  }

  get counters(): Ne2000Counters {
    return this.#state.counters;
  }

  /** Deliver a frame while applying a log entry. False: it was not for this station, or was lost. */
  receive(frame: Uint8Array): boolean {
    const state = this.#state;
    const { transmitConfig, receiveConfig } = state.registers;
    const fits = frame.length >= FRAME_BYTES_MIN && frame.length <= FRAME_BYTES_MAX;
    if (!fits || !state.started || (transmitConfig & dp.TCR_LOOPBACK) !== 0) {
      state.count('receiveDropped');
      return false;
    }
    if (!acceptsFrame(state, frame)) {
      state.count('receiveFiltered');
      return false;
    }
    if ((receiveConfig & dp.RCR_MONITOR) !== 0) return this.#miss(0);
    // RST shows an overflow as well, until the guest makes room.
    if (!storeFrame(state, frame)) return this.#miss(dp.ISR_OVERFLOW | dp.ISR_RESET);
    state.count('received');
    this.#raise(dp.ISR_RECEIVED);
    return true;
  }

  /** Wide accesses to anything but the data port are accesses to bytes, low one first. */
  read(offset: number, size: number): number {
    if (offset >= dp.DATA_PORT && offset + size <= dp.RESET_PORT) return this.#readData(size);
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: number, value: number): void {
    if (offset >= dp.DATA_PORT && offset + size <= dp.RESET_PORT) {
      this.#writeData(size, value);
      return;
    }
    for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }

  reset(): void {
    this.#state.reset();
  }

  save(): StateRecord {
    return this.#state.save();
  }

  restore(state: StateRecord): void {
    this.prepareRestore(new SavedFields(state, 'ne2000'))();
  }

  /** Check `fields` and return what takes them over, for a card that has more to restore. */
  prepareRestore(fields: SavedFields): () => void {
    return this.#state.prepareRestore(fields);
  }

  get #page(): number {
    return this.#state.registers.command >> dp.CR_PAGE_SHIFT;
  }

  #readByte(offset: number): number {
    if (offset === dp.COMMAND) return this.#state.registers.command;
    if (offset >= NE2000_PORT_COUNT) return 0xff;
    if (offset >= dp.RESET_PORT) return this.#resetChip();
    if (offset >= dp.DATA_PORT) return this.#readData(1);
    if (this.#page === 0) return this.#readPage0(offset);
    if (this.#page === 1) return this.#readPage1(offset);
    return this.#page === 2 ? this.#readPage2(offset) : this.#readPage3(offset);
  }

  #readPage0(offset: number): number {
    const { registers } = this.#state;
    switch (offset) {
      case dp.BOUNDARY:
        return registers.boundary;
      case dp.R0_TRANSMIT_STATUS:
        return registers.transmitStatus;
      case dp.INTERRUPT_STATUS:
        return registers.interruptStatus;
      case dp.R0_REMOTE_ADDRESS_LOW:
        return registers.remoteAddress & 0xff;
      case dp.R0_REMOTE_ADDRESS_HIGH:
        return registers.remoteAddress >> 8;
      case dp.R0_ID_LOW:
        return this.#options.rtl8029 === true ? dp.ID_LOW : 0xff;
      case dp.R0_ID_HIGH:
        return this.#options.rtl8029 === true ? dp.ID_HIGH : 0xff;
      case dp.R0_RECEIVE_STATUS:
        return registers.receiveStatus;
      case dp.R0_MISSED:
        return this.#readMissed();
      default:
        // Collisions and errors: never. The local DMA and the FIFO: idle between two instructions.
        return 0;
    }
  }

  #readPage1(offset: number): number {
    const { registers, address, multicast } = this.#state;
    if (offset === dp.R1_CURRENT_PAGE) return registers.currentPage;
    return offset < dp.R1_CURRENT_PAGE ? address[offset - dp.R1_ADDRESS]! : multicast[offset - dp.R1_MULTICAST]!;
  }

  #readPage2(offset: number): number {
    const { registers } = this.#state;
    switch (offset) {
      case dp.W0_PAGE_START:
        return registers.pageStart;
      case dp.W0_PAGE_STOP:
        return registers.pageStop;
      case dp.W0_TRANSMIT_PAGE:
        return registers.transmitPage;
      case dp.R2_LOCAL_NEXT_PAGE:
        return registers.currentPage;
      case dp.W0_RECEIVE_CONFIG:
        return registers.receiveConfig | dp.RCR_ONES;
      case dp.W0_TRANSMIT_CONFIG:
        return registers.transmitConfig | dp.TCR_ONES;
      case dp.W0_DATA_CONFIG:
        return registers.dataConfig | dp.DCR_ONES;
      case dp.W0_INTERRUPT_MASK:
        return registers.interruptMask | dp.IMR_ONES;
      default:
        return 0;
    }
  }

  #readPage3(offset: number): number {
    if (this.#options.rtl8029 !== true) return 0xff;
    if (offset === dp.R3_CONFIG_2) return dp.CONFIG_2_LINK;
    return offset === dp.R3_CONFIG_3 ? dp.CONFIG_3_FULL_DUPLEX : 0;
  }

  #writeByte(offset: number, value: number): void {
    if (offset === dp.COMMAND) this.#command(value);
    else if (offset >= dp.RESET_PORT) return;
    else if (offset >= dp.DATA_PORT) this.#writeData(1, value);
    else if (this.#page === 0) this.#writePage0(offset, value);
    else if (this.#page === 1) this.#writePage1(offset, value);
  }

  #writePage0(offset: number, value: number): void {
    const { registers } = this.#state;
    switch (offset) {
      case dp.W0_PAGE_START:
        registers.pageStart = value;
        break;
      case dp.W0_PAGE_STOP:
        registers.pageStop = value;
        break;
      case dp.BOUNDARY:
        registers.boundary = value;
        if (this.#state.started) registers.interruptStatus &= ~dp.ISR_RESET;
        break;
      case dp.W0_TRANSMIT_PAGE:
        registers.transmitPage = value;
        break;
      case dp.W0_TRANSMIT_BYTES_LOW:
        registers.transmitBytes = withLow(registers.transmitBytes, value);
        break;
      case dp.W0_TRANSMIT_BYTES_HIGH:
        registers.transmitBytes = withHigh(registers.transmitBytes, value);
        break;
      case dp.INTERRUPT_STATUS:
        registers.interruptStatus &= ~(value & dp.ISR_EVENTS);
        this.#sync();
        break;
      case dp.W0_REMOTE_ADDRESS_LOW:
        registers.remoteAddress = withLow(registers.remoteAddress, value);
        break;
      case dp.W0_REMOTE_ADDRESS_HIGH:
        registers.remoteAddress = withHigh(registers.remoteAddress, value);
        break;
      case dp.W0_REMOTE_BYTES_LOW:
        registers.remoteBytes = withLow(registers.remoteBytes, value);
        break;
      case dp.W0_REMOTE_BYTES_HIGH:
        registers.remoteBytes = withHigh(registers.remoteBytes, value);
        break;
      case dp.W0_RECEIVE_CONFIG:
        registers.receiveConfig = value;
        break;
      case dp.W0_TRANSMIT_CONFIG:
        registers.transmitConfig = value;
        break;
      case dp.W0_DATA_CONFIG:
        registers.dataConfig = value;
        break;
      case dp.W0_INTERRUPT_MASK:
        registers.interruptMask = value;
        this.#sync();
        break;
    }
  }

  #writePage1(offset: number, value: number): void {
    const { registers, address, multicast } = this.#state;
    if (offset === dp.R1_CURRENT_PAGE) registers.currentPage = value;
    else if (offset < dp.R1_CURRENT_PAGE) address[offset - dp.R1_ADDRESS] = value;
    else multicast[offset - dp.R1_MULTICAST] = value;
  }

  #command(value: number): void {
    const state = this.#state;
    const { registers } = state;
    registers.command = value & ~dp.CR_TRANSMIT;
    if ((value & dp.CR_STOP) !== 0) {
      state.started = false;
      registers.interruptStatus |= dp.ISR_RESET;
    } else if ((value & dp.CR_START) !== 0) {
      state.started = true;
      registers.interruptStatus &= ~dp.ISR_RESET;
    }
    completeEmptyTransfer(state);
    this.#sync();
    if ((value & dp.CR_TRANSMIT) !== 0 && state.started) this.#transmit();
  }

  #transmit(): void {
    const state = this.#state;
    const { transmitPage, transmitBytes, transmitConfig } = state.registers;
    const fits = transmitBytes >= FRAME_BYTES_MIN && transmitBytes <= FRAME_BYTES_MAX;
    if (fits && (transmitConfig & dp.TCR_LOOPBACK) === 0) {
      const data = state.memory.copy(transmitPage << 8, transmitBytes);
      this.#options.environment.emit({ kind: 'packet', nic: this.#options.nic, data });
      state.count('transmitted');
    } else {
      state.count('transmitDropped');
    }
    state.registers.transmitStatus = dp.TSR_TRANSMITTED;
    this.#raise(dp.ISR_TRANSMITTED);
  }

  /** What the reset port does (10.3): everything not named here stays. */
  #resetChip(): number {
    const { registers } = this.#state;
    registers.command = dp.CR_STOP | dp.CR_REMOTE_ABORT;
    this.#state.started = false;
    registers.interruptStatus = dp.ISR_RESET;
    registers.interruptMask = 0;
    registers.transmitConfig &= ~dp.TCR_LOOPBACK;
    this.#sync();
    return 0xff;
  }

  #readData(size: number): number {
    const value = readRemote(this.#state, size);
    this.#sync();
    return value;
  }

  #writeData(size: number, value: number): void {
    writeRemote(this.#state, size, value);
    this.#sync();
  }

  #readMissed(): number {
    const { registers } = this.#state;
    const missed = registers.missed;
    registers.missed = 0;
    return missed;
  }

  /** A frame for this station is lost: count it, and report `status`. Returns false. */
  #miss(status: number): false {
    const { registers } = this.#state;
    this.#state.count('receiveDropped');
    registers.receiveStatus = dp.RSR_MISSED;
    registers.missed = Math.min(registers.missed + 1, dp.TALLY_MAX);
    this.#raise(status | (registers.missed >= dp.TALLY_ATTENTION ? dp.ISR_COUNTER : 0));
    return false;
  }

  #raise(status: number): void {
    this.#state.registers.interruptStatus |= status;
    this.#sync();
  }

  #sync(): void {
    const { interruptStatus, interruptMask } = this.#state.registers;
    this.#options.irq.set((interruptStatus & interruptMask & dp.ISR_EVENTS) !== 0);
  }
}

function withLow(word: number, low: number): number {
  return (word & 0xff00) | low;
}

function withHigh(word: number, high: number): number {
  return (word & 0xff) | (high << 8);
}
