/** `--kill primary@icount:N`, `primary@ms:N`, `backup@...`: the fault injected into a pair. */
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
