/* x87_log.c - FYL2X: y * log2(x), and FYL2XP1: y * log2(x + 1), with x = ST(0), y = ST(1).
 *
 *   x = m * 2^k, m from sqrt(1/2) to sqrt(2);  log2(m) = log2(j/32) + 2/ln2 * atanh(s),
 *   s = (m - j/32) / (m + j/32);  j is 32m rounded, so |s| <= 1/88
 *
 * Near x = 1 there is nothing to cancel: j is 32, and s is an exact fraction divided once.
 * FYL2XP1 is defined for |x| < 1 - sqrt(1/2); outside this is the same function where it exists.
 * Source: Intel SDM volume 2, FYL2X, FYL2XP1 and their tables of special values. */
#include "x87_number.h"
#include "x87_tables.h"

#define STEPS 32
#define POINT 125                        /* m as an integer has this many binary places */
#define SQRT2 U128(0xb504f333f9de6484, 0) /* as a significand; any value near the root will do */

/* 2/ln2 * atanh(s), |s| <= 1/64: 2/ln2 * s * (1 + s^2/3 + s^4/5 + ...) */
static struct wide twice_atanh(struct wide s)
{
    u128 f = fraction_of(s), z = fraction_multiply(f, f), sum = 0;
    for (int k = X87_ODDS - 1; k >= 1; k--)
        sum = x87_inverse_odd[k] + fraction_multiply(z, sum);
    sum = fraction_multiply(z, sum);
    struct wide series = { sum >> 1 | (u128)1 << 127, 0, false };
    struct wide two_over_ln2 = { x87_log2_e, 1, false };
    return wide_multiply(wide_multiply(s, series), two_over_ln2);
}

/* *integer: x is a power of two. */
static struct wide log2_of(struct wide x, bool *integer)
{
    bool high = x.m > SQRT2, exact;
    int k = x.exponent + high;
    u128 m = x.m >> (127 - POINT) >> high;
    unsigned step = (unsigned)((m + ((u128)1 << (POINT - 6))) >> (POINT - 5));
    u128 centre = (u128)step << (POINT - 5);
    struct wide sum = wide_of((u128)(k < 0 ? -k : k), 127, k < 0);
    sum = wide_add(sum, wide_of(x87_log2_step[step - X87_LOG_FIRST], -1, step < STEPS));
    *integer = x.m == (u128)1 << 127;
    if (m == centre)
        return sum;
    bool below = m < centre;
    struct wide s = wide_divide(wide_of(below ? centre - m : m - centre, 0, below), wide_of(m + centre, 0, false), &exact);
    return wide_add(sum, twice_atanh(s));
}

/* log2(1 + x), -1 < x, not 0 */
static struct wide log2_of_one_plus(struct wide x, bool *integer)
{
    static const struct wide one = { (u128)1 << 127, 0, false };
    struct wide two = { (u128)1 << 127, 1, false };
    bool exact;
    *integer = false;
    if (x.exponent < -6)
        return twice_atanh(wide_divide(x, wide_add(two, x), &exact));
    return log2_of(wide_add(one, x), integer);
}

/* y times a logarithm that is infinite or zero. False: neither. */
static bool special_product(const struct x87_number *y, enum x87_kind log_kind, bool log_negative, struct x87_result *r)
{
    bool negative = y->value.negative != log_negative;
    if (log_kind == X87_FINITE && y->kind == X87_FINITE)
        return false;
    if ((log_kind == X87_ZERO && y->kind == X87_INFINITE) || (log_kind == X87_INFINITE && y->kind == X87_ZERO))
        x87_invalid(r);
    else
        r->value = log_kind == X87_INFINITE || y->kind == X87_INFINITE ? x87_infinity(negative) : x87_zero(negative);
    return true;
}

/* The logarithm of zero. */
static void pole(const struct x87_number *y, struct x87_result *r)
{
    if (y->kind == X87_FINITE)
        x87_divide_by_zero(!y->value.negative, r);
    else
        special_product(y, X87_INFINITE, true, r);
}

void x87_fyl2x(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r)
{
    struct x87_number nx, ny;
    if (!x87_take_two(x, y, &nx, &ny, r))
        return;
    if (nx.kind == X87_ZERO) {
        pole(&ny, r);
        return;
    }
    bool is_one = nx.kind == X87_FINITE && nx.value.m == (u128)1 << 127 && nx.value.exponent == 0;
    enum x87_kind kind = is_one ? X87_ZERO : nx.kind;
    bool undefined = nx.value.negative || (kind == X87_ZERO && ny.kind == X87_INFINITE) ||
                     (kind == X87_INFINITE && ny.kind == X87_ZERO);
    if (undefined) {
        x87_invalid(r);
        return;
    }
    if (x87_denormal(control, nx.denormal || ny.denormal, r))
        return;
    if (special_product(&ny, kind, nx.value.exponent < 0 && kind == X87_FINITE, r))
        return;
    bool integer;
    struct wide log = log2_of(nx.value, &integer);
    r->value = x87_round(control, wide_multiply(ny.value, log), integer, &r->status);
}

void x87_fyl2xp1(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r)
{
    struct x87_number nx, ny;
    if (!x87_take_two(x, y, &nx, &ny, r))
        return;
    bool below_one = nx.value.exponent < 0;
    if (nx.kind == X87_FINITE && nx.value.negative && nx.value.exponent == 0 && nx.value.m == (u128)1 << 127) {
        pole(&ny, r);
        return;
    }
    bool undefined = (nx.value.negative && (nx.kind == X87_INFINITE || (nx.kind == X87_FINITE && !below_one))) ||
                     (nx.kind == X87_ZERO && ny.kind == X87_INFINITE) || (nx.kind == X87_INFINITE && ny.kind == X87_ZERO);
    if (undefined) {
        x87_invalid(r);
        return;
    }
    if (x87_denormal(control, nx.denormal || ny.denormal, r))
        return;
    if (special_product(&ny, nx.kind, nx.value.negative, r))
        return;
    bool integer;
    struct wide log = log2_of_one_plus(nx.value, &integer);
    r->value = x87_round(control, wide_multiply(ny.value, log), integer, &r->status);
}
