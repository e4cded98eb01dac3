/** Tells a person what happens in a pair, a line for each event. Every replica loads it: tables are narrate.ts's. */
import colors from 'picocolors';
import type { Takeover, Transfer } from '../replica/result.js';
import type { TransferProgress } from '../replica/state-sender.js';
import type { PairEvent } from './pair-options.js';

interface AnyEvent {
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** One line about something a replica did. */
export function describeEvent(who: string, event: AnyEvent): string {
  return `${colors.cyan('──')} ${who}: ${sentence(event)}`;
}

function sentence(event: AnyEvent): string {
  switch (event.kind) {
    case 'waiting-for-backup':
      return `listens for a backup at ${String(event['channel'])}`;
    case 'backup-joined': {
      const transfer = event['transfer'] as Transfer;
      const { compared, sent } = transfer.blocks;
      const copied = compared === 0 ? '' : `; of ${compared} blocks of its own disks ${sent} were sent`;
      const rounds = `${transfer.rounds} round${transfer.rounds === 1 ? '' : 's'}`;
      return `a backup joined; ${transfer.bytes} bytes of state sent in ${ms(transfer.totalMs)}, ${rounds}; the guest stood still for ${ms(transfer.pauseMs)}${copied}`;
    }
    case 'transfer':
    case 'receiving':
      return transferProgress(event['progress'] as TransferProgress);
    case 'join-failed':
      return `a backup did not join: ${String(event['reason'])}`;
    case 'joined':
      return `joined ${String(event['primaryId'])}`;
    case 'following':
      return `has the whole state, follows from icount ${String(event['icount'])}`;
    case 'hands-over':
      return 'its disk server is out of reach, and within that of its backup: hands over';
    case 'channel-broken':
      return `the channel broke (${String(event['reason'])}): waits for its backup to come back`;
    case 'channel-resumed':
      return `the channel goes on, after ${ms(event['ms'] as number)}`;
    case 'backup-lost':
      return `lost its backup: ${String(event['reason'])}; outputs are held until the test-and-set is won`;
    case 'alone':
      return `won the test-and-set, live alone in epoch ${String(event['epoch'])}`;
    case 'diverged':
      return colors.red(`the backup found a difference: ${String(event['what'])}`);
    case 'primary-silent':
      return `the primary is gone (${String(event['reason'])}), noticed ${ms(event['detectMs'] as number)} after its last sign of life`;
    case 'drained':
      return `drained the log up to icount ${String(event['icount'])} in ${ms(event['ms'] as number)}`;
    case 'won':
      return `won the test-and-set of epoch ${String(event['epoch'])} in ${ms(event['ms'] as number)}`;
    case 'waiting-for-arbiter':
      return 'the arbiter cannot be reached: waiting';
    case 'live': {
      const takeover = event['takeover'] as Takeover;
      return colors.green(
        `LIVE at icount ${takeover.icount}, ${ms(takeover.totalMs)} after the primary's last sign of life`,
      );
    }
    default:
      return poolSentence(event);
  }
}

/** What happens between a pair and its spare hosts. */
function poolSentence(event: AnyEvent): string {
  switch (event.kind) {
    case 'spare-asked':
      return `asked ${String(event['spare'])} to be its backup`;
    case 'spare-skipped':
      return `passes over ${String(event['spare'])}: ${String(event['why'])}`;
    case 'no-spare':
      return colors.yellow('no spare in the pool: without a backup until there is one');
    case 'in-pool':
      return `waits in the pool as ${String(event['spare'])}`;
    case 'asked':
      return `asked to join the live replica at ${String(event['channel'])}`;
    case 'back-to-pool':
      return `did not join: ${String(event['why'])}; back to the pool`;
    case 'pool-unreachable':
      return `the pool cannot be reached: ${String(event['why'])}`;
    default:
      return event.kind;
  }
}

/** Whether an event is only worth a line that the next one overwrites. */
export function isProgress(event: AnyEvent): boolean {
  return event.kind === 'transfer' || event.kind === 'receiving';
}

/** How far a state transfer is. */
function transferProgress({ round, drive, share, bytes }: TransferProgress): string {
  return `state transfer: ${drive === null ? `round ${round}` : `copy of drive ${drive}`}, ${Math.round(share * 100)} %, ${(bytes / 2 ** 20).toFixed(0)} MiB sent`;
}

/** One line about a pair's event, or null for those that are progress only. */
export function describePairEvent(event: PairEvent): string | null {
  switch (event.kind) {
    case 'started':
      return `${colors.cyan('──')} the guest runs: primary is process ${event.primaryPid}, backup is process ${event.backupPid}${
        event.forwards.length === 0
          ? ''
          : `; the client talks to it through ${event.forwards.map(({ protocol, host, port }) => `${protocol} ${host}:${port}`).join(', ')}`
      }`;
    case 'replica':
      if (isProgress(event.event)) return null;
      return describeEvent(event.who, event.event);
    case 'killed':
      return `${colors.cyan('──')} ${colors.red(`kill -9: the ${event.who} is dead`)} (last heard at icount ${event.icount})`;
    case 'replacing':
      return `${colors.cyan('──')} ${event.who} takes the place of the lost one, process ${event.pid}`;
    case 'not-replaced':
      return `${colors.cyan('──')} ${colors.red('no new backup')}: ${event.attempts} in a row ended before they had joined`;
    case 'progress':
    case 'load-progress':
      return null;
  }
}

/** A time for a person. */
export function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
}
