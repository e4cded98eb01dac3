/** What the host's socket errors mean to a user. */

const MEANINGS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'permission denied',
  ECONNREFUSED: 'connection refused, nobody listens there',
  ECONNRESET: 'the other end broke the connection (with another key, or without one?)',
  ENOENT: 'no such socket',
  ENOTFOUND: 'unknown host name',
  EAI_AGAIN: 'the host name cannot be looked up now',
  EHOSTUNREACH: 'the host cannot be reached',
  ETIMEDOUT: 'no answer',
};

/** One line that says why a socket failed. */
export function describeSocketError(error: NodeJS.ErrnoException): string {
  const code = error.code ?? '';
  if (code.startsWith('ERR_SSL') || code === 'EPROTO') return `the keys do not match (${code})`;
  return MEANINGS[code] ?? error.message;
}
