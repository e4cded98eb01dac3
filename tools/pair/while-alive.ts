/** Waiting for what a replica's process says while it comes up: one that ends meanwhile is the answer, and an error. */
import { ReplicaError } from '../../emulator/errors.js';
import { UsageError } from '../usage-error.js';
import type { Child } from './child.js';

/**
 * Wait for `promise`, which the first of `children` is to fulfil.
 * @throws UsageError when a child refused what the user gave, ReplicaError when one ended or the time is over
 */
export async function whileAlive<T>(
  promise: Promise<T>,
  timeoutMs: number,
  ...children: readonly [Child, ...Child[]]
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ReplicaError(`the ${children[0].name} did not come up within ${timeoutMs / 1000} s`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, late, ...children.map(died)]);
  } finally {
    clearTimeout(timer);
  }
}

async function died(child: Child): Promise<never> {
  const { code, signal } = await child.exited;
  if (child.refusal !== null) throw new UsageError(child.refusal);
  throw new ReplicaError(`the ${child.name} ended before the guest ran (${signal ?? `status ${code ?? '?'}`})`);
}
