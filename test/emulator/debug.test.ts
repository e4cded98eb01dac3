/**
 * Goal: data breakpoints, general detect, ICEBP and single steps of HLT raise #DB where the manual says, with its DR6.
 * Method: programs end in the first exception's handler, which keeps vector, address and DR6; each is run in one go,
 * instruction by instruction, moved to new vcpus on its way, and in the reference mode.
 * Source: Intel SDM volume 3, 17.2, 17.3.1 and 6.8.3; volume 2, INT1 and HLT.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Vcpu } from '../../emulator/vcpu.js';
import { CODE, guestOf, le32, setHandler, STACK } from './guest-code.js';
import { DATA, HANDLERS, HLT } from './run-code.js';

const NOP = 0x90;
const ONES = 0xffff0ff0;
const SINGLE_STEP = 0x4000;
const GENERAL_DETECT = 0x2000;
const WRITE = 1;
const PORT = 2;
const READ_WRITE = 3;
const WITH_ERROR = new Set([13, 14]);

const open: Vcpu[] = [];
afterEach(() => {
  for (const vcpu of open.splice(0)) vcpu.dispose();
});

/** Handlers: mov edi, vector; the error code goes; pop ebp; push ebp; mov eax, dr6; hlt. */
function guest(code: readonly number[], countByInstruction = false): Vcpu {
  const { vcpu } = guestOf(code, { countByInstruction });
  open.push(vcpu);
  for (const vector of [1, 3, 6, 13, 14]) {
    const error = WITH_ERROR.has(vector) ? [0x83, 0xc4, 4] : [];
    const handler = [0xbf, ...le32(vector), ...error, 0x5d, 0x55, 0x0f, 0x21, 0xf0, HLT];
    setHandler(vcpu, vector, HANDLERS + 16 * vector, handler);
  }
  return vcpu;
}

interface Ended {
  readonly vector: number;
  /** The address that was pushed, from `code` on. */
  readonly at: number;
  readonly dr6: number;
}

function finish(vcpu: Vcpu, start: number): Ended & { icount: number } {
  const { edi, ebp, eax } = vcpu.getRegisters();
  return { vector: edi, at: ebp - CODE - start, dr6: (eax & ~ONES) >>> 0, icount: vcpu.icount };
}

/** Run set-up and code in every way; all must end alike. */
function run(setUp: readonly number[], code: readonly number[], edit: (vcpu: Vcpu) => void = () => undefined): Ended {
  const all = [...setUp, ...code];
  const made = (reference = false): Vcpu => {
    const vcpu = guest(all, reference);
    edit(vcpu);
    return vcpu;
  };
  const whole = made();
  expect(whole.run(1000)).toBe('halted');
  const result = finish(whole, setUp.length);
  const reference = made(true);
  expect(reference.run(1000)).toBe('halted');
  expect(finish(reference, setUp.length)).toEqual(result);
  const sliced = made();
  for (let limit = 1; sliced.run(limit) !== 'halted'; limit++) expect(limit).toBeLessThan(1000);
  expect(finish(sliced, setUp.length)).toEqual(result);
  let moved = made();
  for (let limit = 2; moved.run(limit) !== 'halted'; limit += 3) {
    const next = made();
    for (let address = 0; address < 0x12000; address += 4) next.ram.writeU32(address, moved.ram.readU32(address)!);
    next.restoreState(moved.saveState());
    moved = next;
  }
  expect(finish(moved, setUp.length)).toEqual(result);
  const { vector, at, dr6 } = result;
  return { vector, at, dr6 };
}

/** mov eax, address; mov drN, eax; mov eax, ...; mov dr7, eax. The length is that of DR7: bytes less 1. */
function armed(address: number, type: number, length: number, n = 0): number[] {
  const dr7 = 0x400 | (2 << (2 * n)) | ((type | (length << 2)) << (16 + 4 * n));
  return [0xb8, ...le32(address), 0x0f, 0x23, 0xc0 | (n << 3), 0xb8, ...le32(dr7), 0x0f, 0x23, 0xf8];
}

