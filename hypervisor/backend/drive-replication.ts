/**
 * How the replicas of a pair share a drive. Both must have it the same: a joining backup is told, and refuses another.
 *
 *   shared        one disk behind both: only the live replica writes, and a write is an output
 *   not shared    each replica has a copy of its own and writes it: a write is no output
 *   backupReads   the backup reads the disk itself: what a read returned is not in the log
 *
 * Source: Scales et al. 2010, sections 4.1 and 4.2.
 */
import * as z from 'zod';

export const driveReplicationSchema = z.object({ shared: z.boolean(), backupReads: z.boolean() });
export type DriveReplication = Readonly<z.infer<typeof driveReplicationSchema>>;
