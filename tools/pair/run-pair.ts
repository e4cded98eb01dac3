/**
 * `pair`: a guest on a primary and a backup, two processes of this machine, with a switch and a client where the
 * guest has a NIC. This process owns the run directory, the console and the children; they end with it.
 *
 *   parent -+- switch          (unix socket; host uplink forwards a UDP port to the guest)
 *           +- primary         channel tcp://127.0.0.1:EPHEMERAL
 *           +- backup          joins before the first instruction
 *           +- client          in this process, real UDP sockets (--load)
 */
import { join } from 'node:path';
import type { ConsoleSink } from '../../hypervisor/backend/backend.js';
import type { LoadResult } from '../load/load-result.js';
import { LoadError, runLoad, type LoadHooks } from '../load/load-run.js';
import { guestPort, type LoadSpec } from '../load/load-spec.js';
import type { UdpTarget } from '../load/udp-client.js';
import { formatDrive } from '../replica/drive-options.js';
import type { MachinePlan } from '../replica/machine-options.js';
import { formatNet } from '../replica/net-options.js';
import type { ToParent } from '../replica/parent-link.js';
import { NO_LOG } from '../replica/report.js';
import type { ReplicaReport } from '../replica/result.js';
import { hostMs } from '../replica/host-time.js';
import { startSwitch, type SwitchProcess } from '../switch/switch-child.js';
import { Child } from './child.js';
import type { Kill } from './kill.js';
import type { PairTyping } from './pair-typing.js';
import { summarise, type LastHeard, type PairResult } from './summary.js';
import { whileAlive } from './while-alive.js';

export interface PairOptions {
  readonly name: string;
  readonly runDirectory: string;
  readonly plan: MachinePlan;
  /** The options of the machine as given, for the primary. */
  readonly machineArguments: readonly string[];
  readonly detectMs: number;
  readonly lagMs: number;
  readonly digestMs: number;
  /** Time between checkpoints; null: the backup follows the log. */
  readonly checkpointMs: number | null;
  readonly record: string | undefined;
  readonly kills: readonly Kill[];
  readonly load: LoadSpec | null;
  readonly console: ConsoleSink;
  /** Who types on the guest's console. */
  readonly typing?: PairTyping | null;
  readonly onEvent: (event: PairEvent) => void;
  /** Ctrl-C: end the run in order. */
  readonly interrupted: Promise<void>;
}

export type PairEvent =
  | {
      readonly kind: 'started';
      readonly primaryPid: number;
      readonly backupPid: number;
      readonly forward: string | null;
    }
  | {
      readonly kind: 'replica';
      readonly who: 'primary' | 'backup';
      readonly event: { readonly kind: string; readonly [field: string]: unknown };
    }
  | { readonly kind: 'killed'; readonly who: 'primary' | 'backup'; readonly icount: number }
  | { readonly kind: 'progress'; readonly who: 'primary' | 'backup'; readonly icount: number; readonly mips: number }
  | { readonly kind: 'load-progress'; readonly acked: number; readonly operations: number };

interface ArmedKills {
  readonly timers: readonly NodeJS.Timeout[];
  /** Resolves when all of them have been carried out. */
  readonly fired: Promise<unknown>;
}

/** How long a replica may take to come up, and to report after the run. */
const START_MS = 30_000;
const REPORT_MS = 30_000;
const STOP_REPEAT_MS = 100;
const GUEST_ADDRESS = '10.86.0.2';

interface Replica {
  readonly child: Child;
  report: ReplicaReport | null;
  last: LastHeard;
}

