/** Edge: the address at which a live replica takes backups, one at a time; one that joins later replaces a lost one. */
import { checkAddress } from '../../hypervisor/channel/address.js';
import { listen, type Listener } from '../../hypervisor/channel/transport.js';
import type { EtcdPool } from './etcd-pool.js';
import { HeartbeatPort } from './heartbeat-socket.js';
import type { LiveSession } from './live-session.js';
import { findSpares, type SpareEvent } from './spare-finder.js';

export interface TakeBackupsOptions {
  readonly address: string;
  /** The command line's option that named the address. */
  readonly option: string;
  readonly key: Uint8Array | null;
  readonly session: LiveSession;
  /** Where to look for a backup whenever there is none; null: one comes by itself. */
  readonly pool: EtcdPool | null;
  readonly onEvent: (event: SpareEvent) => void;
  /** Called whenever a backup has the whole state. */
  readonly joined?: () => void;
}

/** @throws ConfigError, ReplicaError when nobody can listen there */
export async function takeBackups(options: TakeBackupsOptions): Promise<Listener> {
  const { address, option, key, session, joined, pool, onEvent } = options;
  checkAddress(option, address, key);
  const heartbeats = await HeartbeatPort.open(option, address);
  try {
    const listener = await listen({
      address,
      key,
      option,
      onConnection: (connection) => {
        void session.acceptBackup(connection, heartbeats).then(() => {
          if (session.state === 'paired') joined?.();
        });
      },
      onRefused: (message) => {
        process.stderr.write(`ft86: ${message}\n`);
      },
    });
    const endSearch = pool === null ? null : findSpares(pool, session, listener.address, onEvent);
    return {
      ...listener,
      close: () => {
        endSearch?.();
        heartbeats?.close();
        return listener.close();
      },
    };
  } catch (error) {
    heartbeats?.close();
    throw error;
  }
}
