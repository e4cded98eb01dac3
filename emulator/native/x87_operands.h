/* x87_operands.h - operands of the x87 arithmetic: registers, numbers of other formats, denormal ones.
 *
 * Numbers of 32 and 64 bits become ones of 80 without loss; their class tells afterwards what they were, since a denormal one of them is
 * a normal one of 80 bits.
 * Source: Intel SDM volume 1, 4.2.2, 4.8.3 and tables 4-3 and 8-3 (encodings), 8.5.2 (denormal operand). */
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

/* A number of 64 bits in 80; a signalling NaN stays one. */
static inline struct x87_float x87_of_double(uint64_t bits)
{
    uint64_t fraction = bits << 12 >> 1;
    unsigned exponent = (unsigned)(bits >> 52) & 0x7ff, sign = (unsigned)(bits >> 63) << 15;
    if (__builtin_expect(exponent == 0, false)) {
        unsigned zeros = fraction ? (unsigned)__builtin_clzll(fraction) : 0;
        return (struct x87_float){ fraction << zeros, (uint16_t)(sign | (fraction ? 0x3fff - 0x3fe - zeros : 0)) };
    }
    exponent = exponent == 0x7ff ? 0x7fff : exponent + 0x3fff - 0x3ff;
    return (struct x87_float){ fraction | UINT64_C(1) << 63, (uint16_t)(sign | exponent) };
}

static inline struct x87_float x87_of_single(uint32_t bits)
{
    uint64_t fraction = (uint64_t)bits << 41 >> 1;
    unsigned exponent = bits >> 23 & 0xff, sign = bits >> 31 << 15;
    if (__builtin_expect(exponent == 0, false)) {
        unsigned zeros = fraction ? (unsigned)__builtin_clzll(fraction) : 0;
        return (struct x87_float){ fraction << zeros, (uint16_t)(sign | (fraction ? 0x3fff - 0x7e - zeros : 0)) };
    }
    exponent = exponent == 0xff ? 0x7fff : exponent + 0x3fff - 0x7f;
    return (struct x87_float){ fraction | UINT64_C(1) << 63, (uint16_t)(sign | exponent) };
}

static inline struct x87_float x87_of_integer(int32_t value)
{
    uint64_t size = value < 0 ? (uint64_t)-(int64_t)value : (uint64_t)value;
    unsigned zeros = size ? (unsigned)__builtin_clzll(size) : 0;
    return (struct x87_float){ size << zeros, (uint16_t)((value < 0 ? 0x8000u : 0) | (size ? 0x3fff + 63 - zeros : 0)) };
}
#endif
