/** Edge: a live replica that looks for a backup in its pool whenever it has none. What to do is spare-search.ts's to say. */
import { ReplicaError } from '../../emulator/errors.js';
import { SpareSearch, type Need } from '../../hypervisor/ft/spare-search.js';
import type { EtcdPool } from './etcd-pool.js';
import { hostMs } from './host-time.js';
import type { LiveSession } from './live-session.js';

export type SpareEvent =
  | { readonly kind: 'spare-asked'; readonly spare: string }
  | { readonly kind: 'spare-skipped'; readonly spare: string; readonly why: string }
  | { readonly kind: 'no-spare' }
  | { readonly kind: 'pool-unreachable'; readonly why: string };

const LOOK_MS = 100;

/** Look from now on, until the returned function is called. @param address where a spare finds the session */
export function findSpares(
  pool: EtcdPool,
  session: Pick<LiveSession, 'state'>,
  address: string,
  onEvent: (event: SpareEvent) => void,
): () => void {
  const search = new SpareSearch();
  let over = false;
  let said: SpareEvent['kind'] | null = null;
  const sayOnce = (event: SpareEvent): void => {
    if (said !== event.kind) onEvent(event);
    said = event.kind;
  };
  const look = async (): Promise<void> => {
    const need = needOf(session.state);
    if (need === 'none') said = null;
    const spares = need === 'alone' ? await pool.list() : [];
    // It may have got a backup meanwhile.
    const step = search.step(hostMs(), needOf(session.state), spares);
    if (step.kind === 'nobody') sayOnce({ kind: 'no-spare' });
    else if (step.kind === 'skip') onEvent({ kind: 'spare-skipped', spare: step.id, why: step.why });
    else if (step.kind === 'claim' && (await pool.claim(step.spare, address))) {
      search.picked(step.spare.id, hostMs());
      said = null;
      onEvent({ kind: 'spare-asked', spare: step.spare.id });
    }
  };
  const loop = async (): Promise<void> => {
    while (!over) {
      try {
        await look();
      } catch (error) {
        if (!(error instanceof ReplicaError)) throw error;
        sayOnce({ kind: 'pool-unreachable', why: error.message });
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS).unref());
    }
  };
  void loop();
  return () => {
    over = true;
  };
}

function needOf(state: LiveSession['state']): Need {
  if (state === 'alone') return 'alone';
  return state === 'transferring' ? 'joining' : 'none';
}
