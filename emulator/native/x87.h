/* x87.h - the FPU instructions the engine would leave to the host's C library, in integer arithmetic.
 *
 *   engine --(--wrap)--> x87_stack.c   registers, tags, stack faults, pending exceptions (those of x87_arithmetic.c and of what
 *                        |             the engine does: x87_status.c, x87_moves.c, x87_stores.c)
 *                          x87_arithmetic.c   FADD FSUB FMUL FDIV FSQRT FRNDINT FCOM
 *                          x87_trig.c      FSIN FCOS FSINCOS FPTAN
 *                          x87_log.c       FYL2X FYL2XP1        x87_atan.c   FPATAN
 *                          x87_exp.c       F2XM1                x87_exact.c  FPREM FPREM1 FXTRACT FSCALE
 *                          x87_decimal.c  FBSTP
 *                            x87_number.c    operands, NaN rules, rounding
 *                              x87_wide.h      128-bit significands; x87_tables.h   constants
 *
 * Each operation is a pure function of its operands and the control word: no floating-point instruction
 * of the host, no state, no C library. So two hosts get the same bits, whatever their processor, compiler
 * and libm. Results are rounded from about 120 correct bits, those of x87_arithmetic.c and x87_exact.c once from the exact ones, in the
 * direction of the rounding control; precision control applies to the former but FRNDINT only.
 * Source: Intel SDM volume 1, sections 8.3.7 to 8.3.10, 8.5 and table 4-7; volume 2, each instruction. */
#ifndef FT86_X87_H
#define FT86_X87_H
#include <stdbool.h>
#include <stdint.h>

/* The 80-bit format: the significand has an explicit integer bit. */
struct x87_float {
    uint64_t significand;
    uint16_t sign_exponent;
};

#define X87_QUIET_BIT (UINT64_C(1) << 62) /* of a NaN */

enum {
    X87_IE = 0x01, X87_DE = 0x02, X87_ZE = 0x04, X87_OE = 0x08, X87_UE = 0x10, X87_PE = 0x20, /* as in the control word */
    X87_EXCEPTIONS = 0x3f,
    X87_SF = 0x40,                       /* stack fault */
    X87_ES = 0x80,                       /* an unmasked exception waits */
    X87_C0 = 0x100, X87_C1 = 0x200, X87_C2 = 0x400, X87_C3 = 0x4000,
    X87_BUSY = 0x8000,
    X87_BEFORE = X87_IE | X87_DE | X87_ZE, /* unmasked, these leave the operands as they were */
    X87_ROUND_SHIFT = 10,
    X87_SUMMARY = 0x10000,               /* no control word */
};
enum { X87_NEAREST, X87_DOWN, X87_UP, X87_CHOP };

struct x87_result {
    struct x87_float value;              /* takes the place of the operands */
    struct x87_float pushed;             /* FSINCOS, FPTAN, FXTRACT: what lies on top of it */
    unsigned status;                     /* exceptions and condition codes; the other bits are 0 */
};

typedef void x87_unary(unsigned control, struct x87_float x, struct x87_result *r);
/* x is ST(0), y is ST(1) */
typedef void x87_binary(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r);

x87_unary x87_square_root, x87_to_integer;
x87_binary x87_add, x87_subtract, x87_multiply, x87_divide;
x87_unary x87_fsin, x87_fcos, x87_fsincos, x87_fptan, x87_f2xm1, x87_fxtract;
x87_binary x87_fpatan, x87_fyl2x, x87_fyl2xp1, x87_fprem, x87_fprem1, x87_fscale;

/* FCOM. Gives the exceptions; the conditions are C0 (x is less), C3 (equal), 0 (greater), or C0, C2 and C3 (unordered).
 * quiet: a quiet NaN is not invalid. */
unsigned x87_compare(struct x87_float x, struct x87_float y, bool quiet, unsigned *conditions);

/* FBSTP: 18 decimal digits, two a byte, and the sign. Gives the exceptions and C1. */
#define X87_DECIMAL_BYTES 10
unsigned x87_to_decimal(unsigned control, struct x87_float x, uint8_t decimal[X87_DECIMAL_BYTES]);

extern const struct x87_float x87_indefinite, x87_one;
#endif
