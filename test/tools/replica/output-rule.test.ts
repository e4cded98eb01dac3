/** Goal: the Output Rule between real sessions: an output leaves only when its own output entry is acknowledged.
 *  Method: a relay reads the log and the acknowledgements as they pass; each console byte that leaves is looked up. An
 *  open gate breaks this test. Source: Scales et al. 2010, section 2.2. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { decodeFrame } from '../../../hypervisor/log/frame.js';
import { NotedConsole, Rig, until } from './rig.js';

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(async () => {
  await rig.close();
});

/** Notes at which acknowledgement each byte left. */
class WatchedConsole extends NotedConsole {
  readonly left: { readonly end: number; readonly acked: number }[] = [];
  acked: () => number = () => -1;

  override write(offset: number, bytes: Uint8Array): void {
    super.write(offset, bytes);
    this.left.push({ end: offset + bytes.length, acked: this.acked() });
  }
}

test('no console byte leaves before the acknowledgement of its entry', async () => {
  const console = new WatchedConsole();
  const live = await rig.live({ console });
  let acked = -1;
  console.acked = () => acked;
  let joinedAt = Infinity;
  let end = 0;
  const entryOf = new Map<number, number>();
  const address = await rig.relay(live.address, (message) => {
    if (message.type === 'state') joinedAt = end = message.consoleOffset + message.console.length;
    if (message.type === 'ack') acked = message.receivedSeq;
    if (message.type !== 'log') return null;
    const { firstSeq, entries } = decodeFrame(message.frame, null);
    for (const [i, entry] of entries.entries()) {
      if (entry.kind !== 'output' || entry.channel !== 'console') continue;
      end += entry.bytes;
      entryOf.set(end, firstSeq + i);
    }
    return null;
  });
  await rig.backup(address);
  await until(() => console.released > joinedAt + 500, 'outputs leave');
  const held = console.left.filter((output) => output.end > joinedAt);
  expect(held.length).toBeGreaterThan(10);
  for (const output of held) {
    const seq = entryOf.get(output.end);
    expect(seq).toBeDefined();
    expect(output.acked).toBeGreaterThanOrEqual(seq ?? Infinity);
  }
});