/** ModRM for an absolute address, and the address. */
const at = (digit: number, address: number): number[] => [(digit << 3) | 5, ...le32(address)];

describe('data breakpoints', () => {
  test.each([
    ['mov [d], eax', [0x89, ...at(0, DATA)], READ_WRITE, 3],
    ['mov [d], eax, write', [0x89, ...at(0, DATA)], WRITE, 3],
    ['mov eax, [d]', [0x8b, ...at(0, DATA)], READ_WRITE, 3],
    ['a byte of it', [0xc6, ...at(0, DATA + 2), 7], WRITE, 3],
    ['an access that begins before it', [0x89, ...at(0, DATA - 3)], WRITE, 0],
    ['add [d], eax, write', [0x01, ...at(0, DATA)], WRITE, 1],
    ['xchg [d], eax', [0x87, ...at(0, DATA)], WRITE, 3],
    ['cmpxchg8b [d]', [0x0f, 0xc7, ...at(1, DATA - 4)], WRITE, 3],
    ['fstp tbyte [d]', [0xdd, ...at(3, DATA - 4)], WRITE, 3],
    ['pop dword [d]', [0x8f, ...at(0, DATA)], WRITE, 3],
    ['mov eax, cs:[d]', [0x2e, 0x8b, ...at(0, DATA)], READ_WRITE, 3],
  ] as const)('%s', (_name, code, type, length) => {
    const ended = run(armed(DATA, type, length, 2), [NOP, ...code, NOP, NOP]);
    expect(ended).toEqual({ vector: 1, at: 1 + code.length, dr6: 4 });
  });

  test.each([
    ['a read, write only', [0x8b, ...at(0, DATA)], WRITE, 3],
    ['the byte before', [0xc6, ...at(0, DATA - 1), 7], READ_WRITE, 3],
    ['the byte behind', [0xc6, ...at(0, DATA + 4), 7], READ_WRITE, 3],
    ['beyond a length of 1', [0xc6, ...at(0, DATA + 1), 7], READ_WRITE, 0],
  ] as const)('do not meet %s', (_name, code, type, length) => {
    expect(run(armed(DATA, type, length), [...code, 0xcc])).toMatchObject({ vector: 3 });
  });

  test('a call and a push of the stack, several at once, a pass of REP', () => {
    expect(run(armed(STACK - 4, WRITE, 3), [0xe8, ...le32(2), NOP, NOP, NOP])).toEqual({ vector: 1, at: 7, dr6: 1 });
    // DR1 with 4 bytes and DR3 with one, at the same place.
    const third = [0xb8, ...le32(DATA), 0x0f, 0x23, 0xd8]; // mov eax, d; mov dr3, eax
    const both = [...armed(DATA, WRITE, 3, 1), ...third, 0xb8, ...le32(0x10d00488), 0x0f, 0x23, 0xf8];
    expect(run(both, [0xc6, ...at(0, DATA), 7, NOP])).toEqual({ vector: 1, at: 7, dr6: 10 });
    // A far call, whose second push is that of EIP, and INT3, whose trap is at its handler's first instruction.
    const far = [0x9a, ...le32(CODE), 8, 0];
    const begin = -armed(0, 0, 0).length;
    expect(run(armed(STACK - 8, WRITE, 3), far)).toEqual({ vector: 1, at: begin, dr6: 1 });
    const handler = HANDLERS + 48 - CODE + begin;
    expect(run(armed(STACK - 4, WRITE, 3), [0xcc])).toEqual({ vector: 1, at: handler, dr6: 1 });
    const rep = [0xbe, ...le32(DATA + 64), 0xbf, ...le32(DATA - 2), 0xb9, ...le32(5)];
    const stopped = guest([...rep, ...armed(DATA, WRITE, 0), 0xf3, 0xa4, NOP]);
    expect(stopped.run(1000)).toBe('halted');
    // The third pass wrote there; the instruction is pushed, for two more.
    expect([stopped.getRegisters().ecx, finish(stopped, 0).at]).toEqual([2, rep.length + armed(0, 0, 0).length]);
  });

  test('an instruction that faults after meeting one has not met it', () => {
    // add [20000h], eax: the page may be read and not written
    const paged = (vcpu: Vcpu): void => {
      vcpu.ram.writeU32(0x10000, 0x11003);
      for (let page = 0; page < 1024; page++)
        vcpu.ram.writeU32(0x11000 + 4 * page, (page << 12) | (page === 0x20 ? 1 : 3));
      vcpu.setRegisters({ ...vcpu.getRegisters(), cr3: 0x10000, cr0: 0x80010011 });
    };
    const ended = run(armed(0x20000, READ_WRITE, 3), [0x01, ...at(0, 0x20000), NOP], paged);
    expect(ended).toEqual({ vector: 14, at: 0, dr6: 0 });
  });

  test('MOV SS holds the trap back for one instruction, which may be INT3 or ICEBP', () => {
    const load = [0x8e, ...at(2, DATA)]; // mov ss, [d]
    const stack = (vcpu: Vcpu): void => {
      vcpu.ram.writeU32(DATA, 0x10);
    };
    expect(run(armed(DATA, READ_WRITE, 1), [...load, NOP, NOP], stack)).toEqual({ vector: 1, at: 7, dr6: 1 });
    expect(run(armed(DATA, READ_WRITE, 1), [...load, 0xf1, NOP], stack)).toEqual({ vector: 1, at: 7, dr6: 1 });
    // At the first instruction of INT3's handler.
    const begin = HANDLERS + 48 - CODE - armed(0, 0, 0).length;
    expect(run(armed(DATA, READ_WRITE, 1), [...load, 0xcc, NOP], stack)).toEqual({ vector: 1, at: begin, dr6: 1 });
  });

  test('MOV SS holds back an instruction breakpoint on the next one: only its own trap comes', () => {
    const load = [0x8e, ...at(2, DATA)];
    const stack = (vcpu: Vcpu): void => {
      vcpu.ram.writeU32(DATA, 0x10);
    };
    const length = armed(0, 0, 0).length;
    const next = [0xb8, ...le32(CODE + length + 16 + load.length), 0x0f, 0x23, 0xc8]; // mov eax, ...; mov dr1, eax
    const both = [...armed(DATA, READ_WRITE, 1), ...next, 0xb8, ...le32(0x7040a), 0x0f, 0x23, 0xf8];
    expect(run(both, [...load, NOP, NOP], stack)).toEqual({ vector: 1, at: load.length + 1, dr6: 1 });
  });

  test('a single step at the same instruction is one exception', () => {
    const step = [0x9c, 0x81, 0x0c, 0x24, ...le32(0x100), 0x9d]; // pushf; or dword [esp], 100h; popf
    const store = [0x89, ...at(0, DATA)];
    const ended = run([...armed(DATA, WRITE, 3), ...step], [...store, NOP]);
    expect(ended).toEqual({ vector: 1, at: store.length, dr6: SINGLE_STEP | 1 });
  });

  test('a port, with CR4.DE', () => {
    const setUp = [0xb8, 8, 0, 0, 0, 0x0f, 0x22, 0xe0, ...armed(0x44, PORT, 0)]; // mov eax, 8; mov cr4, eax
    expect(run(setUp, [0xe6, 0x45, 0xe4, 0x44, NOP])).toEqual({ vector: 1, at: 4, dr6: 1 });
  });
});

