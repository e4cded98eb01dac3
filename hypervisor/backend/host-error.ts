/**
 * Reading the errors of host system calls, by their fields: an error may come from another realm, where
 * `instanceof Error` does not hold.
 */

/** The errno name of a failed system call, e.g. `ENOSPC`; null for any other error. */
export function hostErrorCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  const { code } = error;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : null;
}

/** One line for a person. */
export function hostErrorMessage(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('message' in error)) return String(error);
  return String(error.message);
}
