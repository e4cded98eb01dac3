/** Where a live replica's outputs go: disks, switch ports, the console, the recording and the backup. */
import { ReplicaError } from '../../emulator/errors.js';
import type { Input } from '../../hypervisor/ft/input.js';
import type { LiveHost } from '../../hypervisor/ft/recorder.js';
import type { LiveSessionOptions } from './live-session-options.js';

/** The session's side of it. */
interface HostHooks {
  /** A disk request was completed, perhaps from inside submitDisk(). */
  input(input: Input): void;
  /** A frame for the backup, if there is one. */
  frame(bytes: Uint8Array, lastSeq: number): void;
  console(offset: number, bytes: Uint8Array): void;
}

export function liveHost(options: LiveSessionOptions, hooks: HostHooks): LiveHost {
  return {
    drives: options.drives,
    submitDisk: (request) => {
      const disk = options.disks[request.drive];
      if (disk === undefined) throw new ReplicaError(`drive ${request.drive} has no backend`);
      const cached = disk.readAtOnce?.(request) ?? null;
      if (cached !== null) {
        const { drive, tag } = request;
        hooks.input({ kind: 'disk', completion: { drive, tag, status: 'ok', data: cached } });
        return;
      }
      disk.submit(request, (completion) => {
        hooks.input({ kind: 'disk', completion });
      });
    },
    sendPacket: (nic, data) => {
      options.ports[nic]?.send(data);
    },
    console: (offset, bytes) => {
      hooks.console(offset, bytes);
    },
    frame: (bytes, lastSeq) => {
      hooks.frame(bytes, lastSeq);
      // They are given back when the backup has them, in another turn.
      options.recorder?.append(bytes);
    },
  };
}
