/*
 * Control flow and segments: interrupt shadows, LOOP in all forms, frames, far calls, jump tables, 16-bit code,
 * segment bases, the LDT, and the instructions that look at descriptors.
 *
 * Source: Intel SDM volume 2 (LOOPcc, JECXZ, ENTER, LAR, LSL, VERR, ARPL); volume 3A, section 3.4 (segments).
 */
#include "chaos.h"
#include "selectors.h"

uint32_t control_shadows(uint32_t rounds);
uint32_t control_frames(uint32_t a, uint32_t b);
uint32_t control_far(uint32_t a);
uint32_t control_jump(uint32_t index, uint32_t a);
uint32_t control_16(uint32_t a, uint32_t *memory);
extern const uint8_t control_code16[];

#define ACCESS_DATA_USER 0xf2
#define ACCESS_CODE 0x9a
#define ACCESS_LDT 0x82
#define FLAG_32BIT 0x4

static uint32_t ldt[4][2] __attribute__((aligned(8)));

static void loops(void)
{
    uint32_t count = 1 + chaos_random() % 60, left = count, steps = 0, position = chaos_random() % 60, high;
    __asm__ volatile("1: incl %1; loop 1b" : "+c"(left), "+r"(steps) : : "cc");
    chaos_equal("LOOP", steps, count);
    left = count;
    steps = 0;
    __asm__ volatile("1: incl %1; cmpl %2, %1; loopne 1b" : "+c"(left), "+r"(steps) : "r"(position) : "cc");
    uint32_t wanted = position >= 1 && position <= count ? position : count;
    chaos_equal("LOOPNE", steps, wanted);
    chaos_equal("LOOPNE counter", left, count - wanted);
    left = count;
    steps = 0;
    __asm__ volatile("1: incl %1; testl %1, %1; setz %%dl; testb %%dl, %%dl; loope 1b"
                     : "+c"(left), "+r"(steps)
                     :
                     : "cc", "edx");
    chaos_equal("LOOPE", left, 0);
    high = 0xabcd0000u | count;
    steps = 0;
    __asm__ volatile("1: incl %1; loopw 1b" : "+c"(high), "+r"(steps) : : "cc");
    chaos_equal("LOOP on CX", steps ^ high, count ^ 0xabcd0000u);
    __asm__ volatile("xorl %0, %0; jcxz 1f; incl %0; 1: jecxz 2f; addl $2, %0; 2:" : "=&r"(steps) : "c"(high) : "cc");
    chaos_equal("JCXZ and JECXZ", steps, 2);
}

static uint32_t fibonacci(uint32_t n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

static void segments(void)
{
    static uint32_t words[8];
    uint32_t value = chaos_random(), result, index = chaos_random() % 8, null = 0;
    words[index] = value;
    segment_set(SEL_BASED, (uint32_t)words, sizeof words - 1, ACCESS_DATA_USER, FLAG_32BIT);
    __asm__ volatile("movl %1, %%fs; movl %%fs:(%2), %0; movl %3, %%fs"
                     : "=&r"(result)
                     : "r"(SEL_BASED), "r"(index * 4), "r"(null)
                     : "memory");
    chaos_equal("a load through FS", result, value);
    __asm__ volatile("movl %1, %%gs; xorl %2, %%gs:(%0); movl %3, %%gs"
                     :
                     : "r"(index * 4), "r"(SEL_BASED), "r"(0x0f0f0f0f), "r"(null)
                     : "memory", "cc");
    chaos_equal("a store through GS", *(volatile uint32_t *)&words[index], value ^ 0x0f0f0f0f);
    uint32_t base = (uint32_t)words;
    ldt[1][0] = (sizeof words - 1) | base << 16;
    ldt[1][1] = (base >> 16 & 0xff) | ACCESS_DATA_USER << 8 | FLAG_32BIT << 20 | (base & 0xff000000u);
    segment_set(SEL_LDT, (uint32_t)ldt, sizeof ldt - 1, ACCESS_LDT, 0);
    __asm__ volatile("lldt %w1; movl %2, %%fs; movl %%fs:(%3), %0; movl %4, %%fs; lldt %w4"
                     : "=&r"(result)
                     : "r"(SEL_LDT), "r"(1 * 8 | 4), "r"(index * 4), "r"(null)
                     : "memory");
    chaos_equal("a load through the LDT", result, value ^ 0x0f0f0f0f);
}

static void descriptors(void)
{
    uint32_t limit, access, zero, selector;
    __asm__ volatile("lsll %2, %0; setz %b1" : "=&r"(limit), "=q"(zero) : "r"(SEL_BASED) : "cc");
    chaos_equal("LSL", limit + (zero & 0xff), 31 + 1);
    __asm__ volatile("larl %2, %0; setz %b1" : "=&r"(access), "=q"(zero) : "r"(SEL_KERNEL_CODE) : "cc");
    /* The accessed bit (8) may be set by the load of CS. */
    chaos_equal("LAR", ((access & 0xf0ff00) | 0x100) + (zero & 0xff), 0xc09b00 + 1);
    __asm__ volatile("verr %w1; setz %b0" : "=q"(zero) : "r"(SEL_EXECUTE_ONLY) : "cc");
    chaos_equal("VERR of code that cannot be read", zero & 0xff, 0);
    __asm__ volatile("verw %w1; setz %b0" : "=q"(zero) : "r"(SEL_READ_ONLY) : "cc");
    chaos_equal("VERW of data that cannot be written", zero & 0xff, 0);
    __asm__ volatile("verw %w1; setz %b0" : "=q"(zero) : "r"(SEL_KERNEL_DATA) : "cc");
    chaos_equal("VERW of data", zero & 0xff, 1);
    selector = 0x20;
    __asm__ volatile("arpl %w2, %w0; setz %b1" : "+&r"(selector), "=q"(zero) : "r"(0x33) : "cc");
    chaos_equal("ARPL", selector + (zero & 0xff), 0x23 + 1);
    __asm__ volatile("str %w0" : "=r"(selector));
    chaos_equal("STR", selector & 0xffff, SELECTOR_TSS);
}

static void code_of_16_bits(void)
{
    uint32_t a = chaos_random(), memory = chaos_random(), before = memory;
    uint32_t ax = (a + 0x1234) & 0xffff;
    for (int i = 0; i < 5; i++)
        ax = (ax << 3 | ax >> 13) & 0xffff;
    uint32_t wanted = (a & 0xffff0000u) | ax;
    segment_set(SEL_CODE16, (uint32_t)control_code16, 0xffff, ACCESS_CODE, 0);
    chaos_equal("16-bit code", control_16(a, &memory), wanted ^ 0x00010001);
    chaos_equal("a store from 16-bit code", memory, before + wanted);
}

void chaos_control(void)
{
    uint32_t a = chaos_random(), b = chaos_random(), index = chaos_random() & 3;
    uint32_t jumps[4] = { a + 1, a << 1, ~a, 0u - a };
    chaos_equal("interrupt windows", control_shadows(100), 700);
    chaos_equal("ENTER, LEAVE and RET n", control_frames(a, b), a * 2 + b);
    chaos_equal("a far call", control_far(a), a ^ 0x5a5a5a5a);
    chaos_equal("a jump table", control_jump(index, a), jumps[index]);
    chaos_equal("recursion", fibonacci(12), 144);
    for (uint32_t i = 0; i < 4; i++)
        loops();
    segments();
    descriptors();
    code_of_16_bits();
}
