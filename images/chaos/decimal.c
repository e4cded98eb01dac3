/*
 * BCD adjustments, multiplication and division against C.
 *
 * Source: Intel SDM volume 2, "Operation" of AAA, AAS, AAM, AAD, DAA, DAS; undefined flags are masked.
 */
#include "chaos.h"

struct decimal {
    uint32_t ax, flags;
};

#define DEFINE_ADJUST(function, code)                                                                                  \
    static struct decimal function(uint32_t ax, uint32_t flags)                                                        \
    {                                                                                                                  \
        __asm__ volatile("pushl %1; popf; " code "; pushf; popl %1" : "+a"(ax), "+&r"(flags) : : "cc", "memory");      \
        return (struct decimal){ ax & 0xffff, flags };                                                                 \
    }
DEFINE_ADJUST(cpu_daa, "daa")
DEFINE_ADJUST(cpu_das, "das")
DEFINE_ADJUST(cpu_aaa, "aaa")
DEFINE_ADJUST(cpu_aas, "aas")
DEFINE_ADJUST(cpu_aam, "aam")
DEFINE_ADJUST(cpu_aad, "aad")

/* DAA and DAS; returns AX and CF | AF. */
static struct decimal packed(uint32_t ax, uint32_t flags, bool subtract)
{
    uint32_t al = ax & 0xff, old = al, carry = flags & CF, out = 0;
    uint32_t six = subtract ? 0u - 6 : 6, sixty = subtract ? 0u - 0x60 : 0x60;
    if ((al & 15) > 9 || flags & AF) {
        bool wraps = subtract ? al < 6 : al + 6 > 0xff;
        al += six;
        out |= AF | (carry != 0 || wraps ? CF : 0);
    }
    if (old > 0x99 || carry != 0) {
        al += sixty;
        out |= CF;
    }
    return (struct decimal){ (ax & 0xff00) | (al & 0xff), out };
}

/* AAA and AAS; returns AX and CF | AF. */
static struct decimal unpacked(uint32_t ax, uint32_t flags, bool subtract)
{
    bool adjust = (ax & 15) > 9 || flags & AF;
    if (adjust)
        ax += subtract ? 0u - 0x106 : 0x106;
    return (struct decimal){ ax & 0xff0f, adjust ? CF | AF : 0 };
}

static void equal(const char *what, struct decimal actual, struct decimal wanted, uint32_t defined)
{
    chaos_equal(what, actual.ax, wanted.ax);
    chaos_equal(what, actual.flags & defined, wanted.flags & defined);
}

static void adjustments(void)
{
    uint32_t ax = chaos_random() & 0xffff, flags = FLAGS_BASE | (chaos_random() & (CF | AF));
    equal("DAA", cpu_daa(ax, flags), packed(ax, flags, false), CF | AF);
    equal("DAS", cpu_das(ax, flags), packed(ax, flags, true), CF | AF);
    equal("AAA", cpu_aaa(ax, flags), unpacked(ax, flags, false), CF | AF);
    /* AAS of a low byte under 6 borrows into AH one way on some CPUs and another on others: keep away from it. */
    equal("AAS", cpu_aas(ax | 8, flags), unpacked(ax | 8, flags, true), CF | AF);
    equal("AAM", cpu_aam(ax, flags), (struct decimal){ (ax & 0xff) / 10 << 8 | (ax & 0xff) % 10, 0 }, 0);
    equal("AAD", cpu_aad(ax, flags), (struct decimal){ ((ax >> 8) * 10 + ax) & 0xff, 0 }, 0);
}

/* The 64-bit product by 16-bit halves, so that it is not the instruction under test that gives the answer. */
static uint64_t product(uint32_t a, uint32_t b)
{
    uint32_t low = (a & 0xffff) * (b & 0xffff), high = (a >> 16) * (b >> 16);
    uint32_t first = (a >> 16) * (b & 0xffff), second = (a & 0xffff) * (b >> 16);
    return ((uint64_t)high << 32) + low + ((uint64_t)first << 16) + ((uint64_t)second << 16);
}

static void multiply_and_divide(void)
{
    uint32_t a = chaos_operand(), b = chaos_operand() | 1, low, high, flags, remainder;
    uint64_t wanted = product(a, b);
    __asm__ volatile("mull %5; pushf; popl %2" : "=a"(low), "=d"(high), "=&r"(flags) : "0"(a), "1"(0), "r"(b) : "cc");
    chaos_equal("MUL low", low, (uint32_t)wanted);
    chaos_equal("MUL high", high, (uint32_t)(wanted >> 32));
    chaos_equal("MUL flags", flags & (CF | OF), wanted >> 32 ? CF | OF : 0);
    uint32_t extra = chaos_random() % b;
    uint64_t dividend = wanted + extra;
    low = (uint32_t)dividend;
    remainder = (uint32_t)(dividend >> 32);
    __asm__ volatile("divl %2" : "+a"(low), "+d"(remainder) : "r"(b) : "cc");
    chaos_equal("DIV quotient", low, a);
    chaos_equal("DIV remainder", remainder, extra);
    /* Signed: (-a) * b by the unsigned product of the magnitudes. */
    uint32_t magnitude = a & 0x7fffffff, factor = b & 0x7fffffff;
    wanted = 0 - product(magnitude, factor);
    __asm__ volatile("imull %3" : "=a"(low), "=d"(high) : "0"(0u - magnitude), "r"(factor) : "cc");
    chaos_equal("IMUL low", low, (uint32_t)wanted);
    chaos_equal("IMUL high", high, (uint32_t)(wanted >> 32));
    __asm__ volatile("idivl %4" : "=a"(low), "=d"(remainder) : "0"(low), "1"(high), "r"(factor) : "cc");
    chaos_equal("IDIV quotient", low, 0u - magnitude);
    chaos_equal("IDIV remainder", remainder, 0);
    uint32_t ax = a & 0xffff, bl = (b & 0xff) | 0x80;
    ax %= bl << 8;
    uint32_t quotient = ax / bl, rest = ax % bl;
    __asm__ volatile("divb %b1" : "+a"(ax) : "q"(bl) : "cc");
    chaos_equal("DIV byte", ax & 0xffff, rest << 8 | quotient);
}

void chaos_decimal(void)
{
    for (uint32_t i = 0; i < 8; i++) {
        adjustments();
        multiply_and_divide();
    }
}
