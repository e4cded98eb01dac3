/**
 * Goal: dirty pages, digests, A20, host writes into code and self-modifying code are exact.
 * Method: small programs whose written pages are known; digests compared with those of fresh machines.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { hashBytes, type Vcpu } from '../../emulator/vcpu.js';
import { CODE, flatRegisters, guestOf, le32, RAM_BYTES, setHandler, type Guest } from './guest-code.js';

const open: Vcpu[] = [];
function guest(...parameters: Parameters<typeof guestOf>): Guest {
  const made = guestOf(...parameters);
  open.push(made.vcpu);
  return made;
}
afterEach(() => {
  for (const vcpu of open.splice(0)) vcpu.dispose();
});

function pages(vcpu: Vcpu, consumer = 1): number[] {
  return [...vcpu.collectDirty(consumer)];
}

describe('dirty pages', () => {
  test('reading leaves a page clean, writing marks it, also after it was read or collected', () => {
    // mov eax,[5000h]; mov [5000h],eax; mov [5004h],eax; hlt
    const { vcpu } = guest([0xa1, ...le32(0x5000), 0xa3, ...le32(0x5000), 0xa3, ...le32(0x5004), 0xf4]);
    expect(pages(vcpu)).toEqual([1, 2, 4]); // what the test itself wrote
    vcpu.run(1);
    expect(pages(vcpu)).toEqual([]);
    vcpu.run(2);
    expect(pages(vcpu)).toEqual([5]);
    expect(pages(vcpu)).toEqual([]);
    vcpu.run(3);
    expect(pages(vcpu)).toEqual([5]);
  });

  test('each consumer has its own view, and the digest is another', () => {
    const { vcpu } = guest([0xa3, ...le32(0x5000), 0xa3, ...le32(0x6000), 0xf4]);
    for (const consumer of [1, 2, 6]) pages(vcpu, consumer);
    vcpu.run(1);
    expect(pages(vcpu, 1)).toEqual([5]);
    vcpu.ramDigest();
    vcpu.run(2);
    expect(pages(vcpu, 1)).toEqual([6]);
    expect(pages(vcpu, 2)).toEqual([5, 6]);
    expect(pages(vcpu, 6)).toEqual([5, 6]);
    expect(() => vcpu.collectDirty(0)).toThrow('consumers');
    expect(() => vcpu.collectDirty(7)).toThrow('consumers');
  });

  test('what was ever written is known, whoever collected it', () => {
    const { vcpu } = guest([0xa1, ...le32(0x5000), 0xa3, ...le32(0x6000), 0xf4]);
    expect([...vcpu.writtenPages()]).toEqual([1, 2, 4]);
    pages(vcpu);
    vcpu.ramDigest();
    vcpu.run(2);
    vcpu.ram.write(0x8ffe, Uint8Array.of(0, 0, 0));
    pages(vcpu);
    expect([...vcpu.writtenPages()]).toEqual([1, 2, 4, 6, 8, 9]);
  });

  test('accessed and dirty bits set by page walks mark the page tables, host writes mark theirs', () => {
    const { vcpu } = guest([0xa1, ...le32(0x20000), 0xf4]);
    vcpu.ram.writeU32(0x10000, 0x11007);
    for (let page = 0; page < 1024; page++) vcpu.ram.writeU32(0x11000 + 4 * page, (page << 12) | 7);
    vcpu.setRegisters({ ...vcpu.getRegisters(), cr3: 0x10000, cr0: 0x80010011 });
    pages(vcpu);
    vcpu.run(1);
    expect(pages(vcpu)).toEqual([0x10, 0x11]);
    expect(vcpu.ram.readU32(0x11000 + 4 * 0x20)).toBe(0x20027);
    vcpu.ram.write(0x2fff, Uint8Array.of(1, 2));
    expect(pages(vcpu)).toEqual([2, 3]);
  });

  /** What a directory entry and its only table entry are after MOV EAX, [800000h] or MOV [800000h], EAX in ring 0. */
  function entries(opcode: number, directory: number, table: number): readonly unknown[] {
    const { vcpu } = guest([opcode, ...le32(0x800000), 0xf4]);
    const tables = 0x10000;
    vcpu.ram.writeU32(tables, 0x11007);
    for (let page = 0; page < 1024; page++) vcpu.ram.writeU32(0x11000 + 4 * page, (page << 12) | 7);
    vcpu.ram.writeU32(tables + 8, 0x12000 | directory);
    vcpu.ram.writeU32(0x12000, 0x20000 | table);
    setHandler(vcpu, 14, 0x5000, [0xf4]);
    vcpu.setRegisters({ ...vcpu.getRegisters(), cr3: tables, cr0: 0x80010011 });
    expect(vcpu.run(100)).toBe('halted');
    const faulted = vcpu.getRegisters().eip === 0x5001;
    return [faulted, vcpu.ram.readU32(tables + 8)! & 0xfff, vcpu.ram.readU32(0x12000)! & 0xfff];
  }

  test('a page walk that ends in a fault sets no bits, one that finds its page sets those of all levels', () => {
    expect(entries(0xa1, 3, 2)).toEqual([true, 3, 2]);
    expect(entries(0xa3, 3, 2)).toEqual([true, 3, 2]);
    expect(entries(0xa1, 2, 3)).toEqual([true, 2, 3]);
    expect(entries(0xa3, 3, 1)).toEqual([true, 3, 1]); // read-only, CR0.WP
    expect(entries(0xa1, 3, 1)).toEqual([false, 0x23, 0x21]);
    expect(entries(0xa3, 3, 3)).toEqual([false, 0x23, 0x63]);
  });
});

