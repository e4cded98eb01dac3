/** Picks the checker for a kind of load; echo's own is short enough to stand here. */
import { checkCounter } from './check-counter.js';
import { checkKv } from './check-kv.js';
import { Findings, isAcknowledged, type Invocation, type Verdict } from './history.js';
import type { LoadKind } from './load-spec.js';

/** Judge a run's history, in which each client's invocations are in order. */
export function checkHistory(kind: LoadKind, history: readonly Invocation[]): Verdict {
  switch (kind) {
    case 'kv':
      return checkKv(history);
    case 'counter':
      return checkCounter(history);
    case 'echo':
      return checkEcho(history);
  }
}

/** A payload that came back changed is a lost one. */
function checkEcho(history: readonly Invocation[]): Verdict {
  const findings = new Findings();
  for (const invocation of history) {
    const { action, outcome } = invocation;
    if (action.op !== 'echo' || !isAcknowledged(invocation) || outcome === null) continue;
    if (Buffer.compare(action.payload, outcome.value) !== 0) findings.addLost(invocation, 'another payload came back');
  }
  return findings;
}
