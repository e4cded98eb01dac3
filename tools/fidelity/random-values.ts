/**
 * Random choices of the generator: numbers near the edges where processors err, weights, FPU images.
 */
import { SeededRandom } from '../load/seeded-random.js';
import { LAYOUT } from './layout.js';

const EDGES: readonly number[] = [
  0, 1, 2, 3, 0xf, 0x10, 0x1f, 0x20, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
  0x80000001, 0xfffffffe, 0xffffffff, 0x55555555, 0xaaaaaaaa, 0x99999999, 0x0f0f0f0f,
];

export class Chooser extends SeededRandom {
  /** True `percent` times in a hundred. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** One of the keys, with probability in proportion to its value. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let left = this.below(entries.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [key, weight] of entries) {
      if (left < weight) return key;
      left -= weight;
    }
    return entries[0]![0];
  }

  u32(): number {
    return this.below(2 ** 32);
  }

  /** Any 32-bit number, more often one at an edge or a small one. */
  value(): number {
    const kind = this.below(10);
    if (kind < 4) return this.u32();
    if (kind < 8) return this.pick(EDGES);
    return kind === 8 ? this.below(64) : (this.u32() & 0xff00ff) >>> 0;
  }
}

/** A random double-extended number: sign and exponent, then the significand's two halves. */
function extended(choose: Chooser): { exponent: number; high: number; low: number } {
  const sign = choose.below(2) << 15;
  const high = choose.u32();
  const low = choose.chance(50) ? choose.u32() : 0;
  const kind = choose.weighted({ near: 50, integer: 15, zero: 6, infinite: 5, nan: 8, tiny: 6, huge: 5, odd: 5 });
  switch (kind) {
    case 'near':
      return { exponent: sign | (0x3fff - 40 + choose.below(80)), high: (high | 0x80000000) >>> 0, low };
    case 'integer':
      return { exponent: sign | (0x3fff + choose.below(16)), high: ((high & 0xffff0000) | 0x80000000) >>> 0, low: 0 };
    case 'zero':
      return { exponent: sign, high: 0, low: 0 };
    case 'infinite':
      return { exponent: sign | 0x7fff, high: 0x80000000, low: 0 };
    case 'nan':
      return { exponent: sign | 0x7fff, high: (high | 0x80000001) >>> 0, low };
    case 'tiny':
      return { exponent: sign, high: (high & 0x7fffffff) >>> 0, low };
    case 'huge':
      return { exponent: sign | (0x7ffe - choose.below(40)), high: (high | 0x80000000) >>> 0, low };
    case 'odd':
      return { exponent: sign | (choose.u32() & 0x7fff), high, low };
  }
}

/** Single- and double-precision numbers that meet: equal, special, ordinary. */
function floatWord(choose: Chooser): number {
  const special = [
    0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7fa00000, 1, 0x7f7fffff,
  ];
  if (choose.chance(25)) return choose.pick(special);
  if (choose.chance(40)) return ((choose.u32() & 0x80ffffff) | ((0x70 + choose.below(32)) << 23)) >>> 0;
  return choose.u32();
}

function doubleHigh(choose: Chooser): number {
  const special = [0, 0x80000000, 0x3ff00000, 0xbff00000, 0x7ff00000, 0xfff00000, 0x7ff80000, 0x7ff40000, 0x7fefffff];
  if (choose.chance(25)) return choose.pick(special);
  return ((choose.u32() & 0x800fffff) | ((0x3f0 + choose.below(32)) << 20)) >>> 0;
}

/** 16 bytes for an XMM register or a scratch line. */
export function vectorBytes(choose: Chooser): Buffer {
  const bytes = Buffer.alloc(16);
  const kind = choose.weighted({ float: 4, double: 4, integer: 3 });
  for (let i = 0; i < 4; i++) {
    let word = choose.value();
    if (kind === 'float') word = floatWord(choose);
    if (kind === 'double') word = i % 2 === 1 ? doubleHigh(choose) : choose.chance(50) ? 0 : choose.u32();
    bytes.writeUInt32LE(word, 4 * i);
  }
  return bytes;
}

/** Tags of a stack with some numbers and, mostly, some room. */
function stackOf(top: number): number {
  const valid = (1 << [4, 3, 5, 2, 4, 6, 5, 8][top]!) - 1;
  return ((valid << top) | (valid >> (8 - top))) & 0xff;
}

/**
 * An image for FXRSTOR: mostly all exceptions masked, any precision and rounding, mostly a stack with room and numbers,
 * because QEMU has no stack faults, and C1 clear, because it leaves C1.
 * Source: Intel SDM volume 1, section 10.5.1, table 10-2.
 */
export function fxImage(choose: Chooser): Buffer {
  const image = Buffer.alloc(LAYOUT.FX_BYTES);
  const masks = choose.chance(85) ? 0x3f : choose.below(64);
  const precision = choose.pick([0x300, 0x300, 0x200, 0]);
  image.writeUInt16LE(0x40 | masks | precision | (choose.chance(40) ? choose.below(4) << 10 : 0), 0);
  const top = choose.below(8);
  image.writeUInt16LE((top << 11) | (choose.chance(30) ? choose.u32() & 0x4500 : 0), 2);
  image[4] = choose.chance(70) ? stackOf(top) : choose.below(256);
  const simdMasks = choose.chance(85) ? 0x1f80 : (choose.below(64) << 7) & 0x1f80;
  const rounding = choose.chance(30) ? choose.below(4) << 13 : 0;
  const flush = choose.chance(15) ? choose.pick([0x8000, 0x40, 0x8040]) : 0;
  image.writeUInt32LE(simdMasks | rounding | flush, 24);
  for (let i = 0; i < 8; i++) {
    const { exponent, high, low } = extended(choose);
    image.writeUInt32LE(low, 32 + 16 * i);
    image.writeUInt32LE(high, 36 + 16 * i);
    image.writeUInt16LE(exponent, 40 + 16 * i);
    vectorBytes(choose).copy(image, 160 + 16 * i);
  }
  return image;
}
