/**
 * Everything about an NE2000 that is saved: registers, filters, packet memory, counts.
 *
 * Source: NS DP8390D/NS32490D data sheet, section 10 (widths) and 10.3 (command and interrupt status after reset).
 */
import { Ne2000Memory, NE2000_RAM_BYTES } from './ne2000-memory.js';
import { CR_REMOTE_ABORT, CR_STOP, ISR_RESET, TALLY_MAX } from './ne2000-registers.js';
import type { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

const MAC_BYTES = 6;
const MULTICAST_BYTES = 8;

/** What happened to frames: part of the state, equal on both replicas. */
export interface Ne2000Counters {
  readonly transmitted: number;
  /** Transmissions of fewer than 14 or more than 1518 bytes, or in loopback. */
  readonly transmitDropped: number;
  readonly received: number;
  /** Frames for other stations. */
  readonly receiveFiltered: number;
  /** Frames for which there was no room, or that came while the card was stopped, in loopback or monitoring. */
  readonly receiveDropped: number;
}
const NO_COUNTS: Ne2000Counters = {
  transmitted: 0,
  transmitDropped: 0,
  received: 0,
  receiveFiltered: 0,
  receiveDropped: 0,
};

/** The chip's registers at power-on. Pages are numbers of 256 bytes of the card's memory. */
const POWER_ON = {
  /** Never shows the transmit bit: that command is done at once. */
  command: CR_STOP | CR_REMOTE_ABORT,
  interruptStatus: ISR_RESET,
  interruptMask: 0,
  pageStart: 0,
  pageStop: 0,
  boundary: 0,
  currentPage: 0,
  transmitPage: 0,
  transmitBytes: 0,
  transmitStatus: 0,
  remoteAddress: 0,
  remoteBytes: 0,
  receiveConfig: 0,
  receiveStatus: 0,
  transmitConfig: 0,
  dataConfig: 0,
  missed: 0,
};
type RegisterName = keyof typeof POWER_ON;
const REGISTER_NAMES = Object.keys(POWER_ON) as RegisterName[];
/** Largest values of the registers that are not bytes. */
const REGISTER_MAX: Partial<Record<RegisterName, number>> = {
  transmitBytes: 0xffff,
  remoteAddress: 0xffff,
  remoteBytes: 0xffff,
  missed: TALLY_MAX,
};

export class Ne2000State {
  readonly memory: Ne2000Memory;
  /** Station address that frames are compared with. */
  readonly address = new Uint8Array(MAC_BYTES);
  readonly multicast = new Uint8Array(MULTICAST_BYTES);
  registers = { ...POWER_ON };
  /** Set by the start command, cleared by stop and reset; the command register alone does not tell. */
  started = false;
  counters = NO_COUNTS;

  /** @param mac 6 bytes */
  constructor(mac: Uint8Array) {
    this.memory = new Ne2000Memory(mac);
  }

  count(name: keyof Ne2000Counters): void {
    this.counters = { ...this.counters, [name]: this.counters[name] + 1 };
  }

  reset(): void {
    this.memory.ram.fill(0);
    this.address.fill(0);
    this.multicast.fill(0);
    this.registers = { ...POWER_ON };
    this.started = false;
    this.counters = NO_COUNTS;
  }

  save(): StateRecord {
    return {
      ...this.registers,
      started: this.started,
      address: this.address.slice(),
      multicast: this.multicast.slice(),
      ram: this.memory.ram.slice(),
      counters: { ...this.counters },
    };
  }

  /** Check `fields` and return what takes them over. */
  prepareRestore(fields: SavedFields): () => void {
    const registers = { ...POWER_ON };
    for (const name of REGISTER_NAMES) registers[name] = fields.integer(name, 0, REGISTER_MAX[name] ?? 0xff);
    const started = fields.boolean('started');
    const address = fields.bytes('address', MAC_BYTES);
    const multicast = fields.bytes('multicast', MULTICAST_BYTES);
    const ram = fields.bytes('ram', NE2000_RAM_BYTES);
    const counterFields = fields.record('counters');
    fields.finish();
    const count = (name: keyof Ne2000Counters): number => counterFields.integer(name, 0, Number.MAX_SAFE_INTEGER);
    const counters = {
      transmitted: count('transmitted'),
      transmitDropped: count('transmitDropped'),
      received: count('received'),
      receiveFiltered: count('receiveFiltered'),
      receiveDropped: count('receiveDropped'),
    };
    counterFields.finish();
    return () => {
      this.registers = registers;
      this.started = started;
      this.address.set(address);
      this.multicast.set(multicast);
      this.memory.ram.set(ram);
      this.counters = counters;
    };
  }
}
