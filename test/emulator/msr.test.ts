/**
 * Goal: WRMSR of the time-stamp counter and of the APIC base does what it says, and a saved state carries both.
 * Method: small guests; the bus records what the local APIC would be asked.
 * Source: Intel SDM volume 3, 11.4.3 and 11.4.4 (APIC base), 17.17 (time-stamp counter); volume 2, CPUID (EDX bit 9).
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Vcpu } from '../../emulator/vcpu.js';
import { guestOf, le32, type Guest } from './guest-code.js';

const MSR_TSC = 0x10;
const MSR_APIC_BASE = 0x1b;
const APIC = 0xfee00000;
const ENABLED = 0x900;
const CPUID_APIC = 1 << 9;
const RDTSC = [0x0f, 0x31];
const RDMSR = [0x0f, 0x32];
const CPUID_1 = [0xb8, ...le32(1), 0x0f, 0xa2];
const HLT = 0xf4;

const made: Vcpu[] = [];
afterEach(() => {
  for (const vcpu of made.splice(0)) vcpu.dispose();
});

function guest(code: readonly number[]): Guest {
  const guest = guestOf(code);
  made.push(guest.vcpu);
  return guest;
}

function wrmsr(number: number, low: number, high = 0): number[] {
  return [0xb9, ...le32(number), 0xb8, ...le32(low), 0xba, ...le32(high), 0x0f, 0x30];
}

/** MOV EAX, [address] */
function load(address: number): number[] {
  return [0xa1, ...le32(address)];
}

/** MOV [address], EAX */
function store(address: number): number[] {
  return [0xa3, ...le32(address)];
}

/** Run to HLT; the accesses to memory outside RAM: kind, address, size. */
function accesses({ vcpu, bus }: Guest): unknown[] {
  expect(vcpu.run(1000)).toBe('halted');
  return bus.accesses.map(([kind, address, size]) => [kind, address, size]);
}

describe('the time-stamp counter', () => {
  test('goes on from what was written, in all 64 bits', () => {
    const { vcpu } = guest([...wrmsr(MSR_TSC, 0xffffff00, 5), ...Array<number>(0x200).fill(0x90), ...RDTSC, HLT]);
    vcpu.setClock(0, 7_000_000_000, 1024);
    vcpu.run(Infinity);
    // One tick an instruction: WRMSR itself and the NOPs.
    const { eax, edx } = vcpu.getRegisters();
    expect(edx * 2 ** 32 + eax).toBe(5 * 2 ** 32 + 0xffffff00 + 0x200 + 1);
  });

  test('RDMSR and RDTSC show the same one', () => {
    const { vcpu } = guest([...wrmsr(MSR_TSC, 1000), ...RDMSR, 0x89, 0xc3, ...RDTSC, HLT]);
    vcpu.setClock(0, 5_000_000, 1024);
    vcpu.run(Infinity);
    expect(vcpu.getRegisters()).toMatchObject({ ebx: 1001, eax: 1003, edx: 0 });
  });

  test('is that of guest time again after a reset', () => {
    const { vcpu } = guest([...wrmsr(MSR_TSC, 0), HLT]);
    const fresh = guest([HLT]).vcpu;
    vcpu.run(Infinity);
    vcpu.reset();
    fresh.run(Infinity);
    fresh.reset();
    // Byte 624 of a state: what the counter differs by from guest time.
    expect(vcpu.saveState().subarray(624, 640)).toEqual(fresh.saveState().subarray(624, 640));
  });
});

describe('the APIC base', () => {
  test('moves the registers, and leaves nothing where they were', () => {
    const away = 0xfed40000;
    const code = [
      ...wrmsr(MSR_APIC_BASE, away | ENABLED),
      ...load(away + 0x30),
      ...store(away + 0xf0),
      ...load(APIC + 0x30),
    ];
    const found = guest([...code, HLT]);
    expect(accesses(found)).toEqual([
      ['read', APIC + 0x30, 4],
      ['write', APIC + 0xf0, 4],
    ]);
    expect(found.vcpu.getRegisters().eax).toBe(0xffffffff);
  });

  test('without its enable bit takes the APIC away, also from CPUID, until it is set again', () => {
    const off = [...wrmsr(MSR_APIC_BASE, APIC), ...load(APIC + 0x30), ...CPUID_1, 0x89, 0xd6];
    const on = [...wrmsr(MSR_APIC_BASE, APIC | ENABLED), ...load(APIC + 0x30), ...CPUID_1, HLT];
    const found = guest([...off, ...on]);
    expect(accesses(found)).toEqual([
      ['write', APIC + 0xf0, 4], // disabled: all of its interrupts are masked
      ['read', APIC + 0x30, 4],
    ]);
    expect(found.bus.accesses[0]![3]).toBe(0xff);
    const { esi, edx } = found.vcpu.getRegisters();
    expect([esi & CPUID_APIC, edx & CPUID_APIC]).toEqual([0, CPUID_APIC]);
  });

  test('keeps its bootstrap bit', () => {
    const { vcpu } = guest([...wrmsr(MSR_APIC_BASE, APIC | 0x800), ...RDMSR, HLT]);
    vcpu.run(Infinity);
    expect(vcpu.getRegisters()).toMatchObject({ eax: APIC + ENABLED, edx: 0 });
  });

  test('disabling it is done once although what the device answers ends the block', () => {
    const { vcpu, bus } = guest([...wrmsr(MSR_APIC_BASE, APIC), 0x40, HLT]);
    bus.after = () => vcpu.requestExit();
    expect(vcpu.run(Infinity)).toBe('requested');
    expect([vcpu.icount, bus.accesses.length]).toEqual([4, 1]);
    expect(vcpu.run(Infinity)).toBe('halted');
    expect(bus.accesses).toHaveLength(1);
  });
});

test('a saved state carries what was written', () => {
  const code = [
    ...wrmsr(MSR_TSC, 77, 3),
    ...wrmsr(MSR_APIC_BASE, 0xfed40000 | ENABLED),
    ...load(0xfed40020),
    ...RDTSC,
    HLT,
  ];
  const plain = guest(code);
  const moved = guest(code);
  const source = guest(code).vcpu;
  source.run(8);
  moved.vcpu.restoreState(source.saveState());
  expect(accesses(plain)).toEqual(accesses(moved));
  expect(moved.vcpu.saveState()).toEqual(plain.vcpu.saveState());
  const bad = Buffer.from(source.saveState());
  bad.writeUInt32LE(1, 632);
  expect(() => moved.vcpu.restoreState(bad)).toThrow('bad-msr');
});
