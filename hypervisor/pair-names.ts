/** What pairs and replicas may be called: plain words, which are safe in file names, keys and messages. */

export const PAIR_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
export const REPLICA_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;
