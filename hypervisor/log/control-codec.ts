/**
 * The bytes of a control entry after its tag and distance.
 *
 *   op  name        fields
 *   0   stop        u8 reason (index in STOP_REASONS), varint exit code
 *   1   checkpoint  string name
 *   4   configure   string setting, string value
 *
 * 2 and 3 are not used again: version 1 of the log had room for them, and nothing wrote them.
 * Strings have at most 4,096 bytes of UTF-8. Numbers are only ever added at the end of these lists.
 */
import { assert } from '../../emulator/errors.js';
import type { ByteReader, ByteWriter } from './bytes.js';
import type { Control, StopReason } from './entry.js';

export const CONTROL_STRING_BYTES_MAX = 4096;
const EXIT_CODE_MAX = 0xffffffff;

const OP_STOP = 0;
const OP_CHECKPOINT = 1;
const OP_CONFIGURE = 4;

const STOP_REASONS = [
  'halted',
  'debug-exit',
  'until',
  'shutdown',
  'reset',
  'triple-fault',
  'stopped',
] as const satisfies readonly StopReason[];

/** @throws InvariantError when a field breaks its limit */
export function encodeControl(writer: ByteWriter, control: Control): void {
  switch (control.op) {
    case 'stop': {
      const reason = STOP_REASONS.indexOf(control.reason);
      assert(reason >= 0 && control.exitCode <= EXIT_CODE_MAX, 'a stop entry has a known reason and a 32-bit code');
      writer.u8(OP_STOP);
      writer.u8(reason);
      writer.varint(control.exitCode);
      break;
    }
    case 'checkpoint':
      writer.u8(OP_CHECKPOINT);
      encodeString(writer, control.name);
      break;
    case 'configure':
      writer.u8(OP_CONFIGURE);
      encodeString(writer, control.setting);
      encodeString(writer, control.value);
      break;
  }
}

function encodeString(writer: ByteWriter, text: string): void {
  assert(Buffer.byteLength(text) <= CONTROL_STRING_BYTES_MAX, 'a control string is within its limit');
  writer.string(text);
}

/** @throws DecodeError on an unknown operation or a field beyond its limit */
export function decodeControl(reader: ByteReader): Control {
  const op = reader.u8();
  switch (op) {
    case OP_STOP: {
      const reason = STOP_REASONS[reader.u8()] ?? reader.fail('bad-entry', 'the reason of a stop is unknown');
      return { op: 'stop', reason, exitCode: reader.limited(EXIT_CODE_MAX, 'an exit code') };
    }
    case OP_CHECKPOINT:
      return { op: 'checkpoint', name: reader.string(CONTROL_STRING_BYTES_MAX, 'the name of a checkpoint') };
    case OP_CONFIGURE:
      return {
        op: 'configure',
        setting: reader.string(CONTROL_STRING_BYTES_MAX, 'a setting'),
        value: reader.string(CONTROL_STRING_BYTES_MAX, 'the value of a setting'),
      };
    default:
      return reader.fail('unknown-control', `control operation ${op} is unknown`);
  }
}
