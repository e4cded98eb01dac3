/**
 * Edge: brings a joining backup to the live replica's state over the logging channel.
 *
 *   live  BLOB (firmware), WELCOME, PAGES (all but zero pages), STATE ->        <- HELLO   backup
 *
 * The guest stands still meanwhile. Zero pages are left out: the backup's RAM starts as zeros.
 */
import { DecodeError, ReplicaError } from '../../emulator/errors.js';
import type { StateRecord } from '../../devices/state.js';
import {
  encodeMessage,
  PAGE_BYTES,
  PAGES_PER_MESSAGE,
  type Page,
  type Welcome,
} from '../../hypervisor/channel/messages.js';
import type { FrameConnection } from '../../hypervisor/channel/transport.js';
import type { Machine, MachineState } from '../../hypervisor/machine/machine.js';
import { decodeStateRecord, encodeState } from '../../hypervisor/state-codec.js';
import { hostMs } from './host-time.js';
import type { Transfer } from './result.js';

const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

/** Send the whole state. Resolves when all of it is handed to the transport. */
export async function sendState(
  connection: FrameConnection,
  machine: Machine,
  welcome: Welcome,
  header: Uint8Array,
): Promise<Transfer> {
  const start = hostMs();
  for (const data of machine.blobs.of(machine.config)) await send(connection, encodeMessage({ type: 'blob', data }));
  await send(connection, encodeMessage({ type: 'welcome', welcome, header }));
  let pagesSent = 0;
  let pages: Page[] = [];
  const ram = machine.vcpu.ram.view;
  for (let page = 0; page * PAGE_BYTES < ram.length; page++) {
    const bytes = ram.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    if (ZERO_PAGE.equals(bytes)) continue;
    pagesSent++;
    pages.push({ page, bytes });
    if (pages.length < PAGES_PER_MESSAGE) continue;
    await send(connection, encodeMessage({ type: 'pages', pages }));
    pages = [];
  }
  if (pages.length > 0) await send(connection, encodeMessage({ type: 'pages', pages }));
  const state = machine.save();
  const encoded = encodeState({ cpu: state.cpu, devices: state.devices, clock: state.clock });
  await send(connection, encodeMessage({ type: 'state', pagesSent, state: encoded }));
  const totalMs = hostMs() - start;
  return { bytes: pagesSent * PAGE_BYTES + encoded.length, rounds: 1, pauseMs: totalMs, totalMs };
}

/** Decode the STATE message's body. @throws DecodeError */
export function decodeMachineState(bytes: Uint8Array): MachineState {
  const record = decodeStateRecord(bytes);
  const { cpu, devices, clock } = record;
  if (!(cpu instanceof Uint8Array) || !isRecord(devices) || !isRecord(clock)) {
    throw new DecodeError('bad-state', 0, 'the transferred state lacks cpu, devices or clock');
  }
  const { baseIcount, baseNs, rate } = clock;
  if (typeof baseIcount !== 'number' || typeof baseNs !== 'number' || typeof rate !== 'number') {
    throw new DecodeError('bad-state', 0, 'the transferred clock is not made of numbers');
  }
  return { cpu, devices, clock: { baseIcount, baseNs, rate } };
}

/** Put transferred pages into a joining machine's RAM. @throws DecodeError when one lies outside it */
export function storePages(machine: Machine, pages: readonly Page[]): void {
  const ram = machine.vcpu.ram;
  for (const { page, bytes } of pages) {
    if (!ram.write(page * PAGE_BYTES, bytes)) throw new DecodeError('bad-page', 0, `page ${page} is not RAM`);
  }
}

function isRecord(value: unknown): value is StateRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** Send one frame and wait while the transport is full. @throws ReplicaError when the peer goes away */
function send(connection: FrameConnection, bytes: Uint8Array): Promise<void> {
  if (connection.send(bytes)) return Promise.resolve();
  if (!connection.open) return Promise.reject(new ReplicaError('the backup went away during the state transfer'));
  return new Promise((resolve, reject) => {
    connection.onDrain = () => {
      connection.onDrain = null;
      resolve();
    };
    const closed = connection.onClose;
    connection.onClose = (reason) => {
      reject(new ReplicaError(`the backup went away during the state transfer: ${reason}`));
      closed?.(reason);
    };
  });
}
