/**
 * Numbers and layouts of the NBD protocol, newstyle with fixed negotiation. All integers are big-endian.
 *
 *   greeting     "NBDMAGIC" "IHAVEOPT" u16 flags            ->
 *                u32 client flags                            <-
 *   option       "IHAVEOPT" u32 option, u32 bytes, data      <-      haggling, until EXPORT_NAME, GO or ABORT
 *   its replies  u64 magic, u32 option, u32 type, u32 bytes  ->
 *   request      u32 magic, u16 flags, u16 command, u64 cookie, u64 offset, u32 length, data of a write   <-
 *   reply        simple: u32 magic, u32 error, u64 cookie, data of a read                                  ->
 *                structured: u32 magic, u16 flags, u16 type, u64 cookie, u32 bytes, payload                ->
 *
 * Source: The NBD protocol, doc/proto.md of the network block device project (version of 2023).
 */

export const NBD_MAGIC = 0x4e42444d41474943n;
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;

export const GREETING_BYTES = 18;
export const OPTION_HEADER_BYTES = 16;
export const OPTION_REPLY_HEADER_BYTES = 20;
export const REQUEST_BYTES = 28;
export const SIMPLE_REPLY_BYTES = 16;
export const STRUCTURED_REPLY_BYTES = 20;
/** Behind the answer to EXPORT_NAME, unless both sides said NO_ZEROES. */
export const RESERVED_ZEROES = 124;

/** Longest data of an option or of its reply. A name has at most 4096 bytes. */
export const OPTION_BYTES_MAX = 16384;
/** Longest payload of a read or write: what a server may assume of every client, and a client of every server. */
export const PAYLOAD_BYTES_MAX = 32 << 20;

export const HandshakeFlag = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const Option = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
} as const;

const ERROR_REPLY = 0x80000000;

export const OptionReply = {
  ack: 1,
  server: 2,
  info: 3,
  unsupported: ERROR_REPLY + 1,
  policy: ERROR_REPLY + 2,
  invalid: ERROR_REPLY + 3,
  tlsRequired: ERROR_REPLY + 5,
  unknown: ERROR_REPLY + 6,
  tooBig: ERROR_REPLY + 9,
} as const;

export const Info = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

export const ExportFlag = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDontFragment: 1 << 7,
  /** A flush on one connection covers writes that were answered on another. */
  canMultiConn: 1 << 8,
} as const;

export const Command = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6 } as const;

export const CommandFlag = { fua: 1 << 0, noHole: 1 << 1, dontFragment: 1 << 2 } as const;

export const NbdError = {
  perm: 1,
  io: 5,
  noMemory: 12,
  invalid: 22,
  noSpace: 28,
  overflow: 75,
  notSupported: 95,
  shutdown: 108,
} as const;

export const REPLY_FLAG_DONE = 1;

/** Types of structured replies; bit 15 marks errors. */
export const ReplyType = { none: 0, offsetData: 1, error: 0x8001 } as const;
