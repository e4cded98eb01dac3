/**
 * Judges a counter history: one number that all clients increment and nobody else.
 *
 *   start (setup read) < every acknowledged result, each different <= end (verify read)
 *
 * lost        results that came twice, lie outside start..end, or are not above a result that was acknowledged
 *             before they were asked for
 * duplicated  numbers in between that nobody was given: each is an effect applied once too often
 */
import { Findings, isAcknowledged, numberOf, type Acknowledged, type Invocation, type Verdict } from './history.js';

interface Result {
  readonly invocation: Acknowledged;
  readonly value: bigint;
}

/** Judge the history of a whole run; without a verify read only what the increments show. */
export function checkCounter(history: readonly Invocation[]): Verdict {
  const findings = new Findings();
  const results: Result[] = [];
  let pending = 0;
  for (const invocation of history) {
    if (invocation.action.op !== 'increment') continue;
    if (!isAcknowledged(invocation)) {
      pending++;
      continue;
    }
    const value = numberOf(invocation.outcome);
    if (value === null) findings.addLost(invocation, `answered ${invocation.outcome.status} without a number`);
    else results.push({ invocation, value });
  }
  const start = readOf(history, 'setup') ?? 0n;
  const highest = results.reduce((max, { value }) => (value > max ? value : max), start);
  const end = readOf(history, 'verify') ?? highest;
  const given = judgeResults(results, start, end, findings);
  const unexplained = Number(end - start) - given - pending;
  if (unexplained > 0) {
    const what = `the counter went from ${start} to ${end}, only ${given} of these numbers were given out`;
    findings.addDuplicated(null, what, unexplained);
  }
  return findings;
}

/** Returns how many different results lie within (start, end]. */
function judgeResults(results: readonly Result[], start: bigint, end: bigint, findings: Findings): number {
  const byInvoked = results.toSorted((a, b) => a.invocation.invokedMs - b.invocation.invokedMs);
  const byResponded = results.toSorted((a, b) => a.invocation.respondedMs - b.invocation.respondedMs);
  const given = new Set<bigint>();
  let finished = 0;
  let floor = start;
  for (const { invocation, value } of byInvoked) {
    for (let done = byResponded[finished]; done !== undefined; done = byResponded[++finished]) {
      if (done.invocation.respondedMs >= invocation.invokedMs) break;
      if (done.value > floor) floor = done.value;
    }
    if (given.has(value)) findings.addLost(invocation, `result ${value} was given out twice`);
    else if (value > end) findings.addLost(invocation, `result ${value}, but the counter ends at ${end}`);
    else if (value <= floor) findings.addLost(invocation, `result ${value} after ${floor} was acknowledged`);
    if (value > start && value <= end) given.add(value);
  }
  return given.size;
}

function readOf(history: readonly Invocation[], phase: 'setup' | 'verify'): bigint | null {
  const read = history.find((invocation) => invocation.action.op === 'read' && invocation.phase === phase);
  return read !== undefined && isAcknowledged(read) ? numberOf(read.outcome) : null;
}
