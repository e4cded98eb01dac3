/**
 * Edge: a backup's side of the logging channel: one connection after the other, should one break. What to do is
 * channel-state.ts's to say.
 *
 *   message -> hooks.received()        send() -> the connection, or nowhere while there is none
 *   closed, or silent while heartbeats arrive beside it -> dial -> RESUME at hooks.nextSeq() -> RESUMED -> hooks.resumed()
 */
import { DecodeError } from '../../emulator/errors.js';
import { CHANNEL_PROTOCOL, decodeMessage, encodeMessage, type Message } from '../../hypervisor/channel/messages.js';
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import {
  nextChannel,
  type ChannelEffect,
  type ChannelInput,
  type ChannelState,
} from '../../hypervisor/ft/channel-state.js';
import { StallWatch } from '../../hypervisor/ft/stall-watch.js';
import { hostMs } from './host-time.js';

/** A dying process closes its sockets one after the other: ask again soon. */
const RETRY_MS = 10;
/** How long a connection may take to be made: a packet that is lost on its way costs one short attempt, a long way the first ones. */
const DIAL_MS_MIN = 50;
const DIAL_MS_MAX = 400;
/** What was said so short ago need not be repeated to show that this side lives. */
const SAID_MS = 10;

export interface BackupChannelOptions {
  readonly connection: FrameConnection;
  readonly replicaId: string;
  readonly detectMs: number;
  /** Connect to the live replica again; 'gone': nobody listens there any more; null: it cannot be done now. */
  readonly dial: (timeoutMs: number) => Promise<FrameConnection | 'gone' | null>;
  /** Whether a live replica here could use its disks, and contend. */
  readonly couldServe: () => Promise<boolean>;
}

export interface BackupChannelHooks {
  /** Throws what ends this backup. */
  received(message: Message): void;
  /** The log can go on with this entry on a new connection; null: it cannot, this backup has not the whole state, or is done. */
  nextSeq(): number | null;
  /** What a connection has brought in part comes again on another one. */
  dropped(): void;
  /** The log goes on, `ms` after the old connection carried something. */
  resumed(ms: number): void;
  /** There is no live replica there any more, or it goes on without this backup. */
  ended(reason: 'connection-refused' | 'bye'): void;
}

export class BackupChannel {
  readonly #options: BackupChannelOptions;
  readonly #hooks: BackupChannelHooks;
  #state: ChannelState = 'whole';
  #connection: FrameConnection | null;
  #dialled: FrameConnection | null = null;
  /** Of this join, once it is known; null: nothing is resumed. */
  #secret: string | null = null;
  #dialMs = DIAL_MS_MIN;
  readonly #stall: StallWatch;
  /** When the connection before the present one carried something for the last time. */
  #brokenMs = 0;
  #saidMs = -Infinity;

  constructor(options: BackupChannelOptions, hooks: BackupChannelHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#connection = options.connection;
    this.#stall = new StallWatch(options.detectMs);
  }

  /** Listen from now on. */
  start(): void {
    if (this.#connection !== null) this.#listen(this.#connection);
  }

  /** WELCOME came. */
  welcomed(secret: string | null): void {
    this.#secret = secret;
  }

  /** A message that is lost when there is no connection: all of a backup's are repeated, or void without it. */
  send(message: Message): void {
    if (this.#state !== 'whole' && this.#state !== 'replacing') return;
    this.#connection?.send(encodeMessage(message));
    this.#saidMs = hostMs();
  }

  /** Nothing was said for a while. */
  get quiet(): boolean {
    return hostMs() - this.#saidMs >= SAID_MS;
  }

  /** A heartbeat of the live replica came beside the channel. */
  heardBeside(): void {
    if (!this.#stalled()) return;
    // This process itself may have been stopped: what lies unread in the socket is carried.
    setImmediate(() => {
      if (this.#stalled()) this.#input({ kind: 'stalled' });
    });
  }

  #stalled(): boolean {
    const connection = this.#connection;
    if (connection === null || this.#secret === null || this.#hooks.nextSeq() === null) return false;
    return this.#stall.stalled(connection.bytesReceived, hostMs());
  }

  close(): void {
    if (this.#state !== 'ended') this.#input({ kind: 'end' });
  }

  #listen(connection: FrameConnection): void {
    this.#connection = connection;
    this.#stall.begin(connection.bytesReceived, hostMs());
    connection.onFrame = (bytes) => {
      const message = decodeMessage(bytes);
      if (this.#state === 'resuming') this.#answered(message);
      else if (message.type === 'disk-away') void this.#lookForDisk();
      else this.#hooks.received(message);
    };
    connection.onClose = () => {
      this.#brokenMs = this.#stall.movedMs(connection.bytesReceived, hostMs());
      this.#connection = null;
      this.#input({ kind: 'closed' });
    };
  }

  async #lookForDisk(): Promise<void> {
    if (await this.#options.couldServe()) this.send({ type: 'disk-there' });
  }

  #answered(message: Message): void {
    if (message.type === 'resumed' || message.type === 'refused') this.#input({ kind: message.type });
    else throw new DecodeError('bad-order', 0, `${message.type} before the answer to a resumption`);
  }

  #input(input: ChannelInput): void {
    const [state, effects] = nextChannel(this.#state, input);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: ChannelEffect): void {
    switch (effect) {
      case 'dial':
        void this.#dial();
        return;
      case 'retry-later':
        setTimeout(() => {
          if (this.#state === 'waiting') this.#input({ kind: 'retry' });
        }, RETRY_MS);
        return;
      case 'resume':
        this.#resume();
        return;
      case 'drop':
        this.#drop();
        return;
      case 'drop-new':
        this.#dialled?.close();
        this.#dialled = null;
        return;
      case 'tell-resumed':
        this.#hooks.resumed(hostMs() - this.#brokenMs);
        return;
      case 'tell-gone':
        this.#hooks.ended('connection-refused');
        return;
      case 'tell-refused':
        this.#hooks.ended('bye');
    }
  }

  async #dial(): Promise<void> {
    const result = await this.#options.dial(this.#dialMs);
    this.#dialMs = result === null ? Math.min(DIAL_MS_MAX, this.#dialMs * 2) : DIAL_MS_MIN;
    if (result === null) this.#input({ kind: 'failed' });
    else if (result === 'gone') this.#input({ kind: 'gone' });
    else {
      this.#dialled = result;
      this.#input({ kind: 'dialled', resumable: this.#secret !== null && this.#hooks.nextSeq() !== null });
    }
  }

  #resume(): void {
    if (this.#connection !== null) this.#brokenMs = this.#stall.movedMs(this.#connection.bytesReceived, hostMs());
    this.#drop();
    this.#hooks.dropped();
    const { replicaId } = this.#options;
    const [connection, secret, nextSeq] = [this.#dialled, this.#secret, this.#hooks.nextSeq()];
    this.#dialled = null;
    if (connection === null || secret === null || nextSeq === null) return;
    const resume = { protocol: CHANNEL_PROTOCOL, replicaId, secret, nextSeq };
    this.#listen(connection);
    connection.send(encodeMessage({ type: 'resume', resume }));
  }

  #drop(): void {
    this.#connection?.abandon();
    this.#connection = null;
  }
}
