/**
 * Runs a load against a service guest and judges what it was told (an edge: sockets and the host's time).
 *
 *   greet until the guest is up -> read what is there -> the operations -> read everything again -> check
 *
 * Each client has one operation in flight and asks again until it is answered, so an operation is applied
 * once if the guest remembers its clients, and every answer can be checked.
 */
import { ReplicaError } from '../../emulator/errors.js';
import { checkHistory } from './check-history.js';
import type { Action, Invocation, Outcome, Phase } from './history.js';
import { summarise, type LoadResult } from './load-result.js';
import type { LoadSpec } from './load-spec.js';
import { mix } from './seeded-random.js';
import { OP_HELLO, decodeEcho, decodeReply, encodeRequest, isAbout } from './service-protocol.js';
import { UdpClient, type UdpTarget } from './udp-client.js';
import { Workload, encodeAction } from './workload.js';

const NOTHING = new Uint8Array(0);
const WATCH_MS = 100;

export interface LoadHooks {
  /**
   * A number no earlier run on the same disk had: the guest must not take this run's clients for old ones.
   * Default: the host's clock in milliseconds.
   */
  readonly runId?: number;
  /** The guest answers. */
  readonly onReady?: () => void;
  /** Called after each acknowledged operation. */
  readonly onProgress?: (acked: number) => void;
  /** Waited for between the operations and the reads that check them, e.g. for a fault still to come. */
  readonly beforeCheck?: () => Promise<void>;
  /** Ends the run early; what was acknowledged until then is judged. */
  readonly signal?: AbortSignal;
}

/** The guest was silent for too long or refused to serve; says what was acknowledged before. */
export class LoadError extends ReplicaError {
  readonly result: LoadResult;

  constructor(message: string, result: LoadResult) {
    super(message);
    this.result = result;
  }
}

/**
 * Run a load and check its history.
 * @throws LoadError when nothing is heard for the spec's time-out, or the guest refuses a client
 */
export async function runLoad(spec: LoadSpec, target: UdpTarget, hooks: LoadHooks): Promise<LoadResult> {
  const run = new LoadRun(spec, hooks);
  return run.run(target);
}

/** Identities of a run's clients: different from each other and, very probably, from those of other runs. */
export function clientIds(spec: LoadSpec, runId: number): number[] {
  const ids = new Set<number>();
  for (let i = 0; ids.size < spec.clients; i++) ids.add(mix(spec.seed, runId >>> 0, Math.floor(runId / 2 ** 32), i));
  return [...ids];
}

class LoadRun {
  readonly #spec: LoadSpec;
  readonly #hooks: LoadHooks;
  readonly #clients: Client[] = [];
  readonly #history: Invocation[] = [];
  #failure: string | null = null;
  #stopped = false;
  /** Requests that wait for an answer. */
  #inFlight = 0;
  /** Looks of the watch since anything was heard. Not a time: a pause of this process is not the guest's silence. */
  #silentLooks = 0;
  #startMs = 0;
  #endMs = 0;
  #started = 0;
  #acked = 0;
  #requestBytes = 0;

  constructor(spec: LoadSpec, hooks: LoadHooks) {
    this.#spec = spec;
    this.#hooks = hooks;
  }

  async run(target: UdpTarget): Promise<LoadResult> {
    const { signal } = this.#hooks;
    const stop = (): void => {
      this.#stop(null);
    };
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted === true) this.#stopped = true;
    const watch = setInterval(() => {
      if (this.#inFlight > 0) this.#silentLooks++;
      if (this.#silentLooks * WATCH_MS > this.#spec.timeoutMs) this.#stop(this.#silence());
    }, WATCH_MS);
    try {
      this.#open(target);
      await this.#phases();
    } finally {
      clearInterval(watch);
      signal?.removeEventListener('abort', stop);
      for (const client of this.#clients) client.udp.close();
    }
    return this.#judge();
  }

  #open(target: UdpTarget): void {
    const { kind, seed } = this.#spec;
    for (const [index, id] of clientIds(this.#spec, this.#hooks.runId ?? Date.now()).entries()) {
      const udp = new UdpClient(target);
      this.#clients.push({ index, id, udp, workload: new Workload(kind, seed, index), sequence: 0 });
    }
    if (this.#stopped) this.#stop(null);
  }

  #silence(): string {
    const error = this.#clients.find(({ udp }) => udp.sendError !== null)?.udp.sendError;
    return `no reply for ${this.#spec.timeoutMs} ms${error === undefined ? '' : ` (${error})`}`;
  }

  async #phases(): Promise<void> {
    await this.#each((client) => this.#greet(client));
    if (this.#stopped) return;
    this.#hooks.onReady?.();
    await this.#each((client) => this.#perform(client, 'setup', client.workload.reads()));
    this.#startMs = performance.now();
    await this.#each((client) => this.#load(client));
    this.#endMs = performance.now();
    await this.#hooks.beforeCheck?.();
    await this.#each((client) => this.#perform(client, 'verify', client.workload.reads()));
  }

  async #each(task: (client: Client) => Promise<void>): Promise<void> {
    await Promise.all(this.#clients.map(task));
  }

  /** Ask for an answer to nothing until the guest is up. */
  async #greet({ udp, id }: Client): Promise<void> {
    const hello = encodeRequest({ client: id, sequence: 0, op: OP_HELLO, key: NOTHING, value: NOTHING });
    await this.#exchange(udp, hello, (datagram) => this.#outcome(datagram, id, 0) !== null);
  }

  async #load(client: Client): Promise<void> {
    const { operations, clients } = this.#spec;
    const share = Math.floor(operations / clients) + (client.index < operations % clients ? 1 : 0);
    for (let i = 0; i < share && !this.#stopped; i++) {
      if (this.#spec.ratePerSecond !== null) await this.#turn(this.#spec.ratePerSecond);
      await this.#perform(client, 'load', [client.workload.next()]);
    }
  }

  /** Wait until the next operation may start. */
  async #turn(ratePerSecond: number): Promise<void> {
    const dueMs = this.#startMs + (this.#started++ * 1000) / ratePerSecond;
    for (let waitMs = dueMs - performance.now(); waitMs > 0 && !this.#stopped; waitMs = dueMs - performance.now()) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, WATCH_MS)));
    }
  }

