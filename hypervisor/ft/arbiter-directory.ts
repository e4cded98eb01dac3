/**
 * The arbiter as a directory on storage that both replicas see: one file for each epoch ever won.
 *
 *   claim(n):   PAIR.claim-ID-...  written, synced  --link(2)-->  PAIR.epoch-n     the one that links first has won
 *   release(n): PAIR.claim-ID-...  written, synced  --link(2)-->  PAIR.epoch-n.clean
 *
 * A record is four lines of text: `ft86-arbiter 1`, `pair NAME`, `epoch N`, `replica ID`.
 *
 * Invariants: link(2) makes a whole record appear at once or fails; a record is never changed or removed, so an epoch
 * has one winner for ever, and asking again gets the same answer; an answer is given only after it is on stable storage.
 * A directory cannot fence: a replica that was paused and wakes up must ask again before it does anything.
 * Source: POSIX.1-2017, link; linux man-pages open(2), O_EXCL (why link and not O_EXCL: network file systems).
 */
import { randomUUID } from 'node:crypto';
import { link, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, ConfigError, DecodeError, ReplicaError } from '../../emulator/errors.js';
import { hostErrorCode } from '../backend/host-error.js';
import { PAIR_PATTERN, REPLICA_PATTERN } from '../pair-names.js';
import type { Arbiter, ArbiterVerdict } from './arbiter.js';

const MAGIC = 'ft86-arbiter 1';
const RECORD_BYTES_MAX = 1024;

export class DirectoryArbiter implements Arbiter {
  readonly #directory: string;
  readonly #pair: string;
  readonly #epochName: RegExp;

  /** @throws ConfigError for a pair name that is no plain word */
  constructor(directory: string, pair: string) {
    if (!PAIR_PATTERN.test(pair)) {
      throw new ConfigError('--name', pair, 'must be 1 to 64 letters, digits, - and _, not starting with - or _');
    }
    this.#directory = directory;
    this.#pair = pair;
    this.#epochName = new RegExp(`^${pair}\\.epoch-([1-9][0-9]{0,14})$`);
  }

  /**
   * Try to become the one live replica of `epoch`. Asking again with the same id gives the same answer, until a
   * newer epoch exists: then it is denied.
   * @throws DecodeError when a record in the directory is damaged
   */
  async claim(epoch: number, replicaId: string): Promise<ArbiterVerdict> {
    const verdict = await this.#testAndSet(this.#epochPath(epoch), epoch, replicaId);
    if (verdict !== 'granted') return verdict;
    const epochs = await this.#epochs();
    if (epochs === 'unreachable') return 'unreachable';
    return epochs.some((other) => other > epoch) ? 'denied' : 'granted';
  }

  /**
   * Note that the holder of `epoch` stopped in order, so that a later start needs no force. Denied: not its holder.
   * @throws DecodeError when a record in the directory is damaged
   */
  async release(epoch: number, replicaId: string): Promise<ArbiterVerdict> {
    const holder = await this.#holder(this.#epochPath(epoch), epoch);
    if (holder === 'unreachable') return 'unreachable';
    if (holder?.replicaId !== replicaId) return 'denied';
    return this.#testAndSet(`${this.#epochPath(epoch)}.clean`, epoch, replicaId);
  }

  /** The newest epoch anyone ever won; 0 for none. @throws ReplicaError when the directory cannot be read */
  async newestEpoch(): Promise<number> {
    const epochs = await this.#epochs();
    if (epochs === 'unreachable') throw this.#unreachable('cannot be read');
    return epochs.reduce((newest, epoch) => Math.max(newest, epoch), 0);
  }

  /**
   * Did the holder of the newest epoch stop in order? True when there never was one.
   * @throws ReplicaError when the directory cannot be read
   * @throws DecodeError when a record in it is damaged
   */
  async lastStopWasClean(): Promise<boolean> {
    const epoch = await this.newestEpoch();
    if (epoch === 0) return true;
    const path = this.#epochPath(epoch);
    const [holder, stopped] = [await this.#holder(path, epoch), await this.#holder(`${path}.clean`, epoch)];
    if (holder === 'unreachable' || stopped === 'unreachable') {
      throw this.#unreachable('cannot be read');
    }
    return stopped !== null && stopped.replicaId === holder?.replicaId;
  }

  #unreachable(what: string): ReplicaError {
    return new ReplicaError(`arbiter directory ${this.#directory}: ${what}`);
  }

