/* x87_arithmetic.c - FADD, FSUB, FMUL, FDIV, FSQRT, FRNDINT: rounded once from what they are exactly; FCOM.
 *
 *   significands of 64 bits -> sum, product, quotient, root in 128 bits; the lowest is 1 if more would follow -> x87_round_to
 *
 *   quotient   64 digits by one division, then how twice its rest compares with the divisor: that is all that rounding asks
 *   root       the upper half's root, then as many digits again by a division by twice that; at most one too large
 *
 * Precision control shortens the significand to 24 or 53 bits, never the exponent. C1 tells whether the magnitude was rounded up.
 * Source: Intel SDM volume 1, 4.8.4, 8.1.5.2 (precision control), 8.5; volume 2, each instruction and its table of special
 * values. Root: P. Zimmermann, Karatsuba Square Root (INRIA report 3805). */
#include "x87_number.h"

static inline uint64_t high_of(struct wide w) { return (uint64_t)(w.m >> 64); }

static inline void round_result(unsigned control, struct wide w, struct x87_result *r)
{
    int exponent = w.exponent + X87_BIAS;
    if (__builtin_expect(exponent <= 0 || exponent >= (int)X87_EXPONENT - 1, false))
        return x87_round_to(control, w.m, w.exponent, w.negative, r);
    struct x87_rounded q = x87_round_significand(control, w.m, w.negative);
    r->status |= (q.inexact ? X87_PE : 0) | (q.up ? X87_C1 : 0);
    r->value.significand = q.significand | X87_INTEGER_BIT;
    r->value.sign_exponent = (uint16_t)((w.negative ? X87_SIGN : 0) | (unsigned)(exponent + q.carry));
}

/* Neither zero, denormal, infinite nor a NaN: most operands. */
static inline bool is_normal(struct x87_float x)
{
    return ((x.sign_exponent + 1u) & X87_EXPONENT) > 1 && x.significand >> 63;
}

static inline struct wide wide_of_normal(struct x87_float x)
{
    return (struct wide){ (u128)x.significand << 64, (int)(x.sign_exponent & X87_EXPONENT) - X87_BIAS, x.sign_exponent & X87_SIGN };
}

/* ---- sums ---- */

static inline struct wide sum(struct wide a, struct wide b)
{
    wide_larger_first(&a, &b);
    int shift = a.exponent - b.exponent;
    u128 small = shift > 127 ? 0 : b.m >> shift;
    small |= shift > 127 || small << shift != b.m;
    if (a.negative != b.negative)
        return wide_of(a.m - small, a.exponent, a.negative);
    u128 m = a.m + small;
    if (m >= small)
        return (struct wide){ m, a.exponent, a.negative };
    return (struct wide){ (m >> 1 | (u128)1 << 127) | (m & 1), a.exponent + 1, a.negative };
}

/* Both finite. Of 0 there are two: that of a difference is negative where rounding is toward negative numbers only. */
static inline void round_sum(unsigned control, struct wide a, struct wide b, struct x87_result *r)
{
    struct wide w = !a.m ? b : !b.m ? a : sum(a, b);
    if (w.m)
        round_result(control, w, r);
    else
        r->value = x87_zero(a.negative == b.negative ? a.negative : (control >> X87_ROUND_SHIFT & 3) == X87_DOWN);
}

static inline void add(unsigned control, struct x87_float x, struct x87_float y, bool subtract, struct x87_result *r)
{
    struct x87_number nx, ny;
    if (__builtin_expect(is_normal(x) && is_normal(y), true)) {
        struct wide a = wide_of_normal(x), b = wide_of_normal(y);
        b.negative ^= subtract;
        r->status = 0;
        return round_sum(control, a, b, r);
    }
    if (!x87_take_two(x, y, &nx, &ny, r))
        return;
    ny.value.negative ^= subtract;
    bool infinite = nx.kind == X87_INFINITE || ny.kind == X87_INFINITE;
    if (nx.kind == X87_INFINITE && ny.kind == X87_INFINITE && nx.value.negative != ny.value.negative)
        return x87_invalid(r);
    if (x87_denormal(control, nx.denormal || ny.denormal, r))
        return;
    if (infinite)
        r->value = x87_infinity(nx.kind == X87_INFINITE ? nx.value.negative : ny.value.negative);
    else
        round_sum(control, nx.value, ny.value, r);
}

void x87_add(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r) { add(control, x, y, false, r); }
void x87_subtract(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r) { add(control, x, y, true, r); }

/* ---- products and quotients ---- */

static inline struct wide product(struct wide a, struct wide b)
{
    u128 m = (u128)high_of(a) * high_of(b);
    int below = !(m >> 127);
    return (struct wide){ m << below, a.exponent + b.exponent + 1 - below, a.negative != b.negative };
}

void x87_multiply(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r)
{
    struct x87_number nx, ny;
    if (__builtin_expect(is_normal(x) && is_normal(y), true)) {
        r->status = 0;
        return round_result(control, product(wide_of_normal(x), wide_of_normal(y)), r);
    }
    if (!x87_take_two(x, y, &nx, &ny, r))
        return;
    bool negative = nx.value.negative != ny.value.negative, infinite = nx.kind == X87_INFINITE || ny.kind == X87_INFINITE;
    bool zero = nx.kind == X87_ZERO || ny.kind == X87_ZERO;
    if (infinite && zero)
        return x87_invalid(r);
    if (x87_denormal(control, nx.denormal || ny.denormal, r))
        return;
    if (infinite || zero)
        r->value = infinite ? x87_infinity(negative) : x87_zero(negative);
    else
        round_result(control, product(nx.value, ny.value), r);
}

