/* x87_wide.h - numbers with 128-bit significands, for intermediate results.
 *
 *   struct wide   value = (-1)^negative * m * 2^(exponent-127); m has its top bit set, or is 0
 *   fraction      value = f / 2^128, 0 <= f < 1 (a plain u128)
 *
 * Every operation truncates: the magnitude is never too large and at most 2^-126 of itself too small. */
#ifndef FT86_X87_WIDE_H
#define FT86_X87_WIDE_H
#include <stdbool.h>
#include <stdint.h>

typedef unsigned __int128 u128;
#define U128(high, low) ((u128)(high) << 64 | (low))

struct wide {
    u128 m;
    int exponent;
    bool negative;
};

static inline int clz128(u128 v)
{
    uint64_t high = (uint64_t)(v >> 64);
    return high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)v);
}

/* v * 2^(exponent-127); v need not be normalised. */
static inline struct wide wide_of(u128 v, int exponent, bool negative)
{
    int shift = v ? clz128(v) : 0;
    return (struct wide){ v << shift, exponent - shift, negative };
}

static inline struct wide wide_of_fraction(u128 f) { return wide_of(f, -1, false); }

/* The value as a fraction; it must be below 1. */
static inline u128 fraction_of(struct wide w)
{
    int shift = -1 - w.exponent;
    return shift > 127 ? 0 : w.m >> shift;
}

static inline u128 multiply_high(u128 a, u128 b, u128 *low)
{
    uint64_t a1 = (uint64_t)(a >> 64), a0 = (uint64_t)a, b1 = (uint64_t)(b >> 64), b0 = (uint64_t)b;
    u128 p00 = (u128)a0 * b0, p01 = (u128)a0 * b1, p10 = (u128)a1 * b0;
    u128 middle = (p00 >> 64) + (uint64_t)p01 + (uint64_t)p10;
    *low = middle << 64 | (uint64_t)p00;
    return (u128)a1 * b1 + (p01 >> 64) + (p10 >> 64) + (middle >> 64);
}

static inline u128 fraction_multiply(u128 a, u128 b)
{
    u128 low;
    return multiply_high(a, b, &low);
}

static inline struct wide wide_multiply(struct wide a, struct wide b)
{
    u128 low, high = multiply_high(a.m, b.m, &low);
    int exponent = a.exponent + b.exponent + 1;
    if (high && !(high >> 127)) {
        high = high << 1 | low >> 127;
        exponent--;
    }
    return (struct wide){ high, exponent, a.negative != b.negative };
}

/* One digit of a long division to base 2^64: (r:next) / b for r < b, b with its top bit set. */
static inline uint64_t divide_digit(u128 *r, uint64_t next, u128 b)
{
    uint64_t b1 = (uint64_t)(b >> 64), b0 = (uint64_t)b;
    u128 digit = *r / b1, rest = *r - digit * b1;
    while (digit >> 64 || digit * b0 > (rest << 64 | next)) {
        digit--;
        rest += b1;
        if (rest >> 64)
            break;
    }
    *r = (*r << 64 | next) - digit * b;
    return (uint64_t)digit;
}

/* a / b, both not 0. *exact: nothing was cut off. */
static inline struct wide wide_divide(struct wide a, struct wide b, bool *exact)
{
    bool below = a.m < b.m;
    u128 r = below ? a.m : a.m >> 1;
    uint64_t next = below ? 0 : (uint64_t)a.m << 63;
    uint64_t high = divide_digit(&r, next, b.m);
    uint64_t low = divide_digit(&r, 0, b.m);
    *exact = r == 0;
    return (struct wide){ U128(high, low), a.exponent - b.exponent - below, a.negative != b.negative };
}

static inline void wide_larger_first(struct wide *a, struct wide *b)
{
    if (b->exponent < a->exponent || (b->exponent == a->exponent && b->m <= a->m))
        return;
    struct wide larger = *b;
    *b = *a;
    *a = larger;
}

static inline struct wide wide_add(struct wide a, struct wide b)
{
    if (!a.m || !b.m)
        return a.m ? a : b;
    wide_larger_first(&a, &b);
    int shift = a.exponent - b.exponent;
    u128 small = shift > 127 ? 0 : b.m >> shift;
    if (a.negative != b.negative) {
        bool lost = shift > 127 || (b.m & (((u128)1 << shift) - 1)) != 0;
        return wide_of(a.m - small - lost, a.exponent, a.negative);
    }
    u128 sum = a.m + small;
    if (sum < small)
        return (struct wide){ sum >> 1 | (u128)1 << 127, a.exponent + 1, a.negative };
    return (struct wide){ sum, a.exponent, a.negative };
}
#endif
