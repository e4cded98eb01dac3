/**
 * Edge: a backup's ear. What shows that the live replica lives, over the channel or over UDP, and the timer that finds it silent.
 *
 *   channel message -> heard()  --+
 *   heartbeat (UDP) --------------+-> FailureDetector ... timer -> look() -> silent()
 *
 * A live replica that gives its backup up stops its heartbeats; so while they come, the channel may be as slow as it
 * likes: it is for the live replica, which misses acknowledgements, to contend.
 */
import type { Welcome } from '../../hypervisor/channel/messages.js';
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import { FailureDetector } from '../../hypervisor/ft/failure-detector.js';
import type { HeartbeatCounts } from '../../hypervisor/ft/heartbeat-session.js';
import { joinHeartbeats, type HeartbeatPeer } from './heartbeat-socket.js';
import { hostMs } from './host-time.js';

const WATCH_MS = 20;
/** Looks at the clock for each heartbeat beside the channel, and the time-out below which there is one at each. */
const LOOKS_PER_BEAT = 2;
const SHORT_DETECT_MS = 160;

export interface PrimaryWatchHooks {
  /** A sign of life. */
  heard(nowMs: number): void;
  /** A sign of life over UDP. */
  heardBeside(): void;
  /** The timer: time to tell that this backup lives. */
  look(): void;
  /** No sign of life for too long. Called again as long as that is so. */
  silent(): void;
}

export class PrimaryWatch {
  readonly #hooks: PrimaryWatchHooks;
  readonly #detector: FailureDetector;
  readonly #looksPerBeat: number;
  #looks = 0;
  #heartbeat: HeartbeatPeer | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(detectMs: number, hooks: PrimaryWatchHooks) {
    this.#hooks = hooks;
    this.#looksPerBeat = detectMs < SHORT_DETECT_MS ? 1 : LOOKS_PER_BEAT;
    this.#detector = new FailureDetector({ timeoutMs: detectMs }, hostMs());
  }

  /** Of the join there is or was; null: none. */
  get heartbeats(): HeartbeatCounts | null {
    return this.#heartbeat?.counts ?? null;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#look();
    }, WATCH_MS);
  }

  /** The live replica let this backup in. */
  joined(connection: FrameConnection, welcome: Welcome): void {
    this.#heartbeat = joinHeartbeats(connection, welcome, () => {
      this.heard();
      this.#hooks.heardBeside();
    });
  }

  heard(): void {
    const now = hostMs();
    this.#detector.heard(now);
    this.#hooks.heard(now);
  }

  /** Tell the live replica nothing more. */
  endHeartbeats(): void {
    this.#heartbeat?.end();
  }

  stop(): void {
    this.endHeartbeats();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    if (this.#looks++ % this.#looksPerBeat === 0) this.#heartbeat?.beat();
    this.#hooks.look();
    if (!this.#detector.suspects(hostMs())) return;
    // This process itself may have been stopped: what lies unread in the sockets counts as life.
    setImmediate(() => {
      if (this.#timer !== null && this.#detector.suspects(hostMs())) this.#hooks.silent();
    });
  }
}
