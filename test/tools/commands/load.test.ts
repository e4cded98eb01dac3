/**
 * Goal: `ft86 load` tells whether a guest kept its promises, and what cannot be a guest's address is refused.
 * Method: the command as a process, against a model of a service that forgets.
 */
import { expect, test } from '@jest/globals';
import { createSocket } from 'node:dgram';
import { ft86 } from '../../e2e/ft86.js';
import { ModelService, type Faults } from '../load/model-service.js';

test.each(['127.0.0.1', 'localhost:7', '127.0.0.1:0', '127.0.0.1:65536', '1.2.3:7', ':7'])(
  'an address %s is refused in one line',
  async (to) => {
    const { status, stderr } = await ft86(['load', 'kv:ops=1', '--to', to]);
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^ft86: --to.*must be.*\n$/)]);
  },
);

test('a guest that is not there is said so', async () => {
  const { status, stderr } = await ft86(['load', 'kv:ops=1,timeout-ms=300', '--to', '127.0.0.1:9']);
  expect([status, stderr]).toEqual([4, expect.stringMatching(/no reply for 300 ms/)]);
});

test.each<[string, Faults, number, RegExp]>([
  ['keeps its promises', {}, 0, /20 of 20 operations acknowledged, 0 lost, 0 duplicated/],
  ['forgets', { dropEffectEvery: 3 }, 1, /[1-9]\d* lost/],
])('a guest that %s', async (_, faults, status, verdict) => {
  const service = new ModelService('kv', faults);
  const socket = createSocket('udp4');
  socket.on('message', (bytes, { address, port }) => {
    const reply = service.answer(bytes);
    if (reply !== null) socket.send(reply, port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  try {
    const run = await ft86(['load', 'kv:ops=20,clients=2', '--to', `127.0.0.1:${socket.address().port}`]);
    expect([run.status, run.stdout]).toEqual([status, expect.stringMatching(verdict)]);
  } finally {
    socket.close();
  }
});
