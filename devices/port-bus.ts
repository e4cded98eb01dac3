/**
 * The I/O ports: 64 Ki addresses, found through a table with one small number a port.
 *
 * A guest polls ports in tight loops, so finding a device takes two array reads, however many there are.
 * Devices on ports are byte-wide unless they say otherwise.
 *
 * Invariant: owners[port] is 0, or the number of the one range that contains `port`.
 */
import { assert } from '../emulator/errors.js';
import { Bus, type AccessWidth, type FixedRange } from './bus.js';
import type { RegisterBlock } from './device.js';

export const PORT_COUNT = 0x10000;
const RANGES_MAX = 0xff;

export class PortBus extends Bus {
  readonly #owners = new Uint8Array(PORT_COUNT);
  /** Number 0 means nobody. */
  readonly #byNumber: (FixedRange | undefined)[] = [undefined];

  constructor() {
    super(PORT_COUNT);
  }

  /**
   * Give `count` ports from `base` to a device, for good.
   * @throws InvariantError when the range is empty, does not exist or overlaps another one
   */
  override insert(
    name: string,
    base: number,
    count: number,
    registers: RegisterBlock,
    widthMax: AccessWidth = 1,
  ): void {
    super.insert(name, base, count, registers, widthMax);
  }

  protected override find(port: number): FixedRange | undefined {
    // A port of 64 Ki or more (the end of a wide access at 0xffff) is outside the table.
    return this.#byNumber[this.#owners[port] ?? 0];
  }

  protected override inserted(range: FixedRange): void {
    assert(this.#byNumber.length <= RANGES_MAX, 'too many port ranges');
    this.#owners.fill(this.#byNumber.length, range.base, range.end);
    this.#byNumber.push(range);
  }
}
