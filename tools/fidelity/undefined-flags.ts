/**
 * Which flags an instruction leaves undefined: those are not compared.
 *
 * | rule           | instructions                 | undefined flags                                                  | Intel SDM volume 2 |
 * |----------------|------------------------------|------------------------------------------------------------------|--------------------|
 * | `A`            | AND OR XOR TEST; shifts by 1 | AF                                                               | AND, SAL           |
 * | `shift`        | SAL SHL SHR SAR, count != 0  | AF; OF unless the count is 1; CF from the operand's size on      | SAL/SAR/SHL/SHR    |
 * | `rotate`       | ROL ROR, count != 0          | OF unless the count is 1                                         | RCL/RCR/ROL/ROR    |
 * | `rotateCarry`  | RCL RCR, count != 0          | OF unless the count is 1                                         | RCL/RCR/ROL/ROR    |
 * | `shiftDouble`  | SHLD SHRD, count != 0        | AF; OF unless the count is 1; all, and the destination, beyond the operand's size | SHLD, SHRD |
 * | `SZAP`         | MUL IMUL                     | SF ZF AF PF                                                      | MUL, IMUL          |
 * | `OSZAPC`       | DIV IDIV                     | all                                                              | DIV, IDIV          |
 * | `OSAP`         | BT BTS BTR BTC               | OF SF AF PF                                                      | BT                 |
 * | `OSAPC`        | BSF BSR                      | OF SF AF PF CF (and the destination, if the source is 0)         | BSF, BSR           |
 * | `O`            | DAA DAS                      | OF                                                               | DAA, DAS           |
 * | `OSZP`         | AAA AAS                      | OF SF ZF PF                                                      | AAA, AAS           |
 * | `OAC`          | AAM AAD                      | OF AF CF                                                         | AAM, AAD           |
 */
const FLAGS: Readonly<Record<string, number>> = { O: 0x800, S: 0x80, Z: 0x40, A: 0x10, P: 4, C: 1 };
const ALL = 0x8d5;

/**
 * Mask of the flags left undefined by an instruction with this rule. `count` is a shift's count before masking,
 * `operandBits` its operand's size.
 */
export function undefinedFlags(rule: string, count: number, operandBits: number): number {
  const masked = count & 31;
  switch (rule) {
    case 'shift':
      if (masked === 0) return 0;
      return 0x10 | (masked === 1 ? 0 : 0x800) | (masked >= operandBits ? 1 : 0);
    case 'rotate':
    case 'rotateCarry':
      return masked === 1 || masked === 0 ? 0 : 0x800;
    case 'shiftDouble':
      if (masked === 0) return 0;
      return masked > operandBits ? ALL : 0x10 | (masked === 1 ? 0 : 0x800);
    default:
      return Array.from(rule).reduce((mask, letter) => mask | (FLAGS[letter] ?? 0), 0);
  }
}
