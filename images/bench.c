/* The C side of bench-loop.S. */
#include "bench.h"
#include "console.h"
#include "runtime.h"

#define VERIFIED_N 20000u

static uint32_t table[BENCH_TABLE_WORDS] __attribute__((aligned(4096)));

uint32_t bench_model(uint32_t n, uint32_t *words)
{
    uint32_t sum = 0;
    for (uint32_t left = n; left != 0; left--) {
        uint32_t value = left * 1103515245u + 12345u;
        words[(value >> 16 & 0x3ffc) / 4] = value;
        sum += value & 1 ? value >> 7 | value << 25 : value;
    }
    return sum;
}

void bench_verify(void)
{
    for (uint32_t n = 1; n < VERIFIED_N; n = n * 3 + 1) {
        uint32_t wanted = bench_model(n, table), found = bench_loop(n, table);
        check(found == wanted, "the loop's checksum for n=%u is %08x, not %08x", n, found, wanted);
    }
}

void bench_begin(const char *what) { print("%s: begin %s\n", guest_name, what); }

void bench_end(const char *what) { print("%s: end %s\n", guest_name, what); }
