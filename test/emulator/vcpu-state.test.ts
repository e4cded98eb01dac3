/**
 * Goal: a saved state continues identically anywhere, is byte for byte the same wherever it is made, and
 * damaged bytes are refused by name without harm.
 * Method: save at every icount, go on in a fresh vcpu; two child processes with different slicing; every
 * truncation and every bit of a state; interleaved vcpus; two worker threads.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from '@jest/globals';
import { DecodeError } from '../../emulator/errors.js';
import { Vcpu } from '../../emulator/vcpu.js';
import { BUSY_LOOP, guestOf, le32, RAM_BYTES, RecordingBus, type Guest } from './guest-code.js';

const ADDON = fileURLToPath(new URL('../../build/native/ft86.node', import.meta.url));
const open: Vcpu[] = [];
function track<T extends { vcpu: Vcpu }>(made: T): T {
  open.push(made.vcpu);
  return made;
}
function busy(): Guest {
  const made = track(guestOf(BUSY_LOOP));
  made.bus.answer = (address, size) => (address * 2654435761 + size + made.vcpu.icount) >>> 0;
  return made;
}
function empty(): Guest {
  const bus = new RecordingBus();
  const vcpu = new Vcpu({ ramBytes: RAM_BYTES, bus });
  bus.vcpu = vcpu;
  bus.answer = (address, size) => (address * 2654435761 + size + vcpu.icount) >>> 0;
  return track({ vcpu, bus });
}
function copyRam(from: Vcpu, to: Vcpu): void {
  to.ram.write(0, from.ram.read(0, 0xa0000)!);
  to.ram.write(0xc0000, from.ram.read(0xc0000, RAM_BYTES - 0xc0000)!);
}
afterEach(() => {
  for (const vcpu of open.splice(0)) vcpu.dispose();
});

describe('save and restore', () => {
  test('continues identically from any icount', () => {
    const whole = busy().vcpu;
    whole.run(Infinity);
    const source = busy().vcpu;
    for (let at = 7; source.run(at) === 'target'; at += 61) {
      const { vcpu } = empty();
      vcpu.restoreState(source.saveState());
      copyRam(source, vcpu);
      expect(vcpu.icount).toBe(at);
      expect(vcpu.saveState()).toEqual(source.saveState());
      expect(vcpu.run(Infinity)).toBe('halted');
      expect(vcpu.saveState()).toEqual(whole.saveState());
      expect(vcpu.ramDigest()).toEqual(whole.ramDigest());
    }
    expect(source.saveState()).toEqual(whole.saveState());
  });

  test('keeps HLT, the clock, A20, the interrupt shadow and the debug and FPU registers', () => {
    // fldpi; mov eax,1234h; mov dr1,eax; ldmxcsr [esp]; sti; hlt
    const code = [0xd9, 0xeb, 0xb8, 0x34, 0x12, 0, 0, 0x0f, 0x23, 0xc8, 0xfb, 0xf4];
    const { vcpu } = track(guestOf(code));
    vcpu.setClock(0, 77, 2048);
    vcpu.setA20(false);
    const copy = empty().vcpu;
    vcpu.run(4); // in the shadow of STI
    copy.restoreState(vcpu.saveState());
    expect(copy.irqWindow).toBe(false);
    expect(copy.saveState()).toEqual(vcpu.saveState());
    vcpu.run(Infinity);
    copy.restoreState(vcpu.saveState());
    expect(copy.halted).toBe(true);
    expect(copy.irqWindow).toBe(true);
    expect(copy.run(Infinity)).toBe('halted');
    expect(copy.saveState()).toEqual(vcpu.saveState());
  });

  test('saving is not noticed by the guest', () => {
    const quiet = busy().vcpu;
    const saved = busy().vcpu;
    quiet.run(Infinity);
    for (let at = 1; saved.run(at) === 'target'; at++) saved.saveState();
    expect(saved.saveState()).toEqual(quiet.saveState());
    expect(saved.ramDigest()).toEqual(quiet.ramDigest());
  });
});

describe('damaged states', () => {
  test('every truncation and extension is refused, and nothing changes', () => {
    const { vcpu } = busy();
    vcpu.run(100);
    const good = vcpu.saveState();
    for (let length = 0; length < good.length; length++)
      expect(() => vcpu.restoreState(good.subarray(0, length))).toThrow(DecodeError);
    expect(() => vcpu.restoreState(Buffer.concat([good, new Uint8Array(8)]))).toThrow(DecodeError);
    expect(vcpu.saveState()).toEqual(good);
  });

  test('every bit flip is either refused or a state that can be saved and run', () => {
    const { vcpu } = busy();
    vcpu.run(100);
    const good = vcpu.saveState();
    let refused = 0;
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good);
      bad[bit >> 3]! ^= 1 << (bit & 7);
      try {
        vcpu.restoreState(bad);
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
        refused++;
        continue;
      }
      vcpu.run(vcpu.icount + 50);
      vcpu.saveState();
    }
    expect(refused).toBeGreaterThan(8 * 24); // magic, version, length, RAM size
  });

  test('says what is wrong', () => {
    const { vcpu } = busy();
    const good = Buffer.from(vcpu.saveState());
    const damaged = (offset: number, value: number): Buffer => {
      const bad = Buffer.from(good);
      bad.writeUInt32LE(value, offset);
      return bad;
    };
    expect(() => vcpu.restoreState(damaged(0, 0))).toThrow('bad-magic');
    expect(() => vcpu.restoreState(damaged(8, 6))).toThrow('bad-version');
    expect(() => vcpu.restoreState(damaged(16, 5))).toThrow('other-ram-size');
    expect(() => vcpu.restoreState(damaged(600, 1))).toThrow('bad-length');
  });
});

test('the FPU pointers that FNSTENV stores survive a move', () => {
  // fninit; fld dword [6000h]; fnstenv [6100h]; hlt
  const code = [0xdb, 0xe3, 0xd9, 0x05, ...le32(0x6000), 0xd9, 0x35, ...le32(0x6100), 0xf4];
  const source = track(guestOf(code)).vcpu;
  source.run(2);
  const moved = empty().vcpu;
  moved.restoreState(source.saveState());
  copyRam(source, moved);
  for (const vcpu of [source, moved]) expect(vcpu.run(Infinity)).toBe('halted');
  expect(source.ram.readU32(0x6100 + 12)).not.toBe(0);
  expect(moved.ram.read(0x6100, 28)).toEqual(source.ram.read(0x6100, 28));
});

describe('states of older versions', () => {
  test.each([
    [1, 608],
    [3, 624],
    [4, 640],
  ])('%i: what it does not have is zero, or as after a reset', (version, end) => {
    const { vcpu, bus } = busy();
    vcpu.run(100);
    const now = Buffer.from(vcpu.saveState());
    const old = Buffer.concat([now.subarray(0, end), now.subarray(672)]);
    old.writeUInt32LE(version, 8);
    old.writeUInt32LE(old.length, 12);
    const { vcpu: loaded } = empty();
    loaded.restoreState(old);
    copyRam(vcpu, loaded);
    if (end < 624) now.fill(0, end, 624);
    expect(Buffer.from(loaded.saveState())).toEqual(now);
    expect(bus.vcpu).toBe(vcpu);
  });
});

describe('several vcpus', () => {
  test('two interleaved in one thread do not disturb each other', () => {
    const alone = busy().vcpu;
    alone.run(Infinity);
    const [a, b] = [busy().vcpu, busy().vcpu];
    for (let at = 1; a.run(at) === 'target'; at++) b.run(Math.floor(at / 2));
    b.run(Infinity);
    for (const vcpu of [a, b]) {
      expect(vcpu.saveState()).toEqual(alone.saveState());
      expect(vcpu.ramDigest()).toEqual(alone.ramDigest());
    }
  });

  test('one may run inside a callback of another', () => {
    const alone = busy().vcpu;
    alone.run(Infinity);
    const outer = busy();
    const inner = busy().vcpu;
    outer.bus.after = () => void inner.run(inner.icount + 13);
    outer.vcpu.run(Infinity);
    inner.run(Infinity);
    expect(inner.saveState()).toEqual(alone.saveState());
    expect(outer.vcpu.saveState()).toEqual(alone.saveState());
  });

  test('a vcpu that was disposed of refuses, its RAM view stays readable', () => {
    const { vcpu } = guestOf(BUSY_LOOP);
    const { ram } = vcpu;
    vcpu.dispose();
    expect(() => vcpu.run(1)).toThrow('disposed');
    expect(ram.view.readUInt8(0x1000)).toBe(0xb9);
  });
});

/** Runs in a process or thread of its own, with the bare addon: prints digests of state and RAM. */
const CHILD = `
  const native = require(process.env.FT86_ADDON ?? workerData.addon);
  const code = Buffer.from(process.env.FT86_CODE ?? workerData.code, 'hex');
  const slice = Number(process.env.FT86_SLICE ?? workerData.slice);
  let core;
  const answer = (address, size) => (address * 2654435761 + size + native.icount(core)) >>> 0;
  core = native.create(4194304, new Uint32Array(0), 0, false, answer, () => {}, answer, () => {}, new Uint8Array(0));
  native.ramView(core).set(code, 0x1000);
  native.ramWritten(core, 0x1000, code.length);
  const words = native.getRegisters(core);
  words[8] = 0x1000; words[4] = 0x8000; words[10] = 0x11;
  for (let i = 0; i < 6; i++) words.set([i === 1 ? 8 : 16, 0, 0xffffffff, i === 1 ? 0xcf9b00 : 0xcf9300], 14 + 4 * i);
  native.setRegisters(core, words);
  let exit;
  for (let at = slice; (exit = native.run(core, at)) === 0; at += slice) if (slice % 2) native.saveState(core);
  const state = native.saveState(core);
  const result = [exit, native.icount(core), Buffer.from(state).toString('hex'), Buffer.from(native.ramDigest(core)).toString('hex')].join(' ');
`;
const CODE_HEX = Buffer.from(BUSY_LOOP).toString('hex');

