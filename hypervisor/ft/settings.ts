/**
 * What can be changed while the guest runs, by control entries of op configure: so both replicas know it, and one that
 * goes live keeps to it. A backup that joins later gets every setting again as the first entries of its log.
 *
 *   paused     on, off     the guest stands still, and guest time with it
 *   digest-ms  10 to 3600000, or default: what the replica was started with
 */
import { ConfigError } from '../../emulator/errors.js';
import type { Control } from '../log/entry.js';

type Configure = Extract<Control, { op: 'configure' }>;

const DIGEST_MS_MIN = 10;
const DIGEST_MS_MAX = 3_600_000;

export class Settings {
  readonly #values = new Map<string, string>();

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

function isDigestMs(value: string): boolean {
  if (value === 'default') return true;
  return /^[0-9]{1,7}$/.test(value) && Number(value) >= DIGEST_MS_MIN && Number(value) <= DIGEST_MS_MAX;
}
