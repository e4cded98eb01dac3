/**
 * A backup's channel to its live replica, as a pure transition table: a connection that breaks, or carries nothing although
 * the other side lives, is replaced by a new one on which the log goes on where the backup stands.
 *
 *   whole --closed--> dialling --dialled--> resuming --resumed--> whole
 *     |  ^              |    ^                 |   |
 *     |  +-- failed     |    +- retry - waiting <--+ closed, stalled
 *     |      (still     |                ^     |
 *     |       open) |   +-- failed ------+     +- refused --> ended: the live replica goes on without this backup
 *     +-stalled-> replacing --dialled--> resuming        gone --> ended: nobody listens there any more
 *
 * Invariants: before a resumption is asked for, the connection before it is dropped, so no frame comes twice; there is one
 * connection at a time that is listened to. How long it may take is not decided here: the failure detectors of both sides do.
 * Source: Scales et al. 2010, section 2.2 (the log must reach the backup), and its own retransmission by TCP.
 */
import { InvariantError } from '../../emulator/errors.js';

export const CHANNEL_STATES = ['whole', 'replacing', 'dialling', 'waiting', 'resuming', 'ended'] as const;
export type ChannelState = (typeof CHANNEL_STATES)[number];

export type ChannelInput =
  /** The connection that is listened to is closed. */
  | { readonly kind: 'closed' }
  /** It carries nothing, although a sign of the other side's life came another way. */
  | { readonly kind: 'stalled' }
  /** A new connection is there. `resumable`: this backup stands at an entry from which the log can go on. */
  | { readonly kind: 'dialled'; readonly resumable: boolean }
  /** None could be made now. */
  | { readonly kind: 'failed' }
  /** Nobody listens there: the live replica's process has ended. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'retry' }
  | { readonly kind: 'resumed' }
  | { readonly kind: 'refused' }
  /** This side is done with the channel. */
  | { readonly kind: 'end' };

export type ChannelEffect =
  | 'dial'
  | 'retry-later'
  /** Drop the connection that is listened to, take the new one and ask for the rest of the log on it. */
  | 'resume'
  /** Drop the connection that is listened to, if there is one. */
  | 'drop'
  /** Drop the new connection. */
  | 'drop-new'
  | 'tell-resumed'
  | 'tell-gone'
  | 'tell-refused';

export type ChannelStep = readonly [ChannelState, readonly ChannelEffect[]];

/** One step. The caller performs the effects in order. @throws InvariantError on an impossible pair */
export function nextChannel(state: ChannelState, input: ChannelInput): ChannelStep {
  if (input.kind === 'end') return ['ended', ['drop']];
  switch (state) {
    case 'whole':
      if (input.kind === 'closed') return ['dialling', ['dial']];
      if (input.kind === 'stalled') return ['replacing', ['dial']];
      break;
    case 'replacing':
      if (input.kind === 'closed') return ['dialling', []];
      if (input.kind === 'stalled') return ['replacing', []];
      if (input.kind === 'dialled') return input.resumable ? ['resuming', ['resume']] : ['whole', ['drop-new']];
      // The old connection is still there; should it close, that is asked again.
      if (input.kind === 'failed' || input.kind === 'gone') return ['whole', []];
      break;
    case 'dialling':
      if (input.kind === 'stalled') return ['dialling', []];
      if (input.kind === 'dialled') {
        return input.resumable ? ['resuming', ['resume']] : ['waiting', ['drop-new', 'retry-later']];
      }
      if (input.kind === 'failed') return ['waiting', ['retry-later']];
      if (input.kind === 'gone') return ['ended', ['tell-gone']];
      break;
    case 'waiting':
      if (input.kind === 'retry') return ['dialling', ['dial']];
      if (input.kind === 'stalled') return ['waiting', []];
      break;
    case 'resuming':
      if (input.kind === 'resumed') return ['whole', ['tell-resumed']];
      if (input.kind === 'refused') return ['ended', ['drop', 'tell-refused']];
      if (input.kind === 'closed') return ['waiting', ['retry-later']];
      if (input.kind === 'stalled') return ['waiting', ['drop', 'retry-later']];
      break;
    case 'ended':
      // What was under way when it ended.
      if (input.kind === 'dialled') return ['ended', ['drop-new']];
      if (input.kind === 'failed' || input.kind === 'gone' || input.kind === 'retry') return ['ended', []];
      if (input.kind === 'stalled') return ['ended', []];
      break;
  }
  throw new InvariantError(`channel: ${input.kind} while ${state}`);
}
