/**
 * Goal: run() stops exactly where it was asked to, for every reason there is, and the bus sees exact icounts.
 * Method: small programs run whole, stopped at every icount, and stopped from inside bus callbacks; the
 * per-instruction reference mode gives the expected values.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { InvariantError } from '../../emulator/errors.js';
import type { Vcpu } from '../../emulator/vcpu.js';
import { BUSY_LOOP, CODE, guestOf, le32, setHandler, type Guest } from './guest-code.js';

const open: Vcpu[] = [];
function guest(...parameters: Parameters<typeof guestOf>): Guest {
  const made = guestOf(...parameters);
  open.push(made.vcpu);
  return made;
}
afterEach(() => {
  for (const vcpu of open.splice(0)) vcpu.dispose();
});

function answering(parameters: Parameters<typeof guestOf>): Guest {
  const made = guest(...parameters);
  made.bus.answer = (address, size) => (address * 2654435761 + size + made.vcpu.icount) >>> 0;
  return made;
}

describe('stopping', () => {
  test('the busy loop ends in HLT with the icount of the reference mode', () => {
    const fast = answering([BUSY_LOOP]);
    const slow = answering([BUSY_LOOP, { countByInstruction: true }]);
    expect(fast.vcpu.run(Infinity)).toBe('halted');
    expect(slow.vcpu.run(Infinity)).toBe('halted');
    expect(fast.vcpu.icount).toBe(slow.vcpu.icount);
    expect(fast.bus.accesses).toEqual(slow.bus.accesses);
    expect(fast.vcpu.ramDigest()).toEqual(slow.vcpu.ramDigest());
    expect(fast.vcpu.saveState()).toEqual(slow.vcpu.saveState());
  });

  test('stops at every single icount with the state of the reference mode', () => {
    const whole = answering([BUSY_LOOP]);
    whole.vcpu.run(Infinity);
    const total = whole.vcpu.icount;
    const stepped = answering([BUSY_LOOP]);
    const reference = answering([BUSY_LOOP, { countByInstruction: true }]);
    for (let at = 1; at < total; at++) {
      expect(stepped.vcpu.run(at)).toBe('target');
      expect(reference.vcpu.run(at)).toBe('target');
      expect(stepped.vcpu.icount).toBe(at);
      expect(stepped.vcpu.getRegisters()).toEqual(reference.vcpu.getRegisters());
    }
    expect(stepped.vcpu.run(total)).toBe('halted');
    expect(stepped.bus.accesses).toEqual(whole.bus.accesses);
    expect(stepped.vcpu.saveState()).toEqual(whole.vcpu.saveState());
  });

  test('a run whose target is already reached does nothing', () => {
    const { vcpu } = guest([0x40, 0x40, 0xf4]);
    expect(vcpu.run(0)).toBe('target');
    expect(vcpu.run(1)).toBe('target');
    expect(vcpu.run(1)).toBe('target');
    expect(vcpu.icount).toBe(1);
  });

  test('HLT stays halted until an interrupt is injected', () => {
    const { vcpu } = guest([0xfb, 0xf4, 0x40, 0xf4]); // sti; hlt; inc eax; hlt
    setHandler(vcpu, 0x20, 0x1800, [0xcf]); // iret
    expect(vcpu.run(100)).toBe('halted');
    expect(vcpu.icount).toBe(2);
    expect(vcpu.halted).toBe(true);
    expect(vcpu.run(100)).toBe('halted');
    vcpu.setIrqPending(true);
    expect(vcpu.run(100)).toBe('irq-window');
    expect(vcpu.inject(0x20)).toBe(true);
    vcpu.setIrqPending(false);
    expect(vcpu.halted).toBe(false);
    expect(vcpu.run(100)).toBe('halted');
    expect(vcpu.icount).toBe(5); // sti hlt iret inc hlt
    expect(vcpu.getRegisters().eax).toBe(1);
  });

  test('an interrupt waits for IF and for the shadow of STI and MOV SS', () => {
    // inc eax; sti; mov eax, ss; mov ss, ax; inc eax; inc eax; hlt
    const { vcpu } = guest([0x40, 0xfb, 0x8c, 0xd0, 0x8e, 0xd0, 0x40, 0x40, 0xf4]);
    vcpu.setIrqPending(true);
    expect(vcpu.irqWindow).toBe(false);
    expect(vcpu.run(100)).toBe('irq-window');
    expect(vcpu.icount).toBe(3); // after the instruction behind STI
    expect(vcpu.irqWindow).toBe(true);
    vcpu.setIrqPending(false);
    vcpu.run(4);
    vcpu.setIrqPending(true);
    expect(vcpu.irqWindow).toBe(false); // MOV SS
    expect(vcpu.run(100)).toBe('irq-window');
    expect(vcpu.icount).toBe(5);
  });

  test('REP counts one instruction a pass', () => {
    const { vcpu } = guest([0xb9, ...le32(1000), 0xbf, ...le32(0x6000), 0xf3, 0xaa, 0xf4]); // rep stosb
    expect(vcpu.run(502)).toBe('target');
    expect(vcpu.getRegisters().ecx).toBe(500);
    expect(vcpu.run(Infinity)).toBe('halted');
    const counted = vcpu.icount;
    const { vcpu: reference } = guest([0xb9, ...le32(1000), 0xbf, ...le32(0x6000), 0xf3, 0xaa, 0xf4], {
      countByInstruction: true,
    });
    reference.run(Infinity);
    expect(counted).toBe(reference.icount);
    expect([1003, 1004]).toContain(counted); // with or without the pass that finds ECX = 0
  });

  test('a fault while delivering a fault ends in a triple fault, and stays there', () => {
    const { vcpu } = guest([0x0f, 0x0b]); // ud2, all gates absent
    expect(vcpu.run(100)).toBe('triple-fault');
    expect(vcpu.run(100)).toBe('triple-fault');
    vcpu.reset();
    expect(vcpu.getRegisters().eip).toBe(0xfff0);
  });

  test('a handler that faults at once for ever is a shutdown, not a hang', () => {
    const { vcpu } = guest([0x0f, 0x0b]);
    setHandler(vcpu, 6, 0x1800, [0x0f, 0x0b]);
    expect(vcpu.run(1000)).toBe('triple-fault');
    expect(vcpu.icount).toBe(0);
  });
});

describe('the bus', () => {
  test('ports of all sizes, with the icount before the instruction', () => {
    // in al,10h; in ax,10h; in eax,10h; out 11h,al; out 11h,ax; out 11h,eax; hlt
    const { vcpu, bus } = guest([
      0xe4, 0x10, 0x66, 0xe5, 0x10, 0xe5, 0x10, 0xe6, 0x11, 0x66, 0xe7, 0x11, 0xe7, 0x11, 0xf4,
    ]);
    const answers = [0x1ab, 0x12345, 0x89abcdef];
    bus.answer = () => answers.shift()!;
    vcpu.run(Infinity);
    expect(bus.accesses).toEqual([
      ['in', 0x10, 1, 0, 0],
      ['in', 0x10, 2, 0, 1],
      ['in', 0x10, 4, 0, 2],
      ['out', 0x11, 1, 0xef, 3],
      ['out', 0x11, 2, 0xcdef, 4],
      ['out', 0x11, 4, 0x89abcdef, 5],
    ]);
  });

  test('memory outside RAM and in the hole goes to the bus, 8 bytes as two times 4, low first', () => {
    // mov al,[A0000h]; mov [BFFFEh],ax; mov eax,[E0000000h]; movq mm0,[F0000000h]; movq [400000h],mm0; hlt
    const { vcpu, bus } = guest([
      ...[0xa0, ...le32(0xa0000), 0x66, 0xa3, ...le32(0xbfffe), 0xa1, ...le32(0xe0000000)],
      ...[0x0f, 0x6f, 0x05, ...le32(0xf0000000), 0x0f, 0x7f, 0x05, ...le32(0x400000), 0xf4],
    ]);
    bus.answer = (address) => address >>> 0;
    vcpu.run(Infinity);
    expect(bus.accesses).toEqual([
      ['read', 0xa0000, 1, 0, 0],
      ['write', 0xbfffe, 2, 0, 1],
      ['read', 0xe0000000, 4, 0, 2],
      ['read', 0xf0000000, 4, 0, 3],
      ['read', 0xf0000004, 4, 0, 3],
      ['write', 0x400000, 4, 0xf0000000, 4],
      ['write', 0x400004, 4, 0xf0000004, 4],
    ]);
  });

  test('a string instruction to ports is one access a pass', () => {
    const { vcpu, bus } = guest([0xb9, 3, 0, 0, 0, 0xbe, ...le32(CODE), 0xba, 0x20, 0, 0, 0, 0xf3, 0x6e, 0xf4]); // rep outsb
    vcpu.run(Infinity);
    expect(bus.accesses.map(([kind, port, size, value]) => [kind, port, size, value])).toEqual([
      ['out', 0x20, 1, 0xb9],
      ['out', 0x20, 1, 3],
      ['out', 0x20, 1, 0],
    ]);
  });

  test('requestExit takes effect right after the instruction, in the middle of a block', () => {
    const { vcpu, bus } = guest([0x40, 0xe7, 0x11, 0x40, 0x40, 0xf4]); // inc; out; inc; inc; hlt
    bus.after = () => vcpu.requestExit();
    expect(vcpu.run(Infinity)).toBe('requested');
    expect(vcpu.icount).toBe(2);
    expect(bus.accesses.length).toBe(1);
    expect(vcpu.run(Infinity)).toBe('halted');
    expect(vcpu.getRegisters().eax).toBe(3);
  });

  test('lowerTarget never cuts the current instruction and never raises the target', () => {
    const code = [0x40, 0xe7, 0x11, ...Array<number>(20).fill(0x40), 0xf4];
    for (const [asked, stopped] of [
      [0, 2],
      [2, 2],
      [3, 3],
      [10, 10],
      [500, 15],
    ] as const) {
      const { vcpu, bus } = guest(code);
      bus.after = () => vcpu.lowerTarget(asked);
      expect(vcpu.run(15)).toBe('target');
      expect(vcpu.icount).toBe(stopped);
    }
  });

  test('an interrupt raised by an access is taken right after the instruction', () => {
    const { vcpu, bus } = guest([0xfb, 0x40, 0x40, 0xe7, 0x11, 0x40, 0x40, 0xf4]);
    bus.after = () => vcpu.setIrqPending(true);
    expect(vcpu.run(Infinity)).toBe('irq-window');
    expect(vcpu.icount).toBe(4);
  });

  test('what a callback throws comes out of run(), and the vcpu can go on', () => {
    const { vcpu, bus } = guest([0x40, 0xe5, 0x11, 0x40, 0xf4]);
    bus.after = () => {
      throw new InvariantError('from the device');
    };
    expect(() => vcpu.run(Infinity)).toThrow(new InvariantError('from the device'));
    expect(vcpu.icount).toBe(2); // the instruction completed, reading open bus
    expect(vcpu.getRegisters().eax).toBe(0xffffffff);
    bus.after = () => undefined;
    expect(vcpu.run(Infinity)).toBe('halted');
  });

  test('a read callback that returns no number is an error', () => {
    const { vcpu, bus } = guest([0xe5, 0x11, 0xf4]);
    bus.answer = () => undefined as unknown as number;
    expect(() => vcpu.run(Infinity)).toThrow('did not return a number');
  });

  test('run() and other outside functions are refused inside a callback', () => {
    const { vcpu, bus } = guest([0xe7, 0x11, 0xf4]);
    for (const forbidden of [() => vcpu.run(5), () => vcpu.saveState(), () => vcpu.ramDigest(), () => vcpu.dispose()]) {
      bus.after = forbidden;
      vcpu.setRegisters({ ...vcpu.getRegisters(), eip: CODE });
      expect(() => vcpu.run(Infinity)).toThrow('not allowed inside a bus callback');
    }
  });
});

describe('time', () => {
  test('RDTSC and RDMSR 10h show guest time at the instruction', () => {
    // rdtsc; mov ebx,eax; mov ecx,10h; rdmsr; mov esi,eax; rdtsc; hlt
    const { vcpu } = guest([
      ...[0x0f, 0x31, 0x89, 0xc3, 0xb9, 0x10, 0, 0, 0, 0x0f, 0x32],
      ...[0x89, 0xc6, 0x0f, 0x31, 0xf4],
    ]);
    vcpu.setClock(0, 5_000_000_000, 1500);
    vcpu.run(Infinity);
    const { eax, edx, ebx, esi } = vcpu.getRegisters();
    const at = (icount: number): number => 5_000_000_000 + Math.floor((icount * 1500) / 1024);
    expect(ebx).toBe(at(0) % 2 ** 32);
    expect(esi).toBe(at(3) % 2 ** 32);
    expect(edx * 2 ** 32 + eax).toBe(at(5));
  });
});
