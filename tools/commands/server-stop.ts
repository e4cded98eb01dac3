/** What ends a server: SIGTERM, Ctrl-C, or the end of the process that started it. */

/** Aborted when it is time to stop. */
export function serverStop(): AbortSignal {
  const abort = new AbortController();
  const stop = (): void => {
    abort.abort();
  };
  // A terminal's Ctrl-C reaches a child, too; there the parent decides when the server goes.
  process.on('SIGINT', process.send === undefined ? stop : () => undefined);
  process.on('SIGTERM', stop);
  process.on('disconnect', stop);
  return abort.signal;
}
