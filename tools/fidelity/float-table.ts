/**
 * x87, MMX, SSE and SSE2 instructions. The x87 opcodes take any ModRM byte: each is an instruction, or undefined.
 * Source: Intel SDM volume 2, appendix A, tables.
 */
import { readTable, type Template } from './template.js';

export const FLOAT_TABLES = {
  x87Memory: readTable('{d8,d9,da,db,dc,dd,de,df} /r mem'),
  x87Register: readTable(`
    {d8,dc,de,da,db,dd,df} /r reg
    d9 {/0,/1,/2,/3} reg
    d9 {e0,e1,e4,e5,e8,e9,ea,eb,ec,ed,ee,ef,f4,f6,f7,fa,fc,f5,f8,fd}
    9b`),
  x87Transcendental: readTable('d9 {f0,f1,f2,f3,f9,fb,fe,ff}'),
  mmx: readTable(`
    0f {60,61,62,63,64,65,66,67,68,69,6a,6b,6e,6f,74,75,76,7e,7f} /r no66
    0f {d1,d2,d3,d5,d8,d9,db,dc,dd,df,e1,e2,e5,e8,e9,eb,ec,ed,ef} /r no66
    0f {f1,f2,f3,f5,f8,f9,fa,fc,fd,fe} /r no66
    0f {71,72} {/2,/4,/6} reg ib no66
    0f 73 {/2,/6} reg ib no66
    0f 77 no66
    0f {d4,da,de,e0,e3,e4,ea,ee,f4,f6,fb} /r no66
    0f 70 /r ib no66
    0f c4 /r ib no66
    0f c5 /r reg ib no66
    0f {d7,f7} /r reg no66
    0f e7 /r mem no66`),
  sse: readTable(`
    0f {10,11,14,15,28,29,2e,2f,51,52,53,54,55,56,57,58,59,5b,5c,5d,5e,5f} /r al16 no66
    0f {12,13,16,17,2b} /r mem al16 no66
    0f {12,16,50} /r reg no66
    0f {2a,2c,2d,5a} /r al16 no66
    f3 0f {10,11,2a,2c,2d,51,52,53,58,59,5a,5b,5c,5d,5e,5f} /r al16 no66
    f3 0f c2 /r i3 no66
    0f c2 /r i3 al16 no66
    0f c6 /r ib al16 no66
    0f ae {/2,/3} mem no66
    0f ae {/0,/1} mem al16 no66
    0f ae {/5,/6,/7} reg no66
    0f c3 /r mem no66`),
  sse2: readTable(`
    66 0f {10,11,14,15,28,29,2e,2f,51,54,55,56,57,58,59,5a,5b,5c,5d,5e,5f} /r al16 no66
    66 0f {12,13,16,17,2b,e7} /r mem al16 no66
    66 0f {2a,2c,2d,e6} /r al16 no66
    f2 0f {10,11,2a,2c,2d,51,58,59,5a,5c,5d,5e,5f,e6} /r al16 no66
    f3 0f e6 /r no66
    f2 0f c2 /r i3 no66
    66 0f c2 /r i3 al16 no66
    66 0f c6 /r ib al16 no66
    66 0f {60,61,62,63,64,65,66,67,68,69,6a,6b,6c,6d,6e,6f,74,75,76,7e,7f} /r al16 no66
    66 0f {d1,d2,d3,d4,d5,d6,d8,d9,da,db,dc,dd,de,df} /r al16 no66
    66 0f {e0,e1,e2,e3,e4,e5,e8,e9,ea,eb,ec,ed,ee,ef} /r al16 no66
    66 0f {f1,f2,f3,f4,f5,f6,f8,f9,fa,fb,fc,fd,fe} /r al16 no66
    f3 0f {6f,7e,7f} /r al16 no66
    f3 0f d6 /r reg no66
    f2 0f d6 /r reg no66
    66 0f {71,72} {/2,/4,/6} reg ib no66
    66 0f 73 {/2,/3,/6,/7} reg ib no66
    66 0f 70 /r ib al16 no66
    {f2,f3} 0f 70 /r ib al16 no66
    66 0f c4 /r ib no66
    66 0f c5 /r reg ib no66
    66 0f {50,d7,f7} /r reg no66`),
} satisfies Record<string, readonly Template[]>;
