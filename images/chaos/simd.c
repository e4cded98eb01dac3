/*
 * MMX, SSE and SSE2 against C, lane by lane; floating point on integers that every format holds exactly.
 *
 * Source: Intel SDM volume 1, chapters 9 to 11; volume 2, the instructions' pages.
 */
#include "chaos.h"
#include "memory.h"

union lanes {
    uint8_t bytes[16];
    uint16_t words[8];
    int16_t signed_words[8];
    uint32_t doubles[4];
    int32_t numbers[4];
};

static union lanes a __attribute__((aligned(16))), b __attribute__((aligned(16))), actual, wanted;

static void refill(void)
{
    for (int i = 0; i < 4; i++) {
        a.doubles[i] = chaos_operand();
        b.doubles[i] = chaos_operand();
    }
}

/* actual = a OP b */
#define SSE(instruction)                                                                                               \
    __asm__ volatile("movdqu %1, %%xmm3; movdqu %2, %%xmm5; " instruction " %%xmm5, %%xmm3; movdqu %%xmm3, %0"         \
                     : "=m"(actual)                                                                                    \
                     : "m"(a), "m"(b))

#define COMPARE(name) chaos_equal_bytes(name, &actual, &wanted, sizeof actual)

static int32_t saturate(int32_t value) { return value > 32767 ? 32767 : value < -32768 ? -32768 : value; }

static void integers(void)
{
    refill();
    for (int i = 0; i < 16; i++)
        wanted.bytes[i] = (uint8_t)(a.bytes[i] + b.bytes[i]);
    SSE("paddb");
    COMPARE("PADDB");
    for (int i = 0; i < 8; i++)
        wanted.words[i] = (uint16_t)saturate(a.signed_words[i] - b.signed_words[i]);
    SSE("psubsw");
    COMPARE("PSUBSW");
    for (int i = 0; i < 8; i++)
        wanted.words[i] = (uint16_t)(((int32_t)a.signed_words[i] * b.signed_words[i]) >> 16);
    SSE("pmulhw");
    COMPARE("PMULHW");
    for (int i = 0; i < 4; i++)
        wanted.doubles[i] = (uint32_t)a.signed_words[2 * i] * (uint32_t)b.signed_words[2 * i] +
                            (uint32_t)a.signed_words[2 * i + 1] * (uint32_t)b.signed_words[2 * i + 1];
    SSE("pmaddwd");
    COMPARE("PMADDWD");
    for (int i = 0; i < 4; i++)
        wanted.doubles[i] = a.numbers[i] > b.numbers[i] ? 0xffffffffu : 0;
    SSE("pcmpgtd");
    COMPARE("PCMPGTD");
    for (int i = 0; i < 8; i++) {
        wanted.bytes[2 * i] = a.bytes[i];
        wanted.bytes[2 * i + 1] = b.bytes[i];
    }
    SSE("punpcklbw");
    COMPARE("PUNPCKLBW");
    for (int i = 0; i < 4; i++)
        wanted.doubles[i] = ~a.doubles[i] & b.doubles[i];
    SSE("pandn");
    COMPARE("PANDN");
    for (int i = 0; i < 4; i++)
        wanted.doubles[i] = b.doubles[3 - i];
    SSE("pshufd $0x1b,");
    COMPARE("PSHUFD");
}

static void shifts_and_masks(void)
{
    uint32_t mask, expected = 0, sum = 0;
    refill();
    __asm__ volatile("movdqu %1, %%xmm1; psrad $7, %%xmm1; movdqu %%xmm1, %0" : "=m"(actual) : "m"(a));
    for (int i = 0; i < 4; i++)
        wanted.doubles[i] = a.doubles[i] >> 7 | (a.doubles[i] >> 31 ? 0xfe000000u : 0);
    COMPARE("PSRAD");
    __asm__ volatile("movdqu %1, %%xmm1; pslldq $5, %%xmm1; movdqu %%xmm1, %0" : "=m"(actual) : "m"(a));
    for (int i = 0; i < 16; i++)
        wanted.bytes[i] = i < 5 ? 0 : a.bytes[i - 5];
    COMPARE("PSLLDQ");
    __asm__ volatile("movdqu %1, %%xmm1; pmovmskb %%xmm1, %0" : "=r"(mask) : "m"(a));
    for (int i = 0; i < 16; i++)
        expected |= (uint32_t)(a.bytes[i] >> 7) << i;
    chaos_equal("PMOVMSKB", mask, expected);
    __asm__ volatile("movdqu %1, %%xmm1; movdqu %2, %%xmm2; psadbw %%xmm2, %%xmm1; movd %%xmm1, %0"
                     : "=r"(mask)
                     : "m"(a), "m"(b));
    for (int i = 0; i < 8; i++)
        sum += a.bytes[i] > b.bytes[i] ? (uint32_t)(a.bytes[i] - b.bytes[i]) : (uint32_t)(b.bytes[i] - a.bytes[i]);
    chaos_equal("PSADBW", mask, sum);
}

