/* debug.c - debug exceptions, and RF, which holds instruction breakpoints back for one instruction.
 *
 *   a fault is delivered        EFLAGS is pushed with RF set, so that IRET does not meet a breakpoint again
 *   a block starts with RF set  one instruction of it runs (counting.c), and whatever way it is left RF is cleared
 *
 * The engine clears RF at a block's end only, and not at all when one block jumps straight to the next, so it would
 * depend on where blocks end. IRET is the instruction that may leave RF set, and one pass of REP is no instruction.
 * Source: Intel SDM volume 3, 17.2 (debug registers) and 17.3.1.1 (RF). */
#include "debug.h"

#define DR6_SINGLE_STEP 0x4000u
#define OPCODE_IRET 0xcf
#define EXIT_AGAIN 0u                    /* of a string instruction with REP: to its next pass */
#define VECTOR_DEBUG 1
#define VECTOR_DOUBLE_FAULT 8

void helper_reset_rf_x86_64(CPUX86State *env);
void __real_tcg_gen_callN_x86_64(TCGContext *tcg, void *function, void *result, int count, void **arguments);

/* The block that is translated now begins with RF set; its instruction is repeated, or is IRET. */
static __thread bool resumes, repeats, returns;

/* ---- exceptions ---- */

/* An instruction breakpoint is a fault, every other debug exception is a trap. */
bool debug_is_fault(core *c)
{
    const uint64_t *dr = &FIELD(c->env, ENV_OFF_DR, uint64_t);
    uint32_t pc = linear_pc(c);
    if (dr[6] & DR6_SINGLE_STEP)
        return false;
    for (int i = 0; i < 4; i++)
        if ((dr[6] >> i & 1) && (dr[7] >> 2 * i & 3) && !(dr[7] >> (16 + 4 * i) & 3) && (uint32_t)dr[i] == pc)
            return true;
    return false;
}

/* The reference mode's hook is not called for an instruction with a breakpoint, so the run has to be
 * stopped here; counted blocks were stopped at their start. */
bool debug_discard_breakpoint(core *c)
{
    if (!c->config.count_by_instruction || (instructions_left(c) > 0 && !stop_wanted(c)))
        return false;
    FIELD(c->env, ENV_OFF_DR + 8 * 6, uint64_t) = c->reference_dr6;
    c->stop = STOP_ASKED;
    uc_emu_stop(c->uc);
    return true;
}

/* Traps and software interrupts come after their instruction, which has cleared RF; of a debug exception the engine's
 * blocks have. A double fault belongs to no instruction that could be started again. */
void debug_before_delivery(core *c, uint32_t vector, bool software)
{
    uint64_t *eflags = &FIELD(c->env, ENV_OFF_EFLAGS, uint64_t);
    if (software || vector == VECTOR_DOUBLE_FAULT)
        *eflags &= ~(uint64_t)EFLAGS_RF;
    else if (vector != VECTOR_DEBUG)
        *eflags |= EFLAGS_RF;
}

/* ---- translation ---- */

void debug_begin_block(const TranslationBlock *tb)
{
    resumes = core_current && (FIELD(tb, TB_OFF_FLAGS, uint32_t) & EFLAGS_RF);
    repeats = returns = false;
}

/* A string instruction with REP is told apart by its prefix. */
void debug_begin_instruction(const struct decoded *d)
{
    bool string = (d->opcode >= 0xa4 && d->opcode <= 0xa7) || (d->opcode >= 0xaa && d->opcode <= 0xaf) ||
                  (d->opcode >= 0x6c && d->opcode <= 0x6f);
    repeats = string && d->column >= COLUMN_F3;
    returns = d->opcode == OPCODE_IRET;
}

bool debug_omits_call(const void *function)
{
    return returns && function == (const void *)helper_reset_rf_x86_64;
}

void debug_before_exit(TCGContext *tcg, unsigned number)
{
    void *arguments[] = { (char *)tcg + TCG_OFF_ENV };
    if (resumes && !(repeats && number == EXIT_AGAIN))
        __real_tcg_gen_callN_x86_64(tcg, (void *)helper_reset_rf_x86_64, NULL, 1, arguments);
}