static inline struct wide quotient(struct wide a, struct wide b)
{
    uint64_t x = high_of(a), y = high_of(b);
    int below = x < y;
    u128 dividend = below ? (u128)x << 64 : (u128)x << 63;
    uint64_t digits = (uint64_t)(dividend / y), rest = (uint64_t)dividend - digits * y;
    uint64_t half = rest >= y - rest ? X87_INTEGER_BIT : 0;
    return (struct wide){ U128(digits, half | (rest != 0 && rest != y - rest)), a.exponent - b.exponent - below, a.negative != b.negative };
}

void x87_divide(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r)
{
    struct x87_number nx, ny;
    if (__builtin_expect(is_normal(x) && is_normal(y), true)) {
        r->status = 0;
        return round_result(control, quotient(wide_of_normal(x), wide_of_normal(y)), r);
    }
    if (!x87_take_two(x, y, &nx, &ny, r))
        return;
    bool negative = nx.value.negative != ny.value.negative;
    if (nx.kind == ny.kind && nx.kind != X87_FINITE)
        return x87_invalid(r);
    if (ny.kind == X87_ZERO && nx.kind == X87_FINITE)
        return x87_divide_by_zero(negative, r);
    if (x87_denormal(control, nx.denormal || ny.denormal, r))
        return;
    if (nx.kind == X87_INFINITE)
        r->value = x87_infinity(negative);
    else if (nx.kind == X87_ZERO || ny.kind == X87_INFINITE)
        r->value = x87_zero(negative);
    else
        round_result(control, quotient(nx.value, ny.value), r);
}

/* ---- of one operand ---- */

/* The root of v, 2^62 <= v < 2^64, without its fraction. */
static uint32_t root_of_64(uint64_t v)
{
    uint32_t root = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1)
        if ((uint64_t)(root | bit) * (root | bit) <= v)
            root |= bit;
    return root;
}

/* The same of v, 2^126 <= v < 2^128. */
static uint64_t root_of_128(u128 v)
{
    uint64_t upper = (uint64_t)(v >> 64), root = root_of_64(upper);
    u128 rest = (u128)(upper - root * root) << 32 | (uint32_t)(v >> 32);
    u128 digits = rest / (root << 1);
    if (digits >> 32)
        digits = UINT32_MAX;
    root = root << 32 | (uint32_t)digits;
    while ((u128)root * root > v)
        root--;
    return root;
}

void x87_square_root(unsigned control, struct x87_float x, struct x87_result *r)
{
    struct x87_number n;
    if (!x87_take(x, &n, r) || n.kind == X87_ZERO)
        return;
    if (n.value.negative)
        return x87_invalid(r);
    if (x87_denormal(control, n.denormal, r) || n.kind == X87_INFINITE)
        return;
    int odd = n.value.exponent & 1;
    u128 v = n.value.m >> (1 - odd);
    uint64_t root = root_of_128(v);
    u128 rest = v - (u128)root * root;
    uint64_t half = rest > root ? X87_INTEGER_BIT : 0;   /* (root + 1/2)^2 is not a whole number */
    round_result(control, (struct wide){ U128(root, half | (rest != 0)), (n.value.exponent - odd) / 2, false }, r);
}

void x87_to_integer(unsigned control, struct x87_float x, struct x87_result *r)
{
    struct x87_number n;
    if (!x87_take(x, &n, r) || x87_denormal(control, n.denormal, r))
        return;
    if (n.kind != X87_FINITE || n.value.exponent >= 63)
        return;
    int shift = 63 - n.value.exponent;
    u128 m = shift > 127 ? 0 : n.value.m >> shift;
    m |= shift > 127 || m << shift != n.value.m;
    struct x87_rounded q = x87_round_significand(control | X87_ALL_BITS, m, n.value.negative);
    r->status |= (q.inexact ? X87_PE : 0) | (q.up ? X87_C1 : 0);
    if (!q.significand) {
        r->value = x87_zero(n.value.negative);
        return;
    }
    int zeros = __builtin_clzll(q.significand);
    r->value.significand = q.significand << zeros;
    r->value.sign_exponent = (uint16_t)((n.value.negative ? X87_SIGN : 0) | (unsigned)(X87_BIAS + 63 - zeros));
}

/* ---- comparisons ---- */

unsigned x87_compare(struct x87_float x, struct x87_float y, bool quiet, unsigned *conditions)
{
    struct x87_number nx, ny;
    struct x87_result r;
    *conditions = X87_C0 | X87_C2 | X87_C3;
    if (!x87_take_two(x, y, &nx, &ny, &r))
        return quiet ? r.status : X87_IE;
    struct wide a = nx.value, b = ny.value;
    int sign_a = !a.m ? 0 : a.negative ? -1 : 1, sign_b = !b.m ? 0 : b.negative ? -1 : 1;
    bool equal = sign_a == sign_b && a.m == b.m && (!a.m || a.exponent == b.exponent);
    bool smaller = a.exponent != b.exponent ? a.exponent < b.exponent : a.m < b.m;
    bool less = sign_a != sign_b ? sign_a < sign_b : smaller != a.negative;
    *conditions = equal ? X87_C3 : less ? X87_C0 : 0;
    return nx.denormal || ny.denormal ? X87_DE : 0;
}
