/**
 * Sends writes again over a new connection, in their order where they overlap and several at once where they do not.
 */
import type { NbdLink } from './nbd-link.js';
import type { KeptWrite } from './unflushed-writes.js';

/** Writes that are under way at once. */
const AT_ONCE_MAX = 64;

/**
 * Resolves to the first error that the server answered, 0 when there was none; null: the connection broke.
 * @param answered called at each answer
 */
export async function resend(
  link: NbdLink,
  writes: readonly KeptWrite[],
  answered: () => void,
): Promise<number | null> {
  let broke: () => void = () => undefined;
  const broken = new Promise<null>((resolve) => {
    broke = () => {
      resolve(null);
    };
  });
  link.onClosed = broke;
  for (const group of apart(writes)) {
    const errors = group.map(
      ({ offset, data }) =>
        new Promise<number>((resolve) => {
          link.request('write', offset, data.length, data, (error) => {
            answered();
            resolve(error);
          });
        }),
    );
    const result = await Promise.race([Promise.all(errors), broken]);
    if (result === null) return null;
    const error = result.find((code) => code !== 0);
    if (error !== undefined) return error;
  }
  // An answer and the connection's end may have come together.
  return Promise.race([broken, Promise.resolve(0)]);
}

/** Cut a list into pieces in which no two writes touch the same byte. */
export function* apart(writes: readonly KeptWrite[]): Generator<KeptWrite[]> {
  let group: KeptWrite[] = [];
  for (const write of writes) {
    if (group.length === AT_ONCE_MAX || group.some((other) => overlap(other, write))) {
      yield group;
      group = [];
    }
    group.push(write);
  }
  if (group.length > 0) yield group;
}

function overlap(a: KeptWrite, b: KeptWrite): boolean {
  return a.offset < b.offset + b.data.length && b.offset < a.offset + a.data.length;
}
