/* x87_number.c - operands, NaN rules and rounding of the x87 operations.
 *
 *   exponent 0      integer bit 0: zero, denormal      1: pseudo-denormal (a denormal operand, too)
 *   1 .. 7FFEh      integer bit 0: unsupported         1: normal
 *   7FFFh           integer bit 0: unsupported         1: infinity, NaN (bit 62 set: quiet)
 *
 * Order of precedence: unsupported, NaN, other invalid operands, division by zero, denormal operands.
 * Source: Intel SDM volume 1, sections 4.8.3.4 to 4.8.3.6 (NaNs), 4.9.2 (precedence), 8.5 (exceptions). */
#include "x87_number.h"

#define BIAS_ADJUST 24576                /* unmasked overflow and underflow: the exponent wraps by this */

const struct x87_float x87_indefinite = { X87_INTEGER_BIT | X87_QUIET_BIT, X87_SIGN | X87_EXPONENT };
const struct x87_float x87_one = { X87_INTEGER_BIT, X87_BIAS };

static unsigned exponent_of(struct x87_float x) { return x.sign_exponent & X87_EXPONENT; }
static bool is_unsupported(struct x87_float x) { return exponent_of(x) != 0 && !(x.significand & X87_INTEGER_BIT); }
static bool is_nan(struct x87_float x) { return exponent_of(x) == X87_EXPONENT && (x.significand << 1) != 0; }
static bool is_signaling(struct x87_float x) { return is_nan(x) && !(x.significand & X87_QUIET_BIT); }

struct x87_float x87_zero(bool negative) { return (struct x87_float){ 0, negative ? X87_SIGN : 0 }; }
struct x87_float x87_infinity(bool negative)
{
    return (struct x87_float){ X87_INTEGER_BIT, (negative ? X87_SIGN : 0) | X87_EXPONENT };
}

void x87_invalid(struct x87_result *r)
{
    r->value = r->pushed = x87_indefinite;
    r->status = X87_IE;
}

void x87_divide_by_zero(bool negative, struct x87_result *r)
{
    r->value = x87_infinity(negative);
    r->status = X87_ZE;
}

bool x87_denormal(unsigned control, bool denormal, struct x87_result *r)
{
    if (denormal)
        r->status |= X87_DE;
    return denormal && !(control & X87_DE);
}

static void decode(struct x87_float x, struct x87_number *n)
{
    unsigned exponent = exponent_of(x);
    n->kind = exponent == X87_EXPONENT ? X87_INFINITE : x.significand ? X87_FINITE : X87_ZERO;
    n->denormal = exponent == 0 && x.significand;
    n->value = wide_of((u128)x.significand << 64, (int)(exponent ? exponent : 1) - X87_BIAS, x.sign_exponent & X87_SIGN);
}

static void give_nan(struct x87_float nan, bool signaling, struct x87_result *r)
{
    nan.significand |= X87_QUIET_BIT;
    r->value = r->pushed = nan;
    r->status = signaling ? X87_IE : 0;
}

bool x87_take(struct x87_float x, struct x87_number *n, struct x87_result *r)
{
    r->status = 0;
    r->value = x;
    if (is_unsupported(x))
        return x87_invalid(r), false;
    if (is_nan(x))
        return give_nan(x, is_signaling(x), r), false;
    decode(x, n);
    return true;
}

/* Of two NaNs of one kind the larger significand wins, a quiet NaN wins over a signaling one. */
static struct x87_float choose_nan(struct x87_float x, struct x87_float y)
{
    if (!is_nan(x) || !is_nan(y))
        return is_nan(x) ? x : y;
    if (is_signaling(x) != is_signaling(y))
        return is_signaling(x) ? y : x;
    if (x.significand != y.significand)
        return x.significand > y.significand ? x : y;
    return x.sign_exponent & X87_SIGN ? y : x;
}

bool x87_take_two(struct x87_float x, struct x87_float y, struct x87_number *nx, struct x87_number *ny,
                  struct x87_result *r)
{
    r->status = 0;
    r->value = x;
    if (is_unsupported(x) || is_unsupported(y))
        return x87_invalid(r), false;
    if (is_nan(x) || is_nan(y))
        return give_nan(choose_nan(x, y), is_signaling(x) || is_signaling(y), r), false;
    decode(x, nx);
    decode(y, ny);
    return true;
}

static struct x87_float overflow(unsigned control, bool negative, unsigned *status)
{
    unsigned direction = control >> X87_ROUND_SHIFT & 3;
    bool to_infinity = direction == X87_NEAREST || direction == (negative ? X87_DOWN : X87_UP);
    *status |= X87_OE | X87_PE | (to_infinity ? X87_C1 : 0);
    if (to_infinity)
        return x87_infinity(negative);
    return (struct x87_float){ ~UINT64_C(0) << (64 - x87_precision(control)), (negative ? X87_SIGN : 0) | (X87_EXPONENT - 1) };
}

struct x87_float x87_round(unsigned control, struct wide w, bool exact, unsigned *status)
{
    struct x87_result r = { .status = *status };
    x87_round_to(control | X87_ALL_BITS, w.m | !exact, w.exponent, w.negative, &r);
    *status = r.status;
    return r.value;
}

void x87_round_to(unsigned control, u128 m, int exponent, bool negative, struct x87_result *r)
{
    uint16_t sign = negative ? X87_SIGN : 0;
    struct x87_rounded q = x87_round_significand(control, m, negative);
    exponent += X87_BIAS;
    bool tiny = exponent + q.carry <= 0;
    r->status &= ~(unsigned)X87_C1;
    if (tiny && !(control & X87_UE)) {
        r->status |= X87_UE;
        exponent += BIAS_ADJUST;
        if (exponent + q.carry <= 0) {   /* FSCALE can go further than the adjustment reaches */
            r->status |= X87_PE;
            r->value = x87_zero(negative);
            return;
        }
    } else if (exponent <= 0) {
        int shift = 1 - exponent;
        bool lost = shift > 127 || (m & (((u128)1 << shift) - 1)) != 0;
        q = x87_round_significand(control, (shift > 127 ? 0 : m >> shift) | lost, negative);
        r->status |= (q.inexact && tiny ? X87_UE : 0) | (q.inexact ? X87_PE : 0) | (q.up ? X87_C1 : 0);
        r->value = (struct x87_float){ q.significand, sign | (q.significand & X87_INTEGER_BIT ? 1 : 0) };
        return;
    }
    exponent += q.carry;
    if (exponent >= (int)X87_EXPONENT) {
        if (control & X87_OE) {
            r->value = overflow(control, negative, &r->status);
            return;
        }
        exponent -= BIAS_ADJUST;
        r->status |= X87_OE;
        if (exponent >= (int)X87_EXPONENT) {
            r->status |= X87_PE | X87_C1;
            r->value = x87_infinity(negative);
            return;
        }
    }
    r->status |= (q.inexact ? X87_PE : 0) | (q.up ? X87_C1 : 0);
    r->value = (struct x87_float){ q.carry ? X87_INTEGER_BIT : q.significand, sign | (uint16_t)exponent };
}
