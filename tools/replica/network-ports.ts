/** Plugs a machine's NICs into a switch, for a replica that is live. */
import type { Input } from '../../hypervisor/ft/input.js';
import { macBytes } from '../../hypervisor/machine/machine-config.js';
import { SwitchPort } from '../switch/switch-port.js';
import type { NetworkPort } from './live-session-options.js';
import type { NicOptions } from './net-options.js';

export interface PortIdentity {
  /** Name of the pair: the switch keeps the newest epoch for each. */
  readonly pair: string;
  readonly replicaId: string;
  readonly epoch: number;
  readonly key: Uint8Array | null;
}

/** A plugged-in cable. */
export interface PluggedPort extends NetworkPort {
  close(): void;
}

/**
 * Connect each NIC that has a switch; frames that arrive go to `input`. A replica that starts needs its switches, one that
 * takes over goes live without them and is plugged in later.
 * The MAC is announced at once, so that the switch sends the guest's frames here.
 */
export async function plugIn(
  nics: readonly NicOptions[],
  identity: PortIdentity,
  start: 'starts' | 'takes-over',
  input: (input: Input) => void,
): Promise<(PluggedPort | null)[]> {
  const ports: (PluggedPort | null)[] = [];
  for (const [nic, options] of nics.entries()) {
    if (options.switch === null) {
      ports.push(null);
      continue;
    }
    const cable = {
      address: options.switch,
      key: identity.key,
      pair: identity.pair,
      replicaId: identity.replicaId,
      epoch: identity.epoch,
      mac: macBytes(options.mac),
      nic,
      log: (message: string) => {
        process.stderr.write(`ft86: ${message}\n`);
      },
    };
    const port = await (start === 'starts' ? SwitchPort.connect(cable) : SwitchPort.plug(cable));
    port.onFrame = (data) => {
      input({ kind: 'packet', nic, data });
    };
    ports.push(port);
  }
  return ports;
}
