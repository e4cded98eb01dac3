/**
 * PCI IDE controller of the Intel PIIX3 (its function 1): two channels at the legacy ports, one bus master each.
 *
 *   primary    0x1f0..0x1f7, 0x3f6   IRQ 14   BAR4 + 0..7
 *   secondary  0x170..0x177, 0x376   IRQ 15   BAR4 + 8..15
 *
 *   config 0x40 and 0x42: timing, bit 15 channel on | 0x44: timing of device 1
 *
 * The timing registers are storage. Their enable bits are set from power-on, as firmware would leave them, because a
 * kernel may be started without any; they do not cut a channel off. Drives of the board that are absent leave their
 * places empty.
 *
 * Source: Intel 82371FB/82371SB (PIIX3) data sheet, sections 2.3 (function 1 configuration), 2.7 (bus master), 3.5.
 */
import { assert } from '../../emulator/errors.js';
import type { AccessWidth } from '../bus.js';
import type { DeviceModel, IrqLine, RegisterBlock } from '../device.js';
import type { Dma } from '../dma.js';
import type { DiskCompletion, DiskRequest, Environment } from '../environment.js';
import { PciFunction } from '../pci-device.js';
import { SavedFields } from '../saved-fields.js';
import type { StateRecord } from '../state.js';
import type { AtaDrive, IdeDriveConfig } from './ata-drive.js';
import { COMMAND_BLOCK_BYTES } from './ata-registers.js';
import { BUS_MASTER_BYTES } from './bus-master.js';
import { CONTROL_BLOCK_BYTES, IdeChannel } from './ide-channel.js';

export type { IdeDriveConfig } from './ata-drive.js';

export interface IdeControllerOptions {
  readonly environment: Pick<Environment, 'emit'>;
  readonly dma: Dma;
  /** ISA interrupts 14 and 15. */
  readonly irqs: readonly [IrqLine, IrqLine];
  /** Primary device 0 and 1, secondary device 0 and 1; null: absent. */
  readonly drives: readonly [
    IdeDriveConfig | null,
    IdeDriveConfig | null,
    IdeDriveConfig | null,
    IdeDriveConfig | null,
  ];
}

/** A range of ports for the port bus. */
export interface IdePorts {
  readonly name: string;
  readonly base: number;
  readonly count: number;
  readonly registers: RegisterBlock;
  readonly widthMax: AccessWidth;
}

const COMMAND_PORTS = [0x1f0, 0x170] as const;
const CONTROL_PORTS = [0x3f6, 0x376] as const;
const CHANNEL_NAMES = ['primary', 'secondary'] as const;

/** IDETIM of both channels, and SIDETIM. */
const TIMING = 0x40;
const TIMING_POWER_ON = [0x00, 0x80, 0x00, 0x80, 0x00] as const;
const BUS_MASTER_BAR = 4;

export class IdeController implements DeviceModel {
  readonly pci: PciFunction;
  /** The fixed ports of both channels. */
  readonly ports: readonly IdePorts[];
  readonly #channels: readonly [IdeChannel, IdeChannel];

  constructor({ environment, dma, irqs, drives }: IdeControllerOptions) {
    const create = (channel: 0 | 1): IdeChannel =>
      new IdeChannel({
        environment,
        dma,
        irq: irqs[channel],
        drives: channel === 0 ? [drives[0], drives[1]] : [drives[2], drives[3]],
        busMasterEnabled: () => this.pci.busMaster,
      });
    this.#channels = [create(0), create(1)];
    this.ports = this.#channels.flatMap(({ commandBlock, controlBlock }, i) => [
      port(`ide-${CHANNEL_NAMES[i]!}`, COMMAND_PORTS[i]!, COMMAND_BLOCK_BYTES, commandBlock, 4),
      port(`ide-${CHANNEL_NAMES[i]!}-control`, CONTROL_PORTS[i]!, CONTROL_BLOCK_BYTES, controlBlock, 1),
    ]);
    const bars = new Array<null>(BUS_MASTER_BAR).fill(null);
    this.pci = new PciFunction({
      vendorId: 0x8086,
      deviceId: 0x7010,
      classCode: 0x010180,
      revision: 0,
      subsystemVendorId: 0,
      subsystemId: 0,
      interruptPin: 0,
      bars: [...bars, { kind: 'io', bytes: 2 * BUS_MASTER_BYTES, registers: this.#busMasterBlock() }],
      storage: [
        {
          offset: TIMING,
          bytes: Uint8Array.from(TIMING_POWER_ON),
          writableMask: new Uint8Array(TIMING_POWER_ON.length).fill(0xff),
        },
      ],
    });
  }

  /** Disk requests that have been emitted and not completed, in the order of places. */
  pendingRequests(): DiskRequest[] {
    return this.#drives().flatMap((drive) => drive.pendingRequests());
  }

  pendingRequest(drive: number, tag: number): DiskRequest | undefined {
    return this.pendingRequests().find((request) => request.drive === drive && request.tag === tag);
  }

  /** Whether the drive of the machine with that index is one of this controller's. */
  hasDrive(index: number): boolean {
    return this.#drives().some((drive) => drive.index === index);
  }

  /**
   * Apply the answer to a pending request.
   * @throws InvariantError when no such request is in flight or a read's data has another length.
   */
  complete(completion: DiskCompletion): void {
    const drive = this.#drives().find(({ index }) => index === completion.drive);
    assert(drive !== undefined, `drive ${completion.drive} is not an IDE drive`);
    drive.complete(completion);
  }

  reset(): void {
    this.pci.reset();
    for (const channel of this.#channels) channel.reset();
  }

  save(): StateRecord {
    const [primary, secondary] = this.#channels;
    return { pci: this.pci.save(), primary: primary.save(), secondary: secondary.save() };
  }

  restore(state: StateRecord): void {
    const fields = new SavedFields(state, 'ide');
    const pci = fields.stateRecord('pci');
    const states = this.#channels.map((channel, i) => channel.check(fields.record(CHANNEL_NAMES[i]!)));
    fields.finish();
    this.pci.restore(pci);
    this.#channels.forEach((channel, i) => {
      channel.take(states[i]!);
    });
  }

  #drives(): AtaDrive[] {
    return this.#channels.flatMap(({ drives }) => drives.filter((drive) => drive !== null));
  }

  /** Accesses of any width, done as bytes in ascending order. */
  #busMasterBlock(): RegisterBlock {
    const place = (offset: number): [IdeChannel, number] => [
      this.#channels[offset < BUS_MASTER_BYTES ? 0 : 1],
      offset % BUS_MASTER_BYTES,
    ];
    return {
      read: (offset, size) => {
        let value = 0;
        for (let i = 0; i < size; i++) {
          const [channel, register] = place(offset + i);
          value |= channel.readBusMaster(register) << (8 * i);
        }
        return value >>> 0;
      },
      write: (offset, size, value) => {
        for (let i = 0; i < size; i++) {
          const [channel, register] = place(offset + i);
          channel.writeBusMaster(register, (value >>> (8 * i)) & 0xff);
        }
      },
    };
  }
}

function port(name: string, base: number, count: number, registers: RegisterBlock, widthMax: AccessWidth): IdePorts {
  return { name, base, count, registers, widthMax };
}
