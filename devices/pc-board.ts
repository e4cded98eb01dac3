/**
 * The board: which chips the PC has, at which ports, on which interrupt lines and PCI slots.
 *
 *   0x20 0xa0 0x4d0  8259 pair          0x3f8  16550 UART   IRQ 4
 *   0x40             8254    IRQ 0      0xf4   isa-debug-exit
 *   0x61 0x92        system control     0xcf8  PCI: slot 0 host bridge, from slot 3 on drives, then NICs
 *   0x70             MC146818 IRQ 8
 *
 * Invariants: devices are saved, restored and asked for deadlines in one fixed order.
 */
import { DecodeError, assert } from '../emulator/errors.js';
import type { DeviceModel, TimedDevice } from './device.js';
import type { Dma } from './dma.js';
import { DEBUG_EXIT_PORT, DEBUG_EXIT_PORT_COUNT, DebugExit } from './debug-exit.js';
import type { DiskRequest, Environment } from './environment.js';
import { IrqRouter, PCI_ISA_IRQS } from './irq-router.js';
import { Mc146818, RTC_PORT, RTC_PORT_COUNT } from './mc146818.js';
import { MemoryBus } from './memory-bus.js';
import type { PciFunction } from './pci-device.js';
import { PCI_PORT, PCI_PORT_COUNT, PciHost } from './pci-host.js';
import { ELCR_PORT, ELCR_PORT_COUNT, PIC_MASTER_PORT, PIC_PORT_COUNT, PIC_SLAVE_PORT, Pic8259Pair } from './pic8259.js';
import { PIT_PORT, PIT_PORT_COUNT, Pit8254 } from './pit8254.js';
import { PortBus } from './port-bus.js';
import type { StateRecord } from './state.js';
import { SYSTEM_CONTROL_A_PORT, SYSTEM_CONTROL_B_PORT, SystemControl } from './system-control.js';
import { COM1_IRQ, COM1_PORT, UART_PORT_COUNT, Uart16550 } from './uart16550.js';
import { VirtioBlk } from './virtio/virtio-blk.js';
import { VirtioNet } from './virtio/virtio-net.js';

const IRQ_TIMER = 0;
const IRQ_CLOCK = 8;
/** Slot 1 is the PIIX's on real boards, slot 2 a display's. */
const FIRST_DEVICE_SLOT = 3;
const INTA = 1;

export interface PcBoardOptions {
  readonly environment: Environment;
  readonly dma: Dma;
  readonly ramBytes: number;
  readonly drives: readonly { readonly sectors: number; readonly readonly: boolean }[];
  readonly nics: readonly { readonly mac: Uint8Array }[];
}

export class PcBoard {
  readonly ports = new PortBus();
  readonly memory = new MemoryBus();
  readonly pic: Pic8259Pair;
  readonly pit: Pit8254;
  readonly systemControl: SystemControl;
  readonly rtc: Mc146818;
  readonly uart: Uart16550;
  readonly pci: PciHost;
  readonly #drives: readonly VirtioBlk[];
  readonly #nics: readonly VirtioNet[];
  readonly #models: readonly (readonly [string, DeviceModel])[];
  readonly #timed: readonly TimedDevice[];

  constructor(options: PcBoardOptions) {
    const { environment, ramBytes } = options;
    this.pic = new Pic8259Pair({ environment, levelIrqs: PCI_ISA_IRQS });
    this.pit = new Pit8254({ environment, irq: this.pic.line(IRQ_TIMER) });
    this.systemControl = new SystemControl({ environment, pit: this.pit });
    this.rtc = new Mc146818({ environment, irq: this.pic.line(IRQ_CLOCK), ramBytes });
    this.uart = new Uart16550({ environment, irq: this.pic.line(COM1_IRQ) });
    const router = new IrqRouter({ line: (irq) => this.pic.line(irq) });
    this.pci = new PciHost({ environment, router });
    let slot = FIRST_DEVICE_SLOT;
    const plug = <T extends { readonly pci: PciFunction }>(device: T): T => {
      this.pci.insert(slot++, 0, device.pci);
      return device;
    };
    this.#drives = options.drives.map(({ sectors, readonly }, drive) =>
      plug(
        new VirtioBlk({
          environment,
          dma: options.dma,
          irq: router.connect(slot, INTA),
          drive,
          capacitySectors: sectors,
          readOnly: readonly,
        }),
      ),
    );
    this.#nics = options.nics.map(({ mac }, nic) =>
      plug(new VirtioNet({ environment, dma: options.dma, irq: router.connect(slot, INTA), nic, mac })),
    );
    this.#models = [
      ['pic', this.pic],
      ['pit', this.pit],
      ['systemControl', this.systemControl],
      ['rtc', this.rtc],
      ['uart', this.uart],
      ['irqRouter', router],
      ['pci', this.pci],
      ...this.#drives.map((drive, i) => [`drive${i}`, drive] as const),
      ...this.#nics.map((nic, i) => [`nic${i}`, nic] as const),
    ];
    this.#timed = [this.pit, this.rtc];
    this.#wire(environment);
  }

  /** The drive with that index. @throws InvariantError when there is none */
  drive(index: number): VirtioBlk {
    const drive = this.#drives[index];
    assert(drive !== undefined, `there is no drive ${index}`);
    return drive;
  }

  /** The NIC with that index. @throws InvariantError when there is none */
  nic(index: number): VirtioNet {
    const nic = this.#nics[index];
    assert(nic !== undefined, `there is no NIC ${index}`);
    return nic;
  }

  /** Disk requests that have been emitted and not completed, in the order of drives and tags. */
  pendingRequests(): DiskRequest[] {
    return this.#drives.flatMap((drive) => drive.pendingRequests());
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

  #wire(environment: Environment): void {
    const { ports, pic, pit, systemControl, rtc, uart, pci } = this;
    ports.insert('pic-master', PIC_MASTER_PORT, PIC_PORT_COUNT, pic.masterPorts);
    ports.insert('pic-slave', PIC_SLAVE_PORT, PIC_PORT_COUNT, pic.slavePorts);
    ports.insert('pic-elcr', ELCR_PORT, ELCR_PORT_COUNT, pic.elcrPorts);
    ports.insert('pit', PIT_PORT, PIT_PORT_COUNT, pit);
    ports.insert('system-control-b', SYSTEM_CONTROL_B_PORT, 1, systemControl.portB);
    ports.insert('system-control-a', SYSTEM_CONTROL_A_PORT, 1, systemControl.portA);
    ports.insert('rtc', RTC_PORT, RTC_PORT_COUNT, rtc);
    ports.insert('uart', COM1_PORT, UART_PORT_COUNT, uart);
    ports.insert('debug-exit', DEBUG_EXIT_PORT, DEBUG_EXIT_PORT_COUNT, new DebugExit({ environment }), 4);
    ports.insert('pci', PCI_PORT, PCI_PORT_COUNT, pci, 4);
    ports.setMovable(pci.ioRanges);
    this.memory.setMovable(pci.memoryRanges);
  }
}
