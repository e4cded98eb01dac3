/**
 * Edge: a drive on an NBD server. When the server goes away the guest waits; when it is back, everything is asked again.
 *
 *   submit -> RequestOrder -> job -> NbdLink -> server
 *   link breaks -> connect again (attach) -> unflushed writes -> jobs that wait -> go on
 *
 * Invariants: the guest gets the server's answer, or waits: a connection that breaks is never an I/O error; a write that a
 * flush does not cover yet is kept until one does; after attach() nothing is asked on a connection that the server does not
 * know as that replica's; a replica that is told that another one is live asks nothing any more.
 */
import { assert, ConfigError, ReplicaError } from '../../emulator/errors.js';
import type { DiskCompletion, DiskRequest } from '../../devices/environment.js';
import { SECTOR_BYTES, type DiskBackend } from '../backend/backend.js';
import { isInternal } from '../backend/internal-request.js';
import { assertRequest, RequestOrder } from '../backend/request-order.js';
import { NbdLink } from './nbd-link.js';
import { Patience } from './patience.js';
import { ExportFlag, NbdError } from './protocol.js';
import { resend } from './resend.js';
import { UnflushedWrites, type KeptWrite } from './unflushed-writes.js';
import type { NbdUri } from './uri.js';

export interface NbdDiskOptions {
  readonly uri: NbdUri;
  /** The address as the user wrote it. */
  readonly text: string;
  readonly key: Uint8Array | null;
  readonly readonly: boolean;
  /** Number of the drive. */
  readonly slot: number;
  /** One line for the person at the terminal. */
  readonly say: (message: string) => void;
}

/** Who uses the disk. */
export interface DiskUser {
  readonly pair: string;
  readonly replicaId: string;
  readonly epoch: number;
}

interface Job {
  readonly tag: number;
  readonly op: 'read' | 'write' | 'flush';
  readonly offset: number;
  readonly bytes: number;
  readonly data: Uint8Array;
  readonly mark: number;
  readonly finish: (error: number, data: Uint8Array) => void;
}

const EMPTY = new Uint8Array(0);
const TIMEOUT_MS = 3000;
const RETRY_MS = 100;
/** A server that needs longer for a connection is not taken for one that can be reached. */
const REACH_MS = 1000;
/** Looks at whether the server answers: after 3 s without any answer the connection is made anew, at most after 64 s. */
const LOOK_MS = 500;
const PATIENCE_LOOKS_MIN = 6;
const PATIENCE_LOOKS_MAX = 128;
const PIECE_BYTES_MAX = 1 << 20;
/** With more than this unflushed, a flush of our own. */
const UNFLUSHED_BYTES_MAX = 16 << 20;

export class NbdDisk implements DiskBackend {
  readonly sectors: number;
  /** Rejects when this replica must not use the disk any more, or the disk became another one. */
  readonly lost: Promise<never>;
  readonly #options: NbdDiskOptions;
  readonly #order = new RequestOrder();
  readonly #unflushed = new UnflushedWrites();
  readonly #jobs = new Set<Job>();
  readonly #canFlush: boolean;
  readonly #patience = new Patience(PATIENCE_LOOKS_MIN, PATIENCE_LOOKS_MAX);
  readonly #looks: NodeJS.Timeout;
  #link: NbdLink | null;
  /** The link that is used, or made ready for use. */
  #watched: NbdLink | null = null;
  #user: DiskUser | null = null;
  #connecting: Promise<void> | null = null;
  #brokenMs = 0;
  #flushing = false;
  #closed = false;
  #over = false;
  #lose: (error: Error) => void = () => undefined;

  private constructor(link: NbdLink, options: NbdDiskOptions) {
    this.#options = options;
    this.#link = link;
    this.sectors = link.opened.bytes / SECTOR_BYTES;
    this.#canFlush = (link.opened.flags & ExportFlag.sendFlush) !== 0;
    this.lost = new Promise((_, reject) => (this.#lose = reject));
    this.lost.catch(() => undefined);
    this.#looks = setInterval(() => {
      this.#look();
    }, LOOK_MS);
    this.#looks.unref();
    this.#watch(link);
  }

  /** @throws ReplicaError when the server cannot be reached @throws ConfigError when the export is no disk for a guest */
  static async open(options: NbdDiskOptions): Promise<NbdDisk> {
    const { uri, key, text } = options;
    const link = await NbdLink.connect({ uri, key, export: uri.export, claim: null, timeoutMs: TIMEOUT_MS });
    const { bytes, flags } = link.opened;
    const readonly = (flags & ExportFlag.readOnly) !== 0;
    if (bytes > 0 && bytes % SECTOR_BYTES === 0 && (options.readonly || !readonly)) return new NbdDisk(link, options);
    link.close();
    if (readonly) throw new ConfigError('--drive', text, 'the server gives it read-only: readonly=on');
    throw new ConfigError('--drive', text, `has ${bytes} bytes; must be a multiple of ${SECTOR_BYTES}, not 0`);
  }

