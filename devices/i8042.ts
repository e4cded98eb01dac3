/**
 * 8042 keyboard controller: keyboard port, empty mouse port, A20 gate, reset line.
 *
 *   0x60  data: reads the output buffer; writes go to the keyboard, or are the argument of a controller command
 *   0x64  reads status, writes controller commands
 *
 *   status        0 output full | 2 self test passed | 3 last write was a command | 4 not locked | 5 byte is the mouse's
 *                 | 6 time-out
 *   command byte  0 IRQ 1 | 1 IRQ 12 | 2 self test passed | 4 keyboard off | 5 mouse off | 6 translate to set 1
 *   output port   0 not reset | 1 A20 | 4 IRQ 1 | 5 IRQ 12
 *
 *   keyboard.next() -> translation -> key ─┐
 *   controller's reply (first) ────────────┴─> output buffer -> guest IN, IRQ 1 or 12
 *
 * Commands are performed at once. A reply goes in front of a key that the guest has not read yet, so a driver that asks
 * the controller gets the answer and no key is lost. No mouse is plugged in: a byte for it is answered by the controller
 * with 0xfe and the time-out bit. At power-on the controller is as firmware leaves it: keyboard on, translating.
 *
 * Invariants: each byte in the output buffer makes its own edge; the levels are a function of the registers, set only by
 * #sync(); restore() touches neither the lines nor A20.
 * Source: IBM PS/2 Hardware Interface Technical Reference, Keyboard and Auxiliary Device Controller; Intel 8042 (UPI).
 */
