/** A guest with a UDP service, alone or on two replicas, behind a switch with the virtual host: for clients of this process. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ReplicaError } from '../../emulator/errors.js';
import { projectRoot } from '../images/manifest.js';
import type { UdpTarget } from '../load/udp-client.js';
import { startSwitch } from '../switch/switch-child.js';
import { withScratch } from './measure.js';

export type Mode = 'boot' | 'pair';

const READY_MS = 60_000;
/** A machine that is busy with the measurement must not make a false alarm. */
const DETECT_MS = 5000;
const GUEST_IP = '10.86.0.2';

/** Run `guest`, which serves on UDP `port`, while `use` talks to it. @throws ReplicaError when it does not start */
export function withServedGuest<T>(
  mode: Mode,
  guest: string,
  port: number,
  use: (target: UdpTarget) => Promise<T>,
): Promise<T> {
  const uplink = `host:udp=0:${GUEST_IP}:${port}`;
  return mode === 'pair' ? withPair(guest, uplink, use) : withMachine(guest, uplink, use);
}

function withMachine<T>(guest: string, uplink: string, use: (target: UdpTarget) => Promise<T>): Promise<T> {
  return withScratch(async (scratch) => {
    const network = await startSwitch(join(scratch, 'switch'), [uplink]);
    const machine = start(['boot', guest, '--net', `switch=${network.address}`, '--serial', 'none']);
    try {
      return await use(network.forwards[0]!);
    } finally {
      await machine.stop();
      await network.stop();
    }
  });
}

async function withPair<T>(guest: string, uplink: string, use: (target: UdpTarget) => Promise<T>): Promise<T> {
  const pair = start(['pair', guest, '--uplink', uplink, '--serial', 'none', '--detect-ms', String(DETECT_MS)]);
  try {
    const port = Number(await pair.said(/udp 127\.0\.0\.1:(\d+)/));
    await pair.said(/(has the whole state)/);
    const result = await use({ host: '127.0.0.1', port });
    if (pair.lost()) throw new ReplicaError('the pair lost a replica while it was measured');
    return result;
  } finally {
    await pair.stop();
  }
}

/** `ft86 ARGS` beside us. */
function start(args: readonly string[]) {
  const child = spawn(process.execPath, [join(projectRoot(), 'ft86'), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (more: string) => (text += more));
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      resolve();
    });
  });
  return {
    /** Wait until it has said that; gives the first group. */
    said: async (pattern: RegExp): Promise<string> => {
      const endMs = performance.now() + READY_MS;
      for (;;) {
        const group = pattern.exec(text)?.[1];
        if (group !== undefined) return group;
        if (child.exitCode !== null || performance.now() > endMs) {
          throw new ReplicaError(`ft86 ${args.join(' ')} does not start: ${text.slice(-400)}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    /** Whether one of two replicas was given up. */
    lost: () => /LIVE at icount|lost its backup/.test(text),
    stop: async (): Promise<void> => {
      child.kill('SIGINT');
      await ended;
    },
  };
}
