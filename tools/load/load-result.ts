/** Sums a run up: what was asked, what was answered, how fast, and the checker's verdict. */
import { isAcknowledged, type Acknowledged, type Invocation, type Verdict } from './history.js';

export interface LoadResult {
  /** Operations asked for, without greetings and the reads that check. */
  readonly operations: number;
  readonly acked: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Longest time without any acknowledgement while the operations ran. */
  readonly gapMs: number;
  /** Datagrams sent again, in all phases after the greeting. */
  readonly retransmissions: number;
  /** Bytes of all requests that were answered, each counted once, without greetings. */
  readonly requestBytes: number;
  /** Operations that the guest refused for lack of room; they changed nothing. */
  readonly refused: number;
  /** From the first datagram of an operation to its answer; 0 when none was answered. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly opsPerSecond: number;
  readonly seconds: number;
  /** All operations done and everything read again at the end. */
  readonly completed: boolean;
  /** The first lost and duplicated operations, one line each. */
  readonly findings: readonly string[];
}

export interface LoadTiming {
  /** When the first operation could start. */
  readonly startMs: number;
  readonly seconds: number;
  readonly completed: boolean;
  readonly requestBytes: number;
}

export function summarise(history: readonly Invocation[], verdict: Verdict, timing: LoadTiming): LoadResult {
  const load = history.filter(({ phase }) => phase === 'load');
  const acked = load.filter(isAcknowledged);
  const latencies = acked.map(({ invokedMs, respondedMs }) => respondedMs - invokedMs).sort((a, b) => a - b);
  return {
    operations: load.length,
    acked: acked.length,
    lost: verdict.lost,
    duplicated: verdict.duplicated,
    gapMs: longestGap(acked, timing),
    retransmissions: history.reduce((sum, { attempts }) => sum + Math.max(0, attempts - 1), 0),
    requestBytes: timing.requestBytes,
    refused: acked.filter(({ outcome }) => outcome.status === 'full').length,
    p50Ms: percentile(latencies, 50),
    p99Ms: percentile(latencies, 99),
    opsPerSecond: timing.seconds > 0 ? acked.length / timing.seconds : 0,
    seconds: timing.seconds,
    completed: timing.completed,
    findings: verdict.findings,
  };
}

/** From the start to the first acknowledgement, from each to the next and, in a run cut short, to its end. */
function longestGap(acked: readonly Acknowledged[], timing: LoadTiming): number {
  const times = acked.map(({ respondedMs }) => respondedMs).sort((a, b) => a - b);
  if (!timing.completed) times.push(timing.startMs + timing.seconds * 1000);
  let longest = 0;
  let previous = timing.startMs;
  for (const time of times) {
    longest = Math.max(longest, time - previous);
    previous = time;
  }
  return longest;
}

/** Nearest rank; 0 for no values. */
function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? 0;
}
