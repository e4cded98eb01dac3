/**
 * Edge: heartbeats over UDP, at the port number of the logging channel.
 *
 *   live replica   HeartbeatPort (with the listener) -> begin() for each join -> HeartbeatPeer: answers where the backup's come from
 *   backup         joinHeartbeats() with what WELCOME says    -> HeartbeatPeer: sends to the channel's other end
 *
 * Invariants: nothing that arrives here can do more than count, or be a sign of life; a datagram that cannot be sent (a link
 * that is down) is lost like any other.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns';
import { isIP, isIPv6 } from 'node:net';
import { ReplicaError } from '../../emulator/errors.js';
import { parseAddress } from '../../hypervisor/channel/address.js';
import { SECRET_BYTES, SESSION_BYTES } from '../../hypervisor/channel/heartbeat.js';
import type { Welcome } from '../../hypervisor/channel/messages.js';
import { describeSocketError } from '../../hypervisor/channel/socket-error.js';
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import { HeartbeatSession, type HeartbeatCounts } from '../../hypervisor/ft/heartbeat-session.js';

/** A host that refuses a datagram says so within this time, or what it said counts as lost. */
const REFUSED_MS = 20;

/** Told about each sign of the other side's life. */
type Heard = () => void;

interface Peer {
  readonly host: string;
  readonly port: number;
}

/** The heartbeats of one join. */
export class HeartbeatPeer {
  readonly #session: HeartbeatSession;
  readonly #socket: Socket;
  readonly #heard: Heard;
  #peer: Peer | null;
  readonly #onEnd: () => void;

  constructor(
    session: HeartbeatSession,
    socket: Socket,
    peer: Peer | null,
    hooks: { heard: Heard; ended: () => void },
  ) {
    this.#session = session;
    this.#socket = socket;
    this.#peer = peer;
    this.#heard = hooks.heard;
    this.#onEnd = hooks.ended;
  }

  get counts(): HeartbeatCounts {
    return this.#session.counts;
  }

  /** Send one, if it is known where to. */
  beat(): void {
    const datagram = this.#peer === null ? null : this.#session.next();
    if (datagram === null || this.#peer === null) return;
    this.#socket.send(datagram, this.#peer.port, this.#peer.host, () => undefined);
  }

  /** @param from where an answer goes from now on, if it is a sign of life */
  receive(bytes: Uint8Array, from: Peer | null): void {
    if (!this.#session.receive(bytes)) return;
    if (from !== null) this.#peer = from;
    this.#heard();
  }

  /**
   * Ask the other side's host whether anybody is there: true when the datagram is refused, because its process has ended. False
   * also when nothing is known.
   */
  async refused(): Promise<boolean> {
    const datagram = this.#peer === null ? null : this.#session.next();
    if (datagram === null || this.#peer === null) return false;
    const { host, port } = this.#peer;
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    try {
      return await new Promise<boolean>((resolve) => {
        socket.on('error', (error: NodeJS.ErrnoException) => {
          resolve(error.code === 'ECONNREFUSED');
        });
        setTimeout(() => {
          resolve(false);
        }, REFUSED_MS);
        socket.connect(port, host, () => {
          socket.send(datagram);
        });
      });
    } finally {
      socket.close();
    }
  }

  end(): void {
    if (this.#session.ended) return;
    this.#session.end();
    this.#onEnd();
  }
}

/** Where a live replica hears its backups. */
export class HeartbeatPort {
  readonly #socket: Socket;
  #current: HeartbeatPeer | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes, { address, port }) => {
      this.#current?.receive(bytes, { host: address, port });
    });
  }

  /**
   * Listen beside a channel. Null: a UNIX socket, which loses nothing.
   * @throws ReplicaError naming the address when it cannot be bound
   */
  static async open(option: string, channel: string): Promise<HeartbeatPort | null> {
    const address = parseAddress(option, channel);
    if (address.kind === 'unix') return null;
    const socket = makeSocket(address.host);
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind({ address: address.host, port: address.port, exclusive: true }, resolve);
      });
    } catch (cause) {
      const reason = describeSocketError(cause as NodeJS.ErrnoException);
      throw new ReplicaError(`cannot listen on udp ${address.host}:${address.port}: ${reason}`, { cause });
    }
    return new HeartbeatPort(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** A backup joins: its heartbeats count until end(). */
  begin(epoch: number, heard: Heard): { readonly peer: HeartbeatPeer; readonly welcome: Welcome['heartbeat'] } {
    const keys = { session: randomBytes(SESSION_BYTES), secret: randomBytes(SECRET_BYTES) };
    const session = new HeartbeatSession({ keys, sender: 'live', epoch });
    this.#current?.end();
    const peer = new HeartbeatPeer(session, this.#socket, null, {
      heard,
      ended: () => {
        if (this.#current === peer) this.#current = null;
      },
    });
    this.#current = peer;
    return {
      peer,
      welcome: { port: this.port, session: keys.session.toString('hex'), secret: keys.secret.toString('hex') },
    };
  }

  close(): void {
    this.#current?.end();
    this.#socket.close();
  }
}

/** A backup's heartbeats, as the live replica wants them; null: none. */
export function joinHeartbeats(connection: FrameConnection, welcome: Welcome, heard: Heard): HeartbeatPeer | null {
  const { heartbeat, epoch } = welcome;
  const host = connection.remoteHost;
  if (heartbeat === null || host === null) return null;
  const keys = { session: Buffer.from(heartbeat.session, 'hex'), secret: Buffer.from(heartbeat.secret, 'hex') };
  const session = new HeartbeatSession({ keys, sender: 'backup', epoch });
  const socket = makeSocket(host);
  const peer = new HeartbeatPeer(
    session,
    socket,
    { host, port: heartbeat.port },
    { heard, ended: () => socket.close() },
  );
  socket.on('message', (bytes) => {
    peer.receive(bytes, null);
  });
  peer.beat();
  return peer;
}

function makeSocket(host: string): Socket {
  const socket = createSocket({
    type: isIPv6(host) ? 'udp6' : 'udp4',
    // What is a number already would be looked up for each datagram, too.
    lookup: (name, options, found) => {
      const family = isIP(name);
      if (family === 0) lookup(name, options, found);
      else found(null, name, family);
    },
  });
  // A link that is down: heard as silence, not as an error.
  socket.on('error', () => undefined);
  return socket;
}
