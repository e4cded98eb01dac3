/**
 * One 8259A: its registers and its priority resolver. The pair (pic8259.ts) owns ports, cascade and CPU.
 *
 *   lines -> [edge latch or level] -> requested (IRR) -> & ~mask (IMR) -> priority against inService (ISR) -> pending()
 *
 * Priorities form a ring that starts behind `lowest`. In special mask mode a masked input that is in service does not
 * hold back the others; in special fully nested mode the cascade input does not hold back itself.
 *
 * Invariants: `requested` holds every level-triggered input that is high; the cascade input is always a level.
 * Source: Intel 8259A data sheet (231468), "Initialization Command Words" and "Operation Command Words".
 */
import type { StateRecord } from './state.js';
import type { SavedFields } from './saved-fields.js';

/** ICW1 (A0 = 0, bit 4 set). */
const ICW1 = 0x10;
const ICW1_IC4 = 0x01;
const ICW1_SNGL = 0x02;
/** ICW4. */
const ICW4_AEOI = 0x02;
const ICW4_SFNM = 0x10;
/** OCW3 (A0 = 0, bits 4..3 = 01). */
const OCW3 = 0x08;
const OCW3_RIS = 0x01;
const OCW3_RR = 0x02;
const OCW3_POLL = 0x04;
const OCW3_SMM = 0x20;
const OCW3_ESMM = 0x40;
/** OCW2 commands (bits 7..5: R, SL, EOI). */
const OCW2_ROTATE_AEOI_CLEAR = 0;
const OCW2_EOI = 1;
const OCW2_SPECIFIC_EOI = 3;
const OCW2_ROTATE_AEOI_SET = 4;
const OCW2_ROTATE_EOI = 5;
const OCW2_SET_PRIORITY = 6;
const OCW2_ROTATE_SPECIFIC_EOI = 7;

/** What the next write to the odd port means. */
const NEXT_WRITES = ['mask', 'icw2', 'icw3', 'icw4'] as const;
type NextWrite = (typeof NEXT_WRITES)[number];

/** All registers; what a snapshot keeps. */
interface Registers {
  /** Inputs as they are now, bit n = input n. */
  lines: number;
  requested: number;
  inService: number;
  mask: number;
  /** Inputs that are level-triggered (ELCR). */
  levelTriggered: number;
  vectorBase: number;
  /** Input of lowest priority; the next one in the ring has the highest. */
  lowest: number;
  nextWrite: NextWrite;
  icw4Expected: boolean;
  single: boolean;
  autoEoi: boolean;
  rotateOnAutoEoi: boolean;
  specialMask: boolean;
  specialFullyNested: boolean;
  readInService: boolean;
  polled: boolean;
}

function powerOn(levelTriggered: number): Registers {
  return {
    lines: 0,
    requested: 0,
    inService: 0,
    // Nothing gets through before the chip is initialised.
    mask: 0xff,
    levelTriggered,
    vectorBase: 0,
    lowest: 7,
    nextWrite: 'mask',
    icw4Expected: false,
    single: false,
    autoEoi: false,
    rotateOnAutoEoi: false,
    specialMask: false,
    specialFullyNested: false,
    readInService: false,
    polled: false,
  };
}

export class Pic8259 {
  /** The input that answers an acknowledge when none is requested. */
  static readonly SPURIOUS = 7;
  readonly #levelAtPowerOn: number;
  /** Bit of the input that another chip drives, 0 for none. */
  readonly #cascade: number;
  #r: Registers;

  constructor(levelTriggered: number, cascade: number) {
    this.#levelAtPowerOn = levelTriggered;
    this.#cascade = cascade;
    this.#r = powerOn(levelTriggered);
  }

  get levelTriggered(): number {
    return this.#r.levelTriggered;
  }
  /** Whether ICW1 said that there is no slave. */
  get single(): boolean {
    return this.#r.single;
  }
  /** Whether the next read is a poll, which acknowledges. */
  get polled(): boolean {
    return this.#r.polled;
  }

  vectorOf(input: number): number {
    return this.#r.vectorBase | input;
  }

