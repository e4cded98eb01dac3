/**
 * Goal: whatever a network does to a pair that is deployed as docs/deploy.md says, its clients lose nothing, and it is whole again
 * when the network is.
 * Method: the units' command lines under a supervisor with the units' rules; cuts in random directions, hosts that stand still,
 * replicas that die, one after the other from a seed, under a load whose history is checked. SEED=N repeats one; SECONDS=N lasts longer.
 */
import { expect, test } from '@jest/globals';
import { SeededRandom } from '../../tools/load/seeded-random.js';
import { Deployment, type Host } from './deployment.js';
import type { Program } from './site.js';

const SEED = Number(process.env['SEED'] ?? '1');
const SECONDS = Number(process.env['SECONDS'] ?? '40');
const RATE = 150;
const RESTART_MS = 500;
const DIRECTIONS: readonly (readonly [Host, Host])[] = [
  ['one', 'two'],
  ['two', 'one'],
  ['one', 'store'],
  ['store', 'one'],
  ['two', 'store'],
  ['store', 'two'],
];

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Keeps a host's unit running, as systemd would. */
class Supervisor {
  current: Program;
  readonly #site: Deployment;
  readonly #host: Host;
  readonly #log: string[];
  #over = false;

  constructor(site: Deployment, host: Host, unit: string, log: string[]) {
    this.#site = site;
    this.#host = host;
    this.#log = log;
    this.current = this.#start(unit);
  }

  end(): void {
    this.#over = true;
  }

  #start(unit: string): Program {
    const program = this.#site.start(this.#host, unit);
    program.child.once('exit', () => {
      this.#log.push(`--- ${unit} on ${this.#host} ended (${program.child.exitCode ?? 'killed'}):\n${program.output}`);
      setTimeout(() => {
        if (!this.#over) this.current = this.#start('backup');
      }, RESTART_MS);
    });
    return program;
  }
}

/** Is one of the two live, and has a backup? */
async function whole(site: Deployment): Promise<boolean> {
  for (const host of ['one', 'two'] as const) {
    const status = site.ft86(host, 'status', 'shop', '--json');
    await status.ends();
    if (/"live": true,\s+"state": "paired"/.test(status.output)) return true;
  }
  return false;
}

/** One thing that goes wrong, and is over when this resolves. */
async function trouble(
  site: Deployment,
  hosts: Record<'one' | 'two', Supervisor>,
  random: SeededRandom,
): Promise<string> {
  const ms = [100, 300, 700, 1500, 3000][random.below(5)]!;
  const host = random.below(2) === 0 ? 'one' : 'two';
  const { child } = hosts[host].current;
  const kind = random.below(6);
  // Who dies while the other has not the whole state takes the guest along: that is no trouble of the network.
  if (kind === 0 && (await whole(site))) {
    child.kill('SIGKILL');
    return `the replica on ${host} died`;
  }
  if (kind === 1) {
    child.kill('SIGSTOP');
    await sleep(ms);
    child.kill('SIGCONT');
    return `${host} stood still for ${ms} ms`;
  }
  const cuts = DIRECTIONS.filter(() => random.below(3) === 0);
  for (const [from, to] of cuts) await site.fabric.cut(from, to);
  await sleep(ms);
  await site.fabric.heal();
  return `${cuts.map((cut) => cut.join('>')).join(' ')} cut for ${ms} ms`;
}

test(
  `random troubles of seed ${SEED}: nothing is lost, and the pair is whole again`,
  async () => {
    const random = new SeededRandom(SEED);
    const site = await Deployment.make();
    const log: string[] = [];
    try {
      await site.start('store', 'disk-server').says(/export disk/);
      await site.start('store', 'switch').says(/udp 127.0.0.1:7000/);
      const hosts = {
        one: new Supervisor(site, 'one', 'primary', log),
        two: new Supervisor(site, 'two', 'backup', log),
      };
      await hosts.one.current.says(/a backup joined/);
      const spec = `kv:ops=${SECONDS * RATE},clients=4,rate=${RATE},timeout-ms=60000`;
      const load = site.ft86('store', 'load', spec, '--to', '127.0.0.1:7000', '--json');
      const end = performance.now() + SECONDS * 1000;
      while (performance.now() < end) {
        log.push(await trouble(site, hosts, random));
        await sleep(200 + random.below(3000));
      }
      const explained = (): string =>
        `${log.join('\n')}\none: ${hosts.one.current.output}\ntwo: ${hosts.two.current.output}`;
      try {
        expect([await load.ends(90_000), load.output]).toEqual([
          0,
          expect.stringMatching(/"lost": 0,\s+"duplicated": 0/),
        ]);
        for (let tries = 0; !(await whole(site)); tries++) expect(tries).toBeLessThan(30);
      } catch (cause) {
        throw new Error(`seed ${SEED}:\n${explained()}`, { cause });
      } finally {
        for (const host of Object.values(hosts)) host.end();
      }
    } finally {
      site.close();
    }
  },
  (SECONDS + 180) * 1000,
);
