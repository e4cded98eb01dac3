/** A server and the process that started it. */

/** Tell the process that started this one, if there is one. One that has gone is heard of by serverStop(). */
export function tellParent(message: object): boolean {
  process.send?.(message, undefined, undefined, () => undefined);
  return process.send !== undefined;
}

/** Aborted when it is time to stop: at SIGTERM, Ctrl-C, or the end of the process that started this one. */
export function serverStop(): AbortSignal {
  const abort = new AbortController();
  const stop = (): void => {
    abort.abort();
  };
  // A terminal's Ctrl-C reaches a child, too; there the parent decides when the server goes.
  process.on('SIGINT', process.send === undefined ? stop : () => undefined);
  process.on('SIGTERM', stop);
  process.on('disconnect', stop);
  // It may have gone before anybody listened.
  if (process.send !== undefined && !process.connected) stop();
  return abort.signal;
}