  #epochPath(epoch: number): string {
    assert(Number.isSafeInteger(epoch) && epoch >= 1, `epoch ${epoch} is a positive integer`);
    return join(this.#directory, `${this.#pair}.epoch-${epoch}`);
  }

  /** Make `path` a record of this replica unless it exists; its holder wins. */
  async #testAndSet(path: string, epoch: number, replicaId: string): Promise<ArbiterVerdict> {
    assert(REPLICA_PATTERN.test(replicaId), `replica id ${replicaId} is a plain word`);
    const temporary = join(this.#directory, `${this.#pair}.claim-${replicaId}-${randomUUID()}`);
    try {
      await linkRecord(temporary, path, encodeRecord({ pair: this.#pair, epoch, replicaId }));
      // The record may be our own from an earlier try whose answer was lost, here or on a network file system.
      const holder = await this.#holder(path, epoch);
      if (holder === null || holder === 'unreachable') return 'unreachable';
      await syncDirectory(this.#directory);
      return holder.replicaId === replicaId ? 'granted' : 'denied';
    } catch (error) {
      if (hostErrorCode(error) === null) throw error;
      return 'unreachable';
    }
  }

  /** Who holds a record; null when there is none. @throws DecodeError when it is damaged or about something else */
  async #holder(path: string, epoch: number): Promise<ArbiterRecord | null | 'unreachable'> {
    let text: string;
    try {
      text = await readFile(path, 'latin1');
    } catch (error) {
      if (hostErrorCode(error) === null) throw error;
      // A missing file is an answer only when its directory is there.
      return hostErrorCode(error) === 'ENOENT' && (await this.#epochs()) !== 'unreachable' ? null : 'unreachable';
    }
    const record = decodeRecord(text);
    if (record.pair !== this.#pair || record.epoch !== epoch) {
      throw new DecodeError('wrong-record', 0, `${path} is a record of pair ${record.pair}, epoch ${record.epoch}`);
    }
    return record;
  }

  /** Every epoch ever won, in no order. */
  async #epochs(): Promise<readonly number[] | 'unreachable'> {
    try {
      const names = await readdir(this.#directory);
      return names.map((name) => Number(this.#epochName.exec(name)?.[1] ?? 0)).filter((epoch) => epoch > 0);
    } catch (error) {
      if (hostErrorCode(error) === null) throw error;
      return 'unreachable';
    }
  }
}

interface ArbiterRecord {
  readonly pair: string;
  readonly epoch: number;
  readonly replicaId: string;
}

function encodeRecord(record: ArbiterRecord): string {
  return `${MAGIC}\npair ${record.pair}\nepoch ${record.epoch}\nreplica ${record.replicaId}\n`;
}

/** The one reading of a record that encodes to the same text. @throws DecodeError */
function decodeRecord(text: string): ArbiterRecord {
  if (text.length > RECORD_BYTES_MAX) throw new DecodeError('too-long', RECORD_BYTES_MAX, 'arbiter record');
  const match = /^ft86-arbiter 1\npair (\S+)\nepoch ([1-9][0-9]*)\nreplica (\S+)\n$/.exec(text);
  const [, pair = '', epoch = '', replicaId = ''] = match ?? [];
  const valid = PAIR_PATTERN.test(pair) && REPLICA_PATTERN.test(replicaId) && Number.isSafeInteger(Number(epoch));
  if (match === null || !valid) throw new DecodeError('bad-record', 0, 'arbiter record');
  return { pair, epoch: Number(epoch), replicaId };
}

/** Give a whole, synced record the name `path`, unless that name exists already. `temporary` does not outlive the call. */
async function linkRecord(temporary: string, path: string, text: string): Promise<void> {
  try {
    await writeSynced(temporary, text);
    await link(temporary, path);
  } catch (error) {
    if (hostErrorCode(error) !== 'EEXIST') throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    await file.writeFile(text, 'latin1');
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