export async function runPair(options: PairOptions): Promise<PairResult> {
  const network = options.plan.nics.length > 0 ? await startNetwork(options) : null;
  let primary: Replica | null = null;
  let backup: Replica | null = null;
  try {
    primary = startReplica(options, 'primary', primaryArguments(options, network));
    const { channel } = await whileAlive(primary.child.next('listening'), START_MS, primary.child);
    backup = startReplica(options, 'backup', backupArguments(options, network, channel));
    await whileAlive(primary.child.next('started'), START_MS, primary.child, backup.child);
    options.typing?.connect(primary.child);
    const startMs = hostMs();
    const forward = network?.forwards[0] ?? null;
    options.onEvent({ kind: 'started', primaryPid: primary.child.pid, backupPid: backup.child.pid, forward });
    const kills = armKills(options, primary, backup);
    const client = await guestRun(options, network, [primary, backup], kills);
    for (const timer of kills.timers) clearTimeout(timer);
    await settle([primary, backup]);
    return summarise({
      image: options.plan.config.image,
      primary: primary.report,
      backup: backup.report,
      primaryLast: primary.last,
      backupLast: backup.last,
      seconds: (hostMs() - startMs) / 1000,
      snapshots: finalSnapshots(options),
      client,
    });
  } finally {
    for (const replica of [primary, backup]) if (replica?.child.alive === true) replica.child.kill();
    options.typing?.close();
    await network?.stop();
    await options.console.close();
  }
}

// --- children ---

function startReplica(options: PairOptions, who: 'primary' | 'backup', args: readonly string[]): Replica {
  const replica: Replica = {
    child: new Child(who, args),
    report: null,
    last: { icount: 0, mips: 0, log: NO_LOG, checkpoints: null },
  };
  replica.child.onMessage = (message) => {
    receive(options, who, replica, message);
  };
  return replica;
}

function receive(options: PairOptions, who: 'primary' | 'backup', replica: Replica, message: ToParent): void {
  switch (message.type) {
    case 'console': {
      const bytes = Buffer.from(message.base64, 'base64');
      options.console.write(message.offset, bytes);
      options.typing?.output(message.offset, bytes);
      return;
    }
    case 'event':
      if (message.event.kind === 'live') options.typing?.connect(replica.child);
      options.onEvent({ kind: 'replica', who, event: message.event });
      return;
    case 'progress':
      replica.last = { ...message };
      options.onEvent({ kind: 'progress', who, icount: message.icount, mips: message.mips });
      return;
    case 'report':
      replica.report = message.report;
      return;
    case 'listening':
    case 'refused':
    case 'started':
  }
}

function primaryArguments(options: PairOptions, network: SwitchProcess | null): string[] {
  const { checkpointMs, plan } = options;
  return [
    'primary',
    ...options.machineArguments,
    ...driveArguments(options),
    ...netArguments(options, network),
    ...commonArguments(options, 'primary'),
    ...['--channel', 'tcp://127.0.0.1:0', '--wait-backup'],
    ...(checkpointMs === null ? [] : ['--replication', 'checkpoint', '--checkpoint-ms', String(checkpointMs)]),
    ...(options.record === undefined ? [] : ['--record', options.record]),
    ...(plan.until === Infinity ? [] : ['--until', String(plan.until)]),
  ];
}

function backupArguments(options: PairOptions, network: SwitchProcess | null, channel: string): string[] {
  const { until } = options.plan;
  return [
    'backup',
    ...driveArguments(options),
    ...netArguments(options, network),
    ...commonArguments(options, 'backup'),
    ...['--channel', channel],
    ...(until === Infinity ? [] : ['--until', String(until)]),
  ];
}

function commonArguments(options: PairOptions, who: 'primary' | 'backup'): string[] {
  const kill = options.kills.find((k) => k.victim === who && k.unit === 'icount');
  return [
    ...['--name', options.name, '--run-directory', options.runDirectory],
    ...['--arbiter', `file:${join(options.runDirectory, 'arbiter')}`],
    ...['--detect-ms', String(options.detectMs), '--lag-ms', String(options.lagMs)],
    ...['--digest-ms', String(options.digestMs), '--serial', 'stdio'],
    ...['--snapshot', finalSnapshots(options)[who]],
    ...(kill === undefined ? [] : ['--kill-at', String(kill.value)]),
  ];
}

function driveArguments(options: PairOptions): string[] {
  return options.plan.drives.flatMap((drive) => ['--drive', formatDrive(drive)]);
}

function netArguments(options: PairOptions, network: SwitchProcess | null): string[] {
  return options.plan.nics.flatMap((nic) => {
    return ['--net', formatNet({ ...nic, switch: nic.switch ?? network?.address ?? null })];
  });
}

