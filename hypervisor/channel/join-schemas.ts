/** The JSON in the messages of a join and of a run's end (messages.ts). */
import * as z from 'zod';
import { driveReplicationSchema } from '../backend/drive-replication.js';
import { SECRET_BYTES, SESSION_BYTES } from './heartbeat.js';
import { resumeSecretSchema } from './resume-messages.js';

function hexadecimal(bytes: number): z.ZodString {
  return z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
}

export const helloSchema = z.object({
  protocol: z.number().int(),
  replicaId: z.string().min(1).max(128),
  engine: z.string().max(256),
  arch: z.string().max(64),
});
export const welcomeSchema = z.object({
  epoch: z.number().int().min(0),
  primaryId: z.string().min(1).max(128),
  /** Time between checkpoints; null: the backup follows the log. */
  checkpointMs: z.number().int().min(1).nullable(),
  /** Heartbeats over UDP (heartbeat.ts); null: none. */
  heartbeat: z
    .object({
      port: z.number().int().min(1).max(65_535),
      session: hexadecimal(SESSION_BYTES),
      secret: hexadecimal(SECRET_BYTES),
    })
    .nullable(),
  /** With it a connection that broke is replaced (resume-messages.ts); null: a backup whose connection closes is gone. */
  resume: resumeSecretSchema.nullable(),
  /** How the live replica has each drive. */
  drives: z.array(driveReplicationSchema).max(64),
});
export const refusedSchema = z.object({ reason: z.string().max(4096) });
export const endSchema = z.object({ digest: z.string().max(64), icount: z.number().int().min(0) });

export type Hello = z.infer<typeof helloSchema>;
export type Welcome = z.infer<typeof welcomeSchema>;
export type End = z.infer<typeof endSchema>;