describe('instruction breakpoints', () => {
  const length = armed(0, 0, 0).length + 2; // with mov eax, ss
  /** `code` with a breakpoint on the byte at `offset`, and INT3 behind it. */
  const broken = (offset: number, code: readonly number[]): Ended =>
    run([...armed(CODE + length + offset, 0, 0, 1), 0x8c, 0xd0], [...code, 0xcc]);

  test.each([
    ['MOV SS', [0x8e, 0xd0]],
    ['MOV SS with a prefix', [0x66, 0x8e, 0xd0]],
    ['POP SS', [0x16, 0x17]], // behind push ss
  ] as const)('do not meet the instruction behind %s', (_name, code) => {
    const begin = code.length;
    expect(broken(begin, [...code, NOP, NOP])).toEqual({ vector: 3, at: begin + 3, dr6: 0 });
    expect(broken(begin, [...code, 0xeb, 0, NOP])).toEqual({ vector: 3, at: begin + 4, dr6: 0 });
    expect(broken(begin + 1, [...code, NOP, NOP])).toEqual({ vector: 1, at: begin + 1, dr6: 2 });
    expect(broken(0, [...code, NOP])).toEqual({ vector: 1, at: 0, dr6: 2 });
  });

  test.each([
    ['STI', [0xfb]],
    ['MOV DS', [0x8e, 0xd8]],
    ['LSS', [0x0f, 0xb2, ...at(0, DATA)]],
  ] as const)('meet the instruction behind %s', (_name, code) => {
    const stack = (vcpu: Vcpu): void => {
      vcpu.ram.writeU32(DATA, STACK);
      vcpu.ram.writeU32(DATA + 4, 0x10);
    };
    const setUp = [...armed(CODE + length + code.length, 0, 0, 1), 0x8c, 0xd0];
    expect(run(setUp, [...code, NOP, 0xcc], stack)).toEqual({ vector: 1, at: code.length, dr6: 2 });
  });

  test('RF, which does that, is in no flags that the guest sees', () => {
    // mov eax, ss; mov ss, eax; pushf; pop ebx; mov ss, eax; int3
    const vcpu = guest([0x8c, 0xd0, 0x8e, 0xd0, 0x9c, 0x5b, 0x8e, 0xd0, 0xcc]);
    expect(vcpu.run(1000)).toBe('halted');
    const { ebx, esp } = vcpu.getRegisters();
    expect([ebx & 0x10000, vcpu.ram.readU32(esp + 8)! & 0x10000]).toEqual([0, 0]);
  });
});

