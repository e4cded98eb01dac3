/** Binds a server to an address, TCP or UNIX (an edge: sockets). */
import type { AddressInfo, Server, Socket } from 'node:net';
import { ReplicaError } from '../../emulator/errors.js';
import { formatAddress, type Address } from './address.js';
import { describeSocketError } from './socket-error.js';
import { bindUnixSocket } from './unix-socket.js';

/**
 * Start listening. Port 0 is any free port.
 * @returns the address really bound, with the port in numbers
 * @throws ReplicaError naming the address when it cannot be bound, e.g. when it is in use
 */
export async function bindServer(server: Server, address: Address): Promise<Address> {
  try {
    if (address.kind === 'unix') await bindUnixSocket(server, address.path);
    else {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host: address.host, port: address.port, exclusive: true }, () => {
          server.off('error', reject);
          resolve();
        });
      });
    }
  } catch (cause) {
    const reason = describeSocketError(cause as NodeJS.ErrnoException);
    throw new ReplicaError(`cannot listen on ${formatAddress(address)}: ${reason}`, { cause });
  }
  if (address.kind === 'unix') return address;
  const { address: host, port } = server.address() as AddressInfo;
  return { kind: 'tcp', host, port };
}

/** The other end of an accepted connection, for messages. */
export function peerName(socket: Socket, address: Address): string {
  if (socket.remoteAddress === undefined || socket.remotePort === undefined) return formatAddress(address);
  return formatAddress({ kind: 'tcp', host: socket.remoteAddress, port: socket.remotePort });
}
