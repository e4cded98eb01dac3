/**
 * A program on ft86's own processor.
 */
import { HOLE_END, HOLE_START } from '../../emulator/guest-ram.js';
import { Vcpu, type VcpuExit } from '../../emulator/vcpu.js';
import { LAYOUT } from './layout.js';
import type { Program } from './program.js';

/** More than any program runs; a monitor that goes astray ends here. */
const INSTRUCTIONS_MAX = 2_000_000_000;
const ROM_ADDRESS = 0xf0000;

/** A vcpu with the program in its RAM, before its first instruction. Ports are empty but for the monitor's two. */
export function loadOurs(program: Program): Vcpu {
  let vcpu: Vcpu | undefined = undefined;
  const created = new Vcpu({
    ramBytes: LAYOUT.RAM_BYTES,
    bus: {
      portIn: () => 0xffffffff,
      portOut: (port) => {
        if (port === LAYOUT.MARK_PORT || port === LAYOUT.FINISH_PORT) vcpu?.requestExit();
      },
      memoryRead: () => 0xffffffff,
      memoryWrite: () => undefined,
    },
  });
  vcpu = created;
  created.ram.write(0, program.image.subarray(0, HOLE_START));
  created.ram.write(HOLE_END, program.image.subarray(HOLE_END));
  created.ram.write(ROM_ADDRESS, program.rom);
  return created;
}

/** Run to the end. @returns false when the program never gets there */
export function runOurs(vcpu: Vcpu): { readonly finished: boolean; readonly exit: VcpuExit } {
  const exit = vcpu.run(INSTRUCTIONS_MAX);
  return { finished: exit === 'requested', exit };
}
