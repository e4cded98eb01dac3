/**
 * `pair`: a guest on a primary and a backup, two processes of this machine, with a switch and a client where the
 * guest has a NIC. This process owns the run directory, the console and the children; they end with it.
 *
 *   parent -+- switch          (unix socket; --uplink, or a host uplink that forwards a UDP port to the guest)
 *           +- disk server     (--disk-server: unix socket; the drives' files, and who is live unless --arbiter says otherwise)
 *           +- Fleet           primary, backup (joins before the first instruction), with --replace their successors
 *           +- client          in this process, real UDP sockets (--load)
 */
import { join } from 'node:path';
import { ConfigError } from '../../emulator/errors.js';
import { isNbdUri } from '../../hypervisor/nbd/uri.js';
import { startDiskServer } from '../disk-server/disk-server-child.js';
import type { LoadResult } from '../load/load-result.js';
import { LoadError, runLoad, type LoadHooks } from '../load/load-run.js';
import { guestPort, type LoadSpec } from '../load/load-spec.js';
import type { UdpTarget } from '../load/udp-client.js';
import { hostMs } from '../replica/host-time.js';
import { startSwitch, type SwitchProcess } from '../switch/switch-child.js';
import type { BoundForward } from '../switch/uplink.js';
import { Fleet, type Member } from './fleet.js';
import { injectFaults, type Faults } from './faults.js';
import { checkCopies, settleCopies } from './own-copies.js';
import type { PairOptions } from './pair-options.js';
import { finalSnapshot } from './replica-arguments.js';
import { compareFinal, summarise, type PairResult } from './summary.js';

const GUEST_ADDRESS = '10.86.0.2';

export async function runPair(options: PairOptions): Promise<PairResult> {
  if (!options.diskServer) return runReplicas(options);
  const { keyFile, plan, runDirectory } = options;
  const files = plan.drives.map(({ path }) => path);
  if (files.length === 0) throw new ConfigError('--disk-server', 'on', 'the guest has no drive');
  if (plan.drives.some(({ shared }) => !shared)) {
    throw new ConfigError('--disk-server', 'on', 'a drive with shared=off has no server between');
  }
  if (files.some(isNbdUri)) throw new ConfigError('--disk-server', 'on', 'a drive is on a server already');
  const server = await startDiskServer(runDirectory, files, keyFile);
  const drives = plan.drives.map((drive, i) => ({ ...drive, path: server.drives[i]! }));
  try {
    return await runReplicas({ ...options, plan: { ...plan, drives }, arbiter: options.arbiter ?? server.arbiter });
  } finally {
    await server.stop();
  }
}

async function runReplicas(options: PairOptions): Promise<PairResult> {
  checkCopies(options.plan.drives);
  const network = options.plan.nics.length > 0 ? await startNetwork(options) : null;
  const fleet = new Fleet(options, network?.address ?? null);
  try {
    const { primary, backup } = await fleet.start();
    const startMs = hostMs();
    const forwards = network?.forwards ?? [];
    options.onEvent({ kind: 'started', primaryPid: primary.child.pid, backupPid: backup.child.pid, forwards });
    const faults = injectFaults(options.kills, fleet, options.replace);
    const client = await guestRun(options, fleet, forwards[0] ?? null, faults);
    faults.cancel();
    const settled = fleet.settle();
    await fleet.reported;
    const snapshotOf = (name: string): string => finalSnapshot(options, name);
    // Meanwhile the replicas' processes end.
    const diff = compareFinal(fleet.live, fleet.backup, snapshotOf);
    await settled;
    const copies = await settleCopies(options.plan.drives, orderly(fleet.live), orderly(fleet.backup));
    return summarise({
      copies,
      image: options.plan.config.image,
      members: fleet.members,
      live: fleet.live,
      backup: fleet.backup,
      transfer: fleet.transfer,
      seconds: (hostMs() - startMs) / 1000,
      diff,
      client,
    });
  } finally {
    fleet.close();
    options.typing?.close();
    await network?.stop();
    await options.console.close();
  }
}

/** The name of a replica that ended in order. */
function orderly(member: Member | null): string | null {
  return member?.report?.error === null ? member.name : null;
}

function startNetwork(options: PairOptions): Promise<SwitchProcess> {
  const port = options.load === null ? null : guestPort(options.load);
  const forward = port === null ? '' : `:udp=0:${GUEST_ADDRESS}:${port}`;
  const uplinks = options.uplinks.length > 0 ? options.uplinks : [`host${forward}`];
  return startSwitch(join(options.runDirectory, 'switch.sock'), uplinks, options.pcap, options.keyFile);
}

/** Until the guest has ended by itself, the load is done, or the user has had enough. */
async function guestRun(
  options: PairOptions,
  fleet: Fleet,
  forward: BoundForward | null,
  faults: Faults,
): Promise<LoadResult | null> {
  void options.interrupted.then(() => {
    fleet.stop();
  });
  if (options.load === null || forward === null) {
    await fleet.reported;
    return null;
  }
  const abort = new AbortController();
  const operations = options.load.operations;
  const over = Promise.race([options.interrupted, fleet.ended]).then(() => {
    abort.abort();
  });
  const client = await judgedLoad(options.load, forward, {
    signal: abort.signal,
    // What was acknowledged must survive the faults: read it after the last of them.
    beforeCheck: async () => {
      await Promise.race([faults.done.then(() => (options.replace ? fleet.whole() : undefined)), over]);
    },
    onProgress: (acked) => {
      options.onEvent({ kind: 'load-progress', acked, operations });
    },
  });
  fleet.stop();
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
