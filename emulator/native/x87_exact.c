/* x87_exact.c - FPREM, FPREM1, FXTRACT, FSCALE: exact, but for what FSCALE loses to the range of exponents.
 *
 *   exponents apart by D < 64:  x - Q*y at once; the low bits of Q go to C0 (Q2), C3 (Q1), C1 (Q0)
 *   D >= 64:                    x - Q*y*2^(D-N), N from 32 to 63, and C2 = 1: the program comes again
 *
 * N is the processors' choice between 32 and 63; they take the low five bits of D plus 32.
 * Source: Intel SDM volume 2, FPREM, FPREM1, FXTRACT, FSCALE and their tables of special values;
 * volume 1, sections 8.5.4 and 8.5.5 (massive overflow and underflow of FSCALE). */
#include "x87_number.h"

#define SCALE_MAX (1 << 17)              /* far outside the range even of a wrapped exponent */

struct quotient {
    u128 rest;                           /* in units of 2^exponent */
    uint64_t low;                        /* low bits of the quotient */
    int exponent;
    bool negative, partial;
};

static struct quotient divide(struct wide x, struct wide y)
{
    uint64_t mx = (uint64_t)(x.m >> 64), my = (uint64_t)(y.m >> 64);
    int apart = x.exponent - y.exponent;
    if (apart < 0)
        return (struct quotient){ mx, 0, x.exponent - 63, x.negative, false };
    bool partial = apart >= 64;
    int shift = partial ? (apart & 31) | 32 : apart;
    u128 dividend = (u128)mx << shift;
    return (struct quotient){ dividend % my, (uint64_t)(dividend / my), x.exponent - shift - 63, x.negative, partial };
}

/* IEEE remainder: the nearest multiple, of two the even one. */
static void to_nearest(struct quotient *q, struct wide y)
{
    int places = y.exponent - 63 - q->exponent;  /* y = my * 2^places in the units of the rest */
    if (places > 1)
        return;
    u128 divisor = (y.m >> 64) << places, twice = q->rest << 1;
    if (twice > divisor || (twice == divisor && (q->low & 1))) {
        q->rest = divisor - q->rest;
        q->negative = !q->negative;
        q->low++;
    }
}

static void remainder_of(unsigned control, struct x87_float x, struct x87_float y, bool nearest, struct x87_result *r)
{
    struct x87_number nx, ny;
    if (!x87_take_two(x, y, &nx, &ny, r))
        return;
    if (nx.kind == X87_INFINITE || ny.kind == X87_ZERO) {
        x87_invalid(r);
        return;
    }
    if (x87_denormal(control, nx.denormal || ny.denormal, r) || nx.kind == X87_ZERO)
        return;
    struct quotient q = { nx.value.m >> 64, 0, nx.value.exponent - 63, nx.value.negative, false };
    if (ny.kind == X87_FINITE) {
        q = divide(nx.value, ny.value);
        if (nearest && !q.partial)
            to_nearest(&q, ny.value);
    }
    if (q.rest)
        r->value = x87_round(control, wide_of(q.rest, q.exponent + 127, q.negative), true, &r->status);
    else
        r->value = x87_zero(nx.value.negative);
    if (q.partial)
        r->status |= X87_C2;
    else
        r->status |= (q.low & 1 ? X87_C1 : 0) | (q.low & 2 ? X87_C3 : 0) | (q.low & 4 ? X87_C0 : 0);
}

void x87_fprem(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r)
{
    remainder_of(control, x, y, false, r);
}

void x87_fprem1(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r)
{
    remainder_of(control, x, y, true, r);
}

/* value: the exponent as a number; pushed: the significand, 1 <= |s| < 2 */
void x87_fxtract(unsigned control, struct x87_float x, struct x87_result *r)
{
    struct x87_number n;
    if (!x87_take(x, &n, r))
        return;
    r->pushed = x;
    if (n.kind == X87_ZERO) {
        x87_divide_by_zero(true, r);
    } else if (n.kind == X87_INFINITE) {
        r->value = x87_infinity(false);
    } else if (!x87_denormal(control, n.denormal, r)) {
        int e = n.value.exponent;
        r->value = e ? x87_round(control, wide_of((u128)(e < 0 ? -e : e), 127, e < 0), true, &r->status) : x87_zero(false);
        n.value.exponent = 0;
        r->pushed = x87_round(control, n.value, true, &r->status);
    }
}

/* y without its fraction, limited. */
static int whole(const struct x87_number *y)
{
    if (y->kind == X87_ZERO || y->value.exponent < 0)
        return 0;
    int size = y->value.exponent > 16 ? SCALE_MAX : (int)(y->value.m >> (127 - y->value.exponent));
    return y->value.negative ? -size : size;
}

void x87_fscale(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r)
{
    struct x87_number nx, ny;
    if (!x87_take_two(x, y, &nx, &ny, r))
        return;
    bool negative = nx.value.negative, down = ny.value.negative;
    bool by_infinity = ny.kind == X87_INFINITE;
    if (by_infinity && nx.kind == (down ? X87_INFINITE : X87_ZERO)) {
        x87_invalid(r);
        return;
    }
    if (x87_denormal(control, nx.denormal || ny.denormal, r) || nx.kind != X87_FINITE)
        return;
    if (by_infinity) {
        r->value = down ? x87_zero(negative) : x87_infinity(negative);
        return;
    }
    nx.value.exponent += whole(&ny);
    r->value = x87_round(control, nx.value, true, &r->status);
}
