/**
 * The board: which chips the PC has, at which ports, on which interrupt lines and PCI slots.
 *
 *   0x20 0xa0 0x4d0  8259 pair           0x3f8         16550 UART    IRQ 4
 *   0x40             8254     IRQ 0      0x402 0xe9    debug console
 *   0x60 0x64        i8042    IRQ 1, 12  0x510         fw_cfg
 *   0x61 0x92        system control      0x604 0x8900  power-off
 *   0x70             MC146818 IRQ 8      0xcf8         PCI: slot 0 host bridge, slot 1 PIIX3, from slot 3 on cards
 *   0x80 0x190       POST codes          0xb8000       VGA text, 0x3b0
 *   0xf4             isa-debug-exit      0xfec00000    I/O APIC      0xfee00000 local APIC
 *
 *   chip ──► ISA line ──┬──► 8259 pair ──► LINT0 ──┐
 *   PCI pin ─► router ──┘└─► I/O APIC ─────────────┴─► local APIC ──► CPU
 *
 * Invariants: devices are saved, restored and asked for deadlines in one fixed order; A20 is on while either of its
 * two gates is.
 */
import { DecodeError, assert } from '../emulator/errors.js';
import type { DeviceModel, IrqLine, TimedDevice } from './device.js';
import type { Dma } from './dma.js';
import { DEBUG_CONSOLE_PORTS, DebugConsole } from './debug-console.js';
import { DEBUG_EXIT_PORT, DEBUG_EXIT_PORT_COUNT, DebugExit } from './debug-exit.js';
import type { DiskRequest, Environment } from './environment.js';
import { FW_CFG_PORT, FW_CFG_PORT_COUNT, FwCfg, type FwCfgFile } from './fw-cfg.js';
import { I8042, I8042_COMMAND_PORT, I8042_DATA_PORT } from './i8042.js';
import { PIRQ_ROUTE, Piix3IsaBridge } from './ide/piix3-isa-bridge.js';
import type { InterruptSource } from './interrupt-source.js';
import { IO_APIC_ADDRESS, IO_APIC_BYTES, IoApic, ioApicPin, joinLines } from './io-apic.js';
import { IrqRouter, PCI_ISA_IRQS, PIRQ_TO_ISA } from './irq-router.js';
import { LOCAL_APIC_ADDRESS, LOCAL_APIC_BYTES, LocalApic } from './local-apic.js';
import { Mc146818, RTC_PORT, RTC_PORT_COUNT } from './mc146818.js';
import { MemoryBus } from './memory-bus.js';
import type { PciInterrupt } from './mp-tables.js';
import { NE2000_ISA_PORT, NE2000_PORT_COUNT } from './ne2000.js';
import { PcCards, type Drive, type DriveConfig, type Nic, type NicConfig } from './pc-cards.js';
import { PCI_PORT, PCI_PORT_COUNT, PciHost } from './pci-host.js';
import { ELCR_PORT, ELCR_PORT_COUNT, PIC_MASTER_PORT, PIC_PORT_COUNT, PIC_SLAVE_PORT, Pic8259Pair } from './pic8259.js';
import { PIT_PORT, PIT_PORT_COUNT, Pit8254 } from './pit8254.js';
import { PortBus } from './port-bus.js';
import { POST_PORT, POST_PORT_PS2, PostCode } from './post-code.js';
import { PM1_CONTROL_PORT_COUNT, PM1_CONTROL_PORTS, PowerOff, SHUTDOWN_WORD_PORT } from './power-off.js';
import type { StateRecord } from './state.js';
import { SYSTEM_CONTROL_A_PORT, SYSTEM_CONTROL_B_PORT, SystemControl } from './system-control.js';
import { COM1_IRQ, COM1_PORT, UART_PORT_COUNT, Uart16550 } from './uart16550.js';
import { VGA_PORT, VGA_PORT_COUNT } from './vga-registers.js';
import { VGA_TEXT_ADDRESS, VGA_TEXT_BYTES, VgaText } from './vga-text.js';

const IRQ_TIMER = 0;
const IRQ_KEYBOARD = 1;
const IRQ_CLOCK = 8;
const IRQ_MOUSE = 12;
const BRIDGE_SLOT = 1;
const ISA_BRIDGE_FUNCTION = 0;
const IDE_FUNCTION = 1;

export interface PcBoardOptions {
  readonly environment: Environment;
  readonly dma: Dma;
  readonly ramBytes: number;
  readonly drives: readonly DriveConfig[];
  readonly nics: readonly NicConfig[];
  /** What fw_cfg offers to the firmware. */
  readonly files: readonly FwCfgFile[];
}

