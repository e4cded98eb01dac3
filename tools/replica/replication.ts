/** How a pair's backup gets to know what its primary's guest does: by a log that it follows, or by checkpoints of the state. */
export const REPLICATIONS = ['log', 'checkpoint'] as const;
export type Replication = (typeof REPLICATIONS)[number];
