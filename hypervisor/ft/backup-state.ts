/**
 * The life of a backup, as a pure transition table.
 *
 *   joining --state-complete--> replaying --primary-silent--> draining --log-drained--> contending
 *                                   |                                                  |    |    |
 *                                   +--log-ended--> finished          arbiter granted: live |    | unreachable:
 *                                   +--diverged---> diverged             denied: halted <---+    +-> contending
 *
 * The order is the safety argument: drain before contending, win before any output.
 * Source: Scales et al. 2010, section 2.3.
 */
import { InvariantError } from '../../emulator/errors.js';

export const BACKUP_STATES = [
  'joining',
  'replaying',
  'draining',
  'contending',
  'live',
  'halted',
  'finished',
  'diverged',
] as const;
export type BackupState = (typeof BACKUP_STATES)[number];

export type BackupInput =
  | { readonly kind: 'state-complete' }
  | { readonly kind: 'primary-silent' }
  | { readonly kind: 'log-drained' }
  | { readonly kind: 'log-ended' }
  | { readonly kind: 'diverged' }
  | { readonly kind: 'arbiter'; readonly verdict: 'granted' | 'denied' | 'unreachable' };

export type BackupEffect =
  | 'start-replay'
  | 'close-channel'
  | 'test-and-set'
  | 'retry-test-and-set'
  | 'reissue-disk-io'
  | 'announce-mac'
  | 'open-outputs'
  | 'power-off'
  | 'report-end'
  | 'leave-snapshot';

export type BackupStep = readonly [BackupState, readonly BackupEffect[]];

/** One step of a backup's life. The caller performs the effects in order. @throws InvariantError on an impossible pair */
export function nextBackup(state: BackupState, input: BackupInput): BackupStep {
  switch (state) {
    case 'joining':
      if (input.kind === 'state-complete') return ['replaying', ['start-replay']];
      // It never held the whole state, so it must not contend.
      if (input.kind === 'primary-silent') return ['halted', ['close-channel', 'power-off']];
      break;
    case 'replaying':
      if (input.kind === 'primary-silent') return ['draining', ['close-channel']];
      if (input.kind === 'log-ended') return ['finished', ['report-end']];
      if (input.kind === 'diverged') return ['diverged', ['leave-snapshot', 'close-channel']];
      break;
    case 'draining':
      if (input.kind === 'log-drained') return ['contending', ['test-and-set']];
      if (input.kind === 'log-ended') return ['finished', ['report-end']];
      if (input.kind === 'diverged') return ['diverged', ['leave-snapshot']];
      break;
    case 'contending':
      if (input.kind !== 'arbiter') break;
      if (input.verdict === 'granted') return ['live', ['reissue-disk-io', 'announce-mac', 'open-outputs']];
      if (input.verdict === 'denied') return ['halted', ['power-off']];
      return ['contending', ['retry-test-and-set']];
    case 'live':
    case 'halted':
    case 'finished':
    case 'diverged':
      break;
  }
  throw new InvariantError(`backup: ${input.kind} while ${state}`);
}
