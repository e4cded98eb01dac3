/**
 * What a machine's configuration puts into the board's slots and places: drives and NICs of each kind.
 *
 *   virtio, PCI NE2000   one slot each from slot 3 on, drives first, then NICs
 *   IDE                  the PIIX3's channels, in order: primary device 0 and 1, secondary device 0 and 1
 *   ISA NE2000           ports 0x300, IRQ 9
 *
 * Every drive and NIC keeps the index it has in the configuration, whatever its kind.
 */
import { assert } from '../emulator/errors.js';
import type { DeviceModel, IrqLine } from './device.js';
import type { Dma } from './dma.js';
import type { DiskCompletion, DiskRequest, Environment } from './environment.js';
import { IdeController, type IdeDriveConfig } from './ide/ide-controller.js';
import type { IrqRouter } from './irq-router.js';
import { Ne2000 } from './ne2000.js';
import { Ne2000Pci } from './ne2000-pci.js';
import type { PciFunction } from './pci-device.js';
import { VirtioBlk } from './virtio/virtio-blk.js';
import { VirtioNet } from './virtio/virtio-net.js';

export type DriveKind = 'virtio' | 'ide';
export type NicKind = 'virtio' | 'ne2k' | 'ne2k-isa';

export interface DriveConfig {
  readonly kind: DriveKind;
  /** Size in sectors of 512 bytes. */
  readonly sectors: number;
  readonly readonly: boolean;
}

export interface NicConfig {
  readonly kind: NicKind;
  /** 6 bytes. */
  readonly mac: Uint8Array;
}

/** Places on the two IDE channels. */
export const IDE_DRIVES_MAX = 4;
/** Interrupt of the ISA NE2000: one that no PCI function is routed to. */
export const NE2000_ISA_IRQ = 9;
const IRQ_IDE_PRIMARY = 14;
const IRQ_IDE_SECONDARY = 15;
/** Slot 1 is the PIIX3's, slot 2 a display's on other boards. */
const FIRST_SLOT = 3;
const INTA = 1;

/** A drive as the monitor sees it. */
export interface Drive {
  complete(completion: DiskCompletion): void;
  /** The request of drive `drive` with that tag, if it was emitted and is not completed. */
  pendingRequest(drive: number, tag: number): DiskRequest | undefined;
}

/** A NIC as the monitor sees it. */
export interface Nic {
  receive(frame: Uint8Array): boolean;
}

export interface PciCard {
  readonly slot: number;
  readonly pci: PciFunction;
}

export interface PcCardsOptions {
  readonly environment: Environment;
  readonly dma: Dma;
  readonly drives: readonly DriveConfig[];
  readonly nics: readonly NicConfig[];
  readonly router: IrqRouter;
  /** ISA interrupt line. */
  readonly line: (irq: number) => IrqLine;
}

export class PcCards {
  /** In the order of the configuration. */
  readonly drives: readonly Drive[];
  readonly nics: readonly Nic[];
  /** All that have state, by name, in the order in which it is saved. */
  readonly models: readonly (readonly [string, DeviceModel])[];
  readonly pciCards: readonly PciCard[];
  /** Null while no drive is on it. */
  readonly ide: IdeController | null;
  /** The ISA NE2000, if there is one. */
  readonly isaNic: Ne2000 | null;
  readonly #queues: readonly { pendingRequests(): DiskRequest[] }[];

  constructor(options: PcCardsOptions) {
    const { environment, dma, router } = options;
    const models: [string, DeviceModel][] = [];
    const pciCards: PciCard[] = [];
    const plug = <T extends DeviceModel & { readonly pci: PciFunction }>(
      name: string,
      create: (irq: IrqLine) => T,
    ): T => {
      const slot = FIRST_SLOT + pciCards.length;
      const device = create(router.connect(slot, INTA));
      models.push([name, device]);
      pciCards.push({ slot, pci: device.pci });
      return device;
    };
    const ide = (this.ide = createIde(options));
    if (ide !== null) models.push(['ide', ide]);
    const virtioDrives: VirtioBlk[] = [];
    this.drives = options.drives.map(({ kind, sectors, readonly }, drive) => {
      if (kind === 'ide') return ide!;
      const disk = { environment, dma, drive, capacitySectors: sectors, readOnly: readonly };
      const device = plug(`drive${drive}`, (irq) => new VirtioBlk({ ...disk, irq }));
      virtioDrives.push(device);
      return device;
    });
    let isaNic: Ne2000 | null = null;
    this.nics = options.nics.map(({ kind, mac }, nic): Nic => {
      const name = `nic${nic}`;
      if (kind === 'virtio') return plug(name, (irq) => new VirtioNet({ environment, dma, irq, nic, mac }));
      if (kind === 'ne2k') return plug(name, (irq) => new Ne2000Pci({ environment, irq, nic, mac }));
      assert(isaNic === null, 'there is one ISA NE2000 at most');
      isaNic = new Ne2000({ environment, irq: options.line(NE2000_ISA_IRQ), nic, mac });
      models.push([name, isaNic]);
      return isaNic;
    });
    this.isaNic = isaNic;
    this.models = models;
    this.pciCards = pciCards;
    this.#queues = ide === null ? virtioDrives : [ide, ...virtioDrives];
  }

  /** Disk requests that have been emitted and not completed, in a fixed order. */
  pendingRequests(): DiskRequest[] {
    return this.#queues.flatMap((queue) => queue.pendingRequests());
  }
}

function createIde({ environment, dma, drives, line }: PcCardsOptions): IdeController | null {
  const own = drives.flatMap(({ kind, sectors, readonly }, drive): IdeDriveConfig[] =>
    kind === 'ide' ? [{ drive, sectors, readonly, serial: `FT86-${drive}` }] : [],
  );
  if (own.length === 0) return null;
  assert(own.length <= IDE_DRIVES_MAX, 'the IDE controller has four places');
  return new IdeController({
    environment,
    dma,
    irqs: [line(IRQ_IDE_PRIMARY), line(IRQ_IDE_SECONDARY)],
    drives: [own[0] ?? null, own[1] ?? null, own[2] ?? null, own[3] ?? null],
  });
}