describe('digests', () => {
  test('equal RAM gives equal digests, whatever its history; one bit makes another', () => {
    const a = guest([0xf4]).vcpu;
    const b = guest([0xf4]).vcpu;
    b.ramDigest();
    b.ram.write(0x300000, Uint8Array.of(1));
    expect(b.ramDigest()).not.toEqual(a.ramDigest());
    b.ram.write(0x300000, Uint8Array.of(0));
    expect(b.ramDigest()).toEqual(a.ramDigest());
    expect(a.ramDigest().length).toBe(16);
  });

  test('swapping two pages changes the digest', () => {
    const a = guest([0xf4]).vcpu;
    const b = guest([0xf4]).vcpu;
    a.ram.write(0x200000, Uint8Array.of(7));
    b.ram.write(0x201000, Uint8Array.of(7));
    expect(a.ramDigest()).not.toEqual(b.ramDigest());
  });

  test('a digest does not disturb the guest', () => {
    const code = [0xb9, ...le32(3000), 0xff, 0x04, 0x8d, ...le32(0x20000), 0xe2, 0xf7, 0xf4]; // inc [20000h+4ecx]; loop
    const quiet = guest(code).vcpu;
    const digested = guest(code).vcpu;
    quiet.run(Infinity);
    for (let at = 10; digested.run(at) === 'target'; at += 10) digested.ramDigest();
    expect(digested.icount).toBe(quiet.icount);
    expect(digested.ramDigest()).toEqual(quiet.ramDigest());
  });

  test('hashBytes depends on every byte and on the length', () => {
    const seen = new Set<string>();
    for (let length = 0; length < 70; length++) {
      const zeroes = new Uint8Array(length);
      seen.add(Buffer.from(hashBytes(zeroes)).toString('hex'));
      for (let i = 0; i < length; i++) {
        const one = zeroes.slice();
        one[i] = 1;
        seen.add(Buffer.from(hashBytes(one)).toString('hex'));
      }
    }
    expect(seen.size).toBe(70 + (69 * 70) / 2);
    expect(Buffer.from(hashBytes(Buffer.from('hello'))).toString('hex')).toBe('04fec4396a3072b065effed4567a298e');
  });
});

