/*
 * The 8254's channel 0 in mode 2 (rate generator), both bytes of the divisor.
 *
 * Source: Intel 82C54 data sheet, "Control Word Format" and "Mode 2: Rate Generator".
 */
#include "timer-chip.h"
#include "interrupts.h"
#include "port.h"

#define PIT_CHANNEL_0 0x40
#define PIT_CONTROL 0x43
#define PIT_CHANNEL_0_BOTH_BYTES_MODE_2 0x34
#define PIT_INPUT_HZ 1193182u
#define TIMER_LINE 0

static volatile uint32_t ticks;

static void count_tick(void *context)
{
    (void)context;
    ticks = ticks + 1;
}

void timer_start(uint32_t hz)
{
    uint32_t divisor = (PIT_INPUT_HZ + hz / 2) / hz;
    out8(PIT_CONTROL, PIT_CHANNEL_0_BOTH_BYTES_MODE_2);
    out8(PIT_CHANNEL_0, (uint8_t)divisor);
    out8(PIT_CHANNEL_0, (uint8_t)(divisor >> 8));
    irq_handle(TIMER_LINE, count_tick, 0);
}

uint32_t timer_ticks(void) { return ticks; }
