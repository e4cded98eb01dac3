/* Selectors that chaos adds to the runtime's, for C and for the assembler. */
#pragma once

#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_ABSENT_DATA 0x30  /* not present */
#define SEL_ABSENT_CODE 0x38  /* not present */
#define SEL_EXECUTE_ONLY 0x40 /* code that cannot be read */
#define SEL_BASED 0x48        /* data, DPL 3, base is set by whoever uses it */
#define SEL_CODE16 0x50       /* 16-bit code */
#define SEL_CALL_GATE 0x58    /* DPL 3, to ring 0, two parameters */
#define SEL_LDT 0x60
#define SEL_CODE1 0x68        /* ring 1 */
#define SEL_DATA1 0x70
#define SEL_CALL_GATE1 0x78   /* DPL 3, to ring 1 */
#define SEL_READ_ONLY 0x80    /* data, not writable */
#define SEL_BEYOND 0x1f8      /* behind the end of the GDT */
#define SEL_USER_CODE 0x1b
#define SEL_USER_DATA 0x23
