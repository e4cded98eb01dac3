/**
 * The bytes a machine's configuration names only by their hash: its firmware and the files of fw_cfg.
 *
 *   live replica   option's file ──► add() ──► BLOB messages ──► add()   backup
 *   Machine        configuration ──► get(reference)
 *
 * Invariant: what get() returns has the size and the hash that the reference says.
 */
import { createHash } from 'node:crypto';
import { ConfigError } from '../../emulator/errors.js';
import type { MachineConfig } from './machine-config.js';

export interface BlobReference {
  readonly bytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
}

export class BlobStore {
  readonly #byHash = new Map<string, Uint8Array>();

  /** Keep `data`, which must not change any more. */
  add(data: Uint8Array): BlobReference {
    const sha256 = createHash('sha256').update(data).digest('hex');
    this.#byHash.set(sha256, data);
    return { bytes: data.length, sha256 };
  }

  /** @throws ConfigError naming `what` when nobody has brought the bytes */
  get(what: string, { bytes, sha256 }: BlobReference): Uint8Array {
    const data = this.#byHash.get(sha256);
    if (data?.length === bytes) return data;
    throw new ConfigError(what, sha256, 'the machine needs it, and it is not here');
  }

  /** Everything that `config` names, each once, in the order of its first mention. */
  of(config: Pick<MachineConfig, 'firmware' | 'files'>): Uint8Array[] {
    const references = [...(config.firmware === null ? [] : [config.firmware]), ...config.files];
    return [...new Set(references.map((reference) => this.get('files', reference)))];
  }
}
