/** Goal: ping from this machine's kernel through a TAP interface goes on over a take-over: what is lost is at most detection and
 *  a second.
 *  Method: a network namespace of its own with the pair, its switch and the interface in it; ping as Debian ships it; kill -9. */
import { expect, test } from '@jest/globals';
import { livePid } from './ft86.js';
import { GUEST_IP, startBeside, startOnTap } from './tap-network.js';

const PING_MS = 20;
const PINGS = 200;
/** Detection and a second. */
const SILENT_MS_MAX = 500 + 1000;
const MINUTE = 60_000;

test('ping through a TAP interface loses at most detection and a second at a take-over', async () => {
  const pair = startOnTap(['pair', 'echo', '--uplink', 'tap:ft0']);
  try {
    for (const said of ['has the whole state', 'primary is process', 'ready on port 7']) {
      await pair.until(() => (pair.stderr() + pair.stdout()).includes(said), MINUTE);
    }
    const ping = startBeside(pair, 'ping', '-i', String(PING_MS / 1000), '-c', String(PINGS), GUEST_IP);
    await new Promise((resolve) => setTimeout(resolve, (PINGS / 4) * PING_MS));
    process.kill(livePid(pair.stderr()), 'SIGKILL');
    await pair.until(() => pair.stderr().includes('backup: LIVE'), MINUTE);
    const { stdout } = await ping.ended;
    const [, sent, received, ms] = /(\d+) packets transmitted, (\d+) received.* time (\d+)ms/.exec(stdout)!;
    expect(Number(sent)).toBe(PINGS);
    // ping waits longer than asked on a busy machine.
    const lostMs = (Number(sent) - Number(received)) * (Number(ms) / PINGS);
    expect(lostMs).toBeLessThanOrEqual(SILENT_MS_MAX);
  } finally {
    await pair.stop();
  }
}, 120_000);
