/* debug.h - debug exceptions, and the flag that holds instruction breakpoints back (RF). */
#ifndef FT86_DEBUG_H
#define FT86_DEBUG_H
#include "core_internal.h"

/* Whether the debug exception that the engine has raised is a fault: its instruction has not retired. */
bool debug_is_fault(core *c);
/* Whether an instruction breakpoint lies behind the end of this run. */
bool debug_discard_breakpoint(core *c);
/* An exception is about to be delivered; software: by INT n, INT3 or INTO. */
void debug_before_delivery(core *c, uint32_t vector, bool software);

/* Translation begins: of a block; of an instruction. Whether to leave out a call that it emits. Before an exit that leads
 * straight to another block. */
void debug_begin_block(const TranslationBlock *tb);
void debug_begin_instruction(const struct decoded *d);
bool debug_omits_call(const void *function);
void debug_before_exit(TCGContext *tcg, unsigned number);
#endif
