/**
 * The life of a live replica, as a pure transition table.
 *
 *   starting --arbiter granted--> alone --backup-joined--> paired --guest-stopped--> finishing --acknowledged--> finished
 *       |                          |  ^                      |                          |
 *       | denied                   |  |                      | backup-silent            | backup-silent
 *       v                          |  +----- granted ---- contending <------------------+
 *     halted <---------------------+------- denied ----------+
 *
 * A replica that has lost its backup must win the test-and-set before it releases anything it holds.
 * Source: Scales et al. 2010, sections 2.2 and 2.3.
 */
import { InvariantError } from '../../emulator/errors.js';

export const PRIMARY_STATES = [
  'starting',
  'alone',
  'paired',
  'contending',
  'contending-stopped',
  'finishing',
  'finished',
  'halted',
] as const;
export type PrimaryState = (typeof PRIMARY_STATES)[number];

export type PrimaryInput =
  | { readonly kind: 'arbiter'; readonly verdict: 'granted' | 'denied' | 'unreachable' }
  | { readonly kind: 'backup-joined' }
  | { readonly kind: 'backup-silent' }
  | { readonly kind: 'guest-stopped' }
  | { readonly kind: 'all-acknowledged' };

export type PrimaryEffect =
  | 'start-guest'
  | 'test-and-set'
  | 'retry-test-and-set'
  | 'close-gate'
  | 'close-channel'
  | 'stop-logging'
  | 'open-outputs'
  | 'power-off'
  | 'report-end';

export type PrimaryStep = readonly [PrimaryState, readonly PrimaryEffect[]];

/** One step of a live replica's life. The caller performs the effects in order. @throws InvariantError on an impossible pair */
export function nextPrimary(state: PrimaryState, input: PrimaryInput): PrimaryStep {
  switch (state) {
    case 'starting':
      if (input.kind !== 'arbiter') break;
      if (input.verdict === 'granted') return ['alone', ['start-guest']];
      if (input.verdict === 'denied') return ['halted', ['power-off']];
      return ['starting', ['retry-test-and-set']];
    case 'alone':
      if (input.kind === 'backup-joined') return ['paired', ['close-gate']];
      if (input.kind === 'guest-stopped') return ['finished', ['report-end']];
      break;
    case 'paired':
      if (input.kind === 'backup-silent') return ['contending', ['close-channel', 'test-and-set']];
      if (input.kind === 'guest-stopped') return ['finishing', []];
      break;
    case 'contending':
      if (input.kind === 'guest-stopped') return ['contending-stopped', []];
      if (input.kind !== 'arbiter') break;
      if (input.verdict === 'granted') return ['alone', ['stop-logging', 'open-outputs']];
      if (input.verdict === 'denied') return ['halted', ['power-off']];
      return ['contending', ['retry-test-and-set']];
    case 'finishing':
      if (input.kind === 'all-acknowledged') return ['finished', ['report-end']];
      if (input.kind === 'backup-silent') return ['contending-stopped', ['close-channel', 'test-and-set']];
      break;
    case 'contending-stopped':
      if (input.kind !== 'arbiter') break;
      if (input.verdict === 'granted') return ['finished', ['stop-logging', 'open-outputs', 'report-end']];
      if (input.verdict === 'denied') return ['halted', ['power-off']];
      return ['contending-stopped', ['retry-test-and-set']];
    case 'finished':
    case 'halted':
      break;
  }
  throw new InvariantError(`primary: ${input.kind} while ${state}`);
}
