/**
 * The integer instructions of the i686, by what they do. Flags left undefined are the manual's.
 * Source: Intel SDM volume 2 (each instruction's "Flags Affected"), appendix A (opcode maps).
 */
import { readTable, type Template } from './template.js';

/** ADD OR ADC SBB AND SUB XOR CMP in all their forms. */
function arithmetic(): string {
  return [0, 1, 2, 3, 4, 5, 6, 7]
    .flatMap((operation) => {
      const hex = (low: number): string => (8 * operation + low).toString(16).padStart(2, '0');
      const flags = [1, 4, 6].includes(operation) ? ' u=A' : '';
      const lock = operation === 7 ? '' : ' lock';
      return [
        `${hex(0)} /r${lock}${flags}`,
        `${hex(1)} /r${lock}${flags}`,
        `${hex(2)} /r${flags}`,
        `${hex(3)} /r${flags}`,
        `${hex(4)} ib${flags}`,
        `${hex(5)} iz${flags}`,
        `{80,82,83} /${operation} ib${lock}${flags}`,
        `81 /${operation} iz${lock}${flags}`,
      ];
    })
    .join('\n');
}

export const INTEGER_TABLES = {
  arithmetic: readTable(arithmetic()),
  arithmeticMore: readTable(`
    {40,48} +r
    {fe,ff} {/0,/1} lock
    {84,85} /r u=A
    a8 ib u=A
    a9 iz u=A
    f6 {/0,/1} ib u=A
    f7 {/0,/1} iz u=A
    {f6,f7} {/2,/3} lock
    0f {b0,b1,c0,c1} /r lock
    0f c7 /1 mem lock
    {86,87} /r lock
    90 +r
    0f c8 +r only32
    {98,99}
    {f5,f8,f9,fc,fd}
    {9e,9f,d6}`),
  move: readTable(`
    {88,89,8a,8b} /r
    c6 /0 ib
    c7 /0 iz
    b0 +r ib
    b8 +r iz
    {a0,a1,a2,a3} ia
    8d /r mem
    0f {b6,b7,be,bf} /r
    d7`),
  conditional: readTable(`
    0f {40,41,42,43,44,45,46,47,48,49,4a,4b,4c,4d,4e,4f} /r
    0f {90,91,92,93,94,95,96,97,98,99,9a,9b,9c,9d,9e,9f} /0`),
  shift: readTable(`
    {c0,c1} {/0,/1} ib u=rotate
    {d0,d1} {/0,/1,/2,/3}
    {d2,d3} {/0,/1} u=rotate
    {c0,c1} {/2,/3} ib u=rotateCarry
    {d2,d3} {/2,/3} u=rotateCarry
    {c0,c1} {/4,/5,/6,/7} ib u=shift
    {d0,d1} {/4,/5,/6,/7} u=A
    {d2,d3} {/4,/5,/6,/7} u=shift
    0f {a4,ac} /r ib u=shiftDouble
    0f {a5,ad} /r no66 u=shiftDouble`),
  multiply: readTable(`
    {f6,f7} {/4,/5} u=SZAP
    {f6,f7} {/6,/7} u=OSZAPC
    69 /r iz u=SZAP
    6b /r ib u=SZAP
    0f af /r u=SZAP`),
  bits: readTable(`
    0f a3 /r u=OSAP
    0f {ab,b3,bb} /r lock u=OSAP
    0f ba /4 ib u=OSAP
    0f ba {/5,/6,/7} ib lock u=OSAP
    0f {bc,bd} /r u=OSAPC`),
  decimal: readTable(`
    {27,2f} u=O
    {37,3f} u=OSZP
    d4 ib u=OAC
    d5 ib u=OAC`),
  string: readTable('{a4,a5,a6,a7,aa,ab,ac,ad,ae,af}'),
  stack: readTable(`
    {50,58} +r
    68 iz
    6a ib
    ff /6
    8f /0
    {06,0e,16,1e}
    0f {a0,a8}
    {60,61}
    {9c,9d}
    c8 iw ib`),
  jump: readTable(`
    {70,71,72,73,74,75,76,77,78,79,7a,7b,7c,7d,7e,7f} rel8
    {e0,e1,e2,e3,eb} rel8
    0f {80,81,82,83,84,85,86,87,88,89,8a,8b,8c,8d,8e,8f} relz no66
    {e8,e9} relz no66
    {cc,ce}
    cd ib`),
  segment: readTable(`
    8e /s notReal
    8c /s
    {07,1f} notReal
    0f {a1,a9} notReal
    {c4,c5} /r mem notReal
    0f {b4,b5} /r mem notReal
    0f b2 /r mem only3
    62 /r mem
    63 /r
    0f {02,03} /r
    0f 00 {/0,/1,/4,/5}
    0f 00 {/2,/3} only3
    0f 01 {/0,/1,/4}
    0f 01 {/2,/3} mem only3
    {9a,ea} far notReal
    ff {/3,/5} mem only3`),
  privileged: readTable(`
    0f 06 notReal
    0f {08,09} notReal
    0f 01 /7 mem notReal
    0f 01 /6 reg only3
    0f {20,21,22,23} /r reg only3
    0f {30,32,33} only3
    f4 only3
    {fa,fb}
    {17} only3
    {cf,ca,cb} only3`),
  undefined: readTable(`
    0f {0b,04,05,07,0a,0c,24,25,26,27,34,35,36,37,aa}
    0f {b9,ff,78,79,7a,7b,a6,a7} /r
    0f 38 {00,01,04,08,0b,10,17,1c,20,28,30,37,3d,40,dc,f0,f1} /r
    0f 3a {08,0c,0e,0f,14,16,20,22,40,42,44,60,63,df} /r ib
    66 0f 38 {00,10,17,1c,20,28,30,37,3d,40,dc,82} /r no66
    66 0f 3a {08,0e,0f,14,16,20,22,40,44,60,63} /r ib no66
    {c4,c5} /r reg
    8f {/1,/2,/7}
    8c {/6,/7}
    8e {/1,/6,/7}
    c6 {/1,/5,/7} ib
    c7 {/1,/5,/7} iz
    {fe,ff} /7
    fe {/2,/3,/4,/5,/6}
    ff {/3,/5} reg
    8d /r reg
    {62,c4,c5} /r reg
    0f ba {/0,/1,/2,/3} ib
    0f 00 {/6,/7}
    0f {b2,b4,b5} /r reg
    0f c7 {/0,/2,/3,/4,/5,/6,/7}
    0f 01 c0
    0f 01 {c1,c8,c9,d0,d1,d8,df,f8,f9}
    0f {18,19,1a,1b,1c,1d,1e,1f} /r
    0f 0d /r
    0f ae {/4,/5,/6,/7}
    f3 0f {b8,bc,bd} /r
    f3 0f 2b /r
    f3 0f 01 /r only3
    f2 0f {d0,f0,12,7c} /r
    f3 0f {12,16} /r
    66 0f {7c,7d,d0} /r
    0f {71,72,73} {/0,/1,/3,/5,/7} ib
    f1`),
} satisfies Record<string, readonly Template[]>;
