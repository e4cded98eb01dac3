/** A live replica and backups as sessions of this process, over real sockets with a relay that can cut the channel. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConsoleSink } from '../../../hypervisor/backend/backend.js';
import { decodeMessage, type Message } from '../../../hypervisor/channel/messages.js';
import { connect, listen, type FrameConnection, type Listener } from '../../../hypervisor/channel/transport.js';
import type { Arbiter, ArbiterVerdict } from '../../../hypervisor/ft/arbiter.js';
import { ClockPolicy } from '../../../hypervisor/ft/clock-policy.js';
import type { Machine } from '../../../hypervisor/machine/machine.js';
import { BackupSession } from '../../../tools/replica/backup-session.js';
import type {
  BackupEvent,
  BackupOutcome,
  BackupSessionOptions,
} from '../../../tools/replica/backup-session-options.js';
import type { HeartbeatPort } from '../../../tools/replica/heartbeat-socket.js';
import { LiveSession } from '../../../tools/replica/live-session.js';
import type { LiveSessionOptions, SessionEvent } from '../../../tools/replica/live-session-options.js';
import { planMachine } from '../../../tools/replica/machine-options.js';
import { powerOn } from '../../../tools/replica/power-on.js';

/**
 * A guest at 1 MiB that writes 'x' to the console again and again and counts in a page that moves through memory:
 *   mov dx,3F8h · mov edi,200000h · next: mov al,'x' · out dx,al · inc dword [edi] · add edi,1000h · and edi,2FFFFFh
 *   · or edi,200000h · mov ecx,8000 · wait: dec ecx · jnz wait · jmp next
 */
const CHATTERBOX = Buffer.from(
  '66baf803bf00002000b078eeff0781c70010000081e7ffff2f0081cf00002000b9401f00004975fdebdd',
  'hex',
);

export class MemoryArbiter implements Arbiter {
  readonly winners = new Map<number, string>();
  readonly asked: string[] = [];
  reachable = true;

