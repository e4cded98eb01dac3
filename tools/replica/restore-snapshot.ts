/** A machine as a snapshot file has it: the other half of take-snapshot.ts. */
import { DecodeError } from '../../emulator/errors.js';
import { initialRate } from '../../hypervisor/ft/clock-policy.js';
import { BlobStore } from '../../hypervisor/machine/blob-store.js';
import { Machine } from '../../hypervisor/machine/machine.js';
import { machineStateOf } from '../../hypervisor/machine/machine-state.js';
import { PAGE_BYTES } from '../../hypervisor/snapshot/snapshot.js';
import { readSnapshot } from '../../hypervisor/snapshot/snapshot-file.js';
import { configOf } from './snapshot-config.js';

/** @throws ConfigError, DecodeError */
export function restoreSnapshot(path: string): Machine {
  using snapshot = readSnapshot(path);
  const config = configOf(snapshot, path);
  const { clock, doorbells, blobs: data = [], ...devices } = snapshot.devices;
  if (!Array.isArray(data)) throw new DecodeError('bad-state', 0, 'the snapshot has no list of blobs');
  const blobs = new BlobStore();
  for (const blob of data as readonly unknown[]) if (blob instanceof Uint8Array) blobs.add(blob);
  const machine = new Machine(config, initialRate(config.clock), () => undefined, blobs);
  const { ram } = machine.vcpu;
  for (let index = 0; index * PAGE_BYTES < ram.bytes; index++) {
    const page = snapshot.page(index);
    if (page !== null && !ram.write(index * PAGE_BYTES, page)) {
      throw new DecodeError('bad-page', 0, `page ${index} of the snapshot is not RAM`);
    }
  }
  machine.restore(machineStateOf({ cpu: snapshot.cpuState, devices, clock, doorbells }));
  const digest = machine.digest();
  if (digest !== snapshot.meta.digest) {
    throw new DecodeError('bad-digest', 0, `the restored machine has digest ${digest}, not ${snapshot.meta.digest}`);
  }
  return machine;
}
