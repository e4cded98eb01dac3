/**
 * Listens and connects over TCP or UNIX sockets, with TLS when there is a key (an edge: sockets and timers).
 *
 *   listen:  socket -> (TLS handshake with the key) -> FrameConnection -> onConnection
 *   connect: socket -> (TLS handshake with the key) -> FrameConnection
 *
 * Invariants: without a key only this machine can connect; with one, a connection that does not prove it has
 * the same key never becomes a FrameConnection, and disturbs nobody.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { ReplicaError } from '../../emulator/errors.js';
import { formatAddress, parseAddress, requireLocalWithoutKey } from './address.js';
import { bindServer, peerName } from './bind-server.js';
import { connectSocket, secureSocket, type SocketReads } from './connect-socket.js';
import { FrameConnection } from './frame-connection.js';
import { serverTlsOptions } from './preshared-key.js';
import { describeSocketError } from './socket-error.js';

const CONNECTIONS_MAX = 1024;
/** What one read may bring where the memory is ours. */
const READ_BYTES = 128 << 10;
/** How long the connections of a closing listener may take to get their last bytes out. */
const CLOSE_GRACE_MS = 1000;
/** Different refusals that one listener reports; a peer that keeps trying is reported once. */
const REFUSALS_LOGGED_MAX = 64;

export type { FrameConnection };

export interface ListenOptions {
  /** `tcp://HOST:PORT` (port 0: any free one) or `unix:PATH`. */
  readonly address: string;
  /** 32 bytes, or null for local connections without authentication. */
  readonly key: Uint8Array | null;
  readonly onConnection: (connection: FrameConnection) => void;
  /** Told once about each kind of refused connection. */
  readonly onRefused?: (message: string) => void;
  /** The option that gave the address, for error messages. */
  readonly option?: string;
  readonly highWaterBytes?: number;
}

export interface Listener {
  /** The address really bound, with the port in numbers. */
  readonly address: string;
  /** 0 for a UNIX socket. */
  readonly port: number;
  /** Stop listening and close every connection. */
  close(): Promise<void>;
}

/**
 * Accept connections.
 * @throws ConfigError when the address is malformed, or not local and there is no key
 * @throws ReplicaError naming the address when it cannot be bound, e.g. when it is in use
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const option = options.option ?? '--channel';
  const address = parseAddress(option, options.address);
  requireLocalWithoutKey(option, options.address, address, options.key);
  const sockets = new Set<Socket>();
  const connections = new Set<FrameConnection>();
  const server = options.key === null ? createServer() : createTlsServer(serverTlsOptions(options.key));
  server.maxConnections = CONNECTIONS_MAX;
  const established = (socket: Socket): void => {
    const connection = new FrameConnection(socket, peerName(socket, address), options.highWaterBytes);
    connections.add(connection);
    socket.on('close', () => connections.delete(connection));
    options.onConnection(connection);
  };
  server.on('connection', (socket: Socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    if (options.key === null) established(socket);
  });
  if (options.key !== null) {
    server.on('secureConnection', established);
    reportRefusals(server, options.onRefused);
  }
  const bound = await bindServer(server, address);
  return {
    address: formatAddress(bound),
    port: bound.kind === 'tcp' ? bound.port : 0,
    close: () => closeAll(server, connections, sockets),
  };
}

function reportRefusals(server: Server, report: ((message: string) => void) | undefined): void {
  const reported = new Set<string>();
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const message = `refused ${socket.remoteAddress ?? 'a local process'}: not the same key (${error.code ?? error.message})`;
    if (reported.has(message) || reported.size >= REFUSALS_LOGGED_MAX) return;
    reported.add(message);
    report?.(message);
  });
}

function closeAll(server: Server, connections: Set<FrameConnection>, sockets: Set<Socket>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    for (const connection of connections) connection.close();
  });
}

export interface ConnectOptions {
  readonly address: string;
  readonly key: Uint8Array | null;
  /** For the connection, and again for the TLS handshake unless `handshakeMs` is given. */
  readonly timeoutMs: number;
  readonly handshakeMs?: number;
  readonly option?: string;
  readonly highWaterBytes?: number;
}

/**
 * Connect to a listener.
 * @throws ConfigError when the address is malformed, or not local and there is no key
 * @throws ReplicaError naming the address when nobody answers in time or the keys differ
 */
export async function connect(options: ConnectOptions): Promise<FrameConnection> {
  const option = options.option ?? '--channel';
  const address = parseAddress(option, options.address);
  requireLocalWithoutKey(option, options.address, address, options.key);
  const { timeoutMs, handshakeMs = timeoutMs } = options;
  try {
    const reads: SocketReads | null =
      options.key === null ? { memory: new Uint8Array(READ_BYTES), onBytes: () => undefined } : null;
    const socket = await connectSocket(address, timeoutMs, reads);
    const secure = options.key === null ? socket : await secureSocket(socket, options.key, handshakeMs);
    return new FrameConnection(secure, formatAddress(address), options.highWaterBytes, reads);
  } catch (cause) {
    const reason = describeSocketError(cause as NodeJS.ErrnoException);
    throw new ReplicaError(`cannot connect to ${formatAddress(address)}: ${reason}`, { cause });
  }
}
