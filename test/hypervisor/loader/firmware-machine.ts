/**
 * A PC for firmware tests: the vcpu with a ROM, and the chips that a BIOS looks for, wired as a board of 1996.
 * Everything happens at once: disk requests are answered at the next instruction, HLT skips to the next deadline.
 */
import { Pic8259Pair, ELCR_PORT, PIC_MASTER_PORT, PIC_SLAVE_PORT } from '../../../devices/pic8259.js';
import { Pit8254, PIT_PORT, PIT_PORT_COUNT } from '../../../devices/pit8254.js';
import { DebugConsole, DEBUG_CONSOLE_PORTS } from '../../../devices/debug-console.js';
import { DEBUG_EXIT_PORT, DEBUG_EXIT_PORT_COUNT, DebugExit } from '../../../devices/debug-exit.js';
import type { DiskRequest, Environment, Output } from '../../../devices/environment.js';
import { FwCfg, FW_CFG_PORT, FW_CFG_PORT_COUNT, type FwCfgFile } from '../../../devices/fw-cfg.js';
import { I8042, I8042_COMMAND_PORT, I8042_DATA_PORT } from '../../../devices/i8042.js';
import { IdeController } from '../../../devices/ide/ide-controller.js';
import { Piix3IsaBridge } from '../../../devices/ide/piix3-isa-bridge.js';
import { IrqRouter, PCI_ISA_IRQS } from '../../../devices/irq-router.js';
import { Mc146818, RTC_PORT, RTC_PORT_COUNT } from '../../../devices/mc146818.js';
import { MemoryBus } from '../../../devices/memory-bus.js';
import { PciHost, PCI_PORT, PCI_PORT_COUNT } from '../../../devices/pci-host.js';
import { PortBus } from '../../../devices/port-bus.js';
import { SYSTEM_CONTROL_A_PORT, SYSTEM_CONTROL_B_PORT, SystemControl } from '../../../devices/system-control.js';
import { COM1_PORT, UART_PORT_COUNT, Uart16550 } from '../../../devices/uart16550.js';
import { VGA_TEXT_ADDRESS, VGA_TEXT_BYTES, VgaText } from '../../../devices/vga-text.js';
import { VGA_PORT, VGA_PORT_COUNT } from '../../../devices/vga-registers.js';
import { Vcpu } from '../../../emulator/vcpu.js';
import { checkFirmware, placeFirmwareShadow } from '../../../hypervisor/loader/firmware.js';
import { GuestClock } from '../../../hypervisor/machine/guest-clock.js';

const RAM_BYTES = 32 * 1024 * 1024;
const RATE = 1024;
const SECTOR_BYTES = 512;

export class FirmwareMachine implements Environment {
  readonly bootUnixSeconds = 1_000_000_000;
  readonly vcpu: Vcpu;
  readonly vga: VgaText;
  readonly debug = new DebugConsole();
  /** What the firmware and the guest sent through the serial port. */
  console = '';
  /** The byte written to the debug-exit port, or the reason for another end. */
  end: number | string | null = null;
  readonly #clock = new GuestClock(RATE);
  readonly #ports = new PortBus();
  readonly #memory = new MemoryBus();
  readonly #pic: Pic8259Pair;
  readonly #pit: Pit8254;
  readonly #rtc: Mc146818;
  readonly #ide: IdeController;
  readonly #disk: Uint8Array;
  readonly #requests: DiskRequest[] = [];

