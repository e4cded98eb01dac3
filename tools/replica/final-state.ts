/**
 * A replica's final state. The parent of a pair hears a digest of all of it, and asks for the snapshot only when two differ: writing
 * and reading both took longer than all else at the end of a run.
 *
 *   replica -> parent   final: icount and digest
 *   parent -> replica   final: save it or not
 *
 * The digest is made of all that `ft86 diff` compares, and anew from all pages that were ever written: it finds what the digests of the
 * run, which read those that were noted as written since the last one, would miss.
 */
import type { Machine } from '../../hypervisor/machine/machine.js';
import { PAGE_BYTES } from '../../hypervisor/snapshot/snapshot.js';
import { encodeState } from '../../hypervisor/state-codec.js';
import { hashBytes } from '../../emulator/vcpu.js';
import type { ParentLink } from './parent-link.js';
import { takeSnapshot, wholeState } from './take-snapshot.js';

/** RAM is hashed in pieces of this size. Those that are all zero count as never written: a join sends no zeros. */
const PIECE_BYTES = 65_536;

/** Leave the state in `path`, if there is one and the parent, if there is one, wants it. */
export async function leaveFinalState(
  machine: Machine,
  role: 'primary' | 'backup',
  path: string | undefined,
  parent: ParentLink | null,
): Promise<void> {
  if (path === undefined) return;
  if (parent === null) takeSnapshot(machine, role, path);
  else if (await parent.wantsFinal(machine.icount, finalDigest(machine))) takeSnapshot(machine, role, path, false);
}

/** 128-bit digest of registers, devices, configuration and RAM, as 32 hex digits. */
export function finalDigest(machine: Machine): string {
  const { meta, registers, cpuState, devices } = wholeState(machine);
  const { icount, guestNs, memoryBytes, configuration } = meta;
  const rest = encodeState({ icount, guestNs, memoryBytes, configuration, registers, cpuState, devices });
  return Buffer.from(hashBytes(Buffer.concat([rest, ramPieces(machine)]))).toString('hex');
}

/** Number and hash of each piece of RAM that is not all zero. */
function ramPieces({ vcpu }: Machine): Buffer {
  const ram = vcpu.ram.view;
  const zeros = Buffer.from(hashBytes(new Uint8Array(PIECE_BYTES)));
  const numbers = new Set([...vcpu.writtenPages()].map((page) => Math.floor((page * PAGE_BYTES) / PIECE_BYTES)));
  const pieces: Buffer[] = [];
  for (const number of numbers) {
    const hash = Buffer.from(hashBytes(ram.subarray(number * PIECE_BYTES, (number + 1) * PIECE_BYTES)));
    if (!hash.equals(zeros)) pieces.push(Buffer.from(Uint32Array.of(number).buffer), hash);
  }
  return Buffer.concat(pieces);
}
