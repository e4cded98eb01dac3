/** Edge: a backup's connections to the live replica: the first, and those that take its place. */
import { ReplicaError } from '../../emulator/errors.js';
import { connect, type FrameConnection } from '../../hypervisor/channel/transport.js';
import { hostMs } from './host-time.js';

const CONNECT_RETRY_MS = 100;
/** Where a connection can be made, packets pass: what takes time then is the other end's work. */
const HANDSHAKE_MS = 500;

export interface DialOptions {
  readonly channel: string;
  readonly key: Uint8Array | null;
  readonly connectMs: number;
}

/** Connect, waiting a little for a primary that is still starting. @throws ReplicaError, ConfigError */
export async function connectPatiently({ channel, key, connectMs }: DialOptions): Promise<FrameConnection> {
  const deadline = hostMs() + connectMs;
  for (;;) {
    try {
      return await connect({ address: channel, key, timeoutMs: connectMs, option: '--channel' });
    } catch (error) {
      if (!(error instanceof ReplicaError) || hostMs() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, CONNECT_RETRY_MS));
    }
  }
}

/** Connect again; 'gone': the connection is refused, no process listens there any more; null: it cannot be done now. */
export async function dialAgain(
  { channel, key }: DialOptions,
  timeoutMs: number,
): Promise<FrameConnection | 'gone' | null> {
  try {
    return await connect({ address: channel, key, timeoutMs, handshakeMs: HANDSHAKE_MS });
  } catch (error) {
    if (!(error instanceof ReplicaError)) throw error;
    const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
    return code === 'ECONNREFUSED' || code === 'ENOENT' ? 'gone' : null;
  }
}
