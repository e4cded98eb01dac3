/** Random and hand-picked log entries for the tests of the log's formats. */
import fc from 'fast-check';
import type { Control, Entry } from '../../../hypervisor/log/entry.js';

/** An entry at a distance from the one before instead of at an icount. */
type Distanced = { readonly distance: number; readonly entry: Entry };

const data = fc.uint8Array({ maxLength: 40 });
const natural = fc.maxSafeNat();
const unit = fc.nat({ max: 255 });
const text = fc.string({ unit: 'grapheme', maxLength: 40 });

const control: fc.Arbitrary<Control> = fc.oneof(
  fc.record({
    op: fc.constant('stop' as const),
    reason: fc.constantFrom('halted', 'debug-exit', 'until', 'shutdown', 'reset', 'triple-fault', 'stopped'),
    exitCode: fc.nat({ max: 0xffffffff }),
  }),
  fc.record({ op: fc.constant('checkpoint' as const), name: text }),
  fc.record({ op: fc.constant('configure' as const), setting: text, value: text }),
);

const at = fc.constant(0);
const deadline = fc.constant({ kind: 'clock', at: 0, skipNs: 'deadline', rate: null } as const);
const entry: fc.Arbitrary<Entry> = fc.oneof(
  { weight: 3, arbitrary: deadline },
  // Few vectors, so that predictions come true as often as not.
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('interrupt' as const), at, vector: fc.constantFrom(0, 32, 33, 255) }),
  },
  fc.record({
    kind: fc.constant('clock' as const),
    at,
    skipNs: fc.oneof(fc.nat({ max: Number.MAX_SAFE_INTEGER - 1 }), fc.constant('deadline' as const)),
    rate: fc.option(natural),
  }),
  fc.record({ kind: fc.constant('packet' as const), at, nic: fc.oneof(fc.constant(0), unit), data }),
  fc.record({ kind: fc.constant('disk' as const), at, drive: unit, tag: natural, status: fc.constant('ok'), data }),
  fc.record({
    kind: fc.constant('disk' as const),
    at,
    drive: unit,
    tag: natural,
    status: fc.constant('error'),
    data: fc.constant(new Uint8Array(0)),
  }),
  fc.record({ kind: fc.constant('serial' as const), at, data }),
  fc.record({
    kind: fc.constant('output' as const),
    at,
    channel: fc.constantFrom('console', 'packet', 'disk'),
    bytes: natural,
    crc: fc.nat({ max: 0xffffffff }),
  }),
  fc.record({
    kind: fc.constant('digest' as const),
    at,
    digest: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex')),
  }),
  fc.constant({ kind: 'mark', at: 0 } as const),
  fc.record({ kind: fc.constant('control' as const), at, control }),
);

const distanced: fc.Arbitrary<Distanced> = fc.record({
  distance: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    fc.nat({ max: 300 }),
    fc.nat({ max: 1 << 24 }),
    fc.nat({ max: 2 ** 40 }),
  ),
  entry,
});

/** Lists of 1 to 40 entries of all kinds whose icounts never decrease. */
export const arbitraryEntries: fc.Arbitrary<Entry[]> = fc
  .array(distanced, { minLength: 1, maxLength: 40 })
  .map((list) => {
    let icount = 0;
    return list.map(({ distance, entry: one }) => ({ ...one, at: (icount += distance) }));
  });

/** One entry of each kind and variant, as a short run could have them. */
export const SAMPLE_ENTRIES: readonly Entry[] = [
  { kind: 'control', at: 0, control: { op: 'configure', setting: 'clock', value: 'host' } },
  { kind: 'clock', at: 1000, skipNs: 12_345, rate: 2048 },
  { kind: 'clock', at: 500_000, skipNs: 'deadline', rate: null },
  { kind: 'interrupt', at: 500_000, vector: 0x20 },
  { kind: 'clock', at: 1_000_000, skipNs: 'deadline', rate: null },
  { kind: 'interrupt', at: 1_000_000, vector: 0x20 },
  { kind: 'packet', at: 1_000_007, nic: 0, data: Uint8Array.of(1, 2, 3) },
  { kind: 'packet', at: 1_000_007, nic: 2, data: new Uint8Array(0) },
  { kind: 'interrupt', at: 1_000_100, vector: 0x2b },
  { kind: 'interrupt', at: 1_000_200, vector: 0x2b },
  { kind: 'clock', at: 1_500_000, skipNs: 'deadline', rate: null },
  { kind: 'interrupt', at: 1_500_000, vector: 0x20 },
  { kind: 'disk', at: 1_600_000, drive: 0, tag: 3, status: 'ok', data: new Uint8Array(0) },
  { kind: 'disk', at: 1_600_000, drive: 1, tag: 300, status: 'error', data: new Uint8Array(0) },
  { kind: 'disk', at: 1_700_000, drive: 0, tag: 4, status: 'ok', data: Uint8Array.of(9, 8, 7, 6) },
  { kind: 'serial', at: 1_700_001, data: Uint8Array.of(0x6c, 0x73, 0x0d) },
  { kind: 'output', at: 1_700_050, channel: 'console', bytes: 40, crc: 0x12345678 },
  { kind: 'output', at: 1_700_060, channel: 'packet', bytes: 60, crc: 0xffffffff },
  { kind: 'output', at: 1_700_070, channel: 'disk', bytes: 4096, crc: 0 },
  { kind: 'mark', at: 2_000_000 },
  { kind: 'digest', at: 2_000_000, digest: '00112233445566778899aabbccddeeff' },
  { kind: 'control', at: 2_000_000, control: { op: 'checkpoint', name: 'before-ä' } },
  { kind: 'control', at: 2_000_001, control: { op: 'stop', reason: 'debug-exit', exitCode: 33 } },
];