import type { DeviceModel, IrqLine, RegisterBlock } from './device.js';
import type { Environment } from './environment.js';
import { Ps2Keyboard } from './i8042-keyboard.js';
import {
  A20_OFF,
  A20_ON,
  COMMANDS_WITH_ARGUMENT,
  ECHO_AS_KEYBOARD,
  ECHO_AS_MOUSE,
  INPUT_UNLOCKED,
  KEYBOARD_OFF,
  KEYBOARD_ON,
  MODE_KEYBOARD_IRQ,
  MODE_KEYBOARD_OFF,
  MODE_MOUSE_IRQ,
  MODE_MOUSE_OFF,
  MODE_POWER_ON,
  MODE_TESTED,
  MODE_TRANSLATE,
  MODE_WRITABLE,
  MOUSE_OFF,
  MOUSE_ON,
  NO_ANSWER,
  OUTPUT_A20,
  OUTPUT_IDLE,
  OUTPUT_KEYBOARD_IRQ,
  OUTPUT_MOUSE_IRQ,
  OUTPUT_NOT_RESET,
  PORT_TEST_PASSED,
  PULSE,
  READ_INPUT_PORT,
  READ_MODE,
  READ_OUTPUT_PORT,
  SELF_TEST,
  SELF_TEST_PASSED,
  STATUS_LAST_COMMAND,
  STATUS_MOUSE,
  STATUS_OUTPUT_FULL,
  STATUS_TIMEOUT,
  STATUS_UNLOCKED,
  TEST_KEYBOARD_PORT,
  TEST_MOUSE_PORT,
  WRITE_MODE,
  WRITE_MOUSE,
  WRITE_OUTPUT_PORT,
} from './i8042-registers.js';
import { ScanCodeTranslator } from './i8042-scan-codes.js';
import { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

export const I8042_DATA_PORT = 0x60;
export const I8042_COMMAND_PORT = 0x64;

/** Whose byte the controller's own reply looks like. */
const REPLY_KINDS = ['none', 'keyboard', 'mouse', 'timeout'] as const;
type ReplyKind = (typeof REPLY_KINDS)[number];

export interface I8042Options {
  readonly environment: Pick<Environment, 'stop'>;
  /** Gets the level of this chip's A20 gate whenever the guest sets it, also to what it was. */
  readonly a20: (on: boolean) => void;
  readonly keyboardIrq: IrqLine;
  readonly mouseIrq: IrqLine;
}

export class I8042 implements DeviceModel {
  /** One port at 0x60. */
  readonly data: RegisterBlock;
  /** One port at 0x64. */
  readonly command: RegisterBlock;
  readonly #options: I8042Options;
  readonly #keyboard = new Ps2Keyboard();
  readonly #translator = new ScanCodeTranslator();
  #mode = MODE_POWER_ON;
  #a20 = true;
  #reply = 0;
  #replyKind: ReplyKind = 'none';
  /** Byte from the keyboard in the output buffer. */
  #key: number | null = null;
  #lastRead = 0;
  /** The controller command whose argument comes next; 0: none. */
  #pending = 0;
  #lastWasCommand = false;

  constructor(options: I8042Options) {
    this.#options = options;
    this.data = { read: () => this.#readData(), write: (_offset, _size, value) => this.#writeData(value & 0xff) };
    this.command = { read: () => this.#status(), write: (_offset, _size, value) => this.#writeCommand(value & 0xff) };
  }

  /** Level of this chip's A20 gate. */
  get a20(): boolean {
    return this.#a20;
  }

  /**
   * Type on the keyboard while applying a log entry: bytes of scan code set 2, as in {@link Ps2Keyboard.type}. Returns
   * how many were taken.
   */
  type(codes: Uint8Array): number {
    const count = this.#keyboard.type(codes);
    this.#refill();
    return count;
  }

  reset(): void {
    this.#keyboard.reset();
    this.#translator.breakPending = false;
    this.#mode = MODE_POWER_ON;
    this.#a20 = true;
    this.#reply = 0;
    this.#replyKind = 'none';
    this.#key = null;
    this.#lastRead = 0;
    this.#pending = 0;
    this.#lastWasCommand = false;
  }

  save(): StateRecord {
    return {
      keyboard: this.#keyboard.save(),
      breakPending: this.#translator.breakPending,
      mode: this.#mode,
      a20: this.#a20,
      reply: this.#reply,
      replyKind: this.#replyKind,
      keyFull: this.#key !== null,
      key: this.#key ?? 0,
      lastRead: this.#lastRead,
      pendingCommand: this.#pending,
      lastWasCommand: this.#lastWasCommand,
    };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'i8042');
    const restoreKeyboard = this.#keyboard.prepareRestore(fields.record('keyboard'));
    const breakPending = fields.boolean('breakPending');
    const mode = fields.integer('mode', 0, MODE_WRITABLE);
    const a20 = fields.boolean('a20');
    const reply = fields.integer('reply', 0, 0xff);
    const replyKind = fields.word('replyKind', REPLY_KINDS);
    const keyFull = fields.boolean('keyFull');
    const key = fields.integer('key', 0, 0xff);
    const lastRead = fields.integer('lastRead', 0, 0xff);
    const pending = fields.integer('pendingCommand', 0, 0xff);
    const lastWasCommand = fields.boolean('lastWasCommand');
    fields.finish();
    if ((mode & ~MODE_WRITABLE) !== 0) throw fields.wrong('mode', 'has reserved bits set');
    if (!keyFull && key !== 0) throw fields.wrong('key', 'there is none');
    if (replyKind === 'none' && reply !== 0) throw fields.wrong('reply', 'there is none');
    if (pending !== 0 && !COMMANDS_WITH_ARGUMENT.includes(pending)) {
      throw fields.wrong('pendingCommand', 'takes no argument');
    }
    restoreKeyboard();
    this.#translator.breakPending = breakPending;
    this.#mode = mode;
    this.#a20 = a20;
    this.#reply = reply;
    this.#replyKind = replyKind;
    this.#key = keyFull ? key : null;
    this.#lastRead = lastRead;
    this.#pending = pending;
    this.#lastWasCommand = lastWasCommand;
  }

  get #mouseByte(): boolean {
    return this.#replyKind === 'mouse' || this.#replyKind === 'timeout';
  }
  get #keyboardByte(): boolean {
    return this.#replyKind === 'keyboard' || (this.#replyKind === 'none' && this.#key !== null);
  }
  get #keyboardIrq(): boolean {
    return this.#keyboardByte && (this.#mode & MODE_KEYBOARD_IRQ) !== 0;
  }
  get #mouseIrq(): boolean {
    return this.#mouseByte && (this.#mode & MODE_MOUSE_IRQ) !== 0;
  }

  #status(): number {
    return (
      STATUS_UNLOCKED |
      (this.#mode & MODE_TESTED) |
      (this.#keyboardByte || this.#mouseByte ? STATUS_OUTPUT_FULL : 0) |
      (this.#lastWasCommand ? STATUS_LAST_COMMAND : 0) |
      (this.#mouseByte ? STATUS_MOUSE : 0) |
      (this.#replyKind === 'timeout' ? STATUS_TIMEOUT : 0)
    );
  }

  #readData(): number {
    if (this.#replyKind !== 'none') {
      this.#lastRead = this.#reply;
      this.#reply = 0;
      this.#replyKind = 'none';
    } else if (this.#key !== null) {
      this.#lastRead = this.#key;
      this.#key = null;
    } else {
      // An empty buffer still holds the last byte.
      return this.#lastRead;
    }
    // Lower the lines before the next byte comes in, so that it makes a new edge.
    this.#options.keyboardIrq.set(false);
    this.#options.mouseIrq.set(false);
    this.#refill();
    return this.#lastRead;
  }

  #writeData(value: number): void {
    this.#lastWasCommand = false;
    const command = this.#pending;
    this.#pending = 0;
    switch (command) {
      case WRITE_MODE:
        this.#setMode(value & MODE_WRITABLE);
        break;
      case WRITE_OUTPUT_PORT:
        this.#setA20((value & OUTPUT_A20) !== 0);
        if ((value & OUTPUT_NOT_RESET) === 0) this.#options.environment.stop('reset', 0);
        break;
      case ECHO_AS_KEYBOARD:
        this.#put(value, 'keyboard');
        break;
      case ECHO_AS_MOUSE:
        this.#put(value, 'mouse');
        break;
      case WRITE_MOUSE:
        this.#put(NO_ANSWER, 'timeout');
        break;
      default:
        // A byte for the keyboard switches its port on, or the answer could not come.
        this.#keyboard.receive(value);
        this.#setMode(this.#mode & ~MODE_KEYBOARD_OFF);
    }
  }

  #writeCommand(command: number): void {
    this.#lastWasCommand = true;
    this.#pending = COMMANDS_WITH_ARGUMENT.includes(command) ? command : 0;
    switch (command) {
      case READ_MODE:
        this.#put(this.#mode, 'keyboard');
        break;
      case MOUSE_OFF:
        this.#setMode(this.#mode | MODE_MOUSE_OFF);
        break;
      case MOUSE_ON:
        this.#setMode(this.#mode & ~MODE_MOUSE_OFF);
        break;
      case SELF_TEST:
        this.#setMode(this.#mode | MODE_TESTED);
        this.#put(SELF_TEST_PASSED, 'keyboard');
        break;
      case TEST_MOUSE_PORT:
      case TEST_KEYBOARD_PORT:
        this.#put(PORT_TEST_PASSED, 'keyboard');
        break;
      case KEYBOARD_OFF:
        this.#setMode(this.#mode | MODE_KEYBOARD_OFF);
        break;
      case KEYBOARD_ON:
        this.#setMode(this.#mode & ~MODE_KEYBOARD_OFF);
        break;
      case READ_INPUT_PORT:
        this.#put(INPUT_UNLOCKED, 'keyboard');
        break;
      case READ_OUTPUT_PORT:
        this.#put(this.#outputPort(), 'keyboard');
        break;
      case A20_OFF:
      case A20_ON:
        this.#setA20(command === A20_ON);
        break;
      default:
        if (command >= PULSE && (command & OUTPUT_NOT_RESET) === 0) this.#options.environment.stop('reset', 0);
    }
  }

  #outputPort(): number {
    return (
      OUTPUT_IDLE |
      OUTPUT_NOT_RESET |
      (this.#a20 ? OUTPUT_A20 : 0) |
      (this.#keyboardIrq ? OUTPUT_KEYBOARD_IRQ : 0) |
      (this.#mouseIrq ? OUTPUT_MOUSE_IRQ : 0)
    );
  }

  #setMode(mode: number): void {
    this.#mode = mode;
    this.#refill();
  }

  #setA20(on: boolean): void {
    this.#a20 = on;
    this.#options.a20(on);
  }

  #put(byte: number, kind: ReplyKind): void {
    this.#reply = byte;
    this.#replyKind = kind;
    this.#sync();
  }

  /** Take the keyboard's next byte into an empty buffer. While its port is off the keyboard waits. */
  #refill(): void {
    while (this.#key === null && (this.#mode & MODE_KEYBOARD_OFF) === 0) {
      const byte = this.#keyboard.next();
      if (byte === null) break;
      this.#key = (this.#mode & MODE_TRANSLATE) !== 0 ? this.#translator.translate(byte) : byte;
    }
    this.#sync();
  }

  #sync(): void {
    this.#options.keyboardIrq.set(this.#keyboardIrq);
    this.#options.mouseIrq.set(this.#mouseIrq);
  }
}
