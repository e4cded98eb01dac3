/*
 * bench-mem: three ways of using memory, each between its own marks.
 *
 *   rep-movsd   n copies of 4 MiB by REP MOVSD            1,048,576 counted passes each
 *   copy-loop   n copies of 1 MiB word by word            1.6 million instructions each
 *   random      n times 131,072 read-modify-writes at random places in 8 MiB, about 1.2 million instructions each
 *
 * Shows: the cost of memory accesses and of a TLB that is too small. Runs unchanged under `qemu-system-i386 -kernel`.
 * Checks itself: sums of what was copied; the random part undoes itself when its sequence runs twice.
 * Options: n=32 (even). Needs 32 MiB.
 */
#include "bench.h"
#include "console.h"
#include "memory.h"
#include "options.h"
#include "runtime.h"

#define BLOCK_BYTES (4u << 20)
#define LOOP_BYTES (1u << 20)
#define RANDOM_BYTES (8u << 20)
#define RANDOM_STEPS 131072u

static uint32_t sum_words(const uint32_t *words, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum = (sum << 5 | sum >> 27) ^ words[i];
    return sum;
}

static void rep_movsd(uint32_t *to, const uint32_t *from, uint32_t words)
{
    __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* Six instructions a word, whatever the compiler would have liked better. */
static void copy_loop(uint32_t *to, const uint32_t *from, uint32_t words)
{
    uint32_t value;
    __asm__ volatile("1: mov (%1), %0\n\t"
                     "mov %0, (%2)\n\t"
                     "lea 4(%1), %1\n\t"
                     "lea 4(%2), %2\n\t"
                     "dec %3\n\t"
                     "jnz 1b"
                     : "=&r"(value), "+r"(from), "+r"(to), "+r"(words)
                     :
                     : "memory", "cc");
}

/* XOR each visited word with the generator's state: the same sequence again restores the memory. */
static void random_updates(uint32_t *words, uint32_t seed)
{
    for (uint32_t i = 0; i < RANDOM_STEPS; i++) {
        seed = seed * 1664525u + 1013904223u;
        words[seed >> 8 & (RANDOM_BYTES / 4 - 1)] ^= seed;
    }
}

int guest_main(void)
{
    uint32_t n = option_number("n", 32, 2, 1000000) & ~1u;
    uint32_t *from = memory_pages(BLOCK_BYTES / PAGE_BYTES), *to = memory_pages(BLOCK_BYTES / PAGE_BYTES);
    uint32_t *scattered = memory_pages(RANDOM_BYTES / PAGE_BYTES);
    for (uint32_t i = 0; i < BLOCK_BYTES / 4; i++)
        from[i] = memory_mix(i);
    uint32_t whole = sum_words(from, BLOCK_BYTES / 4), part = sum_words(from, LOOP_BYTES / 4);

    bench_begin("rep-movsd");
    for (uint32_t i = 0; i < n; i++)
        rep_movsd(to, from, BLOCK_BYTES / 4);
    bench_end("rep-movsd");
    check(sum_words(to, BLOCK_BYTES / 4) == whole, "REP MOVSD copied wrongly");

    memset(to, 0, LOOP_BYTES);
    bench_begin("copy-loop");
    for (uint32_t i = 0; i < n; i++)
        copy_loop(to, from, LOOP_BYTES / 4);
    bench_end("copy-loop");
    check(sum_words(to, LOOP_BYTES / 4) == part, "the copy loop copied wrongly");

    bench_begin("random");
    for (uint32_t i = 0; i < n; i++)
        random_updates(scattered, i / 2 + 1);
    bench_end("random");
    for (uint32_t i = 0; i < RANDOM_BYTES / 4; i++)
        check(scattered[i] == 0, "random updates left %08x at word %u", scattered[i], i);
    print("bench-mem: n=%u checksum %08x\n", n, whole);
    return EXIT_OK;
}
