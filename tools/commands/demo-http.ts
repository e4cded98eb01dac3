/** `ft86 demo http`: a web server that real clients of this machine download from while its replicas die. */
import { join } from 'node:path';
import colors from 'picocolors';
import { ReplicaError } from '../../emulator/errors.js';
import { HTTP_COMMAND, HttpStory, type Transfer } from '../pair/http-story.js';
import { describePairEvent } from '../pair/describe-event.js';
import { runPair } from '../pair/run-pair.js';
import { planMachine, type MachineArguments } from '../replica/machine-options.js';
import { ephemeralName, makeRunDirectory, removeRunDirectory } from '../replica/run-directory.js';

/** The first download is left alone: what it gives is what the others must give. */
const KILLS = 3;

export async function demoHttp(machine: MachineArguments, interrupted: Promise<void>): Promise<void> {
  const runDirectory = makeRunDirectory(ephemeralName('demo-http'));
  const story = new HttpStory();
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  try {
    const shipped = await planMachine({ ...machine, image: 'linux' }, runDirectory, null);
    const append = `${shipped.config.append} quiet ft86.run="${HTTP_COMMAND}"`;
    const linux = { ...machine, image: 'linux', append };
    tell('Debian Linux with busybox’s web server on two replicas; passt joins its port 80 to one of this machine');
    const pair = runPair({
      ...{ name: ephemeralName('http'), runDirectory, plan: await planMachine(linux, runDirectory, null) },
      ...{ machineArguments: ['linux', '--append', append], detectMs: 500, lagMs: 200, digestMs: 1000 },
      ...{ checkpointMs: null, arbiter: `file:${join(runDirectory, 'arbiter')}`, diskServer: false },
      ...{ record: undefined, kills: [], replace: true, corruptAt: undefined, throttle: undefined, load: null },
      ...{ uplinks: ['passt:tcp=0:80'], pcap: null, console: story.console },
      onEvent: (event) => {
        story.note(event);
        const line = describePairEvent(event);
        if (line !== null) process.stdout.write(`${line}\n`);
      },
      interrupted: Promise.race([interrupted, finished]),
    });
    const told = tellStory(story).finally(finish);
    const [result] = await Promise.all([pair, Promise.race([told, pair])]);
    if (result.identical === false) throw new ReplicaError('the replicas differ');
  } finally {
    removeRunDirectory(runDirectory);
  }
}

async function tellStory(story: HttpStory): Promise<void> {
  await story.serving();
  tell(`the server is at ${story.url ?? ''}`);
  const first = await story.download(false);
  process.stdout.write(`${describeTransfer(first)}\n`);
  for (let kill = 1; kill <= KILLS; kill++) {
    await story.backedUp(kill);
    tell(`Download ${kill} of ${KILLS}, in the middle of which the live replica dies by kill -9`);
    const transfer = await story.download(true);
    process.stdout.write(`${describeTransfer(transfer)}\n`);
    if (transfer.sha256 !== first.sha256) throw new ReplicaError('a transfer differs from the first');
  }
  await story.backedUp(KILLS + 1);
  tell(colors.green(`no transfer failed: ${KILLS + 1} downloads, ${KILLS} replicas killed and replaced`));
}

function tell(text: string): void {
  process.stdout.write(`\n${colors.bold(text)}\n`);
}

function describeTransfer({ bytes, seconds, gapMs, sha256 }: Transfer): string {
  const speed = (bytes / seconds / 1e6).toFixed(1);
  return `${bytes} bytes in ${seconds.toFixed(2)} s (${speed} MB/s), longest pause ${gapMs.toFixed(0)} ms, SHA-256 ${sha256.slice(0, 16)}…`;
}
