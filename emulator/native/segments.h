/* segments.h - limits and types of segments, which the engine does not look at when memory is accessed.
 *
 *   segments.c        what a segment allows; which segments must be asked (a bit each in the engine's hflags)
 *   segment_checks.c  the questions, put into translated code before each access through such a segment
 *   code_limit.c      the limit of CS: of near jumps, which ask too, and of what is fetched
 *   stack_frames.c    PUSHA, POPA, ENTER
 *   operands.c        stores in parts, alignment
 *   atomic_checks.c   instructions with LOCK
 *   transfers.c       far transfers, exceptions and interrupts: room on the stack, the limit of CS
 *   task_switch.c     hardware task switches
 *   transfer_checks.c the accesses and exceptions of the engine in them
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
#define ASK_JUMP 0x8000u                 /* a near jump to an offset, under a condition; bits 0 to 7: see code_limit.c */

#define ASK_FRAME 0x10000u               /* PUSHA, POPA, ENTER; bits 0 to 7: see stack_frames.c */
#define ASK_ICEBP 0x20000u               /* ICEBP, of that many bytes */
#define ASK_NO_SEGMENT 7u                /* as the segment: it allows everything */
#define ASK_WHOLE 0x40000u               /* all of the store or nothing */
#define ASK_CC_OP 0x80000u               /* env.cc_op, as the engine's function takes it for what it is */
#define ASK_ALIGN_SHIFT 20               /* the alignment less 1, where it is checked; 4 bits */
#define ASK_SHADOW 0x1000000u            /* MOV SS or POP SS is done */
#define ASK_MODIFIES 0x2000000u          /* whether the operand that was just loaded may be stored to */

/* A stack: where SS points to, or what a descriptor says. */
struct stack { uint32_t base, limit, flags, mask; };

/* segments.c */
struct stack stack_current(const CPUX86State *env);
/* Whether words of so many bytes lie within the limit, each step away from the one before. */
bool stack_has_room(struct stack s, uint32_t offset, int step, unsigned count, unsigned bytes);
/* Whether a segment's limit allows so many bytes there. */
bool segment_limit_allows(uint32_t flags, uint32_t limit, uint32_t offset, uint32_t bytes);
/* Segment registers, CR0.PE or EFLAGS.VM have changed. */
void segments_changed(CPUX86State *env);
/* Translated code calls it; the engine has no use of its own for it (interpose.h). */
void helper_svm_check_intercept_param_x86_64(CPUX86State *env, uint32_t ask, uint64_t at);

/* transfers.c: deliver the exception in flight, or an external interrupt; forget a transfer that was left; behind one */
void transfer_exception(CPUState *cpu, CPUX86State *env);
void transfer_interrupt(CPUX86State *env, int vector);
void transfers_forget(void);
void transfer_end(CPUX86State *env, uintptr_t host_pc);

/* code_limit.c */
void code_limit_changed(CPUX86State *env);
void code_limit_of_jump(CPUX86State *env, uint32_t ask, uint32_t target, uintptr_t host_pc);
/* Instructions of the block that lie within the limit, all if it has none. */
int code_limit_instructions(const CPUX86State *env, const TranslationBlock *tb);
bool code_limit_is_below(const CPUX86State *env, uint32_t linear);
/* Jumps: what to ask before the instruction, with *target, or of the first value that it loads; else 0. Far ones only
 * where they look at no descriptor (8086 code). */
uint32_t code_limit_question(CPUX86State *env, const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at),
                             bool code32, bool far, uint32_t *target, bool *of_load);

/* stack_frames.c: what to ask before the instruction, with *allocated, else 0; limited: SS is asked about */
uint32_t stack_frame_question(CPUX86State *env, const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at),
                              bool code32, bool limited, uint32_t *allocated);
void stack_frame_check(CPUX86State *env, uint32_t ask, uint32_t allocated, uintptr_t host_pc);

/* operands.c: bytes of a store that the engine does in parts, else 0; whether alignment may be checked; the check */
uint32_t operand_whole_store(const struct decoded *d);
bool operand_is_aligned_code(const CPUX86State *env);
void operand_check(CPUX86State *env, uint32_t ask, uint32_t at, uintptr_t host_pc);

/* segment_checks.c: a block's translation begins; that of an instruction; of one of its accesses; of a call */
void checks_begin_block(void);
void checks_begin_instruction(CPUX86State *env, const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at));
void checks_end_instruction(void);
void checks_loaded(TCGContext *tcg, uintptr_t value, uintptr_t at);
void checks_access(TCGContext *tcg, uintptr_t at, uint32_t memory, bool store);
void checks_before_call(TCGContext *tcg, const void *function, void **arguments);
void checks_after_call(TCGContext *tcg, const void *function);
void checks_ask(TCGContext *tcg, uint32_t what);
#endif
