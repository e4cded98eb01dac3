/** A machine with 4 MiB of memory and nothing in it, for tests of what looks at a machine's state. */
import { Machine } from '../../../hypervisor/machine/machine.js';

const RATE = 1024;

export function smallMachine(): Machine {
  return new Machine(
    {
      memoryBytes: 4 * 1024 * 1024,
      drives: [],
      nics: [],
      firmware: null,
      files: [],
      bootUnixSeconds: 1_000_000_000,
      clock: 'icount',
      image: 'nothing',
      imageSha256: '0'.repeat(64),
      append: '',
    },
    RATE,
    () => undefined,
  );
}