describe('code', () => {
  test('a host write replaces translated code', () => {
    const { vcpu } = guest([0x40, 0xeb, 0xfd]); // inc eax; jmp back
    vcpu.run(1000);
    vcpu.ram.write(CODE, Uint8Array.of(0x4b)); // dec ebx
    vcpu.run(2000);
    expect(vcpu.getRegisters()).toMatchObject({ eax: 500, ebx: -500 >>> 0 });
  });

  test('DMA inside a callback replaces the rest of the running block', () => {
    for (const countByInstruction of [false, true]) {
      const { vcpu, bus } = guest([0x40, 0xe7, 0x11, 0x40, 0x40, 0xf4], { countByInstruction });
      bus.after = () => expect(vcpu.ram.write(CODE + 3, Uint8Array.of(0x4b))).toBe(true);
      expect(vcpu.run(Infinity)).toBe('halted');
      expect(vcpu.getRegisters()).toMatchObject({ eax: 2, ebx: 0xffffffff });
      expect(bus.accesses.length).toBe(1);
      expect(vcpu.icount).toBe(5);
    }
  });

  test('a store ahead in the same block is executed as modified, and counted right', () => {
    const code = [0xc6, 0x05, ...le32(CODE + 8), 0x4b, 0x40, 0x40, 0xf4]; // mov byte [second inc],4bh; inc; inc; hlt
    const fast = guest(code).vcpu;
    const slow = guest(code, { countByInstruction: true }).vcpu;
    for (const vcpu of [fast, slow]) {
      expect(vcpu.run(Infinity)).toBe('halted');
      expect(vcpu.icount).toBe(4);
      expect(vcpu.getRegisters()).toMatchObject({ eax: 1, ebx: 0xffffffff });
    }
  });
});

describe('A20', () => {
  test('off: addresses wrap at 1 MiB', () => {
    const { vcpu } = guest([0xa0, ...le32(0x100000), 0xa2, ...le32(0x5000), 0xf4]);
    vcpu.ram.write(0, Uint8Array.of(0x11));
    vcpu.ram.write(0x100000, Uint8Array.of(0x22));
    vcpu.setA20(false);
    vcpu.run(Infinity);
    expect(vcpu.ram.readU8(0x5000)).toBe(0x11);
  });

  test('set inside a callback it takes effect exactly after the instruction', () => {
    // out 92h,al; mov al,[100000h]; mov [5000h],al; out; mov al,[100000h]; mov [5001h],al; hlt
    const read = (to: number): number[] => [0xa0, ...le32(0x100000), 0xa2, ...le32(to)];
    const code = [0xe6, 0x92, ...read(0x5000), 0xe6, 0x92, ...read(0x5001), 0xf4];
    for (const countByInstruction of [false, true]) {
      const { vcpu, bus } = guest(code, { countByInstruction });
      let on = true;
      bus.after = () => vcpu.setA20((on = !on));
      vcpu.ram.write(0, Uint8Array.of(0x11));
      vcpu.ram.write(0x100000, Uint8Array.of(0x22));
      expect(vcpu.run(Infinity)).toBe('halted');
      expect(vcpu.ram.readU16(0x5000)).toBe(0x2211);
      expect(vcpu.icount).toBe(7);
    }
  });
});

describe('reset', () => {
  test('a reset leaves nothing of the processor behind, and RAM as it is', () => {
    const used = guest([0xdb, 0xe3, 0xd9, 0xe8, 0x0f, 0x23, 0xc0, 0x0f, 0x22, 0xd0, 0xf4]).vcpu; // fpu, dr0, cr2
    const fresh = guest([]).vcpu;
    used.run(Infinity);
    used.reset();
    fresh.reset();
    expect(used.getRegisters()).toEqual(fresh.getRegisters());
    const state = used.saveState();
    Buffer.from(fresh.saveState()).copy(state, 24, 24, 32); // the icount stays
    expect(state).toEqual(fresh.saveState());
    expect(used.ram.readU8(CODE)).toBe(0xdb);
    expect(flatRegisters(used).eip).toBe(CODE);
    expect(used.ram.bytes).toBe(RAM_BYTES);
  });
});
