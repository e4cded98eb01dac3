/*
 * bench-timer: the loop of bench-cpu under a timer interrupt.
 *
 * Shows: what interrupts cost, in time and in log bytes. Runs unchanged under `qemu-system-i386 -kernel`.
 * Options: n=120000000 (2.1e9 instructions), hz=1000 (19 to 100000).
 */
#include "bench.h"
#include "console.h"
#include "options.h"
#include "runtime.h"
#include "timer-chip.h"

static uint32_t table[BENCH_TABLE_WORDS] __attribute__((aligned(4096)));

int guest_main(void)
{
    uint32_t n = option_number("n", 120000000, 1, BENCH_N_MOST);
    uint32_t hz = option_number("hz", 1000, TIMER_HZ_LOWEST, TIMER_HZ_HIGHEST);
    bench_verify();
    timer_start(hz);
    bench_begin("timer");
    uint32_t sum = bench_loop(n, table);
    bench_end("timer");
    print("bench-timer: n=%u checksum %08x hz=%u ticks=%u\n", n, sum, hz, timer_ticks());
    return EXIT_OK;
}
