/** Opens the uplink that a text of `--uplink` asks for. */
import { DgramUplink } from './dgram-uplink.js';
import { HostUplink } from './host-uplink.js';
import { PasstUplink } from './passt-uplink.js';
import { TapUplink } from './tap-uplink.js';
import type { UplinkSpec } from './uplink-spec.js';
import type { Uplink, UplinkSurroundings } from './uplink.js';

/** @throws ConfigError, ReplicaError with one line for the user */
export async function openUplink(spec: UplinkSpec, surroundings: UplinkSurroundings): Promise<Uplink> {
  switch (spec.kind) {
    case 'dgram':
      return new DgramUplink(spec, surroundings);
    case 'host':
      return new HostUplink(spec, surroundings);
    case 'passt':
      return PasstUplink.open(spec, surroundings);
    case 'tap':
      return new TapUplink(spec, surroundings);
  }
}
