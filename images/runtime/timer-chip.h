/* Channel 0 of the 8254 as a periodic interrupt on IRQ 0. */
#pragma once

#include <stdint.h>

#define TIMER_HZ_LOWEST 19
#define TIMER_HZ_HIGHEST 100000

/* Interrupt `hz` times a second from now on (TIMER_HZ_LOWEST to TIMER_HZ_HIGHEST). */
void timer_start(uint32_t hz);

/* Ticks since timer_start. */
uint32_t timer_ticks(void);
