/** The frames that bring a machine's state to a backup: its pages, and all the rest. */
import { ReplicaError } from '../../emulator/errors.js';
import { TRANSPORT_FRAME_BYTES_MAX } from '../../hypervisor/channel/framing.js';
import {
  CONSOLE_TAIL_BYTES_MAX,
  encodeMessage,
  PAGE_BYTES,
  PAGES_PER_MESSAGE,
  ZEROS_PER_MESSAGE,
  type Message,
  type Page,
} from '../../hypervisor/channel/messages.js';
import type { Settings } from '../../hypervisor/ft/settings.js';
import type { Machine } from '../../hypervisor/machine/machine.js';
import { encodeState } from '../../hypervisor/state-codec.js';

/** Reader of the dirty bitmap that belongs to state transfers and checkpoints. */
export const DIRTY_CONSUMER = 1;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

/** Where the log and the console go on after the state, what was set until then, and what a backup may have to write again. */
export type LogCut = Pick<Extract<Message, { type: 'state' }>, 'firstSeq' | 'consoleOffset' | 'console'> & {
  readonly settings: Settings;
  /** For each drive, tags of writes that are done and not flushed; at a join there are none, for all is flushed. */
  readonly unflushed: readonly (readonly number[])[];
};

export function pageOf(ram: Buffer, page: number): Buffer {
  return ram.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
}

export function isZero(page: Buffer): boolean {
  return ZERO_PAGE.equals(page);
}

/** Pages as they are when their message is taken, zero pages by their number only. `done`: pages looked at so far. */
export function* pageMessages(
  ram: Buffer,
  numbers: ArrayLike<number>,
): Generator<{ readonly message: Extract<Message, { type: 'pages' | 'zeros' }>; readonly done: number }> {
  let pages: Page[] = [];
  let zeros: number[] = [];
  for (let i = 0; i < numbers.length; i++) {
    const page = numbers[i]!;
    const bytes = pageOf(ram, page);
    if (isZero(bytes)) zeros.push(page);
    else pages.push({ page, bytes });
    if (zeros.length === ZEROS_PER_MESSAGE) {
      yield { message: { type: 'zeros', pages: zeros }, done: i + 1 };
      zeros = [];
    }
    if (pages.length === PAGES_PER_MESSAGE) {
      yield { message: { type: 'pages', pages }, done: i + 1 };
      pages = [];
    }
  }
  if (pages.length > 0) yield { message: { type: 'pages', pages }, done: numbers.length };
  if (zeros.length > 0) yield { message: { type: 'zeros', pages: zeros }, done: numbers.length };
}

/** The STATE frame. @throws ReplicaError when it is too large for the channel */
export function stateFrame(machine: Machine, cut: LogCut, pagesSent: number): Uint8Array {
  const { cpu, devices, clock, doorbells } = machine.save();
  const state = encodeState({
    cpu,
    devices,
    clock,
    doorbells,
    settings: cut.settings.save(),
    unflushed: cut.unflushed,
  });
  const console = cut.console.subarray(Math.max(0, cut.console.length - CONSOLE_TAIL_BYTES_MAX));
  const consoleOffset = cut.consoleOffset + cut.console.length - console.length;
  const { firstSeq } = cut;
  const frame = encodeMessage({ type: 'state', pagesSent, firstSeq, consoleOffset, console, state });
  if (frame.length <= TRANSPORT_FRAME_BYTES_MAX) return frame;
  throw new ReplicaError(`the state without RAM has ${frame.length} bytes, more than a frame of the channel`);
}
