/* debug.h - debug exceptions, and the flag that holds instruction breakpoints back (RF). */
#ifndef FT86_DEBUG_H
#define FT86_DEBUG_H
#include "core_internal.h"

/* Whether the debug exception that the engine has raised is a fault: its instruction has not retired. */
bool debug_is_fault(core *c);
/* Whether an instruction breakpoint lies behind the end of this run. */
bool debug_discard_breakpoint(core *c);
/* #DB now, between two instructions, with these bits of DR6. False: it ended in a triple fault. */
bool debug_take(core *c, uint32_t bits);
/* HLT has retired with TF set: #DB, and no halt. */
bool debug_steps_halt(core *c);
/* Whether accesses must be asked about; one is about to be done; ICEBP, of that many bytes, has been. */
bool debug_asks(const CPUX86State *env);
void debug_access(CPUX86State *env, uint32_t at, uint32_t bytes, bool store, uintptr_t host_pc);
/* A far transfer has pushed something: its trap follows the transfer. */
void debug_push(CPUX86State *env, uint32_t at, uint32_t bytes);
void debug_icebp(CPUX86State *env, uint32_t length, uintptr_t host_pc);
/* MOV SS or POP SS is done. */
void debug_shadow(CPUX86State *env);
/* An exception is about to be delivered; software: by INT n, INT3 or INTO. */
void debug_before_delivery(core *c, uint32_t vector, bool software);

/* Translation begins: of a block; of an instruction. Before a call: true to leave it out. Before an exit that leads straight
 * to another block; before any other, with NULL. */
void debug_begin_block(const TranslationBlock *tb);
void debug_begin_instruction(const struct decoded *d);
bool debug_before_call(TCGContext *tcg, const void *function);
void debug_before_exit(TCGContext *tcg, unsigned number);
void debug_before_return(TCGContext *tcg, const TranslationBlock *tb);
#endif
