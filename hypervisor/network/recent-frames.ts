/**
 * The newest TCP segments sent to each interface, for a replica that goes live in another's place: what the dead one got and
 * had not passed on to its backup is lost, as on any network. Most peers mend that; one that takes a repeated segment for
 * old and does not acknowledge it again (passt) never does. TCP bears repeated segments, so they are sent once more.
 *
 * Invariants: bounded in interfaces, frames and age; frames are shared and never changed.
 * Source: RFC 9293, sections 3.4 (sequence numbers make repetitions harmless) and 3.10.7.4 (what a peer should answer).
 */

const INTERFACES_MAX = 64;
const FRAMES_MAX = 32;
const AGE_MS_MAX = 15_000;
const ETHERTYPE_AT = 12;
const IPV4 = 0x0800;
const IPV4_PROTOCOL_AT = 23;
const IPV6 = 0x86dd;
const IPV6_NEXT_HEADER_AT = 20;
const TCP = 6;

interface Sent {
  readonly frame: Uint8Array;
  readonly atMs: number;
}

export class RecentFrames {
  /** In the order in which they were last sent to. */
  readonly #interfaces = new Map<number, Sent[]>();

  /** A frame goes to the interface with this MAC. */
  sent(mac: number, frame: Uint8Array, nowMs: number): void {
    if (!isTcp(frame)) return;
    const frames = this.#interfaces.get(mac) ?? [];
    frames.push({ frame, atMs: nowMs });
    if (frames.length > FRAMES_MAX) frames.shift();
    this.#interfaces.delete(mac);
    this.#interfaces.set(mac, frames);
    const oldest = this.#interfaces.keys().next();
    if (this.#interfaces.size > INTERFACES_MAX && oldest.done !== true) this.#interfaces.delete(oldest.value);
  }

  /** What is to be repeated to it, oldest first; once. */
  take(mac: number, nowMs: number): Uint8Array[] {
    const frames = this.#interfaces.get(mac) ?? [];
    this.#interfaces.delete(mac);
    return frames.filter(({ atMs }) => nowMs - atMs <= AGE_MS_MAX).map(({ frame }) => frame);
  }
}

function isTcp(frame: Uint8Array): boolean {
  const type = ((frame[ETHERTYPE_AT] ?? 0) << 8) | (frame[ETHERTYPE_AT + 1] ?? 0);
  return (type === IPV4 && frame[IPV4_PROTOCOL_AT] === TCP) || (type === IPV6 && frame[IPV6_NEXT_HEADER_AT] === TCP);
}
