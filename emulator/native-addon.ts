/**
 * Loads the native core, the only file that does. `make -C emulator/native` builds it; the functions are
 * those of emulator/native/addon.c and addon_state.c, called with a handle first.
 */
import { loadAddon } from './load-addon.js';

/** A core as JavaScript holds it; opaque. */
export type CoreHandle = { readonly brand: unique symbol };

export interface NativeCore {
  /** Name, version and hash of the linked CPU engine. */
  readonly engineVersion: string;
  create(
    ramBytes: number,
    cpuid: Uint32Array,
    translationBytes: number,
    countByInstruction: boolean,
    portIn: (port: number, size: number) => number,
    portOut: (port: number, size: number, value: number) => void,
    memoryRead: (address: number, size: number) => number,
    memoryWrite: (address: number, size: number, value: number) => void,
    /** Copied; its length is a multiple of 4096, at most 1 MiB. */
    rom: Uint8Array,
  ): CoreHandle;
  dispose(core: CoreHandle): void;
  /** Returns a value of `enum core_exit`, throws what a callback threw or the engine's own error. */
  run(core: CoreHandle, target: number): number;
  icount(core: CoreHandle): number;
  setIrqPending(core: CoreHandle, pending: boolean): void;
  lowerTarget(core: CoreHandle, icount: number): void;
  requestExit(core: CoreHandle): void;
  raiseNmi(core: CoreHandle): void;
  inject(core: CoreHandle, vector: number): boolean;
  irqWindow(core: CoreHandle): boolean;
  halted(core: CoreHandle): boolean;
  setClock(core: CoreHandle, baseIcount: number, baseNs: number, rate: number): void;
  setA20(core: CoreHandle, on: boolean): void;
  hashBytes(bytes: Uint8Array): Uint8Array;
  /** The 50 words of `core_registers` (core.h). */
  getRegisters(core: CoreHandle): Uint32Array;
  setRegisters(core: CoreHandle, words: Uint32Array): void;
  reset(core: CoreHandle): void;
  saveState(core: CoreHandle): Uint8Array;
  /** Undefined when restored, else what is wrong and at which byte. */
  restoreState(core: CoreHandle, bytes: Uint8Array): [code: string, offset: number] | undefined;
  ramView(core: CoreHandle): Buffer;
  /**
   * Two bytes for each page of RAM, to be read: 0xff when a write needs not be marked, and behind all of those 0 when no
   * translated code is in the page. A write to pages where both hold needs no ramWritten().
   */
  pageBytes(core: CoreHandle): Buffer;
  ramWritten(core: CoreHandle, address: number, bytes: number): void;
  ramDigest(core: CoreHandle): Uint8Array;
  collectDirty(core: CoreHandle, consumer: number): Uint32Array;
  writtenPages(core: CoreHandle): Uint32Array;
  flushTranslations(core: CoreHandle): void;
  flushTlb(core: CoreHandle): void;
  stats(core: CoreHandle): Record<string, number>;
}

export const nativeCore = loadAddon('ft86') as NativeCore;
