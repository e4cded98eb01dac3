/*
 * bench-cpu: nothing but computing. n iterations of the loop in bench-loop.S, 17.5 instructions each.
 *
 * Shows: what exact counting costs. Runs unchanged under `qemu-system-i386 -kernel`.
 * Options: n=20000000 (350 million instructions).
 */
#include "bench.h"
#include "console.h"
#include "options.h"
#include "runtime.h"

static uint32_t table[BENCH_TABLE_WORDS] __attribute__((aligned(4096)));

int guest_main(void)
{
    uint32_t n = option_number("n", 20000000, 1, BENCH_N_MOST);
    bench_verify();
    bench_begin("cpu");
    uint32_t sum = bench_loop(n, table);
    bench_end("cpu");
    print("bench-cpu: n=%u checksum %08x\n", n, sum);
    return EXIT_OK;
}
