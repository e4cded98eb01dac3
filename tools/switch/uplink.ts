/** What every uplink of the switch is. */
import type { LearningBridge } from '../../hypervisor/network/learning-bridge.js';

/** A forwarded port as it is really bound. */
export interface BoundForward {
  readonly protocol: 'tcp' | 'udp';
  readonly host: string;
  readonly port: number;
  readonly guestIp: string;
  readonly guestPort: number;
}

/** Each kind adds its own. */
export interface UplinkCounters {
  readonly kind: 'dgram' | 'host' | 'passt' | 'tap';
}

export interface Uplink {
  readonly forwards: readonly BoundForward[];
  readonly counters: UplinkCounters;
  close(): Promise<void>;
}

/** What an uplink needs of the switch. */
export interface UplinkSurroundings {
  readonly bridge: LearningBridge;
  readonly nowMs: () => number;
  readonly log: (message: string) => void;
}
