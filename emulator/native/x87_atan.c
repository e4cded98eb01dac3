/* x87_atan.c - FPATAN: the angle of the point (x, y) = (ST(0), ST(1)), -pi to pi.
 *
 *   a = smaller, b = larger of |x|, |y|;  atan(a/b) = atan(i/16) + atan(t),  t = (16a - ib) / (16b + ia)
 *
 * i is 16a/b rounded, so |t| <= 1/32. Numerator and denominator are exact; one division per instruction.
 * Source: Intel SDM volume 2, FPATAN and its table of special values. */
#include "x87_number.h"
#include "x87_tables.h"

#define STEPS 16
#define FAR 66                           /* from this ratio on, a/b - atan(a/b) is less than a/b is cut off */
#define ALIGN 12                         /* the larger operand as an integer of 116 bits */

/* pi * 2^exponent_change */
static struct wide pi_times(int exponent_change)
{
    return (struct wide){ x87_pi, 1 + exponent_change, false };
}

/* atan(t) for |t| <= 1/32: t * (1 - t^2/3 + t^4/5 - ...) */
static struct wide small_angle(struct wide t)
{
    u128 f = fraction_of(t), z = fraction_multiply(f, f), sum = 0;
    for (int k = X87_ODDS - 1; k >= 1; k--)
        sum = x87_inverse_odd[k] - fraction_multiply(z, sum);
    sum = fraction_multiply(z, sum) + 1;
    return wide_multiply(t, wide_of_fraction(-sum));
}

/* atan(a/b), 0 < a <= b. */
static struct wide angle(struct wide a, struct wide b)
{
    int apart = a.exponent - b.exponent;
    bool exact;
    if (apart < -FAR) {
        struct wide t = wide_divide(a, b, &exact);   /* a little too large, or cut off by more than that */
        return exact ? wide_of(t.m - 1, t.exponent, false) : t;
    }
    u128 large = b.m >> ALIGN, small = -apart > 127 - ALIGN ? 0 : a.m >> ALIGN >> -apart;
    unsigned step = apart < -6 ? 0 : (unsigned)((STEPS * small + large / 2) / large);
    if (step == 0)
        return small_angle(wide_divide(a, b, &exact));
    u128 minuend = STEPS * small, subtrahend = step * large;
    struct wide whole = wide_of(x87_atan_step[step], -1, false);
    if (minuend == subtrahend)
        return whole;
    bool below = minuend < subtrahend;
    struct wide t = wide_divide(wide_of(below ? subtrahend - minuend : minuend - subtrahend, 0, below),
                                wide_of(STEPS * large + step * small, 0, false), &exact);
    return wide_add(whole, small_angle(t));
}

/* Zeros and infinities lie on the axes and diagonals. False: the angle is not of this kind. */
static bool special_angle(const struct x87_number *x, const struct x87_number *y, struct wide *w)
{
    if (y->kind == X87_INFINITE && x->kind == X87_INFINITE) {
        *w = pi_times(-2);
        if (x->value.negative)
            *w = wide_add(pi_times(0), (struct wide){ x87_pi, -1, true });
    } else if (y->kind == X87_INFINITE || (x->kind == X87_ZERO && y->kind != X87_ZERO)) {
        *w = pi_times(-1);
    } else if (y->kind == X87_ZERO || x->kind == X87_INFINITE) {
        *w = pi_times(0);
        if (!x->value.negative)
            w->m = 0;
    } else {
        return false;
    }
    return true;
}

void x87_fpatan(unsigned control, struct x87_float x, struct x87_float y, struct x87_result *r)
{
    struct x87_number nx, ny;
    struct wide w;
    if (!x87_take_two(x, y, &nx, &ny, r) || x87_denormal(control, nx.denormal || ny.denormal, r))
        return;
    bool negative = ny.value.negative;
    if (!special_angle(&nx, &ny, &w)) {
        struct wide a = ny.value, b = nx.value;
        a.negative = b.negative = false;
        bool steep = a.exponent > b.exponent || (a.exponent == b.exponent && a.m > b.m);
        w = steep ? angle(b, a) : angle(a, b);
        if (steep) {
            w.negative = !w.negative;
            w = wide_add(pi_times(-1), w);
        }
        if (nx.value.negative) {
            w.negative = !w.negative;
            w = wide_add(pi_times(0), w);
        }
    }
    w.negative = negative;
    r->value = w.m ? x87_round(control, w, false, &r->status) : x87_zero(negative);
}
