/*
 * x87 arithmetic whose exact result is known: on integers, on bit patterns packed by C, on the built-in constants;
 * rounding modes, BCD, comparisons, saved and restored state, and an unmasked exception.
 *
 * No transcendental functions: their last bits differ between processors.
 * Source: Intel SDM volume 1, chapter 8 (x87); volume 2, FBSTP, FPREM, FSCALE, FXAM, FXTRACT, FXSAVE.
 */
#include "chaos.h"
#include "memory.h"

#define CONTROL_DEFAULT 0x037f
#define CONTROL_ROUND_SHIFT 10
#define CONTROL_ZERO_DIVIDE_UNMASKED 0x037b
#define STATUS_C0 0x0100u
#define STATUS_C2 0x0400u
#define STATUS_C3 0x4000u

static int32_t small_number(void) { return (int32_t)(chaos_random() & 0x1fffff) - 0x100000; }

static void integers(void)
{
    int32_t a = small_number(), b = small_number() | 1, sum, difference, square = (int32_t)(chaos_random() & 0x7fff);
    int64_t product, quotient, root;
    __asm__ volatile("fildl %5; fildl %6; fld %%st(1); fadd %%st(1), %%st; fistpl %0\n\t"
                     "fld %%st(1); fsub %%st(1), %%st; fistpl %1\n\t"
                     "fld %%st(1); fmul %%st(1), %%st; fld %%st; fistpll %2\n\t"
                     "fdiv %%st(1), %%st; fistpll %3\n\t"
                     "fstp %%st; fstp %%st; fildl %7; fmul %%st, %%st; fsqrt; fistpll %4"
                     : "=m"(sum), "=m"(difference), "=m"(product), "=m"(quotient), "=m"(root)
                     : "m"(a), "m"(b), "m"(square));
    chaos_equal("FADD", (uint32_t)sum, (uint32_t)(a + b));
    chaos_equal("FSUB", (uint32_t)difference, (uint32_t)(a - b));
    chaos_equal("FMUL", (uint32_t)product, (uint32_t)((int64_t)a * b));
    chaos_equal("FMUL high", (uint32_t)(product >> 32), (uint32_t)(((int64_t)a * b) >> 32));
    chaos_equal("FDIV", (uint32_t)quotient, (uint32_t)a);
    chaos_equal("FSQRT", (uint32_t)root, (uint32_t)square);
}

/* n + 1/2 under the four rounding modes: nearest even, down, up, towards zero. */
static void rounding(void)
{
    int32_t n = small_number(), two = 2, twice = n * 2 + 1, result;
    int32_t wanted[4] = { n & 1 ? n + 1 : n, n, n + 1, n >= 0 ? n : n + 1 };
    uint16_t control = CONTROL_DEFAULT;
    for (uint32_t mode = 0; mode < 4; mode++) {
        uint16_t with_mode = (uint16_t)(CONTROL_DEFAULT | mode << CONTROL_ROUND_SHIFT);
        __asm__ volatile("fldcw %1; fildl %2; fildl %3; fdivrp %%st, %%st(1); frndint; fistpl %0; fldcw %4"
                         : "=m"(result)
                         : "m"(with_mode), "m"(twice), "m"(two), "m"(control));
        chaos_equal("FRNDINT", (uint32_t)result, (uint32_t)wanted[mode]);
    }
    int64_t large = 1ll << 40;
    __asm__ volatile("fildll %1; fistpl %0; fnclex" : "=m"(result) : "m"(large));
    chaos_equal("FISTP of too much", (uint32_t)result, 0x80000000u);
}

/* Conversions to single and double, packed by hand. */
static void formats(void)
{
    uint32_t magnitude = (chaos_random() & 0xffffff) | 1, exponent = 31, single, pair[2];
    int32_t number = chaos_random() & 1 ? (int32_t)magnitude : -(int32_t)magnitude;
    while ((magnitude >> exponent & 1) == 0)
        exponent--;
    uint32_t sign = number < 0 ? 0x80000000u : 0;
    uint64_t fraction = (uint64_t)(magnitude ^ 1u << exponent) << (52 - exponent);
    __asm__ volatile("fildl %2; fsts %0; fstpl %1" : "=m"(single), "=m"(pair) : "m"(number));
    chaos_equal("FST single", single, sign | (127 + exponent) << 23 | (uint32_t)(fraction >> 29));
    chaos_equal("FST double, high", pair[1], sign | (1023 + exponent) << 20 | (uint32_t)(fraction >> 32));
    chaos_equal("FST double, low", pair[0], (uint32_t)fraction);
    uint8_t packed[10], wanted[10] = { 0 };
    uint32_t rest = magnitude;
    for (uint32_t i = 0; i < 4; i++, rest /= 100)
        wanted[i] = (uint8_t)(rest % 10 | rest / 10 % 10 << 4);
    wanted[9] = number < 0 ? 0x80 : 0;
    __asm__ volatile("fildl %1; fbstp %0" : "=m"(packed) : "m"(number));
    chaos_equal_bytes("FBSTP", packed, wanted, sizeof packed);
    int32_t back;
    __asm__ volatile("fbld %1; fistpl %0" : "=m"(back) : "m"(packed));
    chaos_equal("FBLD", (uint32_t)back, (uint32_t)number);
}

