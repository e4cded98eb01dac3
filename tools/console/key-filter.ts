/** Finds the keys meant for ft86 among those meant for the guest: Ctrl-A is the escape key, as in QEMU and screen. */

const ESCAPE = 0x01;
const END_KEY = 0x78; // x
const LITERAL_KEY = 0x61; // a

export class KeyFilter {
  #escaped = false;

  /** The keys for the guest, and whether the user wants to end the run. Keys after that one are dropped. */
  take(keys: Uint8Array): { readonly bytes: Uint8Array; readonly end: boolean } {
    const bytes: number[] = [];
    for (const key of keys) {
      if (!this.#escaped) {
        if (key === ESCAPE) this.#escaped = true;
        else bytes.push(key);
        continue;
      }
      this.#escaped = false;
      if (key === END_KEY) return { bytes: Uint8Array.from(bytes), end: true };
      if (key === ESCAPE || key === LITERAL_KEY) bytes.push(ESCAPE);
    }
    return { bytes: Uint8Array.from(bytes), end: false };
  }
}
