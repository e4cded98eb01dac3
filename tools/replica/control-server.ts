/**
 * Edge: a replica's control socket, a UNIX socket (0600) that takes one JSON object a line and answers each with
 * one: `{"command": "status"}` -> `{"ok": true, ...}` or `{"ok": false, "error": "..."}`.
 */
import { join } from 'node:path';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import * as z from 'zod';
import { ConfigError, ReplicaError } from '../../emulator/errors.js';
import { bindUnixSocket } from '../../hypervisor/channel/unix-socket.js';

const requestSchema = z.strictObject({
  command: z.enum(['status', 'snapshot', 'stop', 'bandwidth', 'configure']),
  /** NAME=VALUE, for configure. */
  setting: z.string().max(4096).optional(),
  path: z.string().max(4096).optional(),
});
export type ControlRequest = z.infer<typeof requestSchema>;
export type ControlReply = Readonly<Record<string, unknown>>;

/** Names of control sockets in a run's directory. */
export const CONTROL_SOCKET = /^(primary|backup)(-[0-9]+)?\.sock$/;

const REQUEST_BYTES_MAX = 64 * 1024;
const REPLY_BYTES_MAX = 16 * 1024 * 1024;

export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /**
   * Listen in `directory` under the first name that no living process has: `ROLE.sock`, `ROLE-2.sock` and so on;
   * `handle` answers requests. @throws ReplicaError when the socket cannot be made
   */
  static async listen(
    directory: string,
    role: 'primary' | 'backup',
    handle: (request: ControlRequest) => Promise<ControlReply>,
  ): Promise<ControlServer> {
    for (let number = 1; ; number++) {
      const path = join(directory, number === 1 ? `${role}.sock` : `${role}-${number}.sock`);
      const control = new ControlServer(path, handle);
      try {
        await bindUnixSocket(control.#server, path);
        return control;
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code !== 'EADDRINUSE') throw new ReplicaError(`control socket ${path}: ${message}`, { cause: error });
      }
    }
  }

  private constructor(path: string, handle: (request: ControlRequest) => Promise<ControlReply>) {
    this.path = path;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      forEachLine(socket, REQUEST_BYTES_MAX, (line) => {
        void answer(line, handle).then((reply) => socket.write(`${JSON.stringify(reply)}\n`));
      });
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.end();
  }
}

async function answer(line: string, handle: (request: ControlRequest) => Promise<ControlReply>): Promise<ControlReply> {
  try {
    return { ok: true, ...(await handle(requestSchema.parse(JSON.parse(line)))) };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Ask the replica behind `path` one thing. @throws ConfigError when nobody is there, ReplicaError when it refuses */
export function askControl(path: string, request: ControlRequest): Promise<ControlReply> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.on('error', (error) => {
      reject(new ConfigError('SOCKET', path, `no replica answers there (${error.message})`));
    });
    socket.on('close', () => {
      reject(new ReplicaError(`the replica behind ${path} closed the connection without an answer`));
    });
    forEachLine(socket, REPLY_BYTES_MAX, (line) => {
      const reply = JSON.parse(line) as ControlReply;
      if (reply['ok'] === true) resolve(reply);
      else reject(new ReplicaError(String(reply['error'])));
      socket.end();
    });
    socket.write(`${JSON.stringify(request)}\n`);
  });
}

function forEachLine(socket: Socket, bytesMax: number, take: (line: string) => void): void {
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) take(line);
    if (text.length > bytesMax) socket.destroy();
  });
}
