/**
 * Goal: replicas are asked for their final states only when those differ, and everyone who waits is answered, once all have ended.
 * Method: the parent's decision with members in every state; two snapshots of machines that differ in a byte.
 */
import { expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answerFinals, type FinalMember, type FinalState } from '../../../tools/pair/final-states.js';
import { compareFinal } from '../../../tools/pair/summary.js';
import { finalDigest, leaveFinalState } from '../../../tools/replica/final-state.js';
import { NO_LOG } from '../../../tools/replica/report.js';
import type { FromParent, ParentLink } from '../../../tools/replica/parent-link.js';
import type { ReplicaReport } from '../../../tools/replica/result.js';
import { smallMachine } from '../../hypervisor/machine/small-machine.js';

const A: FinalState = { icount: 1000, digest: 'a' };
const DIFFERENT: FinalState = { icount: 1000, digest: 'b' };
const EARLIER: FinalState = { icount: 999, digest: 'a' };

function member(
  final: FinalState | null,
  state: 'runs' | 'reported' | 'dead' = 'runs',
): FinalMember & { told: FromParent[] } {
  const told: FromParent[] = [];
  const child = { alive: state !== 'dead', send: (message: FromParent) => void told.push(message) };
  return { child, report: state === 'reported' ? {} : null, final, told };
}

const answer = (save: boolean): FromParent[] => [{ type: 'final', save }];

test.each([
  ['equal ones', [member(A), member(A)], [answer(false), answer(false)]],
  ['ones with other digests', [member(A), member(DIFFERENT)], [answer(true), answer(true)]],
  ['ones at other instructions', [member(A), member(EARLIER)], [answer(true), answer(true)]],
  ['one of three that differs', [member(A, 'dead'), member(A), member(DIFFERENT)], [[], answer(true), answer(true)]],
  ['one that still runs', [member(A), member(null)], [[], []]],
  ['the only one left', [member(null, 'dead'), member(A)], [[], answer(false)]],
  ['one that failed and said so', [member(A), member(null, 'reported')], [answer(false), []]],
  ['one that died in between', [member(A), member(A, 'dead')], [answer(false), []]],
  [
    'one whose other was told before it said that it differs',
    [member(A, 'reported'), member(DIFFERENT)],
    [[], answer(true)],
  ],
  ['nobody', [member(A, 'reported'), member(null, 'dead')], [[], []]],
])('%s', (_name, members, told) => {
  answerFinals(members);
  expect(members.map((one) => one.told)).toEqual(told);
});

test('what was written to RAM is in the digest, noted since the last one or not; zeros that were written are as none', () => {
  const [a, b] = [smallMachine(), smallMachine()];
  try {
    expect(finalDigest(a)).toMatch(/^[0-9a-f]{32}$/);
    expect(finalDigest(b)).toBe(finalDigest(a));
    b.vcpu.ram.write(0x30_0000, Uint8Array.of(1));
    expect(finalDigest(b)).not.toBe(finalDigest(a));
    b.vcpu.ram.write(0x30_0000, Uint8Array.of(0));
    expect(finalDigest(b)).toBe(finalDigest(a));
    a.digest();
    b.digest();
    // Behind the back of what notes writes: the digest of the run does not see it.
    b.vcpu.ram.view[0x30_0001] = 1;
    expect(b.digest()).toBe(a.digest());
    expect(finalDigest(b)).not.toBe(finalDigest(a));
  } finally {
    a.dispose();
    b.dispose();
  }
});

test('registers and devices are in the digest', () => {
  const [a, b] = [smallMachine(), smallMachine()];
  try {
    b.vcpu.setRegisters({ ...b.registers(), ebx: 1 });
    expect(finalDigest(b)).not.toBe(finalDigest(a));
    b.vcpu.setRegisters(a.registers());
    expect(finalDigest(b)).toBe(finalDigest(a));
    b.board.uart.receive(Uint8Array.of(65));
    expect(finalDigest(b)).not.toBe(finalDigest(a));
  } finally {
    a.dispose();
    b.dispose();
  }
});

test('states that differ are saved, compared, and their difference is named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ft86-final-'));
  const [a, b] = [smallMachine(), smallMachine()];
  const asked: FinalState[] = [];
  const parent = (save: boolean): ParentLink =>
    ({
      wantsFinal: (icount: number, digest: string) => {
        asked.push({ icount, digest });
        return Promise.resolve(save);
      },
    }) as unknown as ParentLink;
  const snapshotOf = (name: string): string => join(folder, name);
  const evidence = (name: string, final: FinalState): NonNullable<Parameters<typeof compareFinal>[0]> => {
    const last = { icount: 0, mips: 0, log: NO_LOG, checkpoints: null };
    return { name, final, last, report: { icount: 0 } as ReplicaReport, takeover: null, lostAs: null };
  };
  try {
    await leaveFinalState(a, 'primary', snapshotOf('a'), parent(false));
    const equal = [evidence('a', asked[0]!), evidence('b', asked[0]!)] as const;
    // No file is there: nothing was read.
    expect(compareFinal(...equal, snapshotOf)).toMatchObject({ identical: true, pages: [], pageCount: 0 });
    const unsaved = [evidence('a', A), evidence('b', DIFFERENT)] as const;
    expect(compareFinal(...unsaved, snapshotOf)).toMatchObject({ identical: false });
    b.vcpu.ram.write(0x2000, Uint8Array.of(7));
    await leaveFinalState(a, 'primary', snapshotOf('a'), parent(true));
    await leaveFinalState(b, 'backup', snapshotOf('b'), parent(true));
    const unequal = [evidence('a', asked[1]!), evidence('b', asked[2]!)] as const;
    const diff = compareFinal(...unequal, snapshotOf);
    expect(diff).toMatchObject({ identical: false, pages: [{ address: 0x2000, bytes: [{ offset: 0, a: 0, b: 7 }] }] });
  } finally {
    a.dispose();
    b.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
});
