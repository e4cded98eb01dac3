/*
 * All 256 vectors lead here. IRQ 0 is counted and checked against the interrupt shadow; exceptions and the software
 * interrupts go to the hook, then to whoever waits in trap_catch; anything else is a failure.
 *
 * Source: Intel SDM volume 2, STI, MOV (to SS), POP (SS): no interrupt between these and the next instruction.
 */
#include "chaos.h"
#include "console.h"
#include "memory.h"
#include "port.h"

#define PIC_MASTER 0x20
#define PIC_EOI 0x20
#define IRQ0_VECTOR 0x20u
#define IRQ_VECTORS_END 0x30u

struct interrupt_frame trap_last;
uint32_t trap_address;
uint32_t trap_armed, trap_stack_saved, trap_result;
bool (*trap_hook)(struct interrupt_frame *frame);
volatile uint32_t trap_interrupts;

/* Addresses right behind STI, MOV SS and POP SS with interrupts off before: no interrupt may ever return there. */
extern const uint32_t control_shadowed[], control_shadowed_end[];

void trap_resume(void) __attribute__((noreturn));

static void on_irq(struct interrupt_frame *frame)
{
    trap_interrupts = trap_interrupts + 1;
    for (const uint32_t *address = control_shadowed; address < control_shadowed_end; address++)
        check(frame->eip != *address || (frame->cs & 0xffff) != SELECTOR_CODE, "an interrupt in the shadow at %08x",
              frame->eip);
    out8(PIC_MASTER, PIC_EOI);
}

static void on_user_call(struct interrupt_frame *frame) { frame->eax = frame->eax * 3 + frame->ebx; }

static void on_trap(struct interrupt_frame *frame)
{
    __asm__ volatile("mov %%cr2, %0" : "=r"(trap_address));
    if (trap_hook != 0 && trap_hook(frame))
        return;
    if (!trap_armed)
        fail(EXIT_EXCEPTION, "unexpected trap %u error %x at %x:%08x cr2 %08x eflags %08x", frame->vector,
             frame->error, frame->cs & 0xffff, frame->eip, trap_address, frame->eflags);
    /* Only what was pushed may be read: without a change of rings, ESP and SS are not part of the frame. */
    bool from_outside = (frame->cs & 3) != 0 || (frame->eflags & 0x20000) != 0;
    memset(&trap_last, 0, sizeof trap_last);
    memcpy(&trap_last, frame, from_outside ? __builtin_offsetof(struct interrupt_frame, v86_es)
                                           : __builtin_offsetof(struct interrupt_frame, esp));
    trap_armed = 0;
    trap_result = frame->vector;
    trap_resume();
}

void trap_start(void)
{
    for (uint32_t vector = 0; vector < 256; vector++)
        if (vector < IRQ0_VECTOR || vector >= IRQ_VECTORS_END)
            interrupt_handle(vector, on_trap);
    interrupt_handle(IRQ0_VECTOR, on_irq);
    interrupt_handle(TRAP_USER_CALL, on_user_call);
    interrupt_allow(TRAP_USER_CALL, 3);
    interrupt_allow(TRAP_USER_EXIT, 3);
    interrupt_allow(VECTOR_BP, 3);
    interrupt_allow(VECTOR_OF, 3);
}
