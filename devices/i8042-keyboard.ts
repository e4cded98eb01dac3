/**
 * PS/2 keyboard at the controller's keyboard port.
 *
 *   type() -> keys waiting (set 2, or set 1 when the guest chose it) ─┐
 *   guest's command -> replies (first) ───────────────────────────────┴─> next() -> controller
 *
 *   0xed LEDs*   0xee echo   0xf0 scan code set*   0xf2 identify   0xf3 repeat rate*   0xf4 scan   0xf5 stop scanning
 *   0xf6 defaults   0xfe resend   0xff reset      (* takes an argument; anything else is answered with 0xfe)
 *
 * It has scan code sets 1 and 2. Keys repeat only as far as the typist says so. A command cuts off what was still to be
 * said to the one before it, as on the wire, so replies never pile up.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, Keyboards (101- and 102-key), commands from the system.
 */
import { ScanCodeTranslator } from './i8042-scan-codes.js';
import type { SavedFields } from './saved-fields.js';
import type { StateRecord } from './state.js';

/** Keys, in bytes of scan codes, that may wait for the guest. */
export const KEYBOARD_WAITING_BYTES_MAX = 4096;

const SET_LEDS = 0xed;
const ECHO = 0xee;
const SCAN_CODE_SET = 0xf0;
const IDENTIFY = 0xf2;
const REPEAT_RATE = 0xf3;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const DEFAULTS = 0xf6;
const RESEND = 0xfe;
const RESET = 0xff;
const COMMANDS_WITH_ARGUMENT: readonly number[] = [SET_LEDS, SCAN_CODE_SET, REPEAT_RATE];

const ACKNOWLEDGE = 0xfa;
const REFUSED = 0xfe;
const SELF_TEST_PASSED = 0xaa;
/** An MF2 keyboard. */
const IDENTITY = [0xab, 0x83] as const;
const REPLY_BYTES_MAX = 1 + IDENTITY.length;

const NOTHING = new Uint8Array(0);

export class Ps2Keyboard {
  readonly #translator = new ScanCodeTranslator();
  #replies: readonly number[] = [];
  #waiting: Uint8Array = NOTHING;
  #scanning = true;
  #scanCodeSet = 2;
  /** The command whose argument comes next; 0: none. */
  #command = 0;
  #lastSent = 0;

  /**
   * Press and release keys: `codes` are bytes of scan code set 2. Returns how many were taken, from the first on; the
   * rest did not fit. Keys that are typed while scanning is off are lost.
   */
  type(codes: Uint8Array): number {
    if (!this.#scanning) return codes.length;
    const count = Math.min(codes.length, KEYBOARD_WAITING_BYTES_MAX - this.#waiting.length);
    const waiting = new Uint8Array(this.#waiting.length + count);
    waiting.set(this.#waiting);
    waiting.set(codes.subarray(0, count), this.#waiting.length);
    this.#waiting = waiting;
    return count;
  }

  /** A byte from the controller. */
  receive(byte: number): void {
    const command = this.#command;
    this.#command = 0;
    if (command !== 0) this.#argument(command, byte);
    else this.#perform(byte);
  }

  /** The next byte for the controller, or null. */
  next(): number | null {
    const [reply, ...rest] = this.#replies;
    const byte = reply ?? this.#nextKey();
    if (reply !== undefined) this.#replies = rest;
    if (byte !== null) this.#lastSent = byte;
    return byte;
  }

  reset(): void {
    this.#replies = [];
    this.#command = 0;
    this.#lastSent = 0;
    this.#setDefaults();
    this.#scanning = true;
  }

  save(): StateRecord {
    return {
      replies: this.#replies,
      waiting: this.#waiting.slice(),
      scanning: this.#scanning,
      scanCodeSet: this.#scanCodeSet,
      command: this.#command,
      lastSent: this.#lastSent,
      breakPending: this.#translator.breakPending,
    };
  }

  /** Check `fields` and return what takes them over, for the owner to call when all else is good as well. */
  prepareRestore(fields: SavedFields): () => void {
    const replies = fields.integers('replies', REPLY_BYTES_MAX);
    const waiting = fields.bytes('waiting');
    const scanning = fields.boolean('scanning');
    const scanCodeSet = fields.integer('scanCodeSet', 1, 2);
    const command = fields.integer('command', 0, 0xff);
    const lastSent = fields.integer('lastSent', 0, 0xff);
    const breakPending = fields.boolean('breakPending');
    fields.finish();
    if (replies.some((byte) => byte > 0xff)) throw fields.wrong('replies', 'not bytes');
    if (waiting.length > KEYBOARD_WAITING_BYTES_MAX) throw fields.wrong('waiting', 'too long');
    if (command !== 0 && !COMMANDS_WITH_ARGUMENT.includes(command)) throw fields.wrong('command', 'takes no argument');
    return () => {
      this.#replies = replies;
      this.#waiting = waiting;
      this.#scanning = scanning;
      this.#scanCodeSet = scanCodeSet;
      this.#command = command;
      this.#lastSent = lastSent;
      this.#translator.breakPending = breakPending;
    };
  }

  #nextKey(): number | null {
    while (this.#waiting.length > 0) {
      const code = this.#waiting[0]!;
      this.#waiting = this.#waiting.subarray(1);
      const byte = this.#scanCodeSet === 1 ? this.#translator.translate(code) : code;
      if (byte !== null) return byte;
    }
    return null;
  }

  #perform(command: number): void {
    this.#replies = [ACKNOWLEDGE];
    switch (command) {
      case SET_LEDS:
      case SCAN_CODE_SET:
      case REPEAT_RATE:
        this.#command = command;
        break;
      case ECHO:
        this.#replies = [ECHO];
        break;
      case IDENTIFY:
        this.#replies = [ACKNOWLEDGE, ...IDENTITY];
        break;
      case ENABLE:
        this.#dropKeys();
        this.#scanning = true;
        break;
      case DISABLE:
        this.#setDefaults();
        this.#scanning = false;
        break;
      case DEFAULTS:
        this.#setDefaults();
        break;
      case RESEND:
        this.#replies = [this.#lastSent];
        break;
      case RESET:
        this.#setDefaults();
        this.#scanning = true;
        this.#replies = [ACKNOWLEDGE, SELF_TEST_PASSED];
        break;
      default:
        this.#replies = [REFUSED];
    }
  }

  /** LEDs and the repeat rate are not kept: nobody can see the one, and nothing repeats by itself. */
  #argument(command: number, value: number): void {
    this.#replies = [ACKNOWLEDGE];
    if (command !== SCAN_CODE_SET) return;
    if (value === 0) this.#replies = [ACKNOWLEDGE, this.#scanCodeSet];
    else if (value > 2) this.#replies = [REFUSED];
    else this.#chooseSet(value);
  }

  #chooseSet(set: number): void {
    this.#dropKeys();
    this.#scanCodeSet = set;
  }

  #setDefaults(): void {
    this.#dropKeys();
    this.#scanCodeSet = 2;
  }

  #dropKeys(): void {
    this.#waiting = NOTHING;
    this.#translator.breakPending = false;
  }
}