  async #perform(client: Client, phase: Phase, actions: readonly Action[]): Promise<void> {
    for (const action of actions) {
      if (this.#stopped) return;
      const sequence = ++client.sequence;
      const invocation: Invocation = {
        client: client.index,
        sequence,
        phase,
        action,
        invokedMs: performance.now(),
        attempts: 0,
        respondedMs: null,
        outcome: null,
      };
      this.#history.push(invocation);
      const request = encodeAction(action, client.id, sequence);
      const attempts = await this.#exchange(client.udp, request, (datagram) => {
        invocation.outcome = this.#outcome(datagram, client.id, sequence);
        if (invocation.outcome !== null) invocation.respondedMs = performance.now();
        return invocation.outcome !== null;
      });
      if (attempts === null) return;
      invocation.attempts = attempts;
      this.#requestBytes += request.length;
      this.#acknowledged(client, invocation);
    }
  }

  async #exchange(
    udp: UdpClient,
    request: Uint8Array,
    accept: (datagram: Uint8Array) => boolean,
  ): Promise<number | null> {
    this.#inFlight++;
    const attempts = await udp.exchange(request, accept);
    this.#inFlight--;
    return attempts;
  }

  #acknowledged(client: Client, { phase, action, outcome }: Invocation): void {
    const status = outcome?.status ?? 'ok';
    if (status === 'bad-request') this.#stop(`the guest calls a ${action.op} a bad request`);
    if (status === 'stale') this.#stop(`the guest knows client ${client.id} from another run; use another seed=`);
    if (status === 'full' && action.op !== 'put' && action.op !== 'add') {
      this.#stop('the guest has no room for another client');
    }
    if (phase === 'load') this.#hooks.onProgress?.(++this.#acked);
  }

  /** What a datagram says about request `sequence`; null: it belongs to another one. */
  #outcome(datagram: Uint8Array, id: number, sequence: number): Outcome | null {
    if (!isAbout(datagram, id, sequence)) return null;
    const outcome = this.#spec.kind === 'echo' ? decodeEcho(datagram) : decodeReply(datagram);
    if (outcome !== null) this.#silentLooks = 0;
    return outcome;
  }

  /** End the run, with a reason when it failed; the first one counts. */
  #stop(failure: string | null): void {
    if (!this.#stopped) this.#failure = failure;
    this.#stopped = true;
    for (const client of this.#clients) client.udp.close();
  }

  #judge(): LoadResult {
    const seconds = ((this.#endMs === 0 ? performance.now() : this.#endMs) - this.#startMs) / 1000;
    const verdict = checkHistory(this.#spec.kind, this.#history);
    const result = summarise(this.#history, verdict, {
      startMs: this.#startMs,
      seconds: this.#startMs === 0 ? 0 : seconds,
      completed: !this.#stopped,
      requestBytes: this.#requestBytes,
    });
    if (this.#failure !== null) {
      const { acked } = result;
      throw new LoadError(
        `load ${this.#spec.kind}: ${this.#failure} (${acked} of ${this.#spec.operations} done)`,
        result,
      );
    }
    return result;
  }
}

interface Client {
  readonly index: number;
  readonly id: number;
  readonly udp: UdpClient;
  readonly workload: Workload;
  /** Of the newest request. */
  sequence: number;
}
