/**
 * The host's half of the gdb remote serial protocol, as much as the fidelity tests need of it.
 * Source: "Debugging with GDB", appendix E (Remote Serial Protocol), sections E.2 (packets), E.3 (stop replies).
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const CONNECT_TRIES = 400;
const CONNECT_PAUSE_MS = 10;

/** Registers of the i386 target description in the order of the `g` packet, general ones first. */
const GENERAL = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'eip', 'eflags'] as const;
const SEGMENTS = ['cs', 'ss', 'ds', 'es', 'fs', 'gs'] as const;
const CONTROL = ['cr0', 'cr2', 'cr3', 'cr4'] as const;
/** FS, GS and kernel GS base stand between the segments and CR0. */
const CONTROL_AT = 4 * (GENERAL.length + SEGMENTS.length + 3);

export const STEP_REGISTERS = [...GENERAL, ...SEGMENTS, ...CONTROL] as const;
export type StepRegisters = Readonly<Record<(typeof STEP_REGISTERS)[number], number>>;

function checksum(payload: string): string {
  let sum = 0;
  for (const byte of Buffer.from(payload, 'latin1')) sum = (sum + byte) & 255;
  return sum.toString(16).padStart(2, '0');
}

export class GdbClient {
  readonly #socket: Socket;
  #received = '';
  #answer: ((payload: string) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data) => {
      this.#received += data.toString('latin1');
      this.#deliver();
    });
    const broken = (): void => this.#fail?.(new Error('the gdb connection was closed'));
    socket.on('close', broken);
    socket.on('error', broken);
  }

  /** Connect to a UNIX socket, which may not be there yet, and switch acknowledgements off. */
  static async connect(path: string): Promise<GdbClient> {
    for (let tries = 1; ; tries++) {
      try {
        const socket = await new Promise<Socket>((resolve, reject) => {
          const attempt = connect(path, () => resolve(attempt));
          attempt.once('error', reject);
        });
        const client = new GdbClient(socket);
        await client.command('qSupported:xmlRegisters=i386');
        await client.command('QStartNoAckMode');
        return client;
      } catch (error) {
        if (tries === CONNECT_TRIES) throw error;
        await delay(CONNECT_PAUSE_MS);
      }
    }
  }

  /** Send a packet and wait for the answer. @throws Error when the connection breaks or time is up */
  async command(payload: string, timeoutMs = 60_000): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#answer = resolve;
        this.#fail = reject;
        timer = setTimeout(() => reject(new Error(`no answer to gdb packet "${payload.slice(0, 20)}"`)), timeoutMs);
        this.#socket.write(`$${payload}#${checksum(payload)}`);
      });
    } finally {
      clearTimeout(timer);
      this.#answer = this.#fail = undefined;
    }
  }

  async step(): Promise<void> {
    await this.#expect('s', 'T05');
  }

  /** Run to a breakpoint. @returns false when the machine shuts down first, or time is up */
  async resume(timeoutMs: number): Promise<boolean> {
    try {
      return (await this.command('c', timeoutMs)).startsWith('T05');
    } catch {
      // A sequence may end both processors, or send one round and round for good: the caller compares what came before.
      return false;
    }
  }

  async setBreakpoint(address: number): Promise<void> {
    await this.#expect(`Z0,${address.toString(16)},1`, 'OK');
  }

  async registers(): Promise<StepRegisters> {
    const bytes = Buffer.from(await this.command('g'), 'hex');
    const words: Record<string, number> = {};
    [...GENERAL, ...SEGMENTS].forEach((name, index) => (words[name] = bytes.readUInt32LE(4 * index)));
    CONTROL.forEach((name, index) => (words[name] = bytes.readUInt32LE(CONTROL_AT + 4 * index)));
    return words as unknown as StepRegisters;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #expect(payload: string, start: string, timeoutMs?: number): Promise<void> {
    const answer = await this.command(payload, timeoutMs);
    if (!answer.startsWith(start)) throw new Error(`gdb packet "${payload}" was answered "${answer}"`);
  }

  #deliver(): void {
    const start = this.#received.indexOf('$');
    const end = this.#received.indexOf('#', start);
    if (start < 0 || end < 0 || this.#received.length < end + 3) return;
    const payload = this.#received.slice(start + 1, end);
    this.#received = this.#received.slice(end + 3);
    this.#answer?.(payload);
  }
}
