/** Writes a machine's present state to a snapshot file. */
import { join } from 'node:path';
import type { Machine } from '../../hypervisor/machine/machine.js';
import type { Registers, SegmentRegister } from '../../emulator/vcpu.js';
import { writeSnapshot } from '../../hypervisor/snapshot/snapshot-file.js';
import type { SnapshotContent, SnapshotMeta, SnapshotRegisters } from '../../hypervisor/snapshot/snapshot.js';

/**
 * @param role what the replica is, e.g. `primary`
 * @param durable false: its reader is waiting, and it need not outlive this host
 * @throws ConfigError when the path cannot be written
 */
export function takeSnapshot(machine: Machine, role: string, path: string, durable = true): void {
  const { meta, ...state } = wholeState(machine);
  writeSnapshot(
    path,
    { meta: { ...meta, image: machine.config.image, digest: machine.digest(), role }, ...state },
    machine.vcpu.ram.view,
    { written: machine.vcpu.writtenPages(), durable },
  );
}

/** All of a machine's state but its RAM; equal in equal replicas. */
export function wholeState(machine: Machine): Omit<SnapshotContent, 'meta'> & {
  readonly meta: Omit<SnapshotMeta, 'image' | 'digest' | 'role'>;
} {
  const { cpu, devices, doorbells } = machine.save();
  const { image: _named, drives, nics, files, ...rest } = machine.config;
  return {
    meta: {
      icount: machine.icount,
      guestNs: machine.nowNs(),
      memoryBytes: machine.config.memoryBytes,
      configuration: {
        ...rest,
        drives: drives.map((drive) => ({ ...drive })),
        nics: nics.map((nic) => ({ ...nic })),
        files: files.map((file) => ({ ...file })),
      },
    },
    registers: flatRegisters(machine.registers()),
    cpuState: cpu,
    devices: { ...devices, clock: machine.clock.save(), doorbells, blobs: machine.blobs.of(machine.config) },
  };
}

/** Where a replica leaves its state after a divergence. */
export function divergedSnapshot(runDirectory: string, role: 'primary' | 'backup'): string {
  return join(runDirectory, `diverged-${role}.ftsnap`);
}

/** Registers under flat names: `eax`, `cs.base`. */
export function flatRegisters(registers: Registers): SnapshotRegisters {
  const flat: Record<string, number> = {};
  for (const [name, value] of Object.entries<number | SegmentRegister>({ ...registers })) {
    if (typeof value === 'number') flat[name] = value;
    else for (const part of ['selector', 'base', 'limit', 'flags'] as const) flat[`${name}.${part}`] = value[part];
  }
  return flat;
}
