/* segments.h - limits and types of segments, which the engine does not look at when memory is accessed.
 *
 *   segments.c        what a segment allows; which segments must be asked (a bit each in the engine's hflags)
 *   segment_checks.c  the questions, put into translated code before each access through such a segment
 *
 * Invariant: whenever a block is looked for, the bits in hflags are those of the segment registers as they are. They
 * follow from the registers, so they are no part of a saved state. */
#ifndef FT86_SEGMENTS_H
#define FT86_SEGMENTS_H
#include "decode.h"
#include "layout.h"

/* What translated code asks: bytes of the access, segment, direction. */
#define ASK_BYTES 0x3ffu
#define ASK_SEGMENT_SHIFT 10
#define ASK_STORE 0x2000u
#define ASK_NOTHING 0x4000u              /* segment registers or the mode have changed */

/* segments.c */
/* Segment registers, CR0.PE or EFLAGS.VM have changed. */
void segments_changed(CPUX86State *env);
/* Translated code calls it; the engine has no use of its own for it (interpose.h). */
void helper_svm_check_intercept_param_x86_64(CPUX86State *env, uint32_t ask, uint64_t at);

/* segment_checks.c: a block's translation begins; that of an instruction; of one of its accesses; of a call */
void checks_begin_block(void);
void checks_begin_instruction(CPUX86State *env, const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at));
void checks_end_instruction(void);
void checks_access(TCGContext *tcg, uintptr_t at, uint32_t memory, bool store);
void checks_before_call(TCGContext *tcg, const void *function, void **arguments);
void checks_after_call(TCGContext *tcg, const void *function);
#endif