test('two processes with different slices end with equal state bytes and RAM', () => {
  const outputs = [3, 1000000].map((slice) => {
    const child = spawnSync(process.execPath, ['-e', `const workerData = {};${CHILD};console.log(result)`], {
      env: { FT86_ADDON: ADDON, FT86_CODE: CODE_HEX, FT86_SLICE: String(slice) },
      encoding: 'utf8',
    });
    expect(child.stderr).toBe('');
    return child.stdout;
  });
  expect(outputs[0]).toMatch(/^2 \d+ [0-9a-f]+ [0-9a-f]{32}\n$/);
  expect(outputs[1]).toBe(outputs[0]);
});

test('two worker threads run vcpus at the same time', async () => {
  const script = `const { workerData, parentPort } = require('node:worker_threads');
    for (let i = 0; i < 20; i++) { ${CHILD}; parentPort.postMessage(result); native.dispose(core); }`;
  const results = await Promise.all(
    [5, 64].map(
      (slice) =>
        new Promise<string[]>((resolve, reject) => {
          const messages: string[] = [];
          const worker = new Worker(script, { eval: true, workerData: { addon: ADDON, code: CODE_HEX, slice } });
          worker.on('message', (message: string) => messages.push(message));
          worker.on('error', reject);
          worker.on('exit', () => resolve(messages));
        }),
    ),
  );
  expect(new Set(results.flat()).size).toBe(1);
  expect(results.flat().length).toBe(40);
});