static void mmx(void)
{
    refill();
    __asm__ volatile("movq %1, %%mm2; movq %2, %%mm6; pmullw %%mm6, %%mm2; movq %%mm2, %0; emms"
                     : "=m"(actual)
                     : "m"(a), "m"(b));
    for (int i = 0; i < 4; i++)
        wanted.words[i] = (uint16_t)((uint32_t)a.words[i] * b.words[i]);
    chaos_equal_bytes("PMULLW of MMX", &actual, &wanted, 8);
    __asm__ volatile("movq %1, %%mm0; movq %2, %%mm1; packuswb %%mm1, %%mm0; movq %%mm0, %0; emms"
                     : "=m"(actual)
                     : "m"(a), "m"(b));
    for (int i = 0; i < 8; i++) {
        int32_t word = i < 4 ? a.signed_words[i] : b.signed_words[i - 4];
        wanted.bytes[i] = (uint8_t)(word < 0 ? 0 : word > 255 ? 255 : word);
    }
    chaos_equal_bytes("PACKUSWB of MMX", &actual, &wanted, 8);
}

/* Single and double precision on numbers small enough to be exact, there and back. */
static void floating_point(void)
{
    int32_t root = (int32_t)(chaos_random() & 0xfff), back;
    for (int i = 0; i < 4; i++) {
        a.numbers[i] = (int32_t)(chaos_random() & 0xfff) - 0x800;
        b.numbers[i] = (int32_t)(chaos_random() & 0x7ff) + 1;
        wanted.numbers[i] = a.numbers[i] * b.numbers[i] + a.numbers[i];
    }
    __asm__ volatile("cvtdq2ps %1, %%xmm0; cvtdq2ps %2, %%xmm1; movaps %%xmm0, %%xmm2\n\t"
                     "mulps %%xmm1, %%xmm0; addps %%xmm2, %%xmm0; cvtps2dq %%xmm0, %%xmm0; movdqu %%xmm0, %0"
                     : "=m"(actual)
                     : "m"(a), "m"(b));
    COMPARE("MULPS and ADDPS");
    for (int i = 0; i < 4; i++)
        wanted.numbers[i] = a.numbers[i];
    __asm__ volatile("cvtdq2ps %1, %%xmm0; cvtdq2ps %2, %%xmm1\n\t"
                     "mulps %%xmm1, %%xmm0; divps %%xmm1, %%xmm0; cvttps2dq %%xmm0, %%xmm0; movdqu %%xmm0, %0"
                     : "=m"(actual)
                     : "m"(a), "m"(b));
    COMPARE("DIVPS");
    __asm__ volatile("cvtsi2sdl %1, %%xmm4; mulsd %%xmm4, %%xmm4; sqrtsd %%xmm4, %%xmm4; cvtsd2sil %%xmm4, %0"
                     : "=r"(back)
                     : "m"(root));
    chaos_equal("SQRTSD", (uint32_t)back, (uint32_t)root);
    uint32_t below;
    __asm__ volatile("cvtsi2sdl %1, %%xmm4; cvtsi2sdl %2, %%xmm5; comisd %%xmm5, %%xmm4; setb %b0"
                     : "=q"(below)
                     : "m"(a.numbers[0]), "m"(b.numbers[0])
                     : "cc");
    chaos_equal("COMISD", below & 0xff, a.numbers[0] < b.numbers[0]);
    uint32_t control = 0x3f80, seen; /* round down */
    int32_t odd = root * 2 + 1, two = 2;
    __asm__ volatile("ldmxcsr %2; cvtsi2sdl %3, %%xmm0; cvtsi2sdl %4, %%xmm1; divsd %%xmm1, %%xmm0\n\t"
                     "cvtsd2sil %%xmm0, %0; stmxcsr %1"
                     : "=r"(back), "=m"(seen)
                     : "m"(control), "m"(odd), "m"(two));
    chaos_equal("CVTSD2SI rounding down", (uint32_t)back, (uint32_t)root);
    chaos_equal("MXCSR", seen & 0x7f80, control & 0x7f80);
    control = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
}

void chaos_simd(void)
{
    for (uint32_t i = 0; i < 6; i++) {
        integers();
        shifts_and_masks();
        mmx();
        floating_point();
    }
}
