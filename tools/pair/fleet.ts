/**
 * The replicas of a pair, dead ones included: who is live, who backs it, who comes next.
 *
 *   start() -> primary + backup ... live one dies: backup says `live` -+
 *                               ... backup dies: live one says `alone` +-> (--replace) backup-2 joins it -> whole()
 *
 * Invariants: at most one backup at a time; a replacement starts only when a replica has said that it is live and
 * without a backup; nothing is started once a live replica has reported the end of the run.
 */
import { ConfigError } from '../../emulator/errors.js';
import type { ToParent } from '../replica/parent-link.js';
import { NO_LOG } from '../replica/report.js';
import type { ReplicaReport, Takeover, Transfer } from '../replica/result.js';
import { Child } from './child.js';
import { makeCopies } from './own-copies.js';
import type { PairOptions } from './pair-options.js';
import { answerFinals, type FinalMember } from './final-states.js';
import { CHANNEL_OF_PARENT } from '../replica/parent-link.js';
import { backupArguments, primaryArguments } from './replica-arguments.js';
import { whileAlive } from './while-alive.js';

/** What the parent last heard of a replica that could not report. */
export type LastHeard = Pick<ReplicaReport, 'icount' | 'mips' | 'log' | 'checkpoints'>;

export interface Member extends FinalMember {
  readonly name: string;
  readonly child: Child;
  /** Where it takes a backup, once it does. */
  channel: string | null;
  report: ReplicaReport | null;
  last: LastHeard;
  takeover: Takeover | null;
  /** It was live from the start or got the whole state. */
  joined: boolean;
  /** What it was when it was lost; null: it was not. */
  lostAs: 'primary' | 'backup' | null;
}

/** How long a replica may take to come up, and to end after the run. */
const START_MS = 30_000;
const END_MS = 30_000;
const STOP_REPEAT_MS = 100;
/** Backups that end without having joined, in a row, before nobody tries any more; and the time between two. */
const FAILED_JOINS_MAX = 5;
const JOIN_RETRY_MS = 300;

export class Fleet {
  readonly members: Member[] = [];
  /** Resolves when every replica that is left has reported its end: its final state is there, though its process may go on. */
  readonly reported: Promise<void>;
  /** Resolves when no replica is left. */
  readonly ended: Promise<void>;
  readonly #options: PairOptions;
  readonly #switchAddress: string | null;
  #live: Member | null = null;
  #backup: Member | null = null;
  /** The live replica has a backup that could take its place. */
  #whole = false;
  /** The live replica has no backup and takes one. */
  #vacant = false;
  #transfer: Transfer | null = null;
  #over = false;
  #failedJoins = 0;
  #alive = 0;
  #waiting: (() => void)[] = [];
  #end: () => void = () => undefined;
  #allReported: () => void = () => undefined;

