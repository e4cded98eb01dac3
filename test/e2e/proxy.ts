/** A TCP proxy on loopback that can break what leads through it, or let it stand still as a cut cable does. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Proxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #held = false;
  port = 0;

  /** Leads to a port of loopback. */
  constructor(to: number) {
    this.#server = createServer((near) => {
      near.on('error', () => undefined);
      this.#sockets.add(near);
      if (this.#held) return;
      const far = connect({ host: '127.0.0.1', port: to });
      this.#sockets.add(far);
      const end = (): void => {
        for (const socket of [near, far]) {
          socket.destroy();
          this.#sockets.delete(socket);
        }
      };
      far.on('error', () => undefined);
      for (const socket of [near, far]) socket.setNoDelay(true).on('close', end);
      near.pipe(far).pipe(near);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.port = (this.#server.address() as { port: number }).port;
    return `tcp://127.0.0.1:${this.port}`;
  }

  /** What is under way is lost, both ways. */
  break(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
  }

  /** Nothing passes any more, and nobody is told. */
  hold(): void {
    this.#held = true;
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  /** New connections lead through again. */
  heal(): void {
    this.#held = false;
    this.break();
  }

  close(): void {
    this.#server.close();
    this.break();
  }
}