describe('debug registers', () => {
  const detecting = [0xb8, ...le32(0x2400), 0x0f, 0x23, 0xf8]; // mov eax, 2400h; mov dr7, eax

  test.each([
    ['written', [0x0f, 0x23, 0xc8]],
    ['read', [0x0f, 0x21, 0xfb]],
  ])('are guarded by DR7.GD: %s; the handler may use them', (_name, code) => {
    expect(run(detecting, [NOP, ...code])).toEqual({ vector: 1, at: 1, dr6: GENERAL_DETECT });
  });
});

describe('ICEBP', () => {
  test('is a trap without a cause in DR6, whatever its prefixes', () => {
    expect(run([], [NOP, 0xf1, NOP])).toEqual({ vector: 1, at: 2, dr6: 0 });
    expect(run([], [0x2e, 0x66, 0xf1, NOP])).toEqual({ vector: 1, at: 3, dr6: 0 });
    expect(run([], [0xf0, 0xf1, NOP])).toMatchObject({ vector: 6, at: 0 });
  });

  test('asks for no privilege, as INT 1 does', () => {
    // A gate for ring 0 only; to ring 3 by IRET.
    const closed = (vcpu: Vcpu): void => {
      vcpu.ram.writeU32(0x3000 + 12, (HANDLERS & 0xffff0000) | 0x8e00);
    };
    const toUser = [0x6a, 0x23, 0x68, ...le32(STACK - 0x1000), 0x6a, 2, 0x6a, 0x1b, 0x68, ...le32(CODE + 17), 0xcf];
    expect(toUser.length).toBe(17);
    expect(run(toUser, [0xf1, NOP], closed)).toEqual({ vector: 1, at: 1, dr6: 0 });
    expect(run(toUser, [0xcd, 1, NOP], closed)).toMatchObject({ vector: 13, at: 0 });
  });
});

test('a single step of HLT ends the halt', () => {
  const step = [0x9c, 0x81, 0x0c, 0x24, ...le32(0x100), 0x9d];
  expect(run(step, [HLT, NOP])).toEqual({ vector: 1, at: 1, dr6: SINGLE_STEP });
});
