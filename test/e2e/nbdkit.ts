/** nbdkit as a disk server that fails as often as told. */
import { spawn } from 'node:child_process';
import { answers } from '../../tools/soak/crash-server.js';

/** Run `use` while `nbdkit -U SOCKET ARGS` serves. */
export async function withNbdkit<T>(socket: string, args: readonly string[], use: () => Promise<T>): Promise<T> {
  const server = spawn('nbdkit', ['-f', '-U', socket, ...args], { stdio: 'ignore' });
  const missing = new Promise<never>((_, reject) => {
    server.on('error', () => {
      reject(new Error('nbdkit is not installed; "make extras" installs it'));
    });
    server.on('exit', (status) => {
      reject(new Error(`nbdkit ended with status ${status ?? 'of a signal'}`));
    });
  });
  const up = async (): Promise<void> => {
    while (!(await answers(socket))) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  try {
    await Promise.race([up(), missing]);
    return await Promise.race([use(), missing]);
  } finally {
    missing.catch(() => undefined);
    server.kill('SIGKILL');
  }
}
