/**
 * A snapshot diff for people: one table each for registers, device fields and memory.
 *
 *   Registers (1)          Devices (1)                    Memory (1 page)
 *   name   A      B        field                 A   B    page       differing  first bytes
 *   eax    0x5    0x6      devices.pit.mode      2   3    0x00012000 1          0x00012007: 41 -> 40
 */
import Table from 'cli-table3';
import pc from 'picocolors';
import type { DiffValue, PageDifference, SnapshotDiff } from '../../hypervisor/snapshot/diff.js';

export interface DiffRenderOptions {
  /** What the two sides are called, e.g. file names; default `A` and `B`. */
  readonly names?: readonly [string, string];
  /** ANSI colours; default none. */
  readonly colours?: boolean;
  /** Lines per table; default 20. What is left out is counted. */
  readonly rowsMax?: number;
  /** Bytes shown per page; default 4. */
  readonly bytesMax?: number;
}

const VALUE_CHARACTERS_MAX = 40;

/** Render `diff` as text that ends in a newline. */
export function renderDiff(diff: SnapshotDiff, options: DiffRenderOptions = {}): string {
  const { names = ['A', 'B'], colours = false, rowsMax = 20, bytesMax = 4 } = options;
  const ink = pc.createColors(colours);
  if (diff.identical) return `${ink.green('identical')}\n`;
  const [a, b] = names;
  const parts = [ink.red('different')];
  const section = (title: string, head: string[], rows: string[][], count: number): void => {
    if (count === 0) return;
    const table = new Table({ head, style: { head: colours ? ['cyan'] : [], border: [], compact: true } });
    table.push(...rows.slice(0, rowsMax));
    parts.push('', ink.bold(title), table.toString());
    if (count > rowsMax) parts.push(ink.dim(`... and ${count - rowsMax} more`));
  };
  section(
    `Registers (${diff.registers.length})`,
    ['name', a, b],
    diff.registers.map((register) => [register.name, show(register.a, 'hex'), show(register.b, 'hex')]),
    diff.registers.length,
  );
  section(
    `Devices (${diff.fieldCount} field${diff.fieldCount === 1 ? '' : 's'})`,
    ['field', a, b],
    diff.devices.map((field) => [
      field.path,
      field.absentIn === 'a' ? '(absent)' : show(field.a, 'decimal'),
      field.absentIn === 'b' ? '(absent)' : show(field.b, 'decimal'),
    ]),
    diff.fieldCount,
  );
  section(
    `Memory (${diff.pageCount} page${diff.pageCount === 1 ? '' : 's'})`,
    ['page', 'bytes', `first differences, ${a} -> ${b}`],
    diff.pages.map((page) => [address(page.address), String(page.byteCount), showBytes(page, bytesMax)]),
    diff.pageCount,
  );
  if (diff.firstDivergence !== null) {
    const { icount, eip, instruction } = diff.firstDivergence;
    parts.push('', `first divergence at icount ${icount}, eip ${address(eip)}: ${instruction}`);
  }
  return `${parts.join('\n')}\n`;
}

function address(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

function show(value: DiffValue, numbers: 'hex' | 'decimal'): string {
  if (typeof value === 'number' && numbers === 'hex' && value >= 0) return `0x${value.toString(16)}`;
  const text = String(value);
  return text.length <= VALUE_CHARACTERS_MAX ? text : `${text.slice(0, VALUE_CHARACTERS_MAX)}...`;
}

function showBytes(page: PageDifference, bytesMax: number): string {
  const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
  const shown = page.bytes
    .slice(0, bytesMax)
    .map(({ offset, a, b }) => `${address(page.address + offset)}: ${hex(a)} -> ${hex(b)}`);
  if (page.byteCount > shown.length) shown.push('...');
  return shown.join(', ');
}
