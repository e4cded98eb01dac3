/**
 * The data port of an NE2000: moves bytes between the guest and the card's memory, at an address that goes up by itself.
 *
 * An access moves one unit, a word or a byte as the data configuration says, or as many as it holds. A byte access moves a
 * whole word and shows its low byte. Words are at even addresses. From the ring's end the address goes on at its start.
 * Without a transfer under way reads give all ones and writes are lost.
 *
 * Source: NS DP8390D/NS32490D data sheet, section 9 (remote DMA).
 */
import { CR_REMOTE, CR_REMOTE_READ, CR_REMOTE_WRITE, DCR_WORD, ISR_REMOTE_DONE } from './ne2000-registers.js';
import type { Ne2000State } from './ne2000-state.js';

/** A command to read or write is in force: a transfer of no bytes is complete at once. */
export function completeEmptyTransfer(state: Ne2000State): void {
  const { registers } = state;
  const direction = registers.command & CR_REMOTE;
  if ((direction === CR_REMOTE_READ || direction === CR_REMOTE_WRITE) && registers.remoteBytes === 0) {
    registers.interruptStatus |= ISR_REMOTE_DONE;
  }
}

/** A guest's read of `size` bytes. May set the status bit that tells the end of the transfer. */
export function readRemote(state: Ne2000State, size: number): number {
  const { registers, memory } = state;
  const unit = unitOf(state);
  let value = 0;
  for (let i = 0; i < size; i += unit) {
    let moved = unit === 2 ? 0xffff : 0xff;
    if (underWay(state, CR_REMOTE_READ)) {
      const address = registers.remoteAddress & ~(unit - 1);
      moved = memory.read(address);
      if (unit === 2) moved |= memory.read(address + 1) << 8;
      advance(state, unit);
    }
    value |= moved << (8 * i);
  }
  return (size === 1 ? value & 0xff : value) >>> 0;
}

/** A guest's write of `size` bytes. May set the status bit that tells the end of the transfer. */
export function writeRemote(state: Ne2000State, size: number, value: number): void {
  const { registers, memory } = state;
  const unit = unitOf(state);
  for (let i = 0; i < size && underWay(state, CR_REMOTE_WRITE); i += unit) {
    const address = registers.remoteAddress & ~(unit - 1);
    memory.write(address, (value >>> (8 * i)) & 0xff);
    if (unit === 2) memory.write(address + 1, (value >>> (8 * i + 8)) & 0xff);
    advance(state, unit);
  }
}

function unitOf(state: Ne2000State): 1 | 2 {
  return (state.registers.dataConfig & DCR_WORD) !== 0 ? 2 : 1;
}

function underWay(state: Ne2000State, direction: number): boolean {
  return (state.registers.command & CR_REMOTE) === direction && state.registers.remoteBytes > 0;
}

function advance(state: Ne2000State, unit: number): void {
  const { registers } = state;
  registers.remoteAddress = (registers.remoteAddress + unit) & 0xffff;
  if (registers.remoteAddress === registers.pageStop << 8) registers.remoteAddress = registers.pageStart << 8;
  registers.remoteBytes = Math.max(0, registers.remoteBytes - unit);
  if (registers.remoteBytes === 0) registers.interruptStatus |= ISR_REMOTE_DONE;
}
