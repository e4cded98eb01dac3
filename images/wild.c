/*
 * wild: jumps where no RAM is. Memory there reads as all ones, FF FF is no instruction, so the guest gets #UD in
 * the middle of nowhere, notes it and stops in order. A page fault with paging on comes back the same way.
 *
 * For tests: fetching from open bus must not harm the host. Prints what it met.
 */
#include "console.h"
#include "interrupts.h"
#include "runtime.h"

#define NOWHERE 0xd0000000u

static void on_exception(struct interrupt_frame *frame)
{
    print("wild: exception %u at %08x\n", frame->vector, frame->eip);
    check(frame->eip == NOWHERE && frame->vector == VECTOR_UD, "this is not where the jump went");
    print("wild: ok\n");
    finish(EXIT_OK);
}

int guest_main(void)
{
    interrupt_handle(VECTOR_UD, on_exception);
    interrupt_handle(VECTOR_GP, on_exception);
    print("wild: jumping to %08x\n", NOWHERE);
    __asm__ volatile("jmp *%0" : : "r"(NOWHERE));
    fail(EXIT_CHECK, "the jump came back");
}
