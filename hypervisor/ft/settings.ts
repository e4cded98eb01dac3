/**
 * What can be changed while the guest runs, by control entries of op configure: so both replicas know it, and one that
 * goes live keeps to it. A backup that joins later gets them with the state; so does one that gets checkpoints instead of a log.
 *
 *   paused     on, off     the guest stands still, and guest time with it
 *   digest-ms  10 to 3600000, or default: what the replica was started with
 */
import { ConfigError, DecodeError } from '../../emulator/errors.js';
import type { Control } from '../log/entry.js';

type Configure = Extract<Control, { op: 'configure' }>;

/** Those of newer versions included. */
const SETTINGS_MAX = 256;
const DIGEST_MS_MIN = 10;
const DIGEST_MS_MAX = 3_600_000;

export class Settings {
  readonly #values: Map<string, string>;

  /** @param values what save() returned */
  constructor(values: Iterable<readonly [string, string]> = []) {
    this.#values = new Map(values);
  }

  /** Read what save() wrote, from outside. @throws DecodeError */
  static restore(values: unknown): Settings {
    if (typeof values !== 'object' || values === null) throw new DecodeError('bad-settings', 0, 'no settings');
    const entries = Object.entries(values);
    if (entries.length > SETTINGS_MAX || !entries.every(isPair)) {
      throw new DecodeError('bad-settings', 0, 'settings are few and have names and values');
    }
    return new Settings(entries);
  }

  save(): Record<string, string> {
    return Object.fromEntries(this.#values);
  }

  /** Of a log of a newer version, settings that mean nothing here are kept and passed on. */
  set({ setting, value }: Configure): void {
    this.#values.set(setting, value);
  }

  get paused(): boolean {
    return this.#values.get('paused') === 'on';
  }
  /** Null: what the replica was started with. */
  get digestNs(): number | null {
    const ms = Number(this.#values.get('digest-ms'));
    return Number.isFinite(ms) ? ms * 1e6 : null;
  }

  /** Everything that was ever set, as entries that say it again. */
  controls(): Configure[] {
    return [...this.#values].map(([setting, value]) => ({ op: 'configure', setting, value }));
  }
}

/** Read `NAME=VALUE`. @throws ConfigError */
export function parseSetting(text: string): Configure {
  const [setting = '', value = ''] = text.split('=', 2);
  const known = setting === 'paused' ? ['on', 'off'].includes(value) : setting === 'digest-ms' && isDigestMs(value);
  if (!known) {
    throw new ConfigError(
      'SETTING',
      text,
      `must be paused=on|off or digest-ms=${DIGEST_MS_MIN}..${DIGEST_MS_MAX}|default`,
    );
  }
  return { op: 'configure', setting, value };
}

function isPair(pair: readonly [string, unknown]): pair is [string, string] {
  return typeof pair[1] === 'string';
}

function isDigestMs(value: string): boolean {
  if (value === 'default') return true;
  return /^[0-9]{1,7}$/.test(value) && Number(value) >= DIGEST_MS_MIN && Number(value) <= DIGEST_MS_MAX;
}
