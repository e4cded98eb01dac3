/**
 * The surroundings of a device under test: guest time that the test sets, and a record of everything it calls.
 */
import type { IrqLine } from '../../devices/device.js';
import type { Environment, Output } from '../../devices/environment.js';

export class FakeWorld implements Environment {
  readonly bootUnixSeconds: number;
  /** Everything devices called, in order: `irq 4 high`, `console 65`, `stop reset 0`, ... */
  readonly calls: string[] = [];
  /** Level of each line that was handed out. */
  readonly levels = new Map<string, boolean>();
  readonly console: number[] = [];
  ns = 0;

  constructor(bootUnixSeconds = 0) {
    this.bootUnixSeconds = bootUnixSeconds;
  }

  nowNs(): number {
    return this.ns;
  }
  emit(output: Output): void {
    if (output.kind === 'console') this.console.push(output.byte);
    this.calls.push(output.kind === 'console' ? `console ${output.byte}` : output.kind);
  }
  deadlineChanged(): void {
    this.calls.push('deadline');
  }
  interruptRequest(level: boolean): void {
    this.calls.push(`cpu ${level ? 'high' : 'low'}`);
  }
  nonMaskableInterrupt(): void {
    this.calls.push('nmi');
  }
  stop(reason: string, code: number): void {
    this.calls.push(`stop ${reason} ${code}`);
  }
  setA20(on: boolean): void {
    this.calls.push(`a20 ${on ? 'on' : 'off'}`);
  }

  /** A line that is low at first and records its changes of level. */
  line(name: string): IrqLine {
    return {
      set: (level) => {
        if ((this.levels.get(name) ?? false) === level) return;
        this.levels.set(name, level);
        this.calls.push(`${name} ${level ? 'high' : 'low'}`);
      },
    };
  }

  /** The calls since the last take(). */
  take(): string[] {
    return this.calls.splice(0);
  }
}
