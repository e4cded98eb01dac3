/* x87_operands.h - denormal operands of the x87 arithmetic that the engine computes itself.
 *
 *   pseudo-denormal (exponent field 0, integer bit 1) -> exponent field 1: the same value, which the engine's library knows
 *   a denormal or pseudo-denormal operand             -> DE, unless one is a NaN or the operation is invalid
 *
 * A register that is only read keeps its encoding. What is loaded into the engine's FT0 is classified when it is loaded.
 * Source: Intel SDM volume 1, 4.8.3.2 and table 8-3 (encodings), 4.9.2 (precedence), 8.5.2 (denormal operand). */
#ifndef FT86_X87_OPERANDS_H
#define FT86_X87_OPERANDS_H
#include "layout.h"
#include "x87.h"

enum x87_class { X87_ORDINARY, X87_DENORMAL, X87_NO_NUMBER, X87_NOTHING /* an empty register */ };

static inline struct x87_float *x87_register(CPUX86State *env, int number)
{
    unsigned top = FIELD(env, ENV_OFF_FPSTT, uint32_t);
    return &FIELD(env, ENV_OFF_FPREGS + FPREG_STRIDE * ((top + number) & 7), struct x87_float);
}

/* A register's value. In two parts: the processor waits for stores of parts that a load of all of it meets. */
static inline struct x87_float x87_value(const struct x87_float *x)
{
    return (struct x87_float){ x->significand, x->sign_exponent };
}

static inline void x87_put(struct x87_float *x, struct x87_float value)
{
    x->significand = value.significand;
    x->sign_exponent = value.sign_exponent;
}

static inline enum x87_class x87_class_of(struct x87_float x)
{
    unsigned exponent = x.sign_exponent & 0x7fff;
    if (exponent == 0)
        return x.significand ? X87_DENORMAL : X87_ORDINARY;
    if (!(x.significand >> 63))
        return X87_NO_NUMBER;
    return exponent == 0x7fff && x.significand << 1 ? X87_NO_NUMBER : X87_ORDINARY;
}

/* Of a number with so many bits of fraction and of exponent above them. */
static inline enum x87_class x87_class_of_bits(uint64_t bits, unsigned fraction, unsigned exponent_max)
{
    uint64_t rest = bits & ((UINT64_C(1) << fraction) - 1);
    unsigned exponent = (unsigned)(bits >> fraction) & exponent_max;
    if (rest == 0 || (exponent != 0 && exponent != exponent_max))
        return X87_ORDINARY;
    return exponent ? X87_NO_NUMBER : X87_DENORMAL;
}
static inline enum x87_class x87_class_of_single(uint32_t bits) { return x87_class_of_bits(bits, 23, 0xff); }
static inline enum x87_class x87_class_of_double(uint64_t bits) { return x87_class_of_bits(bits, 52, 0x7ff); }

static inline void x87_normalize(struct x87_float *x)
{
    if (!(x->sign_exponent & 0x7fff) && x->significand >> 63)
        x->sign_exponent |= 1;
}

static inline bool x87_denormal_counts(enum x87_class a, enum x87_class b)
{
    return a != X87_NO_NUMBER && b != X87_NO_NUMBER && (a == X87_DENORMAL || b == X87_DENORMAL);
}
#endif
