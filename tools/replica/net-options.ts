/** `--net`: the NICs of a machine. */
import { ConfigError } from '../../emulator/errors.js';
import type { NicKind } from '../../devices/pc-cards.js';
import { NICS_MAX } from '../../hypervisor/machine/machine-config.js';
import type { ShippedImage } from '../images/manifest.js';
import { parseKeyValues } from '../key-values.js';

const NIC_KINDS: readonly NicKind[] = ['virtio', 'ne2k', 'ne2k-isa'];

export interface NicOptions {
  /** Address of the switch, or null for a cable that ends nowhere. */
  readonly switch: string | null;
  readonly kind: NicKind;
  readonly mac: string;
  /** Option ROM that firmware finds on the card, or null. */
  readonly romfile: string | null;
}

/** Parse one --net; `index` decides the default MAC. @throws ConfigError */
export function parseNet(text: string, index: number): NicOptions {
  const given = parseKeyValues('--net', text, { switch: null, model: NIC_KINDS, mac: null, romfile: null });
  const mac = given['mac']?.toLowerCase() ?? defaultMac(index);
  if (!/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac)) {
    throw new ConfigError('--net', text, 'mac must be six hex bytes with an even first one, e.g. 52:54:00:12:34:56');
  }
  const kind = NIC_KINDS.find((model) => model === given['model']) ?? 'virtio';
  if (kind === 'ne2k-isa' && given['romfile'] !== undefined) {
    throw new ConfigError('--net', text, 'romfile is for NICs on the PCI bus');
  }
  return { switch: given['switch'] ?? null, kind, mac, romfile: given['romfile'] ?? null };
}

/** The text that parseNet() reads. */
export function formatNet({ switch: address, kind, mac, romfile }: NicOptions): string {
  const [at, rom] = [address === null ? '' : `switch=${address},`, romfile === null ? '' : `,romfile=${romfile}`];
  return `${at}model=${kind},mac=${mac}${rom}`;
}

/** The NICs of a machine: those of --net, or the one that a shipped guest needs. @throws ConfigError */
export function planNics(texts: readonly string[], shipped: ShippedImage | null): NicOptions[] {
  if (texts.length > NICS_MAX) throw new ConfigError('--net', `${texts.length} times`, `at most ${NICS_MAX} NICs`);
  const nics = texts.map(parseNet);
  if (nics.filter(({ kind }) => kind === 'ne2k-isa').length > 1) {
    throw new ConfigError('--net', 'model=ne2k-isa', 'once at most: both would be at port 0x300');
  }
  if (nics.length > 0 || shipped?.needs.nic !== true) return nics;
  return [unpluggedNic('virtio', defaultMac(0))];
}

/** A NIC whose cable ends nowhere. */
export function unpluggedNic(kind: NicKind, mac: string): NicOptions {
  return { switch: null, kind, mac, romfile: null };
}

function defaultMac(index: number): string {
  return `52:54:00:86:00:${(index + 1).toString(16).padStart(2, '0')}`;
}
