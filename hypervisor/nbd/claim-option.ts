/**
 * An NBD option of our own: a replica's word with the disk server about who is live. Other servers answer
 * "unsupported", as for every option that they do not know.
 *
 *   option 0x66743836 ("ft86")   u8 version 1, u8 operation, u8 slot, u64 epoch, u8 bytes, pair, u8 bytes, replica
 *   its reply, the same number   u8 version 1, u8 verdict, u8 clean, u64 newest epoch; then ACK
 *
 *   claim     test-and-set of the epoch
 *   release   the holder of the epoch ended in order
 *   look      the newest epoch, and whether its holder released it
 *   attach    the same test-and-set, and this connection's requests are those of that replica: they are performed
 *             until another replica has won a newer epoch. The newest epoch's holder may attach with an older one:
 *             its connection broke, and it does not know that it was told.
 *
 * Invariant: a slot (the number of the drive) belongs to one connection of a replica: a new attachment ends the older
 * one, so that nothing which was on its way there is performed behind what the new one asks.
 */
import { DecodeError, assert } from '../../emulator/errors.js';
import { PAIR_PATTERN, REPLICA_PATTERN } from '../pair-names.js';

export const CLAIM_OPTION = 0x66743836;
export const CLAIM_REPLY = 0x66743836;
const VERSION = 1;
const HEAD_BYTES = 11;
const ANSWER_BYTES = 11;

const OPERATIONS = ['claim', 'release', 'look', 'attach'] as const;
const VERDICTS = ['granted', 'denied', 'unreachable'] as const;

export interface Claim {
  readonly operation: (typeof OPERATIONS)[number];
  readonly pair: string;
  /** 0 with `look`. */
  readonly epoch: number;
  readonly replicaId: string;
  readonly slot: number;
}

export interface ClaimAnswer {
  readonly verdict: (typeof VERDICTS)[number];
  /** 0: none was ever claimed, or it is not known. */
  readonly newestEpoch: number;
  readonly clean: boolean;
}

export function encodeClaim(claim: Claim): Buffer {
  const [pair, replica] = [Buffer.from(claim.pair), Buffer.from(claim.replicaId)];
  assert(PAIR_PATTERN.test(claim.pair) && REPLICA_PATTERN.test(claim.replicaId), 'pair and replica are plain words');
  const head = Buffer.alloc(HEAD_BYTES);
  head[0] = VERSION;
  head[1] = OPERATIONS.indexOf(claim.operation);
  head[2] = claim.slot;
  head.writeBigUInt64BE(BigInt(claim.epoch), 3);
  return Buffer.concat([head, Buffer.from([pair.length]), pair, Buffer.from([replica.length]), replica]);
}

/** @throws DecodeError */
export function decodeClaim(bytes: Buffer): Claim {
  const operation = OPERATIONS[bytes[1] ?? OPERATIONS.length];
  if (bytes[0] !== VERSION || operation === undefined || bytes.length < HEAD_BYTES) throw malformed();
  const epoch = Number(bytes.readBigUInt64BE(3));
  const pairEnd = HEAD_BYTES + 1 + (bytes[HEAD_BYTES] ?? 0);
  const pair = bytes.toString('latin1', HEAD_BYTES + 1, pairEnd);
  const replicaId = bytes.toString('latin1', pairEnd + 1);
  const whole = bytes.length > pairEnd && bytes[pairEnd] === bytes.length - pairEnd - 1;
  const legal = Number.isSafeInteger(epoch) && (operation === 'look') === (epoch === 0);
  if (!whole || !legal || !PAIR_PATTERN.test(pair) || !REPLICA_PATTERN.test(replicaId)) throw malformed();
  return { operation, pair, epoch, replicaId, slot: bytes[2]! };
}

export function encodeClaimAnswer(answer: ClaimAnswer): Buffer {
  const bytes = Buffer.alloc(ANSWER_BYTES);
  bytes[0] = VERSION;
  bytes[1] = VERDICTS.indexOf(answer.verdict);
  bytes[2] = answer.clean ? 1 : 0;
  bytes.writeBigUInt64BE(BigInt(answer.newestEpoch), 3);
  return bytes;
}

/** @throws DecodeError */
export function decodeClaimAnswer(bytes: Buffer): ClaimAnswer {
  const verdict = VERDICTS[bytes[1] ?? VERDICTS.length];
  if (bytes.length !== ANSWER_BYTES || bytes[0] !== VERSION || verdict === undefined || bytes[2]! > 1)
    throw malformed();
  return { verdict, clean: bytes[2] === 1, newestEpoch: Number(bytes.readBigUInt64BE(3)) };
}

function malformed(): DecodeError {
  return new DecodeError('bad-claim', 0, 'a claim, or an answer to one, of another version or damaged');
}
