/*
 * timer: counts primes while a timer interrupts it.
 *
 *   main loop: next candidate -> prime? -> count          IRQ 0: ticks++
 *              every `hz` ticks: "tick N primes P largest L"
 *
 * Shows: that interrupts arrive at the same instruction on both replicas. What is printed depends on how far the
 * loop came between two ticks, so one instruction of difference would show on the console sooner or later.
 * Checks itself: the number of primes below each power of ten is known.
 * Options: hz=100 (19 to 10000), ticks=3000 (stops after so many; 0: never).
 */
#include "console.h"
#include "options.h"
#include "runtime.h"
#include "timer-chip.h"

/* pi(10^n), OEIS A006880. */
static const uint32_t primes_below_power[] = { 0, 4, 25, 168, 1229, 9592, 78498, 664579, 5761455, 50847534 };

static bool is_prime(uint32_t candidate)
{
    if (candidate % 2 == 0)
        return candidate == 2;
    for (uint32_t divisor = 3; divisor <= candidate / divisor; divisor += 2)
        if (candidate % divisor == 0)
            return false;
    return candidate > 1;
}

int guest_main(void)
{
    uint32_t hz = option_number("hz", 100, TIMER_HZ_LOWEST, 10000);
    uint32_t last_tick = option_number("ticks", 3000, 0, 0x7fffffff);
    uint32_t primes = 0, largest = 0, next_report = hz, power = 10, exponent = 1;
    print("timer: %u Hz, %u ticks\n", hz, last_tick);
    timer_start(hz);
    for (uint32_t candidate = 1;; candidate++) {
        if (candidate == power) {
            check(primes == primes_below_power[exponent], "%u primes below %u", primes, power);
            exponent++;
            power *= 10;
        }
        if (is_prime(candidate)) {
            primes++;
            largest = candidate;
        }
        uint32_t ticks = timer_ticks();
        if (ticks >= next_report) {
            print("tick %u primes %u largest %u\n", ticks, primes, largest);
            next_report += hz;
        }
        if (last_tick != 0 && ticks >= last_tick) {
            print("timer: ok, %u ticks, %u primes, largest %u\n", ticks, primes, largest);
            return EXIT_OK;
        }
    }
}