  constructor(options: PairOptions, switchAddress: string | null) {
    this.#options = options;
    this.#switchAddress = switchAddress;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.reported = new Promise((resolve) => {
      this.#allReported = resolve;
    });
  }

  /** The replica that is live, or was last. */
  get live(): Member | null {
    return this.#live;
  }
  /** Its backup, joining or not. */
  get backup(): Member | null {
    return this.#backup;
  }
  /** The newest state transfer that was completed. */
  get transfer(): Transfer | null {
    return this.#transfer;
  }

  /** Start both replicas. Resolves when the guest runs. @throws ReplicaError */
  async start(): Promise<{ readonly primary: Member; readonly backup: Member }> {
    const primary = this.#start('primary', primaryArguments(this.#options, this.#switchAddress));
    this.#live = primary;
    // Both come up at the same time; the backup is told where to join, and gets its disks, when there is something to join.
    const backup = this.#backupProcess('backup', CHANNEL_OF_PARENT);
    try {
      const { channel } = await whileAlive(primary.child.next('listening'), START_MS, primary.child, backup.child);
      makeCopies(this.#options.plan.drives, 'backup');
      backup.child.send({ type: 'channel', channel });
    } catch (error) {
      backup.child.discard();
      throw error;
    }
    await whileAlive(primary.child.next('started'), START_MS, primary.child, backup.child);
    this.#options.typing?.connect(primary.child);
    return { primary, backup };
  }

  /** Resolves when the live replica has a backup with its whole state, or will not get one any more. */
  whole(): Promise<void> {
    if (this.#settled()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** kill -9 whoever has that part now. */
  kill(victim: 'primary' | 'backup'): void {
    const member = victim === 'primary' ? this.#live : this.#backup;
    if (member === null || !member.child.alive) return;
    this.#whole = false;
    member.lostAs = victim;
    member.child.kill();
  }

  /** End the run in order. Said until it is heard: a backup that is just going live cannot stop a guest yet. */
  stop(): void {
    this.#finish();
    const say = (): void => {
      for (const { child } of this.members) child.send({ type: 'stop' });
    };
    const timer = setInterval(say, STOP_REPEAT_MS);
    void this.ended.then(() => {
      clearInterval(timer);
    });
    say();
  }

  /** Wait until all replicas have ended; one that hangs is killed and that is said. */
  async settle(): Promise<void> {
    const timer = setTimeout(() => {
      for (const { name, child } of this.members) {
        if (!child.alive) continue;
        process.stderr.write(`ft86: the ${name} did not end within ${END_MS / 1000} s: killed\n`);
        child.kill();
      }
    }, END_MS);
    await this.ended;
    clearTimeout(timer);
  }

  /** No child outlives its parent. */
  close(): void {
    this.#over = true;
    for (const { child } of this.members) if (child.alive) child.kill();
  }

  // --- children ---

  #start(name: string, args: readonly string[]): Member {
    const member: Member = {
      name,
      child: new Child(name, args),
      channel: null,
      report: null,
      final: null,
      last: { icount: 0, mips: 0, log: NO_LOG, checkpoints: null },
      takeover: null,
      joined: false,
      lostAs: null,
    };
    this.members.push(member);
    this.#alive++;
    member.child.onMessage = (message) => {
      this.#receive(member, message);
    };
    void member.child.exited.then(() => {
      this.#exited(member);
    });
    return member;
  }

  #startBackup(name: string, channel: string): Member {
    makeCopies(this.#options.plan.drives, name);
    return this.#backupProcess(name, channel);
  }

  #backupProcess(name: string, channel: string): Member {
    this.#backup = this.#start(name, backupArguments(this.#options, name, this.#switchAddress, channel));
    return this.#backup;
  }

  /** Start a backup if the live replica needs one and takes one. */
  #replace(): void {
    const live = this.#live;
    if (!this.#options.replace || this.#over || this.#backup !== null) return;
    if (live === null || !live.child.alive || live.channel === null) return;
    try {
      const backup = this.#startBackup(`backup-${this.members.length}`, live.channel);
      this.#options.onEvent({ kind: 'replacing', who: backup.name, pid: backup.child.pid });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      process.stderr.write(`ft86: no new backup: ${error.message}\n`);
    }
  }

  #exited(member: Member): void {
    const orderly = this.#over || member.report?.error === null;
    if (!orderly || member.child.killed) member.lostAs ??= member === this.#live ? 'primary' : 'backup';
    if (member.child.killed) this.#options.onEvent({ kind: 'killed', who: member.name, icount: member.last.icount });
    if (member === this.#live) this.#whole = false;
    // One that followed to the end may be out before the live one has said that it ended.
    if (member === this.#backup && !orderly) this.#backupExited(member);
    if (--this.#alive === 0) {
      this.#over = true;
      this.#end();
    }
    this.#checkReported();
    this.#changed();
  }

  #backupExited({ joined }: Member): void {
    this.#backup = null;
    this.#whole = false;
    // Otherwise the live replica has yet to notice the loss; then it says that it is alone.
    if (!this.#vacant || !this.#options.replace) return;
    if (joined) this.#replace();
    else if (++this.#failedJoins < FAILED_JOINS_MAX) {
      setTimeout(() => {
        this.#replace();
      }, JOIN_RETRY_MS);
    } else this.#options.onEvent({ kind: 'not-replaced', attempts: this.#failedJoins });
  }

  /** Nothing starts from here on, and what has not joined is of no use. */
  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    const backup = this.#backup;
    // A backup whose live replica is dead may have more than we know, and go live.
    if (backup?.joined === false && this.#live?.child.alive === true) backup.child.discard();
    this.#changed();
  }

  #checkReported(): void {
    answerFinals(this.members);
    if (this.members.every(({ child, report }) => report !== null || !child.alive)) this.#allReported();
  }

  #settled(): boolean {
    return this.#whole || this.#over || this.#failedJoins >= FAILED_JOINS_MAX;
  }

  #changed(): void {
    if (!this.#settled()) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  // --- what they say ---

  #receive(member: Member, message: ToParent): void {
    const { typing, onEvent } = this.#options;
    switch (message.type) {
      case 'console': {
        const bytes = Buffer.from(message.base64, 'base64');
        this.#options.console.write(message.offset, bytes);
        typing?.output(message.offset, bytes);
        return;
      }
      case 'event':
        onEvent({ kind: 'replica', who: member.name, event: message.event });
        this.#event(member, message.event);
        return;
      case 'progress': {
        const { icount, mips } = message;
        member.last = { ...message };
        onEvent({ kind: 'progress', who: member.name, live: member === this.#live, icount, mips });
        return;
      }
      case 'listening':
        member.channel = message.channel;
        if (member.takeover !== null) this.#replace();
        return;
      case 'final':
        member.final = { icount: message.icount, digest: message.digest };
        if (member === this.#live) this.#finish();
        answerFinals(this.members);
        return;
      case 'report':
        member.report = message.report;
        if (member === this.#live) this.#finish();
        this.#checkReported();
        return;
      case 'refused':
        // Those that were started first tell start().
        if (this.members.indexOf(member) > 1) process.stderr.write(`ft86: ${member.name}: ${message.message}\n`);
        return;
      case 'started':
    }
  }

  #event(member: Member, event: { readonly kind: string; readonly [field: string]: unknown }): void {
    switch (event.kind) {
      case 'live':
        member.takeover = event['takeover'] as Takeover;
        // Its end may be heard of later.
        if (this.#live !== null) this.#live.lostAs ??= 'primary';
        this.#live = member;
        if (this.#backup === member) this.#backup = null;
        this.#whole = false;
        this.#vacant = true;
        this.#options.typing?.connect(member.child);
        return;
      case 'backup-joined':
        this.#transfer = event['transfer'] as Transfer;
        if (member === this.#live) this.#vacant = false;
        return;
      case 'following':
        member.joined = true;
        this.#failedJoins = 0;
        this.#whole = member === this.#backup && this.#live?.child.killed === false && !member.child.killed;
        this.#changed();
        return;
      case 'alone':
        if (member !== this.#live) return;
        this.#whole = false;
        this.#vacant = true;
        this.#replace();
    }
  }
}
