/* x87_decimal.c - FBSTP: a number rounded to an integer, as 18 decimal digits. The engine tells no exception of it.
 *
 * Source: Intel SDM volume 2, FBSTP; volume 1, sections 4.7 (the indefinite one), 4.8.4 (rounding), 8.5.1.2. */
#include <string.h>
#include "x87.h"

#define EXPONENT_MASK 0x7fffu
#define EXPONENT_OF_2_63 (16383 + 63)
#define DECIMAL_MAX UINT64_C(999999999999999999)
#define SIGN_BYTE (X87_DECIMAL_BYTES - 1)

/* Whether the integer becomes one greater in magnitude; `part` is what was cut off, 2^63 being a half. */
static bool rounds_away(unsigned mode, bool negative, bool odd, uint64_t part, bool sticky)
{
    const uint64_t half = UINT64_C(1) << 63;
    switch (mode) {
    case X87_NEAREST: return part > half || (part == half && (sticky || odd));
    case X87_DOWN: return negative && (part || sticky);
    case X87_UP: return !negative && (part || sticky);
    default: return false;
    }
}

static unsigned indefinite(uint8_t decimal[X87_DECIMAL_BYTES])
{
    static const uint8_t bytes[X87_DECIMAL_BYTES] = { 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff };
    memcpy(decimal, bytes, sizeof bytes);
    return X87_IE;
}

unsigned x87_to_decimal(unsigned control, struct x87_float x, uint8_t decimal[X87_DECIMAL_BYTES])
{
    unsigned exponent = x.sign_exponent & EXPONENT_MASK;
    bool negative = x.sign_exponent >> 15, supported = exponent == 0 || x.significand >> 63;
    if (!supported || exponent >= EXPONENT_OF_2_63)
        return indefinite(decimal);
    unsigned shift = EXPONENT_OF_2_63 - exponent;        /* 1 and more */
    uint64_t integer = shift < 64 ? x.significand >> shift : 0;
    uint64_t part = shift < 64 ? x.significand << (64 - shift) : shift == 64 ? x.significand : 0;
    bool sticky = shift > 64 && x.significand;
    bool inexact = part || sticky;
    bool up = rounds_away(control >> X87_ROUND_SHIFT & 3, negative, integer & 1, part, sticky);
    integer += up;
    if (integer > DECIMAL_MAX)
        return indefinite(decimal);
    for (int i = 0; i < SIGN_BYTE; i++, integer /= 100)
        decimal[i] = (uint8_t)(integer % 100 / 10 << 4 | integer % 10);
    decimal[SIGN_BYTE] = negative ? 0x80 : 0;
    return (inexact ? X87_PE : 0) | (up ? X87_C1 : 0);
}
