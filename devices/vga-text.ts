/**
 * VGA text screen: text memory and the registers that go with it, nothing drawn.
 *
 *   0xb8000..0xbffff  text memory, 32 KiB: character u8, attribute u8, from left to right and top to bottom
 *   0x3b0..0x3df      CRTC (0x3d4, or 0x3b4 for monochrome), attribute controller (0x3c0), sequencer (0x3c4),
 *                     DAC (0x3c6), graphics controller (0x3ce), miscellaneous output (0x3c2), status (0x3da)
 *
 * The screen is on in text mode 3 at power-on, so that a kernel finds it without a video BIOS. Registers are storage;
 * what counts of them is where the screen starts, how long its rows are, and the cursor. Graphics memory at 0xa0000 is
 * not there. Blanking and retrace follow guest time at the timing of mode 3, whatever the registers say.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem (VGA), registers.
 */
import type { DeviceModel, RegisterBlock } from './device.js';
import type { Environment } from './environment.js';
import { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';
import { ticksAt } from './tick-clock.js';
import { screenCharacter } from './vga-code-page.js';
import { VgaDac } from './vga-dac.js';
import { IndexedRegisters } from './vga-indexed-registers.js';
import * as vga from './vga-registers.js';

export const VGA_TEXT_ADDRESS = 0xb8000;
export const VGA_TEXT_BYTES = 0x8000;
export const VGA_COLUMNS = 80;
export const VGA_ROWS = 25;

const OPEN_BUS_BYTE = 0xff;
const CELLS = VGA_TEXT_BYTES / 2;

export interface VgaTextOptions {
  readonly environment: Pick<Environment, 'nowNs'>;
}

export class VgaText implements DeviceModel {
  /** Text memory, for the memory bus. Takes accesses of any width. */
  readonly memory: RegisterBlock;
  /** Byte-wide ports, VGA_PORT_COUNT of them from VGA_PORT on. */
  readonly ports: RegisterBlock;
  readonly #options: VgaTextOptions;
  readonly #text = new Uint8Array(VGA_TEXT_BYTES);
  readonly #crtc = new IndexedRegisters(vga.MODE_3_CRTC);
  readonly #sequencer = new IndexedRegisters(vga.MODE_3_SEQUENCER);
  readonly #graphics = new IndexedRegisters(vga.MODE_3_GRAPHICS);
  readonly #attribute = new IndexedRegisters(vga.MODE_3_ATTRIBUTE);
  readonly #dac = new VgaDac();
  /** The next write to the attribute controller is data, not an index. */
  #attributeData = false;
  #misc = vga.MODE_3_MISC;
  #feature = 0;
  #subsystemEnable = 1;

  constructor(options: VgaTextOptions) {
    this.#options = options;
    this.memory = {
      read: (offset, size) => this.#readMemory(offset, size),
      write: (offset, size, value) => this.#writeMemory(offset, size, value),
    };
    this.ports = {
      read: (offset) => this.#readPort(offset),
      write: (offset, _size, value) => this.#writePort(offset, value & 0xff),
    };
  }

  /** The screen as 25 rows of 80 characters, without colours. */
  text(): string[] {
    return Array.from({ length: VGA_ROWS }, (_row, row) =>
      Array.from({ length: VGA_COLUMNS }, (_column, column) => {
        const cell = (this.#start + row * this.#pitch + column) % CELLS;
        return screenCharacter(this.#text[2 * cell]!);
      }).join(''),
    );
  }

  /** Where the cursor is, counted from 0, or null when it is off or not on the screen. */
  cursor(): { readonly row: number; readonly column: number } | null {
    if ((this.#crtc.get(vga.CRTC_CURSOR_START) & vga.CURSOR_OFF) !== 0 || this.#pitch === 0) return null;
    const cell = this.#crtcWord(vga.CRTC_CURSOR_HIGH) - this.#start;
    const row = Math.floor(cell / this.#pitch);
    const column = cell % this.#pitch;
    return cell >= 0 && row < VGA_ROWS && column < VGA_COLUMNS ? { row, column } : null;
  }

  reset(): void {
    this.#text.fill(0);
    for (const registers of [this.#crtc, this.#sequencer, this.#graphics, this.#attribute]) registers.reset();
    this.#dac.reset();
    this.#attributeData = false;
    this.#misc = vga.MODE_3_MISC;
    this.#feature = 0;
    this.#subsystemEnable = 1;
  }

  save(): StateRecord {
    return {
      text: this.#text.slice(),
      crtc: this.#crtc.save(),
      sequencer: this.#sequencer.save(),
      graphics: this.#graphics.save(),
      attribute: this.#attribute.save(),
      attributeData: this.#attributeData,
      dac: this.#dac.save(),
      miscOutput: this.#misc,
      featureControl: this.#feature,
      subsystemEnable: this.#subsystemEnable,
    };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'vga-text');
    const text = fields.bytes('text', VGA_TEXT_BYTES);
    const restoreParts = [
      this.#crtc.prepareRestore(fields.record('crtc')),
      this.#sequencer.prepareRestore(fields.record('sequencer')),
      this.#graphics.prepareRestore(fields.record('graphics')),
      this.#attribute.prepareRestore(fields.record('attribute')),
      this.#dac.prepareRestore(fields.record('dac')),
    ];
    const attributeData = fields.boolean('attributeData');
    const misc = fields.integer('miscOutput', 0, 0xff);
    const feature = fields.integer('featureControl', 0, vga.FEATURE_WRITABLE);
    const subsystemEnable = fields.integer('subsystemEnable', 0, 1);
    fields.finish();
    this.#text.set(text);
    for (const restorePart of restoreParts) restorePart();
    this.#attributeData = attributeData;
    this.#misc = misc;
    this.#feature = feature;
    this.#subsystemEnable = subsystemEnable;
  }

  /** First cell of the screen. */
  get #start(): number {
    return this.#crtcWord(vga.CRTC_START_HIGH);
  }
  /** Cells from one row to the next. */
  get #pitch(): number {
    return 2 * this.#crtc.get(vga.CRTC_OFFSET);
  }
  #crtcWord(high: number): number {
    return (this.#crtc.get(high) << 8) | this.#crtc.get(high + 1);
  }

  #readMemory(offset: number, size: number): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | (this.#text[offset + i] ?? OPEN_BUS_BYTE);
    return value >>> 0;
  }

  #writeMemory(offset: number, size: number, value: number): void {
    // Out of bounds: a typed array ignores it.
    for (let i = 0; i < size; i++) this.#text[offset + i] = value >>> (8 * i);
  }

  #readPort(offset: number): number {
    switch (offset) {
      case vga.ATTRIBUTE:
        return this.#attribute.index;
      case vga.ATTRIBUTE_READ:
        return this.#attribute.get(this.#attribute.index & vga.ATTRIBUTE_INDEX);
      case vga.STATUS_0:
        return vga.STATUS_0_MONITOR;
      case vga.SUBSYSTEM_ENABLE:
        return this.#subsystemEnable;
      case vga.SEQUENCER_INDEX:
        return this.#sequencer.index;
      case vga.SEQUENCER_DATA:
        return this.#sequencer.get(this.#sequencer.index);
      case vga.DAC_MASK:
        return this.#dac.mask;
      case vga.DAC_READ_INDEX:
        return this.#dac.state;
      case vga.DAC_WRITE_INDEX:
        return this.#dac.index;
      case vga.DAC_DATA:
        return this.#dac.read();
      case vga.FEATURE_READ:
        return this.#feature;
      case vga.MISC_READ:
        return this.#misc;
      case vga.GRAPHICS_INDEX:
        return this.#graphics.index;
      case vga.GRAPHICS_DATA:
        return this.#graphics.get(this.#graphics.index);
      default:
        return this.#readCrtcPort(offset);
    }
  }

  #writePort(offset: number, value: number): void {
    switch (offset) {
      case vga.ATTRIBUTE:
        this.#writeAttribute(value);
        break;
      case vga.STATUS_0:
        this.#misc = value;
        break;
      case vga.SUBSYSTEM_ENABLE:
        this.#subsystemEnable = value & 1;
        break;
      case vga.SEQUENCER_INDEX:
        this.#sequencer.index = value;
        break;
      case vga.SEQUENCER_DATA:
        this.#sequencer.set(this.#sequencer.index, value);
        break;
      case vga.DAC_MASK:
        this.#dac.mask = value;
        break;
      case vga.DAC_READ_INDEX:
      case vga.DAC_WRITE_INDEX:
        this.#dac.seek(value, offset === vga.DAC_READ_INDEX);
        break;
      case vga.DAC_DATA:
        this.#dac.write(value);
        break;
      case vga.GRAPHICS_INDEX:
        this.#graphics.index = value;
        break;
      case vga.GRAPHICS_DATA:
        this.#graphics.set(this.#graphics.index, value);
        break;
      default:
        this.#writeCrtcPort(offset, value);
    }
  }

  #writeAttribute(value: number): void {
    if (this.#attributeData) this.#attribute.set(this.#attribute.index & vga.ATTRIBUTE_INDEX, value);
    else this.#attribute.index = value & vga.ATTRIBUTE_WRITABLE;
    this.#attributeData = !this.#attributeData;
  }

  /** These ports are in one of two places, depending on the miscellaneous output register. */
  #crtcPort(offset: number): 'index' | 'data' | 'status' | null {
    const colour = (this.#misc & vga.MISC_COLOUR) !== 0;
    if (offset === (colour ? vga.CRTC_INDEX_COLOUR : vga.CRTC_INDEX_MONO)) return 'index';
    if (offset === (colour ? vga.CRTC_DATA_COLOUR : vga.CRTC_DATA_MONO)) return 'data';
    return offset === (colour ? vga.STATUS_1_COLOUR : vga.STATUS_1_MONO) ? 'status' : null;
  }

  #readCrtcPort(offset: number): number {
    const port = this.#crtcPort(offset);
    if (port === 'index') return this.#crtc.index;
    if (port === 'data') return this.#crtc.get(this.#crtc.index);
    if (port === null) return OPEN_BUS_BYTE;
    this.#attributeData = false;
    return this.#status();
  }

  #writeCrtcPort(offset: number, value: number): void {
    const port = this.#crtcPort(offset);
    if (port === 'index') this.#crtc.index = value;
    else if (port === 'data') this.#writeCrtc(this.#crtc.index, value);
    else if (port === 'status') this.#feature = value & vga.FEATURE_WRITABLE;
  }

  #writeCrtc(index: number, value: number): void {
    const isProtected = index <= vga.CRTC_OVERFLOW && (this.#crtc.get(vga.CRTC_RETRACE_END) & vga.CRTC_PROTECT) !== 0;
    const writable = !isProtected ? 0xff : index === vga.CRTC_OVERFLOW ? vga.CRTC_LINE_COMPARE : 0;
    this.#crtc.set(index, (this.#crtc.get(index) & ~writable) | (value & writable));
  }

  #status(): number {
    const character = ticksAt(this.#options.environment.nowNs(), vga.CHARACTER_HZ);
    const line = Math.floor(character / vga.LINE_CHARACTERS) % vga.FRAME_LINES;
    const blank = line >= vga.FRAME_LINES_SHOWN || character % vga.LINE_CHARACTERS >= vga.LINE_CHARACTERS_SHOWN;
    const retrace = line >= vga.RETRACE_FIRST_LINE && line < vga.RETRACE_END_LINE;
    return (blank ? vga.STATUS_1_BLANK : 0) | (retrace ? vga.STATUS_1_RETRACE : 0);
  }
}