function finalSnapshots(options: PairOptions): { primary: string; backup: string } {
  return {
    primary: join(options.runDirectory, 'final-primary.ftsnap'),
    backup: join(options.runDirectory, 'final-backup.ftsnap'),
  };
}

function startNetwork(options: PairOptions): Promise<SwitchProcess> {
  const port = options.load === null ? null : guestPort(options.load);
  const forward = port === null ? '' : `:udp=0:${GUEST_ADDRESS}:${port}`;
  return startSwitch(join(options.runDirectory, 'switch.sock'), [`host${forward}`]);
}

// --- the run ---

/** Inject the faults that were asked for at a time. */
function armKills(options: PairOptions, primary: Replica, backup: Replica): ArmedKills {
  for (const [who, replica] of [
    ['primary', primary],
    ['backup', backup],
  ] as const) {
    void replica.child.exited.then(() => {
      if (replica.child.killed) options.onEvent({ kind: 'killed', who, icount: replica.last.icount });
    });
  }
  const timers: NodeJS.Timeout[] = [];
  const fired = options.kills
    .filter((kill) => kill.unit === 'ms')
    .map(
      (kill) =>
        new Promise<void>((resolve) => {
          const strike = (): void => {
            (kill.victim === 'primary' ? primary : backup).child.kill();
            resolve();
          };
          timers.push(setTimeout(strike, kill.value));
        }),
    );
  return { timers, fired: Promise.all(fired) };
}

/** Until the guest has ended by itself, the load is done, or the user has had enough. */
async function guestRun(
  options: PairOptions,
  network: SwitchProcess | null,
  replicas: Replica[],
  kills: ArmedKills,
): Promise<LoadResult | null> {
  const ended = Promise.all(replicas.map((replica) => replica.child.exited));
  // Said until it is heard: a backup that is just going live cannot stop a guest yet.
  const stop = (): void => {
    const say = (): void => {
      for (const replica of replicas) replica.child.send({ type: 'stop' });
    };
    const timer = setInterval(say, STOP_REPEAT_MS);
    void ended.then(() => {
      clearInterval(timer);
    });
    say();
  };
  void options.interrupted.then(stop);
  const forward = network?.forwards[0];
  if (options.load === null || forward === undefined) {
    await ended;
    return null;
  }
  const abort = new AbortController();
  const operations = options.load.operations;
  void options.interrupted.then(() => {
    abort.abort();
  });
  void ended.then(() => {
    abort.abort();
  });
  const over = new Promise<void>((resolve) => {
    abort.signal.addEventListener('abort', () => {
      resolve();
    });
  });
  const client = await judgedLoad(options.load, forwardTarget(forward), {
    signal: abort.signal,
    // What was acknowledged must survive the faults: read it after the last of them.
    beforeCheck: async () => {
      await Promise.race([kills.fired, over]);
    },
    onProgress: (acked) => {
      options.onEvent({ kind: 'load-progress', acked, operations });
    },
  });
  stop();
  return client;
}

/** Run the clients; a guest that falls silent is a result too, with what was acknowledged before. */
async function judgedLoad(spec: LoadSpec, target: UdpTarget, hooks: LoadHooks): Promise<LoadResult> {
  try {
    return await runLoad(spec, target, hooks);
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    process.stderr.write(`ft86: the clients gave up: ${error.message}\n`);
    return error.result;
  }
}

function forwardTarget(forward: string): UdpTarget {
  const [host = '127.0.0.1', port = '0'] = forward.split(':');
  return { host, port: Number(port) };
}

/** Wait until both replicas have ended; one that hangs is killed and that is said. */
async function settle(replicas: readonly Replica[]): Promise<void> {
  await Promise.all(
    replicas.map(async (replica) => {
      const timer = setTimeout(() => {
        process.stderr.write(`ft86: the ${replica.child.name} did not end within ${REPORT_MS / 1000} s: killed\n`);
        replica.child.kill();
      }, REPORT_MS);
      await replica.child.exited;
      clearTimeout(timer);
    }),
  );
}
