/** Edge: the first words of a connection that wants to become the backup. */
import { encodeMessage } from '../../hypervisor/channel/messages.js';
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import { refusesHello } from './handshake.js';

/** A joiner says who it is within this time. */
const HELLO_MS = 5000;

/** Wait for a joiner's hello. Resolves to its id, or to null when it went away or was refused. */
export function awaitHello(connection: FrameConnection): Promise<string | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      connection.close();
      resolve(null);
    }, HELLO_MS);
    connection.onClose = () => {
      clearTimeout(timer);
      resolve(null);
    };
    connection.onFrame = (bytes) => {
      clearTimeout(timer);
      connection.onFrame = null;
      const hello = refusesHello(bytes);
      if (typeof hello === 'string') {
        refuse(connection, hello);
        resolve(null);
      } else resolve(hello.replicaId);
    };
  });
}

/** Tell a joiner why it cannot be the backup, and close. */
export function refuse(connection: FrameConnection, reason: string): void {
  connection.send(encodeMessage({ type: 'refused', reason }));
  connection.close();
}
