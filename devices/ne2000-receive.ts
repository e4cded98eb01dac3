/**
 * How a DP8390 chooses frames, and where in its ring they go.
 *
 *   ring, pages of 256 bytes   page start ... boundary (first unread) ... current (first free) ... page stop
 *   received frame             0 status u8 | 1 next page u8 | 2 bytes u16, check sequence included
 *                              | 4 frame, at least 60 bytes as on the wire | check sequence [4]
 *
 * A frame that would fill the ring does not fit, because a full ring would look like an empty one.
 *
 * Source: NS DP8390D/NS32490D data sheet, sections 7 (packet reception) and 10.3 (RCR, RSR).
 */
import { ethernetCrc, multicastFilterBit } from './ethernet-crc.js';
import { RCR_BROADCAST, RCR_MULTICAST, RCR_PROMISCUOUS, RSR_INTACT, RSR_MULTICAST } from './ne2000-registers.js';
import type { Ne2000State } from './ne2000-state.js';

const WIRE_BYTES_MIN = 60;
const PAGE_BYTES = 256;
const HEADER_BYTES = 4;
const CHECK_BYTES = 4;
const ADDRESS_BYTES = 6;
const GROUP_BIT = 0x01;

/** Whether a frame is for this station. */
export function acceptsFrame(state: Ne2000State, frame: Uint8Array): boolean {
  const { receiveConfig } = state.registers;
  const destination = frame.subarray(0, ADDRESS_BYTES);
  if (destination.every((byte) => byte === 0xff)) return (receiveConfig & RCR_BROADCAST) !== 0;
  if (isGroup(frame)) {
    if ((receiveConfig & RCR_MULTICAST) === 0) return false;
    const bit = multicastFilterBit(destination);
    return ((state.multicast[bit >> 3]! >> (bit & 7)) & 1) !== 0;
  }
  if ((receiveConfig & RCR_PROMISCUOUS) !== 0) return true;
  return destination.every((byte, index) => byte === state.address[index]);
}

/** Put a frame into the ring. False, and nothing changed, when it does not fit. */
export function storeFrame(state: Ne2000State, frame: Uint8Array): boolean {
  const { registers, memory } = state;
  const bytes = Math.max(frame.length, WIRE_BYTES_MIN);
  const pages = Math.ceil((HEADER_BYTES + bytes + CHECK_BYTES) / PAGE_BYTES);
  if (pages >= freePages(state)) return false;
  const ringPages = registers.pageStop - registers.pageStart;
  const next = registers.pageStart + ((registers.currentPage - registers.pageStart + pages) % ringPages);
  const status = RSR_INTACT | (isGroup(frame) ? RSR_MULTICAST : 0);
  const image = new Uint8Array(HEADER_BYTES + bytes + CHECK_BYTES);
  const view = new DataView(image.buffer);
  image.set([status, next]);
  view.setUint16(2, bytes + CHECK_BYTES, true);
  image.set(frame, HEADER_BYTES);
  const check = ~ethernetCrc(image.subarray(HEADER_BYTES, HEADER_BYTES + bytes));
  view.setInt32(HEADER_BYTES + bytes, check, true);
  const base = registers.pageStart * PAGE_BYTES;
  const first = (registers.currentPage - registers.pageStart) * PAGE_BYTES;
  image.forEach((byte, index) => memory.write(base + ((first + index) % (ringPages * PAGE_BYTES)), byte));
  registers.receiveStatus = status;
  registers.currentPage = next;
  return true;
}

/** Pages that the guest has read or never filled; 0 when the ring is not one. */
function freePages(state: Ne2000State): number {
  const { pageStart, pageStop, boundary, currentPage } = state.registers;
  const pages = pageStop - pageStart;
  if (currentPage < pageStart || currentPage >= pageStop) return 0;
  // A boundary outside the ring is never reached.
  if (boundary < pageStart || boundary >= pageStop) return pages;
  return pages - ((currentPage - boundary + pages) % pages);
}

function isGroup(frame: Uint8Array): boolean {
  return (frame[0]! & GROUP_BIT) !== 0;
}
