/** Ports for a program that binds them itself: free ones are chosen, taken ones refused by name before it starts. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { ReplicaError } from '../../emulator/errors.js';
import { describeSocketError } from '../../hypervisor/channel/socket-error.js';
import type { PortForward } from './passt-spec.js';

interface HeldPort {
  readonly port: number;
  readonly release: () => Promise<void>;
}

/**
 * The port of each forward. All are bound at once, so that no two are the same, and free again afterwards.
 * @throws ReplicaError naming the port that cannot be bound
 */
export async function findPorts(forwards: readonly PortForward[]): Promise<number[]> {
  const held: HeldPort[] = [];
  try {
    for (const forward of forwards) held.push(await hold(forward));
    return held.map(({ port }) => port);
  } finally {
    await Promise.all(held.map(({ release }) => release()));
  }
}

function hold({ protocol, host, hostPort: port }: PortForward): Promise<HeldPort> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => {
      const reason = describeSocketError(cause);
      reject(new ReplicaError(`cannot listen on ${protocol} ${host}:${port} (--uplink): ${reason}`, { cause }));
    };
    if (protocol === 'udp') {
      const socket = createSocket('udp4').once('error', fail);
      socket.bind({ address: host, port, exclusive: true }, () => {
        resolve({ port: socket.address().port, release: () => new Promise((done) => socket.close(done)) });
      });
      return;
    }
    const server = createServer().once('error', fail);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      resolve({ port: bound, release: () => new Promise((done) => server.close(() => done())) });
    });
  });
}
