/*
 * triple: a guest that fails as hard as it can: an interrupt with no interrupt table, so a triple fault.
 *
 * For tests: the machine must stop and say so.
 * Source: Intel SDM volume 3A, section 6.15, "Interrupt 8" (shutdown).
 */
#include "console.h"
#include "runtime.h"

int guest_main(void)
{
    static const struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) empty = { 0, 0 };
    print("triple: no way back\n");
    __asm__ volatile("cli; lidt %0; ud2" : : "m"(empty));
    fail(EXIT_CHECK, "still alive after a triple fault");
}
