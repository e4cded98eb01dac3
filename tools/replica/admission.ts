/** Edge: the first words of a connection that wants to become the backup, or to carry the channel of the one there is. */
import { encodeMessage, type Hello } from '../../hypervisor/channel/messages.js';
import type { Resume } from '../../hypervisor/channel/resume-messages.js';
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import { refusesFirst } from './handshake.js';

/** A joiner says who it is within this time. */
const HELLO_MS = 5000;

/** Wait for a connection's first message. Resolves to null when it went away or was refused. */
export function awaitFirst(connection: FrameConnection): Promise<Hello | Resume | null> {
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
      const first = refusesFirst(bytes);
      if (typeof first === 'string') refuse(connection, first);
      resolve(typeof first === 'string' ? null : first);
    };
  });
}

/** Tell a joiner why it cannot be the backup, and close. */
export function refuse(connection: FrameConnection, reason: string): void {
  connection.send(encodeMessage({ type: 'refused', reason }));
  connection.close();
}
