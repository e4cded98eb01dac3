/* task_switch.h - hardware task switches, for transfers.c. */
#ifndef FT86_TASK_SWITCH_H
#define FT86_TASK_SWITCH_H
#include "layout.h"

enum task_source { TASK_JUMP, TASK_CALL, TASK_RETURN };

/* JMP and CALL; next is what the old task goes on with. Returns if the selector is none of a task segment or gate, else the
 * switch is done and the block left. Past the point of no return faults are the new task's. */
void task_transfer(CPUX86State *env, uint32_t selector, enum task_source source, uint32_t next, uintptr_t host_pc);
/* IRET with NT set. */
void task_return(CPUX86State *env, uint32_t next, uintptr_t host_pc) __attribute__((noreturn));
/* Exceptions and interrupts. False: no task gate. */
bool task_interrupt(CPUX86State *env, unsigned vector, uint32_t eip, bool external);
void task_push_error(CPUX86State *env, uint32_t error);
/* Delivered; the new task may want a trap. */
void task_end_interrupt(CPUX86State *env);
#endif
