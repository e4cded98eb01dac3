/*
 * idle: sleeps. HLT, a timer interrupt, HLT again; one line every `report` ticks.
 *
 * For tests: an idle guest must cost little, and an idle primary must still move its backup on.
 * Options: hz=100 (19 to 10000), ticks=0 (stops after so many; 0: never), report=1000.
 */
#include "console.h"
#include "options.h"
#include "port.h"
#include "runtime.h"
#include "timer-chip.h"

int guest_main(void)
{
    uint32_t hz = option_number("hz", 100, TIMER_HZ_LOWEST, 10000);
    uint32_t last = option_number("ticks", 0, 0, 0x7fffffff);
    uint32_t report = option_number("report", 1000, 1, 0x7fffffff), next_report = report;
    print("idle: %u Hz\n", hz);
    timer_start(hz);
    for (;;) {
        interrupts_disable();
        uint32_t ticks = timer_ticks();
        if (last != 0 && ticks >= last) {
            print("idle: ok, %u ticks\n", ticks);
            return EXIT_OK;
        }
        if (ticks >= next_report) {
            print("idle: %u ticks\n", ticks);
            next_report += report;
        }
        interrupts_wait();
    }
}
