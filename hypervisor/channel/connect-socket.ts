/** Connects a socket to an address, TCP or UNIX, and turns it into a TLS one (an edge: sockets and timers). */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Address } from './address.js';
import { clientTlsOptions } from './preshared-key.js';

/**
 * Where a socket's bytes arrive, always in the same memory: a stream would allocate each chunk, and what is kept of many makes
 * the collector mark the whole heap.
 */
export interface SocketReads {
  readonly memory: Uint8Array;
  /** The first `bytes` bytes of the memory are new; it is read into again when this returns. */
  onBytes: (bytes: number) => void;
}

/** Connect. With `reads` the socket emits no data, and is paused at first. @throws the host's error */
export async function connectSocket(
  address: Address,
  timeoutMs: number,
  reads: SocketReads | null = null,
): Promise<Socket> {
  const callback = (bytes: number): boolean => {
    reads?.onBytes(bytes);
    return true;
  };
  const own = reads === null ? {} : { onread: { buffer: reads.memory, callback } };
  const socket = connect({ ...(address.kind === 'unix' ? { path: address.path } : address), ...own });
  // Before the first read, which follows the event at once.
  if (reads !== null) socket.once('connect', () => socket.pause());
  return withinTime(socket, timeoutMs, async () => {
    await event(socket, 'connect');
    if (isSelfConnected(socket)) throw new Error('nobody listens there');
    socket.setNoDelay(true);
    return socket;
  });
}

/** Speak TLS on a connected socket, with the key. @throws the host's error */
export async function secureSocket(socket: Socket, key: Uint8Array, timeoutMs: number): Promise<Socket> {
  const secure = connectTls({ ...clientTlsOptions(key), socket });
  socket.on('error', (error) => secure.destroy(error));
  return withinTime(socket, timeoutMs, async () => {
    await event(secure, 'secureConnect');
    return secure;
  });
}

async function withinTime(socket: Socket, timeoutMs: number, action: () => Promise<Socket>): Promise<Socket> {
  const deadline = setTimeout(() => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    return await action();
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}

/** With nobody listening, the host may pick the wanted port as our own and connect the socket to itself. */
function isSelfConnected(socket: Socket): boolean {
  return (
    socket.localPort !== undefined &&
    socket.localPort === socket.remotePort &&
    socket.localAddress === socket.remoteAddress
  );
}

function event(socket: Socket, name: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = (): void => {
      reject(new Error('the other end closed the connection'));
    };
    // Stays on after a failure: a socket may report more than one error.
    socket.on('error', reject);
    socket.once('close', closed);
    socket.once(name, () => {
      socket.off('error', reject);
      socket.off('close', closed);
      resolve();
    });
  });
}
