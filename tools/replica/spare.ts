/**
 * Edge: a spare host, from its entry into the pool to the moment when it has a guest's whole state.
 *
 *   register -> wait for a claim -> join(address) -> following: leave the pool
 *       ^                               |
 *       +---- the join came to nothing -+
 */
import { randomUUID } from 'node:crypto';
import { ReplicaError } from '../../emulator/errors.js';
import type { EtcdPool } from './etcd-pool.js';

export type PoolEvent =
  | { readonly kind: 'in-pool'; readonly spare: string }
  | { readonly kind: 'asked'; readonly channel: string }
  | { readonly kind: 'back-to-pool'; readonly why: string }
  | { readonly kind: 'pool-unreachable'; readonly why: string };

const LOOK_MS = 100;
const KEEP_ALIVE_MS = 1000;
const RETRY_MS = 500;

/** Wait in the pool and join whoever asks. `join` calls its second argument when it has the whole state. */
export async function waitInPool<T>(
  pool: EtcdPool,
  join: (address: string, following: () => void) => Promise<T>,
  onEvent: (event: PoolEvent) => void,
): Promise<T> {
  for (;;) {
    const membership = await Membership.enter(pool, onEvent);
    const state = { following: false };
    try {
      const channel = await membership.asked();
      onEvent({ kind: 'asked', channel });
      return await join(channel, () => {
        state.following = true;
        void membership.leave();
      });
    } catch (error) {
      if (state.following || !(error instanceof ReplicaError) || membership.interrupted) throw error;
      onEvent({ kind: 'back-to-pool', why: error.message });
      await membership.leave();
      await sleep(RETRY_MS);
    } finally {
      membership.end();
    }
  }
}

class Membership {
  readonly #pool: EtcdPool;
  readonly #onEvent: (event: PoolEvent) => void;
  readonly #keepAlive: NodeJS.Timeout;
  readonly #id = `spare-${randomUUID()}`;
  #lease: string | null = null;
  #said = false;
  #interrupted = false;
  readonly #interrupt = (): void => {
    this.#interrupted = true;
  };

  static async enter(pool: EtcdPool, onEvent: (event: PoolEvent) => void): Promise<Membership> {
    const membership = new Membership(pool, onEvent);
    while (!membership.interrupted && (await membership.#tried(() => membership.#register())) === null)
      await sleep(RETRY_MS);
    return membership;
  }

  private constructor(pool: EtcdPool, onEvent: (event: PoolEvent) => void) {
    this.#pool = pool;
    this.#onEvent = onEvent;
    process.on('SIGINT', this.#interrupt);
    process.on('SIGTERM', this.#interrupt);
    this.#keepAlive = setInterval(() => {
      const lease = this.#lease;
      if (lease !== null) void this.#tried(() => pool.keepAlive(lease));
    }, KEEP_ALIVE_MS);
  }

  get interrupted(): boolean {
    return this.#interrupted;
  }

  /** The address of the live replica that wants this spare. @throws ReplicaError when interrupted */
  async asked(): Promise<string> {
    for (;;) {
      if (this.#interrupted) {
        await this.leave();
        throw new ReplicaError('interrupted: left the pool');
      }
      const claim = await this.#tried(() => this.#claim());
      if (claim !== null) return claim;
      await sleep(LOOK_MS);
    }
  }

  async leave(): Promise<void> {
    const lease = this.#lease;
    this.#lease = null;
    if (lease !== null) await this.#tried(() => this.#pool.leave(lease));
  }

  end(): void {
    clearInterval(this.#keepAlive);
    process.off('SIGINT', this.#interrupt);
    process.off('SIGTERM', this.#interrupt);
  }

  /** Who asks for this spare. One whose lease has run out enters the pool anew. */
  async #claim(): Promise<string | null> {
    const entry = await this.#pool.entry(this.#id);
    if (entry === null) await this.#register();
    return entry?.claim ?? null;
  }

  async #register(): Promise<true> {
    this.#lease = await this.#pool.register(this.#id);
    this.#onEvent({ kind: 'in-pool', spare: this.#id });
    return true;
  }

  /** Null: etcd does not carry it out, which is said once. */
  async #tried<T>(action: () => Promise<T>): Promise<T | null> {
    try {
      const result = await action();
      this.#said = false;
      return result;
    } catch (error) {
      if (!(error instanceof ReplicaError)) throw error;
      if (!this.#said) this.#onEvent({ kind: 'pool-unreachable', why: error.message });
      this.#said = true;
      return null;
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
