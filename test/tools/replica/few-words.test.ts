/** Goal: a word over the channel costs both processes more than it says; while the log flows, little else does.
 *  Method: a pair in this process whose relay counts what passes; a link over a real socket. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { decodeMessage, type Message } from '../../../hypervisor/channel/messages.js';
import { connect, listen } from '../../../hypervisor/channel/transport.js';
import { PrimaryLink } from '../../../tools/replica/primary-link.js';
import { Rig, until } from './rig.js';

const LOGS = 100;

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(async () => {
  await rig.close();
});

test('acknowledgements of the log are most of what a busy backup says', async () => {
  const live = await rig.live();
  const passed = { log: 0, ack: 0 };
  let counting = false;
  const address = await rig.relay(live.address, ({ type }) => {
    if (counting && (type === 'log' || type === 'ack')) passed[type]++;
    return null;
  });
  await rig.backup(address);
  await until(() => live.session.state === 'paired', 'it joins');
  counting = true;
  const began = performance.now();
  await until(() => passed.log >= LOGS, 'the log flows');
  // Anything else comes when nothing was said for 10 ms.
  const pauses = (performance.now() - began) / 10;
  expect(passed.ack).toBeLessThan(passed.log + pauses + 5);
});

test('a live replica says that it lives, and what of the console has left, when the log does not', async () => {
  const said: Message[] = [];
  const ignore = (): void => undefined;
  const listener = await listen({
    address: 'tcp://127.0.0.1:0',
    key: null,
    onConnection: (connection) => {
      connection.onFrame = (bytes) => said.push(decodeMessage(bytes));
    },
  });
  const connection = await connect({ address: listener.address, key: null, timeoutMs: 1000 });
  const link = new PrimaryLink(
    connection,
    { detectMs: 10_000, lagMs: 100, firstSeq: 0, secret: null, replicaId: 'backup' },
    { acknowledged: ignore, diskThere: ignore, ended: ignore, broken: ignore, closed: ignore, diverged: ignore },
  );
  link.sendLog(Uint8Array.of(1), 0);
  link.heartbeat(5);
  link.sendLog(Uint8Array.of(2), 1);
  link.heartbeat(5);
  link.sendLog(Uint8Array.of(3), 2);
  link.heartbeat(6);
  await new Promise((resolve) => setTimeout(resolve, 30));
  link.heartbeat(6);
  await until(() => said.length === 6, 'all of it arrives');
  expect(said.map((message) => (message.type === 'heartbeat' ? message.consoleReleased : message.type))).toEqual([
    ...['log', 5, 'log', 'log', 6, 6],
  ]);
  connection.close();
  await listener.close();
});
