/**
 * The differences from QEMU that are understood. docs/fidelity.md lists the same, with the evidence; a test compares.
 *
 * A difference is known when one entry explains every field that differs. Each says who is wrong by the manual:
 * `qemu`, `ft86` (the CPU engine, as it stands), or `either` where the manual leaves it open or both are.
 */
import type { KnownDifference } from './difference.js';
import {
  checksAlignment,
  choosesNan,
  hasLock,
  hasPrefix,
  onlyBits,
  onlyFields,
  opcode,
  template,
  vector,
} from './difference.js';
import { isMonitorsStack, mayBreakSegment } from './segment-limits.js';
import { X87_DIFFERENCES } from './x87-differences.js';

const ONE_REGISTER = /^(e(ax|bx|cx|dx|si|di|bp|sp)|frame)$/;

const STACK_FAULT = 12;
const GENERAL_PROTECTION = 13;
const UNDEFINED_OPCODE = 6;
const PAGE_FAULT = 14;
const ALIGNMENT_CHECK = 17;
const PAGE_BYTES = 4096;

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    id: 'sti-trap',
    wrong: 'qemu',
    what: 'single-stepping STI: QEMU delivers no debug exception after it, so its record is missing and the next one is compared',
    source:
      'Intel SDM volume 3, 17.3.1.4: TF traps after each instruction; the STI shadow holds back interrupts only (volume 2, STI)',
    matches: (d) => /^fb\b/.test(template(d)),
  },
  {
    id: 'sysenter',
    wrong: 'qemu',
    what: 'SYSENTER and SYSEXIT on a processor without them: ft86 raises #UD, QEMU #GP',
    source: 'Intel SDM volume 2, SYSENTER: #UD if CPUID.01H:EDX.SEP is 0',
    matches: (d) => /^0f 3[45]/.test(template(d)) && vector(d) === UNDEFINED_OPCODE,
  },
  {
    id: 'group-11',
    wrong: 'qemu',
    what: 'C6, C7 and 8F with another digit than /0: ft86 raises #UD, QEMU moves or pops',
    source: 'Intel SDM volume 2, table A-6, groups 11 and 1A',
    matches: (d) => /^(c[67]|8f) \/[1-7r]/.test(template(d)) && vector(d) === UNDEFINED_OPCODE,
  },
  {
    id: 'icebp',
    wrong: 'qemu',
    what: 'ICEBP (F1): ft86 raises #DB behind it, QEMU #UD',
    source: 'Intel SDM volume 2, INT1',
    matches: (d) => opcode(d).startsWith('f1') && vector(d) === 1,
  },
  {
    id: 'lss-trap',
    wrong: 'either',
    what: 'single-stepping LSS: ft86 traps after it, QEMU after the next instruction',
    source: 'Intel SDM volume 3, 6.8.3: MOV SS and POP SS hold traps back, LSS does not have to',
    matches: (d) => template(d).startsWith('0f b2'),
  },
  {
    id: 'no-fpu-order',
    wrong: 'either',
    what: 'with CR0.TS or CR0.EM set: #NM for EMMS and for undefined MMX and SSE opcodes, where QEMU executes or raises #UD',
    source: 'Intel SDM volume 3, 2.5 and table 6-2; of two exceptions of one instruction the engine finds #NM first',
    matches: (d) => vector(d) === 7 && /^(66 |f[23] )?0f /.test(template(d)),
  },
  {
    id: 'bswap-16',
    wrong: 'either',
    what: 'BSWAP of a 16-bit register',
    source: 'Intel SDM volume 2, BSWAP: undefined',
    matches: (d) =>
      /^0fc[89a-f]/.test(opcode(d)) &&
      hasPrefix(d, 0x66) === ['user32', 'flat32', 'ring0'].includes(d.sequence.kind) &&
      onlyFields(d, ONE_REGISTER),
  },
  {
    id: 'pending-exception',
    wrong: 'qemu',
    what: 'a waiting x87 or MMX instruction with an unmasked exception pending: ft86 raises #MF, QEMU at FWAIT only',
    source: 'Intel SDM volume 1, 8.7.1 and 9.5.3',
    matches: (d) => vector(d) === 16 && /^(d[89a-f]|9b|.*0f )/.test(template(d)),
  },
  {
    id: 'simd-exception',
    wrong: 'qemu',
    what: 'an unmasked SSE exception: ft86 raises #XM (or #UD without CR4.OSXMMEXCPT), QEMU goes on',
    source: 'Intel SDM volume 1, 11.5.1 and 11.5.2',
    matches: (d) =>
      [19, UNDEFINED_OPCODE].includes(Number(vector(d))) && /al16|^(66|f[23]|) ?0f (2[acdef]|5\w|c2)/.test(template(d)),
  },
  {
    id: 'lock-prefix',
    wrong: 'qemu',
    what: 'a LOCK prefix before an instruction that does not take one, or without an operand in memory: ft86 raises #UD, QEMU often ignores the prefix',
    source: 'Intel SDM volume 2, LOCK',
    matches: (d) => hasLock(d) && d.vector === UNDEFINED_OPCODE,
  },
  {
    id: 'sse-alignment',
    wrong: 'qemu',
    what: 'a 16-byte operand in memory that is not aligned, of UNPCK, ANDPS to XORPS, CVT, SHUFPS, PSRA, PSLL and others: ft86 raises #GP, QEMU goes on',
    source: 'Intel SDM volume 2, 2.4 (exception types 2 and 4)',
    matches: (d) =>
      /^(66 0f (1[45]|2[cd]|5\w|c[26]|[d-f]\w)|0f (1[45]|5[1-9b-f]|c[26])|f3 0f 5b|f2 0f e6) \/r/.test(template(d)) &&
      vector(d) === GENERAL_PROTECTION,
  },
  {
    id: 'movdq2q',
    wrong: 'either',
    what: 'MOVDQ2Q, MOVQ2DQ and stores of MMX registers: sign and exponent of the x87 register behind an MMX register',
    source: 'Intel SDM volume 1, 9.6.2: all ones; the engine leaves them, QEMU clears them',
    matches: (d) => /^0fd6/.test(opcode(d)) && hasPrefix(d, 0xf2, 0xf3) && onlyFields(d, /^st\d$/),
  },
  {
    id: 'movdq2q-osfxsr',
    wrong: 'qemu',
    what: 'MOVDQ2Q and MOVQ2DQ with CR4.OSFXSR clear: ft86 raises #UD, QEMU moves',
    source: 'Intel SDM volume 3, 2.5 (OSFXSR)',
    matches: (d) => /^0fd6/.test(opcode(d)) && hasPrefix(d, 0xf2, 0xf3) && vector(d) === UNDEFINED_OPCODE,
  },
  {
    id: 'mmx-transition',
    wrong: 'qemu',
    what: 'an MMX instruction whose operand in memory faults, PEXTRW with LOCK, CVTPI2PS and CVTPI2PD from memory: ft86 leaves TOP and the tags, QEMU has reset them',
    source: 'Intel SDM volume 1, 9.6.1; volume 3, 6.5 (faults); volume 2, CVTPI2PS and CVTPI2PD',
    matches: (d) =>
      (/^(0f (2[acd]|[67d-f]\w|c4)|66 0f 2[acd]) /.test(template(d)) || (hasLock(d) && opcode(d).startsWith('0fc5'))) &&
      onlyFields(d, /^(fsw|ftw|st\d)$/) &&
      d.fields.every(({ name, ours }) => {
        const before = d.before?.values[name];
        // The monitor clears the exceptions of a #MF, not TOP.
        if (name === 'fsw' && before !== undefined) return ((Number(ours) ^ Number(before)) & 0x3800) === 0;
        return before === undefined || ours === before;
      }),
  },
  {
    id: 'emms',
    wrong: 'qemu',
    what: 'EMMS with CR0.EM set: ft86 raises #UD, QEMU executes',
    source: 'Intel SDM volume 2, EMMS',
    matches: (d) => /^0f 77/.test(template(d)) && vector(d) === UNDEFINED_OPCODE,
  },
  {
    id: 'half-operand',
    wrong: 'qemu',
    what: 'CVTPS2PD, CVTDQ2PD, CVTPS2PI and CVTTPS2PI from memory at the end of a page: QEMU reads 16 bytes instead of 8',
    source: 'Intel SDM volume 2, each instruction: m64',
    matches: (d) =>
      /^(0f (5a|2[cd])|f3 0f e6) \/r/.test(template(d)) &&
      d.fields.some(({ name, reference }) => name === 'vector' && reference === PAGE_FAULT),
  },
  {
    id: 'reciprocal',
    wrong: 'qemu',
    what: 'RCPSS, RCPPS, RSQRTSS, RSQRTPS of denormal numbers, and tiny results: ft86 takes them for 0 and gives 0',
    source: 'Intel SDM volume 2, RCPPS and RSQRTPS',
    matches: (d) => /^(f3 )?0f 5[23] \/r/.test(template(d)) && onlyFields(d, /^(xmm\d|mxcsr)$/),
  },
  {
    id: 'sse-nan',
    wrong: 'qemu',
    what: 'ADD, SUB, MUL and DIV of SSE with two NaNs: ft86 keeps the first, QEMU the one with the larger significand, as the x87 does',
    source: 'Intel SDM volume 1, 4.8.3.5 (table 4-7); test/emulator/arithmetic-exceptions.test.ts',
    matches: (d) =>
      /^((66|f2|f3) )?0f 5[89ce] /.test(template(d)) &&
      d.fields.every((field) => choosesNan(field, /^(66|f2)/.test(template(d)))),
  },
  {
    id: 'rdpmc',
    wrong: 'qemu',
    what: 'RDPMC in ring 0: ft86 has no counters and raises #GP, QEMU raises #UD',
    source: 'Intel SDM volume 2, RDPMC: #GP for a counter that is not there',
    matches: (d) => /^0f 33/.test(template(d)) && vector(d) === GENERAL_PROTECTION,
  },
  {
    id: 'rep-port',
    wrong: 'qemu',
    what: 'REP INS and OUTS with ECX 0 and a port that is not allowed: ft86 does nothing, QEMU raises #GP',
    source: 'Intel SDM volume 2, REP: with a count of 0 the string instruction is not executed',
    matches: (d) =>
      /^6[c-f]/.test(template(d)) &&
      hasPrefix(d, 0xf2, 0xf3) &&
      (Number(d.before?.values['ecx'] ?? 0) & 0xffff) === 0 &&
      d.fields.some(({ name, reference }) => name === 'vector' && reference === GENERAL_PROTECTION),
  },
  {
    id: 'qemu-ends',
    wrong: 'qemu',
    what: 'BTS, BTR and BTC of a register with LOCK, MOV of reserved bits to CR4: ft86 raises #UD or #GP, QEMU ends or stands still; single-stepping HLT: ft86 traps behind it, QEMU halts for ever',
    source: 'Intel SDM volume 2, LOCK and MOV to control registers; HLT: a debug exception ends it',
    matches: (d) =>
      onlyFields(d, /^finished$/) &&
      ((hasLock(d) && /^0f((ab|b3|bb)[c-f]|ba[ef])/.test(opcode(d))) || /^(0f22e[0-7]|f4)/.test(opcode(d))),
  },
  {
    id: 'segment-limit',
    wrong: 'qemu',
    what: 'an access beyond its segment’s limit or against its type: ft86 raises #GP(0) or #SS(0), QEMU goes on, or stores a part of it before a page fault',
    source: 'Intel SDM volume 3, 5.3 to 5.5; test/emulator/segments.test.ts',
    matches: (d) =>
      (d.limited && onlyFields(d, /^memory$/)) ||
      isMonitorsStack(d) ||
      ([STACK_FAULT, GENERAL_PROTECTION].includes(d.vector) &&
        d.fields.some(({ name }) => /^(vector|eip|error)$/.test(name)) &&
        d.fields.every(({ name, ours }) => name !== 'error' || ours === 0) &&
        mayBreakSegment(d)),
  },
  {
    id: 'arpl',
    wrong: 'qemu',
    what: 'ARPL of memory that changes nothing, on a page that may not be written: QEMU writes all the same',
    source:
      'Intel SDM volume 2, ARPL: the destination is written if its RPL is less; test/emulator/translate-values.test.ts',
    matches: (d) =>
      /^63\b/.test(template(d)) &&
      d.fields.some(({ name, reference }) => name === 'vector' && reference === PAGE_FAULT),
  },
  {
    id: 'gate-16',
    wrong: 'qemu',
    what: 'a gate of 16 bits whose upper word is not 0: ft86 takes 16 bits of its offset, QEMU 32',
    source: 'Intel SDM volume 3, 21.4: 16-bit gates have 16-bit offsets',
    matches: (d) =>
      /^(9a|c[cd]|ff \/3)/.test(template(d)) &&
      d.fields.every(({ name, ours, reference }) => name === 'eip' && ours === (Number(reference) & 0xffff)),
  },
  {
    id: 'stack-frame',
    wrong: 'qemu',
    what: 'PUSHA, POPA and ENTER that fault: ft86 leaves memory and registers as they were, QEMU has stored or loaded a part; ENTER that leads ESP to where a write would fault: ft86 faults, QEMU goes on',
    source: 'Intel SDM volume 2, PUSHA, POPA, ENTER; test/emulator/stack-frames.test.ts',
    matches: (d) =>
      /^(6[01]|c8)\b/.test(template(d)) &&
      (onlyFields(d, /^memory$/) || [STACK_FAULT, GENERAL_PROTECTION, PAGE_FAULT].includes(d.vector)),
  },
  {
    id: 'alignment-check',
    wrong: 'qemu',
    what: 'an operand that is not aligned, in ring 3 with CR0.AM and EFLAGS.AC: ft86 raises #AC, QEMU goes on',
    source: 'Intel SDM volume 3, 6.15 (interrupt 17); test/emulator/alignment.test.ts',
    matches: (d) => d.vector === ALIGNMENT_CHECK && checksAlignment(d),
  },
  {
    id: 'whole-store',
    wrong: 'qemu',
    what: 'MOVUPS, MOVUPD, MOVDQU, SGDT, SIDT, FXSAVE and stores of the FPU of more than 8 bytes whose second page faults: ft86 has stored nothing, QEMU a part, or all but the reserved end of FXSAVE; CMPXCHG8B of a page that it may not write: the error code of ft86 is a write, that of QEMU a read',
    source:
      'Intel SDM volume 3, 6.5 (faults); volume 2, CMPXCHG8B and FXSAVE (m512byte); test/emulator/whole-stores.test.ts',
    matches: (d) =>
      d.vector === PAGE_FAULT &&
      ((onlyFields(d, /^memory$/) && /^(0f(11|7f|01|ae)|(d9|db|dd)[37b])/.test(opcode(d))) ||
        (/^0fae[048][0-7]/.test(opcode(d)) &&
          d.fields.some(({ name, ours }) => name === 'cr2' && Number(ours) % PAGE_BYTES === 0)) ||
        (/^0fc7/.test(opcode(d)) && d.fields.every((field) => field.name === 'error' && onlyBits(field, 2)))),
  },
  {
    id: 'rotation-fault',
    wrong: 'qemu',
    what: 'RCL and RCR of memory that may be read and not written: ft86 pushes the flags from before the instruction, QEMU has CF and OF of after it, and takes those when it tries again',
    source: 'Intel SDM volume 3, 6.5 (faults); test/emulator/flags-at-faults.test.ts',
    matches: (d) =>
      [STACK_FAULT, GENERAL_PROTECTION, PAGE_FAULT].includes(d.vector) &&
      /^(c[01]|d[0-3]) \/[23]/.test(template(d)) &&
      d.fields.every((field) => field.name === 'eflags' && onlyBits(field, 0x801)),
  },
  {
    id: 'descriptor-accessed',
    wrong: 'qemu',
    what: 'LAR of a segment that a far transfer has loaded: ft86 has set its accessed bit, QEMU has not',
    source: 'Intel SDM volume 3, 3.4.5.1',
    matches: (d) =>
      /^0f02/.test(opcode(d)) && d.fields.every((field) => ONE_REGISTER.test(field.name) && onlyBits(field, 0x100)),
  },
  {
    id: 'iret-v86',
    wrong: 'qemu',
    what: 'IRET outside of ring 0 that pops EFLAGS with VM set: ft86 stays in protected mode, QEMU enters virtual 8086 mode',
    source: 'Intel SDM volume 2, IRET: RETURN-TO-VIRTUAL-8086-MODE if VM is set and CPL is 0',
    matches: (d) => /^cf\b/.test(template(d)) && d.fields.some(({ name, ours }) => name === 'v86es' && ours === '-'),
  },
  {
    id: 'undefined-flags-shadow',
    wrong: 'either',
    what: 'flags that the manual leaves undefined, of an instruction that ran without a trap of its own',
    source: 'Intel SDM volume 2, "Flags Affected" (undefined-flags.ts); seen one record later',
    matches: (d) =>
      d.placed?.instruction.undefinedFlags !== '' && d.fields.every((f) => f.name === 'eflags' && onlyBits(f, 0x8d5)),
  },
  {
    id: 'empty-port',
    wrong: 'either',
    what: 'IN from a port without a device: ones in ft86, zeros in QEMU for some',
    source: 'the PC: a floating bus reads ones',
    matches: (d) => /^(e[45cd]|6[cd])/.test(template(d)) && onlyFields(d, /^(eax|memory)$/),
  },
  {
    id: 'fpu-environment',
    wrong: 'either',
    what: 'FSAVE, FSTENV, FXSAVE: the pointers to the last instruction and operand, which neither keeps alike',
    source: 'Intel SDM volume 1, 8.1.8; seen as another digest of the memory',
    matches: (d) => onlyFields(d, /^memory$/) && /^(d9|dd|0f ae|9b)/.test(template(d)),
  },
  ...X87_DIFFERENCES,
];
