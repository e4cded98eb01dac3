/**
 * Who of a pair may use the disks: the replica that won the newest epoch, by its newest connection for each drive.
 *
 *   attached -> Ticket -> enter() before a request, leave() after it
 *   another replica wins a newer epoch -> earlier tickets are void -> drained() -> it is told that it won
 *
 * Invariants: a ticket that is void never becomes valid again; when drained() resolves, no request of an earlier
 * ticket is being performed and none will be.
 */
import { assert } from '../../emulator/errors.js';

export interface Ticket {
  readonly pair: string;
  readonly replicaId: string;
  readonly slot: number;
  /** Called once when the ticket becomes void: its connection is to be closed. */
  readonly onVoid: () => void;
}

interface Held {
  readonly ticket: Ticket;
  running: number;
  void: boolean;
  idle: (() => void)[];
}

export class Fence {
  readonly #held = new Map<Ticket, Held>();

  /** A replica that holds its pair's newest epoch attaches: its ticket is valid, an older one for that slot is not. */
  async attach(ticket: Ticket): Promise<void> {
    const older = this.#select((other) => other.pair === ticket.pair && conflict(other, ticket));
    this.#held.set(ticket, { ticket, running: 0, void: false, idle: [] });
    await this.#voided(older);
  }

  /** A replica has won its pair's newest epoch: the others' tickets are void. Resolves when they are idle. */
  async won(pair: string, replicaId: string): Promise<void> {
    await this.#voided(this.#select((other) => other.pair === pair && other.replicaId !== replicaId));
  }

  /** Begin a request. False: the ticket is void. */
  enter(ticket: Ticket): boolean {
    const held = this.#held.get(ticket);
    if (held === undefined || held.void) return false;
    held.running++;
    return true;
  }

  /** A request that was begun has ended. */
  leave(ticket: Ticket): void {
    const held = this.#held.get(ticket);
    assert(held !== undefined && held.running > 0, 'a request ends once, and was begun');
    if (--held.running > 0) return;
    for (const resolve of held.idle.splice(0)) resolve();
    if (held.void) this.#held.delete(ticket);
  }

  /** The connection of the ticket is gone. */
  detach(ticket: Ticket): void {
    const held = this.#held.get(ticket);
    if (held === undefined) return;
    held.void = true;
    if (held.running === 0) this.#held.delete(ticket);
  }

  #select(which: (ticket: Ticket) => boolean): Held[] {
    return [...this.#held.values()].filter(({ ticket }) => which(ticket));
  }

  async #voided(tickets: readonly Held[]): Promise<void> {
    const waits = tickets.map((held) => {
      if (!held.void) {
        held.void = true;
        held.ticket.onVoid();
      }
      if (held.running > 0) return new Promise<void>((resolve) => held.idle.push(resolve));
      this.#held.delete(held.ticket);
      return Promise.resolve();
    });
    await Promise.all(waits);
  }
}

function conflict(a: Ticket, b: Ticket): boolean {
  return a.replicaId !== b.replicaId || a.slot === b.slot;
}
