/**
 * `--kill primary@icount:N`, `primary@ms:N`, `backup@...`: the faults injected into a pair. Victims are parts, not
 * processes: `primary` is whichever replica is live then.
 */
import { ConfigError } from '../../emulator/errors.js';

export interface Kill {
  readonly victim: 'primary' | 'backup';
  readonly unit: 'icount' | 'ms';
  readonly value: number;
}

/** @throws ConfigError */
export function parseKill(text: string): Kill {
  const match = /^(primary|backup)@(icount|ms):([0-9]{1,15})$/.exec(text);
  if (match === null) {
    throw new ConfigError('--kill', text, 'must be primary@icount:N, primary@ms:N, backup@icount:N or backup@ms:N');
  }
  return { victim: match[1] as Kill['victim'], unit: match[2] as Kill['unit'], value: Number(match[3]) };
}

/** All --kill of a run. @throws ConfigError */
export function parseKills(texts: readonly string[]): Kill[] {
  const kills = texts.map(parseKill);
  for (const [i, { victim, unit }] of kills.entries()) {
    // An icount is given to the first primary and the first backup when they start.
    if (unit === 'icount' && kills.findIndex((kill) => kill.victim === victim && kill.unit === unit) !== i) {
      throw new ConfigError('--kill', texts[i] ?? '', `only one icount for the ${victim}: use ms for more kills`);
    }
  }
  return kills;
}
