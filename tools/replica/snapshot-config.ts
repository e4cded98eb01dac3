/** Which machine a snapshot file is of. Who only plans a machine loads nothing that runs one. */
import { ConfigError } from '../../emulator/errors.js';
import { machineConfigSchema, type MachineConfig } from '../../hypervisor/machine/machine-config.js';
import { readSnapshot, type SnapshotFile } from '../../hypervisor/snapshot/snapshot-file.js';

/** The machine that was saved. @throws ConfigError, DecodeError */
export function snapshotConfig(path: string): MachineConfig {
  using snapshot = readSnapshot(path);
  return configOf(snapshot, path);
}

/** @throws ConfigError */
export function configOf({ meta }: SnapshotFile, path: string): MachineConfig {
  const { image, memoryBytes, configuration } = meta;
  const parsed = machineConfigSchema.safeParse({ ...configuration, image, memoryBytes });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ConfigError(
    'IMAGE',
    path,
    `is the snapshot of another kind of machine (${issue?.path.join('.')}: ${issue?.message})`,
  );
}
