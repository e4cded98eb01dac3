/** A machine at its first instruction: image loaded, firmware's work done, registers set. */
import type { Registers } from '../../emulator/vcpu.js';
import { ConfigError } from '../../emulator/errors.js';
import { initialRate } from '../../hypervisor/ft/clock-policy.js';
import { placeFirmwareShadow } from '../../hypervisor/loader/firmware.js';
import { loadImage } from '../../hypervisor/loader/image.js';
import type { InitialCpuState } from '../../hypervisor/loader/initial-state.js';
import { Machine } from '../../hypervisor/machine/machine.js';
import { RunCutter } from '../../hypervisor/machine/run-cutter.js';
import type { MachinePlan, MachineStart } from './machine-options.js';
import { restoreSnapshot } from './restore-snapshot.js';

/** @throws ConfigError when the image does not fit this machine or is damaged, DecodeError when a snapshot is */
export function powerOn(plan: MachinePlan): Machine {
  const machine =
    plan.start.kind === 'snapshot' ? restoreSnapshot(plan.start.path) : firstInstruction(plan, plan.start);
  if (plan.stress !== null) machine.setCutter(new RunCutter(plan.stress));
  return machine;
}

function firstInstruction(plan: MachinePlan, start: Exclude<MachineStart, { kind: 'snapshot' }>): Machine {
  const { config } = plan;
  const machine = new Machine(config, initialRate(config.clock), () => undefined, plan.blobs);
  const { ram } = machine.vcpu;
  if (start.kind === 'firmware') {
    placeFirmwareShadow(start.bios, ram);
    return machine;
  }
  const initial = loadImage(
    {
      bytes: start.bytes,
      memoryBytes: config.memoryBytes,
      append: config.append,
      modules: plan.modules,
      initrd: plan.initrd,
      payload: plan.payload,
      name: config.image,
      pciInterrupts: machine.board.pciInterrupts(),
      ...(plan.format === 'flat' ? { format: 'flat' as const } : {}),
    },
    ram,
  );
  machine.vcpu.setRegisters(registersOf(machine.registers(), initial));
  // No firmware runs on a kernel given directly, so what it would have assigned is assigned here.
  machine.board.assignResources();
  return machine;
}

function registersOf(reset: Registers, initial: InitialCpuState): Registers {
  const { mode: _mode, gdt, idt, ...named } = initial;
  return {
    ...reset,
    ...named,
    gdtBase: gdt.base,
    gdtLimit: gdt.limit,
    idtBase: idt.base,
    idtLimit: idt.limit,
  };
}

/** Refuse drives whose size is not what the machine believes. @throws ConfigError */
export function checkDrives(machine: { readonly config: MachinePlan['config'] }, sectors: readonly number[]): void {
  const wanted = machine.config.drives;
  if (sectors.length !== wanted.length) {
    throw new ConfigError('--drive', `${sectors.length} given`, `the machine has ${wanted.length}`);
  }
  wanted.forEach((drive, i) => {
    if (sectors[i] !== drive.sectors) {
      throw new ConfigError('--drive', `number ${i}`, `has ${sectors[i]} sectors, the machine's has ${drive.sectors}`);
    }
  });
}
