/**
 * Edge: a backup's own use of disks. A read that fails is said once and tried again until it succeeds: the guest never
 * learns of a fault that only this replica has. A copy of its own that cannot be written is of no use: the backup gives up.
 */
import type { DiskRequest } from '../../devices/environment.js';
import { ReplicaError } from '../../emulator/errors.js';
import { SECTOR_BYTES, type DiskBackend } from '../../hypervisor/backend/backend.js';
import { internalRequest } from '../../hypervisor/backend/internal-request.js';
import type { BackupDiskHost } from '../../hypervisor/ft/backup-disks.js';

const RETRY_MS = 100;

export class OwnDisks implements BackupDiskHost {
  /** Rejects when this replica's copy of a disk is no longer what it should be. */
  readonly failed: Promise<never>;
  readonly #backends: readonly DiskBackend[];
  readonly #say: (message: string) => void;
  /** It is not. */
  readonly fail: (error: Error) => void;

  /** @param say tells the person at the terminal */
  constructor(backends: readonly DiskBackend[], say: (message: string) => void) {
    this.#backends = backends;
    this.#say = say;
    let fail: (error: Error) => void = () => undefined;
    this.failed = new Promise((_, reject) => (fail = reject));
    this.fail = fail;
    this.failed.catch(() => undefined);
  }

  read(request: DiskRequest, done: (data: Uint8Array) => void): () => void {
    const backend = this.#backend(request);
    const cached = backend.readAtOnce?.(request) ?? null;
    if (cached !== null) {
      done(cached);
      return () => undefined;
    }
    let cancelled = false;
    let said = false;
    let timer: NodeJS.Timeout | undefined;
    const attempt = (): void => {
      backend.submit(internalRequest(request), ({ status, data }) => {
        if (cancelled) return;
        if (status === 'ok') {
          done(data);
          return;
        }
        if (!said) this.#say(`${placeOf(request)} cannot be read here; the live replica could: trying again`);
        said = true;
        timer = setTimeout(attempt, RETRY_MS);
      });
    };
    attempt();
    return () => {
      cancelled = true;
      clearTimeout(timer);
    };
  }

  perform(request: DiskRequest): void {
    this.#backend(request).submit(internalRequest(request), ({ status }) => {
      if (status === 'ok') return;
      this.fail(
        new ReplicaError(`this replica's own copy is of no use any more: ${request.op} of ${placeOf(request)} failed`),
      );
    });
  }

  #backend({ drive }: DiskRequest): DiskBackend {
    const backend = this.#backends[drive];
    if (backend === undefined) throw new ReplicaError(`drive ${drive} has no backend`);
    return backend;
  }
}

function placeOf({ drive, sector, bytes }: DiskRequest): string {
  return `drive ${drive}, ${bytes / SECTOR_BYTES} sectors from ${sector}`;
}
