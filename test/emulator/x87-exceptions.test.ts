/**
 * Goal: stack faults, unmasked exceptions and #MF are those of a processor: operands stay, results wrap, tags and
 * top move only when they should.
 * Method: guest code with the control word, the stack and CR0.NE set for each case.
 * Source: Intel SDM volume 1, sections 8.5.1.1 (stack faults) to 8.5.6, 8.6, 8.7.
 */
import { describe, expect, test } from '@jest/globals';
import { guestOf } from './guest-code.js';
import { float80 } from './x87/float80.js';
import { nameOf, SPECIAL } from './x87/operands.js';
import { OPCODES, runToFloatingPointError, runX87 } from './x87/run-x87.js';

const UNMASKED = 0x340;
const TOP_SHIFT = 11;
const SUMMARY = 0x8080;

function top(status: number): number {
  return (status >> TOP_SHIFT) & 7;
}

describe('unmasked exceptions', () => {
  test.each([
    ['fsin', 'snan', 0x01],
    ['fcos', '+inf', 0x01],
    ['fptan', 'denormal', 0x02],
    ['fxtract', '-0', 0x04],
    ['f2xm1', 'unnormal', 0x01],
  ] as const)('%s of %s leaves the operand and the stack', (operation, name, flag) => {
    const [outcome] = runX87(operation, [{ control: UNMASKED, x: SPECIAL[name] }]);
    expect(nameOf(outcome!.st0)).toBe(name);
    expect(outcome!.status & 0x7f).toBe(flag);
    expect(outcome!.status & SUMMARY).toBe(SUMMARY);
    expect(top(outcome!.status)).toBe(7);
  });

  test.each([
    ['fyl2x', '+0', '1', 0x04],
    ['fyl2x', '-1', '1', 0x01],
    ['fpatan', '1', 'denormal', 0x02],
    ['fprem', '1', '+0', 0x01],
  ] as const)('%s of %s and %s leaves both and does not pop', (operation, x, y, flag) => {
    const [outcome] = runX87(operation, [{ control: UNMASKED, x: SPECIAL[x], y: SPECIAL[y] }]);
    expect([nameOf(outcome!.st0), nameOf(outcome!.st1)]).toEqual([x, y]);
    expect(outcome!.status & 0x7f).toBe(flag);
    expect(outcome!.status & SUMMARY).toBe(SUMMARY);
    expect(top(outcome!.status)).toBe(6);
  });

  test('overflow and underflow wrap the exponent by 6000h', () => {
    const [over, under] = runX87('fscale', [
      { control: UNMASKED, x: SPECIAL.largest, y: SPECIAL['1'] },
      { control: UNMASKED, x: SPECIAL.smallest, y: SPECIAL['-3'] },
    ]);
    expect(nameOf(over!.st0)).toBe('1fff:ffffffffffffffff');
    expect(over!.status & 0xff).toBe(0x88);
    expect(nameOf(under!.st0)).toBe('5ffe:8000000000000000');
    expect(under!.status & 0xff).toBe(0x90);
    const [angle] = runX87('fpatan', [{ control: UNMASKED, x: SPECIAL.largest, y: SPECIAL['1'] }]);
    expect(nameOf(angle!.st0)).toBe('5fff:8000000000000001'); // 2^-16384 (1 + 2^-64 + 2^-128 ...)
    expect(angle!.status & 0xff).toBe(0xb0);
  });

  test('what FSCALE moves further than that becomes an infinity or zero', () => {
    const far = float80(0x3fff + 15, 50000n << 48n);
    const outcomes = runX87('fscale', [
      { control: UNMASKED, x: SPECIAL['-3'], y: far },
      { control: UNMASKED, x: SPECIAL['-3'], y: { ...far, signExponent: far.signExponent | 0x8000 } },
    ]);
    expect(outcomes.map(({ st0 }) => nameOf(st0))).toEqual(['-inf', '-0']);
    expect(outcomes.map(({ status }) => status & 0x1f)).toEqual([0x08, 0x10]);
  });
});

describe('stack faults', () => {
  test.each(['fpatan', 'fyl2x', 'fyl2xp1', 'fprem', 'fprem1', 'fscale'] as const)('%s without ST(1)', (operation) => {
    const pops = operation === 'fpatan' || operation.startsWith('fyl2x');
    const [masked] = runX87(operation, [{ x: SPECIAL['1'] }]);
    expect(nameOf(masked!.st0)).toBe('indefinite');
    expect(masked!.status & 0x2ff).toBe(0x41);
    expect(top(masked!.status)).toBe(pops ? 0 : 7);
    const [unmasked] = runX87(operation, [{ control: UNMASKED, x: SPECIAL['1'] }]);
    expect(nameOf(unmasked!.st0)).toBe('1');
    expect(unmasked!.status & 0x2ff).toBe(0xc1);
    expect(top(unmasked!.status)).toBe(7);
  });

  test.each(['fsincos', 'fptan', 'fxtract'] as const)('%s on a full stack: C1 says overflow', (operation) => {
    const fld1 = Array.from({ length: 8 }, () => [0xd9, 0xe8]).flat();
    const { vcpu } = guestOf([0xdb, 0xe3, ...fld1, 0xd9, OPCODES[operation], 0xdf, 0xe0, 0xf4]); // ... fnstsw ax; hlt
    expect(vcpu.run(Infinity)).toBe('halted');
    expect(vcpu.getRegisters().eax & 0x3aff).toBe((7 << TOP_SHIFT) | 0x241);
    vcpu.dispose();
  });

  test('the tags follow', () => {
    const [one] = runX87('fsincos', [{ x: SPECIAL['1'] }]);
    expect(one!.tags & 0xffff).toBe(0x0fff);
    const [two] = runX87('fpatan', [{ x: SPECIAL['1'], y: SPECIAL['1'] }]);
    expect(two!.tags & 0xffff).toBe(0x3fff);
  });
});

describe('a waiting exception', () => {
  // fninit; fldcw [9000h] = 340h; fldz; fxtract (zero-divide); then fsin
  const code = [0xdb, 0xe3, 0x66, 0xc7, 0x05, 0, 0x90, 0, 0, 0x40, 0x03, 0xd9, 0x2d, 0, 0x90, 0, 0];
  const raising = [...code, 0xd9, 0xee, 0xd9, OPCODES.fxtract, 0x90, 0xd9, OPCODES.fsin];

  test('is raised before the next of these instructions, which does not retire', () => {
    expect(runToFloatingPointError(raising, 0x31)).toBe(raising.length - 2);
  });

  test('is not raised as #MF without CR0.NE', () => {
    expect(runToFloatingPointError(raising, 0x11)).toBeUndefined();
  });
});
