/**
 * The first messages of a connection that takes the place of one that broke, between a live replica and the backup that it has.
 *
 *   backup RESUME -> ; primary <- RESUMED and everything from `nextSeq` on, or REFUSED
 *
 * | type | body |
 * |---|---|
 * | 21 resume | JSON Resume |
 * | 22 resumed | - |
 *
 * The secret is that of the join (WELCOME): only the two know it, so no other connection can take the backup's place.
 */
import * as z from 'zod';
import { DecodeError } from '../../emulator/errors.js';

/** Bytes of the secret of a join. */
export const RESUME_SECRET_BYTES = 32;

export const RESUME_MESSAGES = ['resume', 'resumed'] as const;

export const resumeSecretSchema = z.string().regex(/^[0-9a-f]{64}$/);
export const resumeSchema = z.object({
  protocol: z.number().int(),
  replicaId: z.string().min(1).max(128),
  secret: resumeSecretSchema,
  /** The backup holds every entry before it. */
  nextSeq: z.number().int().min(0),
});

export type Resume = z.infer<typeof resumeSchema>;

export type ResumeMessage = { readonly type: 'resume'; readonly resume: Resume } | { readonly type: 'resumed' };

/** What follows the type. */
export function resumeBody(message: ResumeMessage): Uint8Array[] {
  return message.type === 'resume' ? [Buffer.from(JSON.stringify(message.resume))] : [];
}

/** @param parse reads JSON of a schema @throws DecodeError */
export function decodeResumeMessage(
  type: ResumeMessage['type'],
  rest: Buffer,
  parse: (schema: typeof resumeSchema, bytes: Buffer) => Resume,
): ResumeMessage {
  if (type === 'resume') return { type, resume: parse(resumeSchema, rest) };
  if (rest.length > 0) throw new DecodeError('bad-length', 1, `${rest.length} bytes where none belong`);
  return { type };
}
