/**
 * Physical addresses that are not RAM: memory-mapped registers, found in a short sorted list.
 *
 * RAM never comes here: the native core serves it first, so a BAR that a guest puts over RAM is not seen.
 * Devices here take accesses of 4 bytes unless they say otherwise.
 *
 * Invariant: the list is in ascending order of addresses.
 */
import { Bus, type AccessWidth, type FixedRange } from './bus.js';
import type { RegisterBlock } from './device.js';

const ADDRESS_COUNT = 2 ** 32;

export class MemoryBus extends Bus {
  #sorted: FixedRange[] = [];

  constructor() {
    super(ADDRESS_COUNT);
  }

  /**
   * Give `count` addresses from `base` to a device, for good.
   * @throws InvariantError when the range is empty, does not exist or overlaps another one
   */
  override insert(
    name: string,
    base: number,
    count: number,
    registers: RegisterBlock,
    widthMax: AccessWidth = 4,
  ): void {
    super.insert(name, base, count, registers, widthMax);
  }

  protected override find(address: number): FixedRange | undefined {
    for (const range of this.#sorted) {
      if (address < range.base) return undefined;
      if (address < range.end) return range;
    }
    return undefined;
  }

  protected override inserted(range: FixedRange): void {
    this.#sorted = [...this.#sorted, range].sort((a, b) => a.base - b.base);
  }
}
