/*
 * chaos: a guest that is hard to execute exactly, and that notices when it was not.
 *
 *   for each iteration: every part of chaos.h, with other random operands; IRQ 0 at any time in between
 *   end: "chaos: ok checksum XXXXXXXX"
 *
 * Shows: that counting, interrupting and replaying are exact where it is difficult.
 * Options: iterations=600, seed=1, hz=2000 (19 to 20000), pit=on (off: do not program the timer; interrupts then
 * come from elsewhere or not at all). The checksum depends on iterations and seed only.
 */
#include "chaos.h"
#include "console.h"
#include "memory.h"
#include "options.h"
#include "timer-chip.h"

#define CR0_WP_NE_MP 0x00010022u
#define CR0_EM_TS 0x0000000cu
#define CR4_PSE 0x010u
#define CR4_OSFXSR_OSXMMEXCPT 0x600u
#define REPORTS 4u

static uint32_t random_state, checksum = 0x811c9dc5u;

uint32_t chaos_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

uint32_t chaos_operand(void)
{
    static const uint32_t extremes[16] = { 0,      1,      2,          0xffffffff, 0x80000000, 0x7fffffff, 0x80, 0x7f,
                                           0x8000, 0x7fff, 0xffff0000, 0x0000ffff, 0x000000ff, 0x100,      9,    0x99 };
    uint32_t random = chaos_random();
    return random & 3 ? random : extremes[random >> 28];
}

static void mix(uint32_t value)
{
    checksum = (checksum ^ value) * 16777619u;
    checksum ^= checksum >> 15;
}

void chaos_equal(const char *what, uint32_t actual, uint32_t expected)
{
    if (actual != expected)
        fail(EXIT_CHECK, "%s: %08x, expected %08x", what, actual, expected);
    mix(actual);
}

void chaos_equal_bytes(const char *what, const void *actual, const void *expected, uint32_t bytes)
{
    const uint8_t *left = actual, *right = expected;
    for (uint32_t i = 0; i < bytes; i++)
        if (left[i] != right[i])
            fail(EXIT_CHECK, "%s: byte %u of %u is %x, expected %x", what, i, bytes, left[i], right[i]);
    mix(memory_crc32(0, actual, bytes));
}

static void control_registers_start(void)
{
    uint32_t cr0, cr4 = CR4_PSE | CR4_OSFXSR_OSXMMEXCPT;
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    cr0 = (cr0 | CR0_WP_NE_MP) & ~CR0_EM_TS;
    __asm__ volatile("mov %0, %%cr0; fninit" : : "r"(cr0));
}

int guest_main(void)
{
    static void (*const parts[])(void) = { chaos_arithmetic, chaos_decimal, chaos_bits,      chaos_control,
                                           chaos_strings,    chaos_modify,  chaos_faults,    chaos_paging,
                                           chaos_privilege,  chaos_fpu,     chaos_simd };
    uint32_t iterations = option_number("iterations", 600, 1, 100000000);
    uint32_t hz = option_number("hz", 2000, TIMER_HZ_LOWEST, 20000);
    random_state = option_number("seed", 1, 1, 0xffffffffu);
    bool with_timer = option_switch("pit", true);
    print("chaos: %u iterations\n", iterations);
    control_registers_start();
    trap_start();
    paging_start();
    if (with_timer)
        timer_start(hz);
    for (uint32_t i = 0; i < iterations; i++) {
        for (uint32_t part = 0; part < sizeof parts / sizeof parts[0]; part++)
            parts[part]();
        if (i % (iterations / REPORTS + 1) == iterations / REPORTS)
            print("chaos: %u done, checksum %08x\n", i + 1, checksum);
    }
    print("chaos: ok checksum %08x\n", checksum);
    return EXIT_OK;
}
