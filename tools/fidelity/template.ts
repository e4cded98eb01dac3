/**
 * One line of an instruction table, read.
 *
 *   "0f a5 /r no67 u=shld"  opcode bytes, then
 *      /r        ModRM, any register           /0../7    ModRM with that digit     /s    ModRM with a segment register
 *      mem, reg  only that form of ModRM       +r        the last opcode byte plus a register number
 *      ib iw iz  immediate of 1, 2, or the operand's 2 or 4 bytes; i3 a byte from 0 to 7; ia an address; rel8, relz a jump forward; far
 *      lock      LOCK is allowed               no66      the operand-size prefix would change its meaning     only32    32-bit operands only
 *      u=...     flags it leaves undefined: letters of OSZAPC, or a rule of undefined-flags.ts
 *      al16      memory operands are best aligned
 *      only3     not in ring 0      notReal  not in real mode
 *
 * Source of the notation: Intel SDM volume 2, section 3.1.1.1.
 */
export type Immediate = 'i3' | 'ib' | 'iw' | 'iz' | 'ia' | 'rel8' | 'relz' | 'far';

export interface Template {
  /** The line itself: names the instruction in reports. */
  readonly text: string;
  readonly opcode: readonly number[];
  readonly plusRegister: boolean;
  readonly modrm: 'none' | 'any' | 'mem' | 'reg';
  /** The reg field: a fixed digit, any register, or a segment register. */
  readonly field: number | 'register' | 'segment';
  readonly immediates: readonly Immediate[];
  readonly words: ReadonlySet<string>;
  readonly undefinedFlags: string;
}

const IMMEDIATES = new Set<string>(['i3', 'ib', 'iw', 'iz', 'ia', 'rel8', 'relz', 'far']);

function readField(token: string): Template['field'] {
  if (token === '/r') return 'register';
  return token === '/s' ? 'segment' : Number(token.slice(1));
}

/** @throws Error when the line has no opcode */
export function readTemplate(text: string): Template {
  const tokens = text.split(/\s+/);
  const isOpcode = (token: string): boolean => /^[0-9a-f]{2}$/.test(token);
  const opcode = tokens.filter(isOpcode).map((token) => parseInt(token, 16));
  const slash = tokens.find((token) => token.startsWith('/'));
  const rest = tokens.filter((token) => !isOpcode(token));
  if (opcode.length === 0) throw new Error(`no opcode in "${text}"`);
  const form = rest.includes('mem') ? 'mem' : rest.includes('reg') ? 'reg' : 'any';
  return {
    text,
    opcode,
    plusRegister: rest.includes('+r'),
    modrm: slash === undefined ? 'none' : form,
    field: readField(slash ?? '/0'),
    immediates: rest.filter((token): token is Immediate => IMMEDIATES.has(token)),
    words: new Set(rest),
    undefinedFlags: rest.find((token) => token.startsWith('u='))?.slice(2) ?? '',
  };
}

/** Templates of a table: one a line, empty lines ignored, `{a,b,c}` stands for several lines. */
export function readTable(table: string): Template[] {
  const lines = table.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '').flatMap((line) => expand(line).map(readTemplate));
}

function expand(line: string): string[] {
  const found = /\{([^}]*)\}/.exec(line);
  if (found === null) return [line];
  const choices = found[1]!.split(',');
  return choices.flatMap((choice) =>
    expand(line.slice(0, found.index) + choice + line.slice(found.index + found[0].length)),
  );
}
