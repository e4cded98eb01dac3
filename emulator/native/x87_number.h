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

/* Round to the 80-bit format. exact: w is the value itself; else the value lies between w and the next
 * 128-bit number away from zero. Adds exceptions and C1 to *status. */
struct x87_float x87_round(unsigned control, struct wide w, bool exact, unsigned *status);
#endif