export class PcBoard {
  readonly ports = new PortBus();
  readonly memory = new MemoryBus();
  /** What the CPU's interrupt pin is connected to. */
  readonly interrupts: InterruptSource;
  readonly uart: Uart16550;
  readonly keyboard: I8042;
  readonly vga: VgaText;
  readonly debugConsole = new DebugConsole();
  readonly postCode = new PostCode();
  readonly #pic: Pic8259Pair;
  readonly #localApic: LocalApic;
  readonly #ioApic: IoApic;
  readonly #pit: Pit8254;
  readonly #rtc: Mc146818;
  readonly #systemControl: SystemControl;
  readonly #powerOff: PowerOff;
  readonly #fwCfg: FwCfg;
  readonly #isaBridge: Piix3IsaBridge;
  readonly #router: IrqRouter;
  readonly #pci: PciHost;
  readonly #cards: PcCards;
  readonly #models: readonly (readonly [string, DeviceModel])[];
  readonly #timed: readonly TimedDevice[];

  constructor(options: PcBoardOptions) {
    const { environment, dma, ramBytes, drives, nics, files } = options;
    this.#pic = new Pic8259Pair({
      environment: { interruptRequest: () => this.#localApic.picChanged() },
      levelIrqs: PCI_ISA_IRQS,
    });
    this.#localApic = new LocalApic({
      environment,
      pic: this.#pic,
      endOfInterrupt: (vector) => this.#ioApic.endOfInterrupt(vector),
    });
    this.interrupts = this.#localApic;
    this.#ioApic = new IoApic({ deliver: (message) => this.#localApic.deliver(message) });
    const line = (irq: number): IrqLine => joinLines(this.#pic.line(irq), this.#ioApic.line(ioApicPin(irq)));
    this.#pit = new Pit8254({ environment, irq: line(IRQ_TIMER) });
    const a20 = (): void => environment.setA20(this.a20);
    this.#systemControl = new SystemControl({ environment, a20, pit: this.#pit });
    this.#rtc = new Mc146818({ environment, irq: line(IRQ_CLOCK), ramBytes });
    this.uart = new Uart16550({ environment, irq: line(COM1_IRQ) });
    this.keyboard = new I8042({
      environment,
      a20,
      keyboardIrq: line(IRQ_KEYBOARD),
      mouseIrq: line(IRQ_MOUSE),
    });
    this.vga = new VgaText({ environment });
    this.#powerOff = new PowerOff({ environment });
    this.#fwCfg = new FwCfg({ ramBytes, files });
    this.#isaBridge = new Piix3IsaBridge({ routingChanged: () => this.#router.routingChanged() });
    this.#router = new IrqRouter({ line, route: (pirq) => this.#isaBridge.isaIrq(pirq) });
    this.#pci = new PciHost({ environment, router: this.#router });
    this.#cards = new PcCards({ environment, dma, drives, nics, router: this.#router, line });
    this.#models = this.#listModels();
    this.#timed = [this.#pit, this.#rtc, this.#localApic];
    this.#wireBoard(environment);
    this.#wireCards();
  }

  /** Level of the A20 gate: that of either chip opens it. */
  get a20(): boolean {
    return this.#systemControl.a20 || this.keyboard.a20;
  }

  /** The drive with that index. @throws InvariantError when there is none */
  drive(index: number): Drive {
    const drive = this.#cards.drives[index];
    assert(drive !== undefined, () => `there is no drive ${index}`);
    return drive;
  }

  /** The NIC with that index. @throws InvariantError when there is none */
  nic(index: number): Nic {
    const nic = this.#cards.nics[index];
    assert(nic !== undefined, () => `there is no NIC ${index}`);
    return nic;
  }

  /** Disk requests that have been emitted and not completed, in a fixed order. */
  pendingRequests(): DiskRequest[] {
    return this.#cards.pendingRequests();
  }

  /** Do what firmware does before it starts a kernel: interrupt routing, BARs, interrupt lines. */
  assignResources(): void {
    PIRQ_TO_ISA.forEach((irq, pirq) => {
      this.#isaBridge.pci.configWrite(PIRQ_ROUTE + pirq, 1, irq);
    });
    this.#pci.assignResources();
  }

  /** Where the interrupts of the cards arrive, for tables that firmware would write. */
  pciInterrupts(): PciInterrupt[] {
    return this.#cards.pciCards.map(({ slot, pci }) => {
      const pin = pci.interruptPin;
      return { slot, pin, isaIrq: PIRQ_TO_ISA[this.#router.pirq(slot, pin)]! };
    });
  }

  /** Guest time of the earliest deadline of all devices, or null. */
  nextDeadlineNs(): number | null {
    let next: number | null = null;
    for (const device of this.#timed) {
      const deadline = device.nextDeadlineNs();
      if (deadline !== null && (next === null || deadline < next)) next = deadline;
    }
    return next;
  }

  /** Let every device perform what is due at `nowNs`. */
  advance(nowNs: number): void {
    for (const device of this.#timed) device.advance(nowNs);
  }

  save(): StateRecord {
    return Object.fromEntries(this.#models.map(([name, model]) => [name, model.save()]));
  }

  /** @throws DecodeError when the record is not one of this board */
  restore(state: StateRecord): void {
    const expected = this.#models.map(([name]) => name);
    const unknown = Object.keys(state).find((name) => !expected.includes(name));
    if (unknown !== undefined) throw new DecodeError('bad-state', 0, `this board has no device ${unknown}`);
    for (const [name, model] of this.#models) {
      const saved = state[name];
      if (typeof saved !== 'object' || saved === null || Array.isArray(saved) || saved instanceof Uint8Array) {
        throw new DecodeError('bad-state', 0, `the state of ${name} is missing`);
      }
      model.restore(saved as StateRecord);
    }
  }

  #listModels(): (readonly [string, DeviceModel])[] {
    return [
      ['pic', this.#pic],
      ['localApic', this.#localApic],
      ['ioApic', this.#ioApic],
      ['pit', this.#pit],
      ['systemControl', this.#systemControl],
      ['rtc', this.#rtc],
      ['uart', this.uart],
      ['i8042', this.keyboard],
      ['vga', this.vga],
      ['debugConsole', this.debugConsole],
      ['postCode', this.postCode],
      ['powerOff', this.#powerOff],
      ['fwCfg', this.#fwCfg],
      ['isaBridge', this.#isaBridge],
      ['irqRouter', this.#router],
      ['pci', this.#pci],
      ...this.#cards.models,
    ];
  }

  #wireBoard(environment: Environment): void {
    const { ports, memory } = this;
    ports.insert('pic-master', PIC_MASTER_PORT, PIC_PORT_COUNT, this.#pic.masterPorts);
    ports.insert('pic-slave', PIC_SLAVE_PORT, PIC_PORT_COUNT, this.#pic.slavePorts);
    ports.insert('pic-elcr', ELCR_PORT, ELCR_PORT_COUNT, this.#pic.elcrPorts);
    ports.insert('pit', PIT_PORT, PIT_PORT_COUNT, this.#pit);
    ports.insert('keyboard-data', I8042_DATA_PORT, 1, this.keyboard.data);
    ports.insert('system-control-b', SYSTEM_CONTROL_B_PORT, 1, this.#systemControl.portB);
    ports.insert('keyboard-command', I8042_COMMAND_PORT, 1, this.keyboard.command);
    ports.insert('rtc', RTC_PORT, RTC_PORT_COUNT, this.#rtc);
    ports.insert('post', POST_PORT, 1, this.postCode.port80);
    ports.insert('system-control-a', SYSTEM_CONTROL_A_PORT, 1, this.#systemControl.portA);
    ports.insert('post-ps2', POST_PORT_PS2, 1, this.postCode.port190);
    ports.insert('uart', COM1_PORT, UART_PORT_COUNT, this.uart);
    ports.insert('debug-exit', DEBUG_EXIT_PORT, DEBUG_EXIT_PORT_COUNT, new DebugExit({ environment }), 4);
    for (const port of DEBUG_CONSOLE_PORTS) ports.insert(`debug-console-${port}`, port, 1, this.debugConsole);
    ports.insert('vga', VGA_PORT, VGA_PORT_COUNT, this.vga.ports);
    ports.insert('fw-cfg', FW_CFG_PORT, FW_CFG_PORT_COUNT, this.#fwCfg, 2);
    for (const port of PM1_CONTROL_PORTS) {
      ports.insert(`power-off-${port}`, port, PM1_CONTROL_PORT_COUNT, this.#powerOff.pm1Control, 2);
    }
    ports.insert('shutdown-word', SHUTDOWN_WORD_PORT, 1, this.#powerOff.shutdownWord);
    ports.insert('pci', PCI_PORT, PCI_PORT_COUNT, this.#pci, 4);
    memory.insert('vga', VGA_TEXT_ADDRESS, VGA_TEXT_BYTES, this.vga.memory);
    memory.insert('io-apic', IO_APIC_ADDRESS, IO_APIC_BYTES, this.#ioApic);
    memory.insert('local-apic', LOCAL_APIC_ADDRESS, LOCAL_APIC_BYTES, this.#localApic);
  }

  #wireCards(): void {
    const { ide, isaNic, pciCards } = this.#cards;
    this.#pci.insert(BRIDGE_SLOT, ISA_BRIDGE_FUNCTION, this.#isaBridge.pci);
    if (ide !== null) {
      this.#pci.insert(BRIDGE_SLOT, IDE_FUNCTION, ide.pci);
      for (const { name, base, count, registers, widthMax } of ide.ports) {
        this.ports.insert(name, base, count, registers, widthMax);
      }
    }
    if (isaNic !== null) this.ports.insert('ne2000', NE2000_ISA_PORT, NE2000_PORT_COUNT, isaNic, 4);
    for (const { slot, pci } of pciCards) this.#pci.insert(slot, 0, pci);
    this.ports.setMovable(this.#pci.ioRanges);
    this.memory.setMovable(this.#pci.memoryRanges);
  }
}
