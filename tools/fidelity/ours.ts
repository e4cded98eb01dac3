/**
 * A program on ft86's own processor.
 */
import { HOLE_END, HOLE_START } from '../../emulator/guest-ram.js';
import { Vcpu, type Registers, type VcpuExit } from '../../emulator/vcpu.js';
import { LAYOUT } from './layout.js';
import type { Program } from './program.js';

/** More than any program runs; a monitor that goes astray ends here. */
const INSTRUCTIONS_MAX = 500_000_000;

/** Flags of flat 32-bit segments as the processor keeps them: accessed, readable or writable, DPL 0, 4 GiB. */
const FLAT_CODE = 0xcf9b00;
const FLAT_DATA = 0xcf9300;

/** What reset.S leaves when it jumps to the monitor. */
function atMonitor(vcpu: Vcpu): Registers {
  const data = { selector: LAYOUT.MONITOR_DATA, base: 0, limit: 0xffffffff, flags: FLAT_DATA };
  return {
    ...vcpu.getRegisters(),
    eip: LAYOUT.MONITOR,
    cr0: LAYOUT.BASE_CR0,
    cs: { ...data, selector: LAYOUT.MONITOR_CODE, flags: FLAT_CODE },
    ...{ ds: data, es: data, ss: data, fs: data, gs: data },
    ...{ gdtBase: LAYOUT.GDT, gdtLimit: LAYOUT.GDT_BYTES - 1 },
  };
}

/** A vcpu with the program in its RAM, at the monitor's first instruction. Ports are empty but for the monitor's two. */
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
  created.setRegisters(atMonitor(created));
  return created;
}

/** Run to the end. @returns false when the program never gets there */
export function runOurs(vcpu: Vcpu): { readonly finished: boolean; readonly exit: VcpuExit } {
  const exit = vcpu.run(INSTRUCTIONS_MAX);
  return { finished: exit === 'requested', exit };
}
