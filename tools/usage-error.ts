/** A mistake of the user's whose message is already whole: one line, exit status 2. */
export class UsageError extends Error {}
