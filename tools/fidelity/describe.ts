/** A difference for a person: the instruction, the mode, the fields. */
import type { Difference, Field } from './compare.js';

export function describe({ program, sequenceIndex, sequence, placed, before, fields }: Difference): string {
  const code = placed === undefined ? 'no instruction' : Buffer.from(placed.instruction.bytes).toString('hex');
  const where = `seed ${program.seed} program ${program.index} sequence ${sequenceIndex} (${sequence.kind})`;
  const after = before === undefined ? '' : `, after vector ${before.vector}`;
  return `  ${where}: ${code} [${placed?.instruction.template ?? ''}]${after}\n    ${fields.map(show).join('\n    ')}`;
}

function show({ name, ours, reference }: Field): string {
  return `${name}: ft86 ${hex(ours)}, QEMU ${hex(reference)}`;
}

function hex(value: number | string): string {
  return typeof value === 'number' ? value.toString(16) : value;
}
