/**
 * Edge: the line between a replica and the `pair` (or another parent) that started it, over Node's IPC pipe.
 *
 *   replica -> parent   listening or refused, started, console, event, progress, final, report
 *   parent -> replica   stop, serial, channel, final
 *
 * A replica whose parent has gone ends itself: no orphan processes. One that fails lets go of the line, which would keep
 * it alive.
 */
import { ConfigError, DecodeError } from '../../emulator/errors.js';
import type { ConsoleSink } from '../../hypervisor/backend/backend.js';
import { takeMessagesBehind } from './arguments-of-parent.js';
import type { ReplicaReport } from './result.js';

export type ToParent =
  /** It takes a backup at `channel` from now on. */
  | { readonly type: 'listening'; readonly channel: string }
  | { readonly type: 'started' }
  /** A mistake of the user's, before the guest ran: the parent's to tell. */
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'console'; readonly offset: number; readonly base64: string }
  | { readonly type: 'event'; readonly event: { readonly kind: string; readonly [field: string]: unknown } }
  | {
      readonly type: 'progress';
      readonly icount: number;
      readonly mips: number;
      readonly state: string;
      readonly log: ReplicaReport['log'];
      readonly checkpoints: ReplicaReport['checkpoints'];
    }
  /** The run is over for it, in this state (final-state.ts). It waits for the answer. */
  | { readonly type: 'final'; readonly icount: number; readonly digest: string }
  | { readonly type: 'report'; readonly report: ReplicaReport };

export type FromParent =
  | { readonly type: 'stop' }
  | { readonly type: 'serial'; readonly base64: string }
  /** Where the live replica listens, for a backup that was started with `--channel parent`. */
  | { readonly type: 'channel'; readonly channel: string }
  /** Whether its final state is wanted as a snapshot. */
  | { readonly type: 'final'; readonly save: boolean };

/** The channel of a backup that starts while its primary does: the parent will name it. */
export const CHANNEL_OF_PARENT = 'parent';

/** The parent, or null when this process was started by a person. */
export class ParentLink {
  static connect(): ParentLink | null {
    return process.send === undefined ? null : new ParentLink();
  }

  onMessage: ((message: Exclude<FromParent, { type: 'channel' | 'final' }>) => void) | null = null;
  /** Where the live replica listens, when the parent has said so. */
  readonly channel: Promise<string>;
  #started = false;
  #answerFinal: (save: boolean) => void = () => undefined;

  private constructor() {
    let named: (channel: string) => void = () => undefined;
    this.channel = new Promise((resolve) => {
      named = resolve;
    });
    // It may have gone before anybody listened.
    if (!process.connected) process.exit(4);
    process.on('disconnect', () => {
      process.exit(4);
    });
    const receive = (received: unknown): void => {
      const message = received as FromParent;
      if (message.type === 'channel') named(message.channel);
      else if (message.type === 'final') this.#answerFinal(message.save);
      else this.onMessage?.(message);
    };
    process.on('message', receive);
    takeMessagesBehind().forEach(receive);
    process.channel?.ref();
  }

  /** `done` is called when the message is in the kernel's hands: it survives this process. */
  send(message: ToParent, done?: () => void): void {
    if (message.type === 'started') this.#started = true;
    process.send?.(message, undefined, undefined, (error) => {
      if (error === null) done?.();
    });
  }

  /** Tell the parent the final state's digest. Resolves to whether it wants all of it. */
  wantsFinal(icount: number, digest: string): Promise<boolean> {
    return new Promise((resolve) => {
      this.#answerFinal = resolve;
      this.send({ type: 'final', icount, digest });
    });
  }

  /** Send a last message and let the process end. */
  finish(message: ToParent): Promise<void> {
    return new Promise((resolve) => {
      process.send?.(message, undefined, undefined, () => {
        this.#letGo();
        resolve();
      });
    });
  }

  /** The replica failed. Does not return when the parent will tell why. */
  async fail(error: unknown): Promise<void> {
    if (!this.#started && (error instanceof ConfigError || error instanceof DecodeError)) {
      await this.finish({ type: 'refused', message: error.message });
      process.exit(2);
    }
    this.#letGo();
  }

  #letGo(): void {
    process.removeAllListeners('disconnect');
    if (process.connected) process.disconnect();
  }
}

/** Run a replica that `parent`, if it has one, waits for. */
export async function underParent<T>(parent: ParentLink | null, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    await parent?.fail(error);
    throw error;
  }
}

/** Console bytes go to the parent, which collects them from whichever replica is live and drops repeats. */
export class ParentConsole implements ConsoleSink {
  readonly #parent: ParentLink;
  #released: number;

  constructor(parent: ParentLink, offset: number) {
    this.#parent = parent;
    this.#released = offset;
  }

  get released(): number {
    return this.#released;
  }

  write(offset: number, bytes: Uint8Array): void {
    const message = { type: 'console', offset, base64: Buffer.from(bytes).toString('base64') } as const;
    this.#parent.send(message, () => {
      this.#released = Math.max(this.#released, offset + bytes.length);
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
