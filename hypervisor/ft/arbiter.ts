/**
 * The third party that decides who is live. For each pair and epoch exactly one replica wins; the same
 * replica asking again (its reply was lost) wins again.
 * Source: Scales et al. 2010, section 2.3.
 */
export type ArbiterVerdict = 'granted' | 'denied' | 'unreachable';

export interface Arbiter {
  /** Atomic test-and-set of `epoch` for `replicaId`. Not reaching the arbiter is a value, never a grant. */
  claim(epoch: number, replicaId: string): Promise<ArbiterVerdict>;
  /** The newest epoch ever claimed, 0 when there is none. @throws ReplicaError when it cannot be read */
  newestEpoch(): Promise<number>;
  /** The replica that was live in `epoch` ended in order. */
  release(epoch: number, replicaId: string): Promise<ArbiterVerdict>;
  /** False when the newest epoch was never released: its replicas died. */
  lastStopWasClean(): Promise<boolean>;
}
