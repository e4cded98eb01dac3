/* x87_exp.c - F2XM1: 2^x - 1 for -1 <= x <= 1.
 *
 *   |x| = i/32 + f, 0 <= f < 1/32, w = f * ln2
 *   x > 0:  2^x - 1 = A + E + A*E,  A = 2^(i/32) - 1,   E = e^w - 1  = w * (1 + w/2! + w^2/3! + ...)
 *   x < 0:  1 - 2^x = U + G - U*G,  U = 1 - 2^(-i/32),  G = 1 - e^-w = w * (1 - w/2! + w^2/3! - ...)
 *
 * All terms have one sign, so nothing cancels. Outside the range the manual leaves the result undefined;
 * here, as on processors that were tried, the operand stays (infinities become 2^x - 1).
 * Source: Intel SDM volume 2, F2XM1. */
#include "x87_number.h"
#include "x87_tables.h"

#define STEP_BITS 5
#define STEPS (1 << STEP_BITS)
#define TERMS 18                         /* (ln2/32)^17 / 18! is below 2^-140 */

/* E or G of the file header, without its sign. */
static struct wide grow(struct wide f, bool falling)
{
    struct wide ln2 = { x87_ln2, -1, false };
    struct wide w = wide_multiply(f, ln2);
    u128 z = fraction_of(w), sum = 0;
    for (int n = TERMS; n >= 2; n--) {
        u128 product = fraction_multiply(z, sum);
        sum = falling ? x87_inverse_factorial[n] - product : x87_inverse_factorial[n] + product;
    }
    sum = fraction_multiply(z, sum);
    if (falling)
        return wide_multiply(w, wide_of_fraction(-(sum + 1)));
    return wide_multiply(w, (struct wide){ sum >> 1 | (u128)1 << 127, 0, false });
}

/* |2^x - 1|, 0 < |x| < 1 */
static struct wide magnitude(struct wide x)
{
    bool falling = x.negative;
    x.negative = false;
    if (x.exponent < -STEP_BITS)
        return grow(x, falling);
    u128 all = fraction_of(x);
    unsigned step = (unsigned)(all >> (128 - STEP_BITS));
    struct wide rest = wide_of_fraction(all << STEP_BITS);
    rest.exponent -= STEP_BITS;
    u128 whole = falling ? -x87_exp2_step[STEPS - step] >> 1 : x87_exp2_step[step];
    if (!rest.m)
        return wide_of_fraction(whole);
    u128 part = fraction_of(grow(rest, falling)), product = fraction_multiply(whole, part);
    return wide_of_fraction(whole + (falling ? part - product : part + product));
}

void x87_f2xm1(unsigned control, struct x87_float x, struct x87_result *r)
{
    struct x87_number n;
    if (!x87_take(x, &n, r) || n.kind == X87_ZERO)
        return;
    struct wide minus_one = { (u128)1 << 127, 0, true };
    if (n.kind == X87_INFINITE) {
        if (n.value.negative)
            r->value = x87_round(control, minus_one, true, &r->status);
        return;
    }
    if (x87_denormal(control, n.denormal, r))
        return;
    if (n.value.exponent < 0) {
        struct wide w = magnitude(n.value);
        w.negative = n.value.negative;
        r->value = x87_round(control, w, false, &r->status);
    } else if (n.value.exponent > 0 || n.value.m != (u128)1 << 127) {
        r->status = X87_PE;
    } else if (n.value.negative) {       /* 2^-1 - 1; 2^1 - 1 is the operand */
        minus_one.exponent = -1;
        r->value = x87_round(control, minus_one, true, &r->status);
    }
}
