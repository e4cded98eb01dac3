/** Goal: `demo http` tells its story to the end: each download over a kill is right, each lost replica is replaced.
 *  Method: the command as its users run it, with the real passt and Debian's Linux. */
import { expect, test } from '@jest/globals';
import { ft86 } from './ft86.js';

test('a web server in Linux loses three replicas, and no transfer fails', async () => {
  const { status, stdout, stderr } = await ft86(['demo', 'http']);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout.match(/^\d+ bytes in .* SHA-256 (\w+)/gm)).toHaveLength(4);
  expect(stdout.match(/: LIVE at icount/g)).toHaveLength(3);
  expect(stdout).toContain('no transfer failed: 4 downloads, 3 replicas killed and replaced');
}, 300_000);