  /**
   * Use the disk as a live replica: the server performs requests of that replica until another one wins a newer epoch.
   * Waits for a server that cannot be reached. @throws ReplicaError when another one has won
   */
  async attach(user: DiskUser): Promise<void> {
    this.#user = user;
    this.#brokenMs = performance.now();
    this.#link?.close();
    this.#link = null;
    await Promise.race([this.#connected(), this.lost]);
  }

  /** How long, in ms, requests have waited for a connection; 0: they do not. */
  get awayMs(): number {
    return this.#link !== null || this.#jobs.size === 0 || this.#over ? 0 : performance.now() - this.#brokenMs;
  }

  /** Whether the server can be reached now, by a connection of its own. */
  async reachable(): Promise<boolean> {
    const { uri, key } = this.#options;
    try {
      (await NbdLink.connect({ uri, key, export: uri.export, claim: null, timeoutMs: REACH_MS })).close();
      return true;
    } catch (error) {
      if (!(error instanceof ReplicaError)) throw error;
      return false;
    }
  }

  /** Tags of the guest's writes that are done and that no flush covers yet, in the order in which they were done. */
  get unflushedTags(): number[] {
    return this.#unflushed.tags;
  }

  /** What another replica wrote and no flush covers yet, in order. Before attach(). */
  adopt(writes: readonly KeptWrite[]): void {
    for (const write of this.#canFlush ? writes : []) this.#unflushed.answered(write);
  }

  submit(request: DiskRequest, done: (completion: DiskCompletion) => void): void {
    assert(!this.#closed, `a request for ${this.#options.text} comes before it is closed`);
    assertRequest(request);
    const { drive, tag } = request;
    this.#order.run(request, async () => {
      const { error, data } = await this.#perform(request);
      if (error !== 0 && !this.#over) {
        const what = `${this.#options.text}: ${request.op} of ${request.bytes} bytes at sector ${request.sector}`;
        if (!isInternal(request)) this.#options.say(`${what} failed (NBD error ${error}): the guest gets an I/O error`);
      }
      // Nobody is told anything by a replica that is no longer live.
      if (!this.#over) done({ drive, tag, status: error === 0 ? 'ok' : 'error', data });
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#link === null) this.#giveUp();
    await this.#order.idle();
    if (this.#unflushed.bytes > 0) await this.#flush();
    this.#over = true;
    clearInterval(this.#looks);
    this.#link?.close();
  }

  async #perform(request: DiskRequest): Promise<{ readonly error: number; readonly data: Uint8Array }> {
    const { tag, op, sector, bytes } = request;
    const start = sector * SECTOR_BYTES;
    if (op === 'flush') return this.#flush();
    if (op === 'write' && this.#options.readonly) return { error: NbdError.perm, data: EMPTY };
    if (start + bytes > this.sectors * SECTOR_BYTES) return { error: NbdError.invalid, data: EMPTY };
    const data = op === 'read' ? new Uint8Array(bytes) : EMPTY;
    for (let at = 0; at < bytes; at += PIECE_BYTES_MAX) {
      const piece = Math.min(PIECE_BYTES_MAX, bytes - at);
      const written = op === 'write' ? request.data.subarray(at, at + piece) : EMPTY;
      const answer = await this.#ask({ tag, op, offset: start + at, bytes: piece, data: written });
      if (answer.error !== 0) return { error: answer.error, data: EMPTY };
      data.set(answer.data, at);
    }
    return { error: 0, data };
  }

  #flush(): Promise<{ readonly error: number; readonly data: Uint8Array }> {
    if (!this.#canFlush) return Promise.resolve({ error: 0, data: EMPTY });
    return this.#ask({ tag: 0, op: 'flush', offset: 0, bytes: 0, data: EMPTY });
  }

  /** One request to the server, however often it takes. */
  #ask(what: Omit<Job, 'mark' | 'finish'>): Promise<{ readonly error: number; readonly data: Uint8Array }> {
    const { tag, op, offset, data } = what;
    if (this.#over) return Promise.resolve({ error: NbdError.shutdown, data: EMPTY });
    return new Promise((resolve) => {
      const finish = (error: number, read: Uint8Array): void => {
        this.#jobs.delete(job);
        if (error === 0 && op === 'write') this.#written({ tag, offset, data });
        if (error === 0 && op === 'flush') this.#unflushed.flushed(job.mark);
        resolve({ error, data: read });
      };
      const job: Job = { ...what, mark: this.#unflushed.mark, finish };
      this.#jobs.add(job);
      if (this.#link !== null) this.#send(this.#link, job);
      else void this.#connected();
    });
  }

  #send(link: NbdLink, job: Job): void {
    link.request(job.op, job.offset, job.bytes, job.data, (error, data) => {
      this.#patience.answered();
      // The server is going away, or we are no longer live: connecting again will tell.
      if (error === NbdError.shutdown) this.#broken(link, 'it is shutting down');
      else job.finish(error, data);
    });
  }

  #written(write: KeptWrite): void {
    if (!this.#canFlush) return;
    this.#unflushed.answered(write);
    if (this.#unflushed.bytes < UNFLUSHED_BYTES_MAX || this.#flushing) return;
    this.#flushing = true;
    void this.#flush().then(() => (this.#flushing = false));
  }

  // --- the connection ---

  #watch(link: NbdLink): void {
    this.#watched = link;
    link.onClosed = (reason) => {
      this.#broken(link, reason);
    };
  }

  /** A network that is cut breaks no connection, and TCP would try for a quarter of an hour. */
  #look(): void {
    const looks = this.#patience.look(this.#watched?.waiting ?? false, this.#watched?.moved ?? 0);
    if (looks > 0) this.#watched?.giveUp(`no answer for ${(looks * LOOK_MS) / 1000} s`);
  }

  #broken(link: NbdLink, reason: string): void {
    if (link !== this.#link || this.#over) return;
    link.destroy();
    this.#link = null;
    this.#brokenMs = performance.now();
    if (this.#closed) {
      this.#giveUp();
      return;
    }
    if (this.#user === null && this.#jobs.size === 0) return;
    this.#options.say(`${this.#options.text}: ${reason}; the guest’s requests wait for it`);
    void this.#connected().then(() => {
      if (!this.#over) this.#options.say(`${this.#options.text}: connected again`);
    });
  }

  /** Resolves when there is a link that carries requests, or never will be. */
  #connected(): Promise<void> {
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = null));
    return this.#connecting;
  }

  async #connect(): Promise<void> {
    for (let said = false; !this.#over; said = true) {
      const user = this.#user;
      try {
        const link = await this.#connectOnce(user);
        // Meanwhile somebody else may have attached.
        if (user !== this.#user) link.close();
        else if (await this.#resume(link)) return;
      } catch (error) {
        if (!(error instanceof ReplicaError)) throw error;
        if (!said) this.#options.say(`${this.#options.text}: ${error.message}; trying again`);
      }
      if (this.#closed) this.#giveUp();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #connectOnce(user: DiskUser | null): Promise<NbdLink> {
    const { uri, key, slot, text } = this.#options;
    const claim = user === null ? null : { operation: 'attach' as const, ...user, slot };
    const link = await NbdLink.connect({ uri, key, export: uri.export, claim, timeoutMs: TIMEOUT_MS });
    const { claimed, opened } = link;
    if (opened.bytes !== this.sectors * SECTOR_BYTES) this.#loseIt(`${text} has another size now`);
    if (claimed === 'unsupported') this.#options.say(`${text}: this server cannot fence: see docs/storage.md`);
    else if (claimed?.verdict === 'denied') this.#loseIt(`${text}: another replica won epoch ${claimed.newestEpoch}`);
    else if (claimed?.verdict === 'unreachable') throw new ReplicaError('the server cannot read its epochs');
    return link;
  }

  /** Ask again what was not answered. False: the link broke meanwhile. */
  async #resume(link: NbdLink): Promise<boolean> {
    if (this.#over) {
      link.close();
      return true;
    }
    this.#watched = link;
    const error = await resend(link, this.#unflushed.writes, () => {
      this.#patience.answered();
    });
    if (error === null) return false;
    if (error !== 0) this.#loseIt(`${this.#options.text}: a write cannot be repeated (NBD error ${error})`);
    this.#link = link;
    this.#watch(link);
    for (const job of this.#jobs) this.#send(link, job);
    return true;
  }

  #loseIt(message: string): void {
    this.#over = true;
    this.#lose(new ReplicaError(`${message}; this replica powers off`));
    this.#giveUp();
  }

  /** Nothing that waits will be answered. */
  #giveUp(): void {
    this.#over = true;
    for (const job of [...this.#jobs]) job.finish(NbdError.shutdown, EMPTY);
  }
}