  constructor(bios: Uint8Array, disk: Uint8Array, files: readonly FwCfgFile[] = []) {
    checkFirmware(bios, 'bios');
    this.#disk = disk;
    const ports = this.#ports;
    const memory = this.#memory;
    this.vcpu = new Vcpu({
      ramBytes: RAM_BYTES,
      rom: bios,
      bus: {
        portIn: (port, size) => ports.read(port, size),
        portOut: (port, size, value) => ports.write(port, size, value),
        memoryRead: (address, size) => memory.read(address, size),
        memoryWrite: (address, size, value) => memory.write(address, size, value),
      },
    });
    placeFirmwareShadow(bios, this.vcpu.ram);
    this.vga = new VgaText({ environment: this });
    this.#pic = new Pic8259Pair({ environment: this, levelIrqs: PCI_ISA_IRQS });
    this.#pit = new Pit8254({ environment: this, irq: this.#pic.line(0) });
    this.#rtc = new Mc146818({ environment: this, irq: this.#pic.line(8), ramBytes: RAM_BYTES });
    this.#ide = new IdeController({
      environment: this,
      dma: this.vcpu.ram,
      irqs: [this.#pic.line(14), this.#pic.line(15)],
      drives: [{ drive: 0, sectors: disk.length / SECTOR_BYTES, readonly: false, serial: 'ft86' }, null, null, null],
    });
    this.#wire(files);
    this.vcpu.setClock(0, 0, RATE);
    this.deadlineChanged();
  }

  /** Run until the guest ends, or `target` instructions. Returns the end. */
  run(target: number): number | string | null {
    let skipped = 0;
    while (this.end === null && this.vcpu.icount < target) {
      const deadline = this.#deadlineNs();
      const exit = this.vcpu.run(Math.min(target, deadline === null ? Infinity : this.#clock.icountAt(deadline)));
      if (exit === 'triple-fault') this.end = exit;
      if (exit === 'irq-window') this.vcpu.inject(this.#pic.acknowledge());
      for (const request of this.#requests.splice(0)) this.#answer(request);
      this.#advance();
      if (this.vcpu.halted && !this.#pic.output) {
        const next = this.#deadlineNs();
        if (next === null || ++skipped > 100_000) this.end = 'halted for good';
        else this.#clock.adjust(this.vcpu.icount, Math.max(0, next - this.nowNs()), null);
        this.vcpu.setClock(this.#clock.baseIcount, this.#clock.baseNs, RATE);
        this.#advance();
      }
    }
    return this.end;
  }

  nowNs(): number {
    return this.#clock.nsAt(this.vcpu.icount);
  }
  emit(output: Output): void {
    if (output.kind === 'console') this.console += String.fromCharCode(output.byte);
    if (output.kind !== 'disk') return;
    this.#requests.push(output.request);
    this.vcpu.requestExit();
  }
  deadlineChanged(): void {
    const deadline = this.#deadlineNs();
    if (deadline !== null) this.vcpu.lowerTarget(this.#clock.icountAt(deadline));
  }
  interruptRequest(level: boolean): void {
    this.vcpu.setIrqPending(level);
  }
  stop(reason: string, code: number): void {
    this.end ??= reason === 'debug-exit' ? code : reason;
    this.vcpu.requestExit();
  }
  setA20(on: boolean): void {
    this.vcpu.setA20(on);
  }

  #deadlineNs(): number | null {
    const deadlines = [this.#pit, this.#rtc].map((device) => device.nextDeadlineNs());
    return deadlines.reduce((a, b) => (a === null ? b : b === null ? a : Math.min(a, b)), null);
  }

  #advance(): void {
    for (const device of [this.#pit, this.#rtc]) device.advance(this.nowNs());
  }

  #answer({ drive, tag, op, sector, bytes, data }: DiskRequest): void {
    const at = sector * SECTOR_BYTES;
    if (op === 'write') this.#disk.set(data, at);
    const answer = op === 'read' ? this.#disk.slice(at, at + bytes) : new Uint8Array();
    this.#ide.complete({ drive, tag, status: 'ok', data: answer });
  }

  #wire(files: readonly FwCfgFile[]): void {
    const ports = this.#ports;
    const control = new SystemControl({ environment: this, pit: this.#pit });
    const router = new IrqRouter({ line: (irq) => this.#pic.line(irq) });
    const pci = new PciHost({ environment: this, router });
    pci.insert(1, 0, new Piix3IsaBridge({ routingChanged: () => undefined }).pci);
    pci.insert(1, 1, this.#ide.pci);
    const keyboard = new I8042({
      environment: this,
      a20: () => undefined,
      keyboardIrq: this.#pic.line(1),
      mouseIrq: this.#pic.line(12),
    });
    ports.insert('pic-master', PIC_MASTER_PORT, 2, this.#pic.masterPorts);
    ports.insert('pic-slave', PIC_SLAVE_PORT, 2, this.#pic.slavePorts);
    ports.insert('pic-elcr', ELCR_PORT, 2, this.#pic.elcrPorts);
    ports.insert('pit', PIT_PORT, PIT_PORT_COUNT, this.#pit);
    ports.insert('system-control-b', SYSTEM_CONTROL_B_PORT, 1, control.portB);
    ports.insert('system-control-a', SYSTEM_CONTROL_A_PORT, 1, control.portA);
    ports.insert('keyboard-data', I8042_DATA_PORT, 1, keyboard.data);
    ports.insert('keyboard-command', I8042_COMMAND_PORT, 1, keyboard.command);
    ports.insert('rtc', RTC_PORT, RTC_PORT_COUNT, this.#rtc);
    ports.insert('uart', COM1_PORT, UART_PORT_COUNT, new Uart16550({ environment: this, irq: this.#pic.line(4) }));
    ports.insert('debug-exit', DEBUG_EXIT_PORT, DEBUG_EXIT_PORT_COUNT, new DebugExit({ environment: this }), 4);
    for (const port of DEBUG_CONSOLE_PORTS) ports.insert(`debug-${port}`, port, 1, this.debug);
    ports.insert('fw-cfg', FW_CFG_PORT, FW_CFG_PORT_COUNT, new FwCfg({ ramBytes: RAM_BYTES, files }), 2);
    ports.insert('vga', VGA_PORT, VGA_PORT_COUNT, this.vga.ports);
    for (const { name, base, count, registers, widthMax } of this.#ide.ports) {
      ports.insert(name, base, count, registers, widthMax);
    }
    ports.insert('pci', PCI_PORT, PCI_PORT_COUNT, pci, 4);
    ports.setMovable(pci.ioRanges);
    this.#memory.insert('vga', VGA_TEXT_ADDRESS, VGA_TEXT_BYTES, this.vga.memory);
    this.#memory.setMovable(pci.memoryRanges);
  }
}