static void remainders(void)
{
    int32_t a = (int32_t)(chaos_random() & 0x3fffffff), b = (int32_t)(chaos_random() & 0xffff) + 1, result, scale = 7;
    __asm__ volatile("fildl %2; fildl %1; 1: fprem; fnstsw %%ax; testw $0x400, %%ax; jnz 1b; fistpl %0; fstp %%st"
                     : "=m"(result)
                     : "m"(a), "m"(b)
                     : "eax", "cc");
    chaos_equal("FPREM", (uint32_t)result, (uint32_t)(a % b));
    __asm__ volatile("fildl %2; fildl %1; fscale; fistpl %0; fstp %%st" : "=m"(result) : "m"(b), "m"(scale));
    chaos_equal("FSCALE", (uint32_t)result, (uint32_t)b << 7);
    uint32_t exponent = 31;
    while (((uint32_t)b >> exponent & 1) == 0)
        exponent--;
    __asm__ volatile("fildl %1; fxtract; fstp %%st; fistpl %0" : "=m"(result) : "m"(b));
    chaos_equal("FXTRACT exponent", (uint32_t)result, exponent);
    __asm__ volatile("fildl %1; fchs; fabs; fistpl %0" : "=m"(result) : "m"(b));
    chaos_equal("FCHS and FABS", (uint32_t)result, (uint32_t)b);
}

static void comparisons(void)
{
    int32_t a = small_number(), b = small_number(), chosen;
    uint32_t below, status, classes[3];
    __asm__ volatile("fildl %3; fildl %2; fcomi %%st(1), %%st; setb %b0; fcmovb %%st(1), %%st; fistpl %1; fstp %%st"
                     : "=&q"(below), "=m"(chosen)
                     : "m"(a), "m"(b)
                     : "cc");
    chaos_equal("FCOMI", below & 0xff, a < b);
    chaos_equal("FCMOVB", (uint32_t)chosen, (uint32_t)(a < b ? b : a));
    __asm__ volatile("fildl %2; fildl %1; fcompp; fnstsw %%ax" : "=a"(status) : "m"(a), "m"(b));
    chaos_equal("FCOMPP", status & (STATUS_C0 | STATUS_C3), a < b ? STATUS_C0 : a == b ? STATUS_C3 : 0);
    __asm__ volatile("fldz; fxam; fnstsw %%ax; movzwl %%ax, %0; fstp %%st\n\t"
                     "fld1; fxam; fnstsw %%ax; movzwl %%ax, %1; fldz; fdivrp %%st, %%st(1)\n\t"
                     "fxam; fnstsw %%ax; movzwl %%ax, %2; fstp %%st; fnclex"
                     : "=&r"(classes[0]), "=&r"(classes[1]), "=&r"(classes[2])
                     :
                     : "eax");
    uint32_t mask = STATUS_C0 | STATUS_C2 | STATUS_C3;
    chaos_equal("FXAM of zero", classes[0] & mask, STATUS_C3);
    chaos_equal("FXAM of one", classes[1] & mask, STATUS_C2);
    chaos_equal("FXAM of infinity", classes[2] & mask, STATUS_C0 | STATUS_C2);
}

static void saved_state(void)
{
    static uint8_t area[512] __attribute__((aligned(16)));
    int32_t values[5], back[5];
    for (int i = 0; i < 5; i++)
        values[i] = small_number();
    __asm__ volatile("fildl 16(%1); fildl 12(%1); fildl 8(%1); fildl 4(%1); fildl (%1)\n\t"
                     "fnsave (%2); fldz; fldz; frstor (%2)\n\t"
                     "fxsave (%2); fninit; fldpi; fxrstor (%2)\n\t"
                     "fistpl (%0); fistpl 4(%0); fistpl 8(%0); fistpl 12(%0); fistpl 16(%0)"
                     :
                     : "r"(back), "r"(values), "r"(area)
                     : "memory");
    chaos_equal_bytes("FNSAVE, FRSTOR, FXSAVE, FXRSTOR", back, values, sizeof back);
    uint32_t environment[7];
    __asm__ volatile("fninit; fld1; fldz; fnstenv %0; fninit" : "=m"(environment));
    chaos_equal("FNSTENV control", environment[0] & 0xffff, CONTROL_DEFAULT);
    chaos_equal("FNSTENV top of stack", environment[1] >> 11 & 7, 6);
    chaos_equal("FNSTENV tags", environment[2] & 0xffff, 0x1fff);
}

static void constants(void)
{
    static const uint8_t wanted[3][10] = {
        { 0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40 }, /* pi */
        { 0xbc, 0xf0, 0x17, 0x5c, 0x29, 0x3b, 0xaa, 0xb8, 0xff, 0x3f }, /* log2(e) */
        { 0xac, 0x79, 0xcf, 0xd1, 0xf7, 0x17, 0x72, 0xb1, 0xfe, 0x3f }, /* ln(2) */
    };
    uint8_t actual[3][10];
    __asm__ volatile("fldpi; fstpt (%0); fldl2e; fstpt 10(%0); fldln2; fstpt 20(%0)" : : "r"(actual) : "memory");
    chaos_equal_bytes("FLDPI, FLDL2E, FLDLN2", actual, wanted, sizeof wanted);
}

static void divide_by_zero(uint32_t argument)
{
    (void)argument;
    uint16_t control = CONTROL_ZERO_DIVIDE_UNMASKED;
    __asm__ volatile("fldcw %0; fld1; fldz; fdivrp %%st, %%st(1); fwait" : : "m"(control));
}

void chaos_fpu(void)
{
    __asm__ volatile("fninit");
    for (uint32_t i = 0; i < 6; i++) {
        integers();
        rounding();
        formats();
        remainders();
        comparisons();
        saved_state();
    }
    constants();
    chaos_equal("an unmasked division by zero", trap_catch(divide_by_zero, 0), VECTOR_MF);
    __asm__ volatile("fnclex; fninit");
}
