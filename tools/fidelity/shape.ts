/**
 * The kinds of code a sequence may be: mode, privilege, what its registers point at.
 */
import { LAYOUT } from './layout.js';
import { BOUNDED_SELECTORS, FLAT_SELECTORS, FLAT_USER_SELECTORS, SELECTORS } from './tables.js';

export type Kind = 'user32' | 'flat32' | 'user16' | 'ring0' | 'v86' | 'real';

export interface Shape {
  readonly kind: Kind;
  readonly bits: 16 | 32;
  readonly ring: 0 | 3;
  /** Added to offsets of scratch memory. */
  readonly dataBase: number;
  /** Where the scratch memory lies. */
  readonly scratch: number;
  /** Stack pointers start in this range of offsets. */
  readonly stack: readonly [low: number, high: number];
  /** Wild addresses end at a missing page; QEMU and the engine do not enforce segment limits. */
  readonly paging: boolean;
  /** Values for segment registers that are in bounds, for data. */
  readonly dataSegments: readonly number[];
  readonly stackSegments: readonly number[];
  /** Anything else that may be tried. */
  readonly selectors: readonly number[];
}

const USER_DATA = [SELECTORS.data3, SELECTORS.extra3, SELECTORS.readOnly3, SELECTORS.expandDown3, 0x04].map(
  (s) => s | 3,
);
const LOW = LAYOUT.SCRATCH_LOW >> 4;

/** A selector with each RPL the code may want. */
function withRpl(selectors: readonly number[]): number[] {
  return selectors.flatMap((selector) => [selector, selector | 3]);
}

export const SHAPES: Readonly<Record<Kind, Shape>> = {
  user32: {
    kind: 'user32',
    bits: 32,
    ring: 3,
    dataBase: 0,
    scratch: LAYOUT.SCRATCH,
    stack: [0x200, 0xf00],
    paging: true,
    dataSegments: USER_DATA,
    stackSegments: [SELECTORS.stack3 | 3, SELECTORS.stack3 | 3, SELECTORS.stack3Small | 3],
    selectors: withRpl(BOUNDED_SELECTORS),
  },
  flat32: {
    kind: 'flat32',
    bits: 32,
    ring: 3,
    dataBase: LAYOUT.SCRATCH,
    scratch: LAYOUT.SCRATCH,
    stack: [LAYOUT.SCRATCH + 0x3200, LAYOUT.SCRATCH + 0x3f00],
    paging: true,
    dataSegments: [SELECTORS.flatData3 | 3],
    stackSegments: [SELECTORS.flatData3 | 3],
    selectors: withRpl([...BOUNDED_SELECTORS, ...FLAT_SELECTORS, ...FLAT_USER_SELECTORS]),
  },
  user16: {
    kind: 'user16',
    bits: 16,
    ring: 3,
    dataBase: 0,
    scratch: LAYOUT.SCRATCH,
    stack: [0x200, 0xf00],
    paging: true,
    dataSegments: USER_DATA,
    stackSegments: [SELECTORS.stack3 | 3, SELECTORS.stack3Small | 3],
    selectors: withRpl(BOUNDED_SELECTORS),
  },
  ring0: {
    kind: 'ring0',
    bits: 32,
    ring: 0,
    dataBase: 0,
    scratch: LAYOUT.SCRATCH,
    stack: [0x3200, 0x3e00],
    paging: true,
    dataSegments: [SELECTORS.data0, SELECTORS.data0, SELECTORS.readOnly0, SELECTORS.extra3, 0x14],
    stackSegments: [SELECTORS.data0],
    selectors: withRpl(BOUNDED_SELECTORS.filter((s) => s !== SELECTORS.task16 && s !== SELECTORS.taskGate)),
  },
  v86: {
    kind: 'v86',
    bits: 16,
    ring: 3,
    dataBase: 0,
    scratch: LAYOUT.SCRATCH_LOW,
    stack: [0x200, 0xf00],
    paging: true,
    dataSegments: [LOW, LOW, LOW + 0x80],
    stackSegments: [LOW + 0x300],
    selectors: [0, LOW, LOW - 0x80, LOW + 0x380, 0xa000, 0xffff],
  },
  real: {
    kind: 'real',
    bits: 16,
    ring: 0,
    dataBase: 0,
    scratch: LAYOUT.SCRATCH_LOW,
    stack: [0x200, 0xf00],
    paging: false,
    dataSegments: [LOW, LOW, LOW + 0x80],
    stackSegments: [LOW + 0x300],
    selectors: [LOW, LOW + 0x100, LOW + 0x180],
  },
};

/** An offset that mostly lies in the scratch memory, sometimes at its end, seldom anywhere. */
export function dataOffset(shape: Shape, choose: { below(bound: number): number }, align: number): number {
  const kind = choose.below(20);
  if (kind === 0) return choose.below(shape.bits === 16 ? 0x10000 : 2 ** 32);
  if (kind === 1) return shape.dataBase + LAYOUT.SCRATCH_BYTES - choose.below(20);
  const inside = choose.below(LAYOUT.SCRATCH_BYTES - 16);
  const page = kind < 4 ? 0x1000 * (1 + choose.below(3)) - choose.below(16) : inside;
  return shape.dataBase + (page & ~(align - 1));
}
