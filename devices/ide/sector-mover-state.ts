/**
 * Saved state of a sector mover: its shape, and the check that it is one that a drive can be in.
 *
 *   phase     transfer                     request on its way          data port
 *   idle      -                            -                           closed
 *   busy      any                          the chunk, or a last flush  closed
 *   busy      -                            a flush                     closed
 *   data-in   pio-in, or - (IDENTIFY)      -                           what the host reads
 *   data-out  pio-out                      -                           the chunk
 *   dma       dma-in, dma-out              -                           closed
 *   reset     -                            one at most; one, unless held   closed
 */
import type { SavedFields } from '../saved-fields.js';
import { DiskRequestQueue, SECTOR_BYTES } from '../virtio/disk-request-queue.js';
import type { DiskRequest } from '../environment.js';
import { TRANSFER_KINDS, type TransferKind } from './ata-registers.js';
import { DataPort, type DataDirection, type DataPortState } from './data-port.js';
import { MULTIPLE_SECTORS_MAX } from './drive-settings.js';

/** Most sectors of one disk request; a multiple of every block size. */
const CHUNK_SECTORS_MAX = 2048;
/** Most sectors of one command. */
const COMMAND_SECTORS_MAX = 0x10000;

export type Phase = 'idle' | 'busy' | 'data-in' | 'data-out' | 'dma' | 'reset';
const PHASES: readonly Phase[] = ['idle', 'busy', 'data-in', 'data-out', 'dma', 'reset'];

/** A command that moves sectors. */
export interface Transfer {
  readonly kind: TransferKind;
  /** The command has a 48-bit address. */
  readonly extended: boolean;
  /** Sectors between two interrupts. */
  readonly blockSectors: number;
  /** First sector that has not been read from or written to the medium, and how many there are. */
  readonly sector: number;
  readonly left: number;
}

export interface SectorMoverState {
  readonly requests: DiskRequestQueue;
  readonly phase: Phase;
  readonly held: boolean;
  readonly transfer: Transfer | null;
  readonly port: DataPortState;
}

/** Bytes of the next disk request of a transfer that has `left` sectors to go. */
export function chunkBytes(left: number): number {
  return Math.min(left, CHUNK_SECTORS_MAX) * SECTOR_BYTES;
}

export function portDirection(phase: Phase): DataDirection {
  if (phase === 'data-in') return 'in';
  return phase === 'data-out' ? 'out' : 'none';
}

/**
 * Check saved state without taking it.
 * @param held whether the channel's device control register holds its drives in reset
 * @throws DecodeError
 */
export function checkSectorMover(fields: SavedFields, drive: number, sectors: number, held: boolean): SectorMoverState {
  const requests = new DiskRequestQueue(drive);
  requests.restore(fields.record('requests'), sectors);
  const phase = fields.word('phase', PHASES);
  const transfers = fields.list('transfer', 1);
  const transfer = transfers[0] === undefined ? null : checkTransfer(transfers[0], sectors);
  const state = { requests, phase, held, transfer, port: DataPort.check(fields.record('port')) };
  fields.finish();
  if (!isConsistent(state)) throw fields.wrong('phase', 'does not fit the rest of the state');
  return state;
}

function checkTransfer(fields: SavedFields, sectors: number): Transfer {
  const kind = fields.word('kind', TRANSFER_KINDS);
  const extended = fields.boolean('extended');
  const blockSectors = fields.integer('blockSectors', 1, MULTIPLE_SECTORS_MAX);
  const sector = fields.integer('sector', 0, sectors);
  const left = fields.integer('left', 0, Math.min(COMMAND_SECTORS_MAX, sectors - sector));
  fields.finish();
  if ((blockSectors & (blockSectors - 1)) !== 0) throw fields.wrong('blockSectors', 'not a power of two');
  return { kind, extended, blockSectors, sector, left };
}

/** The table in the file header. */
function isConsistent({ requests, phase, held, transfer, port }: SectorMoverState): boolean {
  const inFlight = requests.inFlight();
  if (requests.count !== inFlight.length || (held && phase !== 'reset')) return false;
  if (portDirection(phase) === 'none' && port.buffer.length > 0) return false;
  switch (phase) {
    case 'busy':
      return inFlight.length === 1 && belongs(inFlight[0]!, transfer);
    case 'reset':
      return transfer === null && (inFlight[0] === undefined ? held : inFlight.length === 1 && isOurs(inFlight[0]));
    case 'idle':
      return inFlight.length === 0 && transfer === null;
    case 'data-in':
      return inFlight.length === 0 && isReadable(transfer, port.buffer.length);
    case 'data-out':
      return inFlight.length === 0 && transfer?.kind === 'pio-out' && isChunk(transfer, port.buffer.length);
    case 'dma':
      return inFlight.length === 0 && transfer !== null && isDma(transfer) && transfer.left > 0;
  }
}

function isDma({ kind }: Transfer): boolean {
  return kind === 'dma-in' || kind === 'dma-out';
}

function isChunk(transfer: Transfer, bytes: number): boolean {
  return bytes > 0 && bytes === chunkBytes(transfer.left);
}

/** Whether a drive could have asked for it, whatever for. */
function isOurs({ op, bytes }: DiskRequest): boolean {
  return op === 'flush' ? bytes === 0 : isWhole(bytes);
}

function isWhole(bytes: number): boolean {
  return bytes > 0 && bytes % SECTOR_BYTES === 0 && bytes <= chunkBytes(Infinity);
}

function belongs(request: DiskRequest, transfer: Transfer | null): boolean {
  if (transfer === null) return request.op === 'flush';
  const write = transfer.kind === 'pio-out' || transfer.kind === 'dma-out';
  if (request.op === 'flush') return write && transfer.left === 0;
  const sameSectors = request.sector === transfer.sector && isChunk(transfer, request.bytes);
  return sameSectors && request.op === (write ? 'write' : 'read');
}

/** The sectors in the port have left the medium already, so `left` tells nothing about them. */
function isReadable(transfer: Transfer | null, bytes: number): boolean {
  if (transfer === null) return bytes === SECTOR_BYTES;
  return transfer.kind === 'pio-in' && isWhole(bytes);
}
