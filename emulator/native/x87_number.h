/* x87_number.h - operands, NaN rules and rounding, shared by the x87 operations; not for callers. */
#ifndef FT86_X87_NUMBER_H
#define FT86_X87_NUMBER_H
#include "x87.h"
#include "x87_wide.h"

#define X87_BIAS 16383
#define X87_EXPONENT 0x7fffu
#define X87_SIGN 0x8000u
#define X87_INTEGER_BIT (UINT64_C(1) << 63)

enum x87_kind { X87_ZERO, X87_FINITE, X87_INFINITE };

/* A decoded operand that is not a NaN. value.m has at most 64 bits in its upper half. */
struct x87_number {
    enum x87_kind kind;
    bool denormal;
    struct wide value;
};

/* Decode operands. False: one is a NaN or an unsupported encoding, and *r is the result. */
bool x87_take(struct x87_float x, struct x87_number *n, struct x87_result *r);
bool x87_take_two(struct x87_float x, struct x87_float y, struct x87_number *nx, struct x87_number *ny,
                  struct x87_result *r);
/* Note denormal operands. True: that exception is unmasked and nothing is computed. */
bool x87_denormal(unsigned control, bool denormal, struct x87_result *r);
void x87_invalid(struct x87_result *r);
void x87_divide_by_zero(bool negative, struct x87_result *r);

struct x87_float x87_zero(bool negative);
struct x87_float x87_infinity(bool negative);

struct x87_rounded {
    uint64_t significand;
    bool inexact, up, carry;             /* up: away from zero; carry: to the next power of two */
};

/* Bits of a significand by the precision control, which a control word with X87_ALL_BITS does not shorten. */
#define X87_ALL_BITS 0x300u
static inline unsigned x87_precision(unsigned control)
{
    unsigned field = control & X87_ALL_BITS;
    return field == 0 ? 24 : field == 0x200 ? 53 : 64;
}

/* The upper half of m by the control word's precision and rounding. The lowest bit of m is 1 if more would follow, here and below. */
static inline struct x87_rounded x87_round_significand(unsigned control, u128 m, bool negative)
{
    unsigned bits = x87_precision(control);
    uint64_t kept = (uint64_t)(m >> 64), rest = (uint64_t)m, unit = UINT64_C(1) << (64 - bits);
    if (bits < 64) {
        rest = kept << bits | (rest != 0);
        kept &= ~(unit - 1);
    }
    struct x87_rounded q = { kept, rest != 0, false, false };
    switch (control >> X87_ROUND_SHIFT & 3) {
    case X87_NEAREST:
        q.up = rest > X87_INTEGER_BIT || (rest == X87_INTEGER_BIT && (kept & unit));
        break;
    case X87_DOWN:
        q.up = q.inexact && negative;
        break;
    case X87_UP:
        q.up = q.inexact && !negative;
        break;
    default:
        break;
    }
    q.significand += q.up ? unit : 0;
    q.carry = q.up && q.significand == 0;
    return q;
}

/* m * 2^(exponent-127), its top bit set, in the 80-bit format by the same. Adds exceptions and C1 to the status. */
void x87_round_to(unsigned control, u128 m, int exponent, bool negative, struct x87_result *r);
/* Round to 64 bits. exact: w is the value itself; else the value lies between w and the next
 * 128-bit number away from zero. Adds exceptions and C1 to *status. */
struct x87_float x87_round(unsigned control, struct wide w, bool exact, unsigned *status);
#endif
