/**
 * The life of a live replica, as a pure transition table.
 *
 *   starting --granted--> alone --join-began--> transferring --state-sent--> paired --guest-stopped--> finishing
 *       |                 |  ^  <--join-failed--+                              |                        |     |
 *       | denied          |  |                                                 | backup-silent          |     | all-
 *       v                 |  +------------- granted ------------ contending <--+------------------------+     | acknow-
 *     halted <------------+----------------- denied ----------------+                                         v ledged
 *                         +-- guest-stopped --> finished <----------------------------------------------------+
 *
 * From the last frame of the state on the backup may hold the state whole and contend, whether that is known here
 * or not. So `state-sent` pairs the two, and without an acknowledgement this replica must win the test-and-set
 * before it releases anything it holds.
 * Source: Scales et al. 2010, sections 2.2 and 2.3.
 */
import { InvariantError } from '../../emulator/errors.js';

export const PRIMARY_STATES = [
  'starting',
  'alone',
  'transferring',
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
  /** A backup asked to join and gets the state while the guest runs. */
  | { readonly kind: 'join-began' }
  /** The transfer broke off before its last frame was handed to the transport. */
  | { readonly kind: 'join-failed' }
  /** The last frame of the state was handed to the transport. */
  | { readonly kind: 'state-sent' }
  | { readonly kind: 'backup-silent' }
  | { readonly kind: 'guest-stopped' }
  | { readonly kind: 'all-acknowledged' };

export type PrimaryEffect =
  | 'start-guest'
  | 'test-and-set'
  | 'retry-test-and-set'
  | 'close-gate'
  | 'start-logging'
  | 'cancel-transfer'
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
      if (input.kind === 'join-began') return ['transferring', []];
      if (input.kind === 'guest-stopped') return ['finished', ['report-end']];
      break;
    case 'transferring':
      if (input.kind === 'state-sent') return ['paired', ['close-gate', 'start-logging']];
      if (input.kind === 'join-failed') return ['alone', []];
      if (input.kind === 'guest-stopped') return ['finished', ['cancel-transfer', 'report-end']];
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
