/**
 * How long a server may leave requests without any answer. Owns no timer: the caller looks at a steady pace.
 *
 * A network that is cut silently looks like a slow server. The first wait is short; each that was in vain doubles the next, so
 * that a server that is slow indeed is not asked the same again and again; an answer makes it short again. Looks are counted,
 * not time: a pause of this process is not the server's.
 */
export class Patience {
  readonly #looksMin: number;
  readonly #looksMax: number;
  #limit: number;
  #silent = 0;
  #moved = 0;

  constructor(looksMin: number, looksMax: number) {
    this.#looksMin = looksMin;
    this.#looksMax = looksMax;
    this.#limit = looksMin;
  }

  /** Anything was answered. */
  answered(): void {
    this.#limit = this.#looksMin;
    this.#silent = 0;
  }

  /**
   * One look.
   * @param waiting requests wait for an answer
   * @param moved bytes that the connection has carried, which a slow network may do for long before a request is answered
   * @returns the looks that were in vain when it is time to give up, else 0
   */
  look(waiting: boolean, moved: number): number {
    this.#silent = waiting && moved === this.#moved ? this.#silent + 1 : 0;
    this.#moved = moved;
    if (this.#silent < this.#limit) return 0;
    const inVain = this.#silent;
    this.#silent = 0;
    this.#limit = Math.min(2 * this.#limit, this.#looksMax);
    return inVain;
  }
}
