/**
 * Edge: a replica's control socket, a UNIX socket (0600) that takes one JSON object a line and answers each with
 * one: `{"command": "status"}` -> `{"ok": true, ...}` or `{"ok": false, "error": "..."}`.
 */
import { chmodSync, existsSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { z } from 'zod';
import { ConfigError, ReplicaError } from '../../emulator/errors.js';

const requestSchema = z.strictObject({
  command: z.enum(['status', 'snapshot', 'stop', 'bandwidth']),
  path: z.string().max(4096).optional(),
});
export type ControlRequest = z.infer<typeof requestSchema>;
export type ControlReply = Readonly<Record<string, unknown>>;

const REQUEST_BYTES_MAX = 64 * 1024;
const REPLY_BYTES_MAX = 16 * 1024 * 1024;

export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** Listen at `path`; `handle` answers requests. @throws ReplicaError when the socket cannot be made */
  static async listen(
    path: string,
    handle: (request: ControlRequest) => Promise<ControlReply>,
  ): Promise<ControlServer> {
    if (existsSync(path)) unlinkSync(path);
    const control = new ControlServer(path, handle);
    await new Promise<void>((resolve, reject) => {
      control.#server.once('error', (error) => {
        reject(new ReplicaError(`control socket ${path}: ${error.message}`));
      });
      control.#server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return control;
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