  /** Drive one input, given as its bit. False when it had that level already. */
  setInput(bit: number, level: boolean): boolean {
    const r = this.#r;
    if (((r.lines & bit) !== 0) === level) return false;
    if (level) {
      r.lines |= bit;
      r.requested |= bit;
    } else {
      r.lines &= ~bit;
      r.requested &= ~(bit & (r.levelTriggered | this.#cascade));
    }
    return true;
  }

  /** Drive the cascade input: always a level, also against what ICW1 cleared. */
  setCascade(level: boolean): void {
    const r = this.#r;
    r.lines = level ? r.lines | this.#cascade : r.lines & ~this.#cascade;
    r.requested = level ? r.requested | this.#cascade : r.requested & ~this.#cascade;
  }

  setLevelTriggered(bits: number): void {
    const r = this.#r;
    // An input that becomes a level is requested while it is high; one that becomes an edge keeps what it has.
    r.requested = (r.requested & ~bits) | (r.lines & bits);
    r.levelTriggered = bits;
  }

  /** The input whose request would be acknowledged now, or null. */
  pending(): number | null {
    const r = this.#r;
    const candidates = r.requested & ~r.mask;
    if (candidates === 0) return null;
    let blocking = r.inService;
    if (r.specialMask) blocking &= ~r.mask;
    if (r.specialFullyNested) blocking &= ~this.#cascade;
    for (let i = 1; i <= 8; i++) {
      const input = (r.lowest + i) & 7;
      const bit = 1 << input;
      if ((blocking & bit) !== 0) return null;
      if ((candidates & bit) !== 0) return input;
    }
    return null;
  }

  /** The interrupt acknowledge cycle: the input taken, SPURIOUS when there was none. */
  acknowledge(): number {
    const r = this.#r;
    const input = this.pending();
    if (input === null) return Pic8259.SPURIOUS;
    const bit = 1 << input;
    if (((r.levelTriggered | this.#cascade) & bit) === 0) r.requested &= ~bit;
    if (!r.autoEoi) r.inService |= bit;
    else if (r.rotateOnAutoEoi) r.lowest = input;
    return input;
  }

  /** @param a0 0: IRR or ISR, 1: IMR; after a poll command either is the poll word */
  read(a0: number): number {
    const r = this.#r;
    if (r.polled) {
      r.polled = false;
      return this.pending() === null ? 0 : 0x80 | this.acknowledge();
    }
    if (a0 === 1) return r.mask;
    return r.readInService ? r.inService : r.requested;
  }

  write(a0: number, value: number): void {
    if (a0 === 1) this.#writeData(value);
    else if ((value & ICW1) !== 0) this.#writeIcw1(value);
    else if ((value & OCW3) !== 0) this.#writeOcw3(value);
    else this.#writeOcw2(value >> 5, value & 7);
  }

  reset(): void {
    this.#r = powerOn(this.#levelAtPowerOn);
  }

  save(): StateRecord {
    return { ...this.#r };
  }

  /** Read what save() wrote, changing nothing. @throws DecodeError */
  decode(fields: SavedFields): Registers {
    const bits = (name: keyof Registers) => fields.integer(name, 0, 0xff);
    const registers: Registers = {
      lines: bits('lines'),
      requested: bits('requested'),
      inService: bits('inService'),
      mask: bits('mask'),
      levelTriggered: bits('levelTriggered'),
      vectorBase: bits('vectorBase'),
      lowest: fields.integer('lowest', 0, 7),
      nextWrite: fields.word('nextWrite', NEXT_WRITES),
      icw4Expected: fields.boolean('icw4Expected'),
      single: fields.boolean('single'),
      autoEoi: fields.boolean('autoEoi'),
      rotateOnAutoEoi: fields.boolean('rotateOnAutoEoi'),
      specialMask: fields.boolean('specialMask'),
      specialFullyNested: fields.boolean('specialFullyNested'),
      readInService: fields.boolean('readInService'),
      polled: fields.boolean('polled'),
    };
    fields.finish();
    if ((registers.vectorBase & 7) !== 0) throw fields.wrong('vectorBase', 'not a multiple of 8');
    return registers;
  }

  apply(registers: Registers): void {
    this.#r = registers;
  }

  #writeIcw1(value: number): void {
    const r = this.#r;
    // "Initialization": the edge sense circuit, IMR, priorities, special mask and status read are reset.
    const { lines, levelTriggered } = r;
    this.#r = {
      ...powerOn(levelTriggered),
      lines,
      requested: lines & levelTriggered,
      mask: 0,
      nextWrite: 'icw2',
      icw4Expected: (value & ICW1_IC4) !== 0,
      single: (value & ICW1_SNGL) !== 0,
      vectorBase: r.vectorBase,
    };
  }

  #writeData(value: number): void {
    const r = this.#r;
    const afterIcw3: NextWrite = r.icw4Expected ? 'icw4' : 'mask';
    switch (r.nextWrite) {
      case 'icw2':
        r.vectorBase = value & 0xf8;
        r.nextWrite = r.single ? afterIcw3 : 'icw3';
        break;
      case 'icw3':
        // A PC's wiring of the cascade is fixed, whatever is written.
        r.nextWrite = afterIcw3;
        break;
      case 'icw4':
        r.autoEoi = (value & ICW4_AEOI) !== 0;
        r.specialFullyNested = (value & ICW4_SFNM) !== 0;
        r.nextWrite = 'mask';
        break;
      case 'mask':
        r.mask = value;
        break;
    }
  }

  #writeOcw3(value: number): void {
    const r = this.#r;
    if ((value & OCW3_ESMM) !== 0) r.specialMask = (value & OCW3_SMM) !== 0;
    if ((value & OCW3_POLL) !== 0) r.polled = true;
    else if ((value & OCW3_RR) !== 0) r.readInService = (value & OCW3_RIS) !== 0;
  }

  #writeOcw2(command: number, level: number): void {
    const r = this.#r;
    switch (command) {
      case OCW2_EOI:
      case OCW2_ROTATE_EOI: {
        const input = this.#highestInService();
        if (input === null) return;
        r.inService &= ~(1 << input);
        if (command === OCW2_ROTATE_EOI) r.lowest = input;
        break;
      }
      case OCW2_SPECIFIC_EOI:
      case OCW2_ROTATE_SPECIFIC_EOI:
        r.inService &= ~(1 << level);
        if (command === OCW2_ROTATE_SPECIFIC_EOI) r.lowest = level;
        break;
      case OCW2_SET_PRIORITY:
        r.lowest = level;
        break;
      case OCW2_ROTATE_AEOI_SET:
      case OCW2_ROTATE_AEOI_CLEAR:
        r.rotateOnAutoEoi = command === OCW2_ROTATE_AEOI_SET;
        break;
    }
  }

  /** What a non-specific EOI ends: in special mask mode, masked inputs are left alone. */
  #highestInService(): number | null {
    const r = this.#r;
    const candidates = r.specialMask ? r.inService & ~r.mask : r.inService;
    for (let i = 1; i <= 8; i++) {
      const input = (r.lowest + i) & 7;
      if ((candidates & (1 << input)) !== 0) return input;
    }
    return null;
  }
}