  claim(epoch: number, replicaId: string): Promise<ArbiterVerdict> {
    this.asked.push(replicaId);
    if (!this.reachable) return Promise.resolve('unreachable');
    if (!this.winners.has(epoch)) this.winners.set(epoch, replicaId);
    return Promise.resolve(this.winners.get(epoch) === replicaId ? 'granted' : 'denied');
  }
  newestEpoch(): Promise<number> {
    return Promise.resolve(Math.max(0, ...this.winners.keys()));
  }
  release(): Promise<ArbiterVerdict> {
    return Promise.resolve('granted');
  }
  lastStopWasClean(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

/** Notes which bytes left, and what the session was then. */
export class NotedConsole implements ConsoleSink {
  released = 0;
  readonly states: string[] = [];
  state: () => string = () => '';

  write(offset: number, bytes: Uint8Array): void {
    this.states.push(this.state());
    this.released = offset + bytes.length;
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

export interface LiveRig {
  readonly session: LiveSession;
  readonly machine: Machine;
  readonly console: NotedConsole;
  readonly events: SessionEvent[];
  readonly address: string;
  /** How the run ended, or the error that ended it. */
  readonly ended: Promise<string>;
}

export interface BackupRig {
  readonly session: BackupSession;
  readonly events: BackupEvent[];
  /** How following ended, or the error that ended it. */
  readonly ended: Promise<BackupOutcome | Error>;
}

export const DETECT_MS = 400;

export class Rig {
  readonly folder = mkdtempSync(join(tmpdir(), 'ft86-rig-'));
  readonly arbiter = new MemoryArbiter();
  readonly #listeners: Listener[] = [];
  readonly #sessions: { close(): void }[] = [];
  readonly #machines: Machine[] = [];
  #count = 0;

  /** A chatterbox that is live in epoch 1 and runs. @param heartbeats a port of the caller's, for heartbeats over UDP */
  async live(options: Partial<LiveSessionOptions> = {}, heartbeats: HeartbeatPort | null = null): Promise<LiveRig> {
    const image = join(this.folder, 'guest.bin');
    writeFileSync(image, CHATTERBOX);
    const plan = await planMachine(
      {
        ...{ image, memory: '4M', append: undefined, module: [], format: 'flat', drive: [], net: [] },
        ...{ clock: 'host', rtc: undefined, until: undefined, fwCfg: [], optionRom: [] },
      },
      null,
      null,
    );
    const machine = powerOn(plan);
    this.#machines.push(machine);
    const console = new NotedConsole();
    const events: SessionEvent[] = [];
    const replicaId = `live-${this.#count++}`;
    const session = new LiveSession({
      ...{
        machine,
        clock: new ClockPolicy('host'),
        disks: [],
        drives: [],
        console,
        ports: [],
        arbiter: this.arbiter,
        replicaId,
      },
      ...{
        epoch: 1,
        detectMs: DETECT_MS,
        lagMs: 200,
        until: Infinity,
        digestMs: 50,
        recorder: null,
        checkpointMs: null,
      },
      ...{ consoleOffset: 0, firstSeq: 0, onSnapshot: () => undefined },
      onEvent: (event) => {
        events.push(event);
      },
      ...options,
    });
    console.state = () => session.state;
    const listener = await listen({
      address: this.#address(replicaId, heartbeats !== null),
      key: null,
      onConnection: (connection) => void session.acceptBackup(connection, heartbeats),
    });
    this.#listeners.push(listener);
    this.#sessions.push(session);
    const ended = session.start().then(
      (end) => end.reason,
      (error: unknown) => (error as Error).message,
    );
    return { session, machine, console, events, address: listener.address, ended };
  }

  /** A backup that joins at `address`. */
  async backup(address: string, options: Partial<BackupSessionOptions> = {}): Promise<BackupRig> {
    const events: BackupEvent[] = [];
    const session = new BackupSession({
      connection: await connect({ address, key: null, timeoutMs: 1000 }),
      replicaId: `backup-${this.#count++}`,
      arbiter: this.arbiter,
      ...{ detectMs: DETECT_MS, lagMs: 200 },
      checkConfig: () => undefined,
      dial: () => Promise.resolve(null),
      couldServe: () => Promise.resolve(false),
      onSnapshot: () => undefined,
      onEvent: (event) => {
        events.push(event);
      },
      ...options,
    });
    const ended = session.follow().catch((error: unknown) => error as Error);
    return { session, events, ended };
  }

  /**
   * An address that leads to `address`. `cut` sees every message before it is passed on and says what becomes of the
   * channel: null: passes, 'hold': waits for ever, 'before' or 'after': the channel dies without or with this message delivered.
   */
  async relay(
    address: string,
    cut: (message: Message, from: 'live' | 'backup') => 'hold' | 'before' | 'after' | null,
  ): Promise<string> {
    const listener = await listen({
      address: this.#address(`relay-${this.#count++}`, address.startsWith('tcp:')),
      key: null,
      onConnection: (backup) => void this.#forward(backup, address, cut),
    });
    this.#listeners.push(listener);
    return listener.address;
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) session.close();
    for (const listener of this.#listeners) await listener.close();
    for (const machine of this.#machines) machine.dispose();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #address(name: string, tcp: boolean): string {
    return tcp ? 'tcp://127.0.0.1:0' : `unix:${join(this.folder, `${name}.sock`)}`;
  }

  async #forward(backup: FrameConnection, address: string, cut: Parameters<Rig['relay']>[1]): Promise<void> {
    const live = await connect({ address, key: null, timeoutMs: 1000 });
    let dead = false;
    const pass = (from: 'live' | 'backup', to: FrameConnection) => (bytes: Uint8Array) => {
      if (dead) return;
      const verdict = cut(decodeMessage(bytes), from);
      if (verdict === null || verdict === 'after') to.send(bytes);
      if (verdict === null || verdict === 'hold') return;
      dead = true;
      live.close();
      backup.close();
    };
    live.onFrame = pass('live', backup);
    backup.onFrame = pass('backup', live);
    live.onClose = () => {
      backup.close();
    };
    backup.onClose = () => {
      live.close();
    };
  }
}

/** Wait until `condition` holds. */
export async function until(condition: () => boolean, what: string, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
