/*
 * dirty: writes to fresh pages at a steady rate, and checks them.
 *
 *   each tick: rate / hz pages get their number and round; one page of the round before is checked
 *
 * Shows: what state transfer and checkpoints cost for a guest that keeps changing its memory.
 * Checks itself: a page holds what was written in its last round.
 * Options: mib=48 (memory written, 1 to 1024), rate=20 (MiB a second), hz=100, ticks=0 (stops after so many; 0: never).
 */
#include "console.h"
#include "memory.h"
#include "options.h"
#include "runtime.h"
#include "timer-chip.h"

#define PAGES_PER_MIB 256u

static uint32_t expected(uint32_t page, uint32_t round)
{
    return memory_mix(page * 0x10001u + round);
}

int guest_main(void)
{
    uint32_t pages = option_number("mib", 48, 1, 1024) * PAGES_PER_MIB;
    uint32_t rate = option_number("rate", 20, 1, 100000);
    uint32_t hz = option_number("hz", 100, TIMER_HZ_LOWEST, 10000);
    uint32_t last_tick = option_number("ticks", 0, 0, 0x7fffffff);
    uint32_t *memory = memory_pages(pages);
    uint32_t page = 0, round = 1, owed = 0, done = 0, next_report = hz;
    print("dirty: %u pages, %u MiB a second\n", pages, rate);
    timer_start(hz);
    for (;;) {
        uint32_t ticks = timer_ticks();
        if (last_tick != 0 && ticks >= last_tick) {
            print("dirty: ok, %u ticks, round %u\n", ticks, round);
            return EXIT_OK;
        }
        if (ticks == done) {
            __asm__ volatile("hlt");
            continue;
        }
        done++;
        for (owed += rate * PAGES_PER_MIB; owed >= hz; owed -= hz) {
            volatile uint32_t *words = memory + page * (PAGE_BYTES / 4);
            check(words[1] == (round == 1 ? 0 : expected(page, round - 1)), "page %u, round %u", page, round);
            words[0] = round;
            words[1] = expected(page, round);
            if (++page == pages) {
                page = 0;
                round++;
            }
        }
        if (done >= next_report) {
            print("dirty: %u ticks, round %u, page %u\n", done, round, page);
            next_report += hz;
        }
    }
}
