/** A machine at its first instruction: image loaded, firmware's work done, registers set. */
import type { Registers } from '../../emulator/vcpu.js';
import { ConfigError } from '../../emulator/errors.js';
import { initialRate } from '../../hypervisor/ft/clock-policy.js';
import { loadImage } from '../../hypervisor/loader/image.js';
import type { InitialCpuState } from '../../hypervisor/loader/initial-state.js';
import { Machine } from '../../hypervisor/machine/machine.js';
import type { MachinePlan } from './machine-options.js';

/** @throws ConfigError when the image does not fit this machine or is damaged */
export function powerOn(plan: MachinePlan): Machine {
  const machine = new Machine(plan.config, initialRate(plan.config.clock), () => undefined);
  const initial = loadImage(
    {
      bytes: plan.imageBytes,
      memoryBytes: plan.config.memoryBytes,
      append: plan.config.append,
      modules: plan.modules,
      initrd: plan.initrd,
      payload: plan.payload,
      name: plan.config.image,
      ...(plan.format === 'flat' ? { format: 'flat' as const } : {}),
    },
    machine.vcpu.ram,
  );
  machine.vcpu.setRegisters(registersOf(machine.registers(), initial));
  // No firmware runs on a kernel given directly, so what it would have assigned is assigned here.
  machine.board.pci.assignResources();
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
