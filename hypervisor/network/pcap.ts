/**
 * Capture files as Wireshark, tshark and tcpdump read them: one header, then one record for each Ethernet frame.
 *
 *   header   0 magic u32 | 4 major u16 | 6 minor u16 | 8 zero u64 | 16 longest frame kept u32 | 20 link type u32
 *   record   0 seconds u32 | 4 microseconds u32 | 8 bytes kept u32 | 12 bytes of the frame u32 | 16 frame
 *
 * Invariant: frames are kept whole.
 * Source: draft-ietf-opsawg-pcap-04 (PCAP Capture File Format), sections 4 and 5; all numbers little-endian here.
 */
import { ETHERNET_FRAME_BYTES_MAX } from './ethernet.js';

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;
const LINKTYPE_ETHERNET = 1;
const HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;

/** What a capture file begins with. */
export function pcapHeader(): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC_MICROSECONDS, 0);
  header.writeUInt16LE(VERSION_MAJOR, 4);
  header.writeUInt16LE(VERSION_MINOR, 6);
  header.writeUInt32LE(ETHERNET_FRAME_BYTES_MAX, 16);
  header.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  return header;
}

/** One frame seen at `unixMs`, milliseconds since 1970. */
export function pcapRecord(frame: Uint8Array, unixMs: number): Uint8Array {
  const record = Buffer.alloc(RECORD_HEADER_BYTES + frame.length);
  const microseconds = Math.floor(unixMs * 1000);
  record.writeUInt32LE(Math.floor(microseconds / 1e6) >>> 0, 0);
  record.writeUInt32LE(microseconds % 1e6, 4);
  record.writeUInt32LE(frame.length, 8);
  record.writeUInt32LE(frame.length, 12);
  record.set(frame, RECORD_HEADER_BYTES);
  return record;
}
