/** Goal: ping from this machine's kernel through a TAP interface goes on over a take-over: what is lost is at most detection and
 *  a second.
 *  Method: a network namespace of its own with the pair, its switch and the interface in it; ping as Debian ships it; kill -9. */
import { expect, test } from '@jest/globals';
import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';

const ft86 = join(import.meta.dirname, '../../ft86');
const ROOT = process.getuid?.() === 0;
const PING_MS = 20;
const PINGS = 200;
/** Detection and a second. */
const SILENT_MS_MAX = 500 + 1000;
const NETWORK =
  'ip link set lo up; ip tuntap add dev ft0 mode tap; ip address add 10.86.0.1/24 dev ft0; ip link set ft0 up; exec "$0" "$@"';

test('ping through a TAP interface loses at most detection and a second at a take-over', async () => {
  const unshare = [...(ROOT ? [] : ['-U', '-r']), '-n', 'sh', '-c', NETWORK];
  const pair = spawn('unshare', [...unshare, process.execPath, ft86, 'pair', 'echo', '--uplink', 'tap:ft0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  let output = '';
  for (const stream of [pair.stdout, pair.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const closed = new Promise((resolve) => pair.once('close', resolve));
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const end = performance.now() + 60_000;
    for (;;) {
      const match = pattern.exec(output);
      if (match !== null) return match;
      if (performance.now() > end || pair.exitCode !== null) throw new Error(`no ${pattern.source} in:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  try {
    const [, primary] = await until(/primary is process (\d+)/);
    await until(/has the whole state/);
    await until(/ready on port 7/);
    const enter = ['-t', String(pair.pid), ...(ROOT ? [] : ['-U', '--preserve-credentials']), '-n', '--'];
    const ping = ['ping', '-i', String(PING_MS / 1000), '-c', String(PINGS), '10.86.0.2'];
    const said = new Promise<string>((resolve) => {
      execFile('nsenter', [...enter, ...ping], (_error, stdout) => {
        resolve(stdout);
      });
    });
    await new Promise((resolve) => setTimeout(resolve, (PINGS / 4) * PING_MS));
    process.kill(Number(primary), 'SIGKILL');
    await until(/backup: LIVE/);
    const [, sent, received, ms] = /(\d+) packets transmitted, (\d+) received.* time (\d+)ms/.exec(await said)!;
    expect(Number(sent)).toBe(PINGS);
    // ping waits longer than asked on a busy machine.
    const lostMs = (Number(sent) - Number(received)) * (Number(ms) / PINGS);
    expect(lostMs).toBeLessThanOrEqual(SILENT_MS_MAX);
  } finally {
    pair.kill('SIGINT');
    await closed;
  }
}, 120_000);
