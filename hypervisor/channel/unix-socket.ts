/**
 * Binds a UNIX socket that only its owner can connect to (an edge: file system).
 *
 * Invariants: the socket has mode 0600 from its first moment; a socket file left behind by a process that
 * died is replaced; one that a process still listens on, or a file of another type, is never touched.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { isMainThread } from 'node:worker_threads';

/** @throws the host's error, EADDRINUSE when the path is taken */
export async function bindUnixSocket(server: Server, path: string): Promise<void> {
  try {
    await bindOnce(server, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || !(await isLeftOver(path))) throw error;
    unlinkSync(path);
    await bindOnce(server, path);
  }
}

function bindOnce(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // listen() creates the file before it returns; the mask is the process's own and a worker cannot set it.
    const mask = isMainThread ? process.umask(0o177) : null;
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      if (mask !== null) process.umask(mask);
    }
    if (server.listening) chmodSync(path, 0o600);
  });
}

/** Whether `path` is a socket nobody listens on. */
function isLeftOver(path: string): Promise<boolean> {
  if (!lstatSync(path).isSocket()) return Promise.resolve(false);
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ECONNREFUSED');
    });
  });
}
