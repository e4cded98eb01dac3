/* x87_trig.c - FSIN, FCOS, FSINCOS, FPTAN.
 *
 *   |x| < 2^63  ->  x = k * pi/2 + r, |r| <= pi/4, exactly, with a pi of 66 bits
 *               ->  sin r = r * S(r*r), cos r = C(r*r) by their power series
 *
 * The processor's own pi has 66 bits, and programs can see that (sin of the 64-bit pi is -2^-64 instead of
 * -1.2 * 2^-64 ...), so the reduction must use it, too: in units of 2^-65 it is a remainder of integers.
 * Source: Intel SDM volume 1, section 8.3.8 (pi); volume 2, FSIN, FCOS, FSINCOS, FPTAN. */
#include "x87_number.h"
#include "x87_tables.h"

#define LIMIT_EXPONENT 63
/* pi/2 in units of 2^-65: pi is 0.C90FDAA2 2168C234 C * 2^2 */
#define HALF_PI U128(0x3, 0x243f6a8885a308d3)

struct reduced {
    struct wide r;                       /* with its sign */
    unsigned quadrant;                   /* k modulo 4 */
    u128 sine;                           /* S(r*r) as a fraction */
    u128 cosine;                         /* cos r as a fraction; below S(r*r), as it really is */
};

static void reduce(struct wide x, struct reduced *t)
{
    t->r = x;
    t->quadrant = 0;
    if (x.exponent < -2)
        return;
    u128 units = (x.m >> 64) << (x.exponent + 2);
    u128 k = units / HALF_PI, rest = units % HALF_PI;
    bool negative = rest > HALF_PI / 2;
    if (negative) {
        rest = HALF_PI - rest;
        k++;
    }
    t->r = wide_of(rest, 62, x.negative != negative);
    t->quadrant = (unsigned)k & 3;
    if (x.negative)
        t->quadrant = -t->quadrant & 3;
}

/* 1 - z/3! + z^2/5! - ... and 1 - z/2! + z^2/4! - ...: both end below 1, however small r is. */
static void evaluate(struct reduced *t)
{
    u128 r = fraction_of(t->r), z = fraction_multiply(r, r), sine = 0, cosine = 0;
    for (int n = X87_FACTORIALS - 1; n >= 3; n -= 2) {
        sine = x87_inverse_factorial[n] - fraction_multiply(z, sine);
        cosine = x87_inverse_factorial[n - 1] - fraction_multiply(z, cosine);
    }
    sine = fraction_multiply(z, sine) + 1;
    cosine = fraction_multiply(z, cosine);
    t->sine = -sine;
    t->cosine = -(cosine > sine ? cosine : sine + 1);
}

static struct wide odd_function(const struct reduced *t) { return wide_multiply(t->r, wide_of_fraction(t->sine)); }
static struct wide even_function(const struct reduced *t) { return wide_of_fraction(t->cosine); }

static struct wide sine_at(const struct reduced *t, unsigned quadrant)
{
    struct wide w = quadrant & 1 ? even_function(t) : odd_function(t);
    if (quadrant & 2)
        w.negative = !w.negative;
    return w;
}

/* The common beginning. False: *r is the result (infinite, zero, too large, unmasked exception). */
static bool begin(unsigned control, struct x87_float x, struct reduced *t, struct x87_result *r)
{
    struct x87_number n;
    if (!x87_take(x, &n, r))
        return false;
    if (n.kind == X87_INFINITE)
        return x87_invalid(r), false;
    if (n.kind == X87_ZERO) {
        r->pushed = x87_one;
        return false;
    }
    if (n.value.exponent >= LIMIT_EXPONENT) {
        r->status = X87_C2;
        return false;
    }
    if (x87_denormal(control, n.denormal, r))
        return false;
    reduce(n.value, t);
    evaluate(t);
    return true;
}

void x87_fsin(unsigned control, struct x87_float x, struct x87_result *r)
{
    struct reduced t;
    if (begin(control, x, &t, r))
        r->value = x87_round(control, sine_at(&t, t.quadrant), false, &r->status);
}

void x87_fcos(unsigned control, struct x87_float x, struct x87_result *r)
{
    struct reduced t;
    if (begin(control, x, &t, r))
        r->value = x87_round(control, sine_at(&t, t.quadrant + 1), false, &r->status);
    else if (!(x.sign_exponent & X87_EXPONENT) && !x.significand)
        r->value = x87_one;
}

/* C1 tells how the sine was rounded. */
void x87_fsincos(unsigned control, struct x87_float x, struct x87_result *r)
{
    struct reduced t;
    if (!begin(control, x, &t, r))
        return;
    r->pushed = x87_round(control, sine_at(&t, t.quadrant + 1), false, &r->status);
    r->value = x87_round(control, sine_at(&t, t.quadrant), false, &r->status);
}

void x87_fptan(unsigned control, struct x87_float x, struct x87_result *r)
{
    struct reduced t;
    bool exact;
    if (!begin(control, x, &t, r))
        return;
    struct wide w = wide_divide(sine_at(&t, t.quadrant), sine_at(&t, t.quadrant + 1), &exact);
    r->value = x87_round(control, w, false, &r->status);
    r->pushed = x87_one;
}
