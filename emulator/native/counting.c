/* counting.c - exact instruction counts and exact stops, at the start of each translated block.
 *
 *   generated code: the start of a block (prologue.c)
 *       its pages are proved, enough budget      count it, go on                         (the hot path)
 *       otherwise -> helper_check_exit_request (wrapped here)
 *           -> block_start_slow: stop before it | run a shorter block | touch its pages | count it
 *
 * A block's instructions are counted before it runs; whatever leaves it early gives back the rest (core_settle).
 * When the guest's TLB loses entries of executed pages, a new epoch makes every block prove its pages again:
 *
 *   slot key = epoch in which its pages were proved + instruction count
 *
 * Epochs are numbered in steps of more than a block's instructions and only grow, so key - epoch is the count, or
 * negative: as an unsigned number larger than any budget. */
#include <stdlib.h>
#include "core_internal.h"
#include "interpose.h"
#include "segments.h"

CORE_THREAD core *core_current;
__thread struct probe_watch *probe_current;

#define EPOCH_STEP (UINT64_C(1) << 16)
#define TOUCH_RESTARTS_MAX 1000
/* Behind the first byte of a block's code: what the engine takes for a call in its first instruction. */
#define RETURN_ADDRESS_MIN 3

void core_new_epoch(core *c) { c->epoch += EPOCH_STEP; }

void core_update_watch(core *c)
{
    int64_t left = instructions_left(c);
    bool watch = c->irq_pending || c->nmi_pending || c->debug_hits || c->debug_pending || c->exit_requested ||
                 c->boundary_requested || c->replaying ||
                 c->replay_active || c->single_block || c->config.count_by_instruction;
    c->budget = watch ? 0 : left;
    c->reserve = watch ? left : 0;
}

void core_give_back(core *c, int64_t n)
{
    c->reserve += n;          /* block starts look at the sum; core_update_watch() puts it in place */
    c->stats.refunds++;
    core_update_watch(c);
}

/* EIP is synchronised at an instruction that has not retired: take back what was counted ahead. */
void core_settle(core *c)
{
    uint32_t pc = linear_pc(c);
    if (c->config.count_by_instruction) {
        if (c->instruction_open && c->last_instruction_pc == pc)
            core_give_back(c, 1);
        c->instruction_open = false;
        return;
    }
    if (!c->running)
        return;
    int index = block_instruction_index(running_block(c), pc);
    if (index >= 0)
        core_give_back(c, FIELD(running_block(c), TB_OFF_ICOUNT, uint16_t) - index);
    c->running = NULL;
}

uint64_t core_count(core *c)
{
    uint64_t end = end_count(c);
    if (c->config.count_by_instruction)
        return end - (c->in_callback && c->instruction_open ? 1 : 0);
    if (c->running) {
        int index = block_instruction_index(running_block(c), linear_pc(c));
        if (index >= 0)
            return end - (uint64_t)(FIELD(running_block(c), TB_OFF_ICOUNT, uint16_t) - index);
    }
    return end;
}

/* ---- leaving at a block's start; nothing of the block has run ---- */

static __attribute__((noinline, noreturn)) void stop_before_block(core *c, uintptr_t ra)
{
    c->stop = STOP_ASKED;
    c->running = NULL;
    uc_emu_stop(c->uc);
    cpu_loop_exit_restore_x86_64(c->cpu, ra);
}

/* Run a block of at most `instructions` instead; 0 = look for the block again. */
static __attribute__((noinline, noreturn)) void replace_block(core *c, uintptr_t ra, uint32_t instructions)
{
    c->running = NULL;
    if (c->replaying || c->single_block)
        instructions = 1;
    if (instructions)
        FIELD(c->cpu, CPU_OFF_CFLAGS_NEXT_TB, uint32_t) = instructions;
    cpu_loop_exit_restore_x86_64(c->cpu, ra);
}

static bool is_prefix(uint8_t byte)
{
    return byte == 0x66 || byte == 0x67 || (byte & 0xe7) == 0x26 || byte == 0x64 || byte == 0x65 || byte == 0xf0 ||
           byte == 0xf2 || byte == 0xf3;
}

/* Whether the block ends in LOOPE or LOOPNE behind other instructions. The translator brings its record of
 * lazy flags up to date on one branch of these two only, so after a count that reaches 0 the flags are
 * those of an earlier instruction. At a block's start the record is always up to date. */
static bool loop_needs_own_block(core *c, const TranslationBlock *tb)
{
    int count = FIELD(tb, TB_OFF_ICOUNT, uint16_t);
    if (count < 2)
        return false;
    uint64_t start = FIELD(tb, TB_OFF_PC, uint64_t), end = start + FIELD(tb, TB_OFF_SIZE, uint16_t);
    for (uint64_t at = block_instruction_at(tb, count - 1); at < end; at++) {
        uint64_t page = (&FIELD(tb, TB_OFF_PAGE_ADDR, uint64_t))[at >> PAGE_SHIFT != start >> PAGE_SHIFT];
        const uint8_t *byte = ram_at_offset(c, page + (at & (PAGE_BYTES - 1)));
        if (!byte || !is_prefix(*byte))
            return byte && (*byte == 0xe0 || *byte == 0xe1);
    }
    return false;
}

void core_refetch(core *c)
{
    c->stats.touch_restarts++;
    if (++c->touch_restarts > TOUCH_RESTARTS_MAX)
        abort();                                  /* fetch and walk disagree for ever: never seen */
    core_tlb_flush(c);
}

static void look_at(core *c, struct block_slot *s)
{
    if (s->known) {
        c->stats.revalidations++;
        return;
    }
    c->stats.slot_misses++;
    s->last_alone = loop_needs_own_block(c, s->tb);
    s->known = true;
}

static void prove_pages(core *c, struct block_slot *s, uintptr_t ra, int64_t n)
{
    uint32_t whole = (uint32_t)code_limit_instructions(c->env, s->tb);
    if (whole == 0 && c->triple_fault)
        stop_before_block(c, ra);
    if (whole == 0) {
        c->running = NULL;
        c->single_block = false;
        core_update_watch(c);
        raise_exception_err_ra_x86_64(c->env, VECTOR_PROTECTION, 0, ra);
    }
    if (whole < n)
        replace_block(c, ra, whole);
    switch (touch_block(c, s->tb, &whole)) {
    case TOUCH_OK:
        c->touch_restarts = 0;
        s->key = c->epoch + (uint64_t)n;
        return;
    case TOUCH_SPLIT:
        c->stats.page_splits++;
        replace_block(c, ra, whole ? whole : 1);
    case TOUCH_STALE:
        /* Translated from a page that is no longer mapped here: fetch again, and fault if need be. */
        core_refetch(c);
        replace_block(c, ra, 0);
    }
}

/* Everything that is not "count and go on". Returns normally if the block may run. */
static __attribute__((noinline)) void block_start_slow(core *c, struct block_slot *s, uintptr_t ra)
{
    const TranslationBlock *tb = s->tb;
    int64_t n = FIELD(tb, TB_OFF_ICOUNT, uint16_t), left = instructions_left(c);
    look_at(c, s);
    bool resumes = n > 1 && (FIELD(tb, TB_OFF_FLAGS, uint32_t) & EFLAGS_RF);
    if (resumes && (c->replaying || (left > 0 && !stop_wanted(c))))
        replace_block(c, ra, 1);                  /* RF is for one instruction (debug.c) */
    if (c->config.count_by_instruction) {
        c->reference_block = tb;
        c->single_block = false;
        return;
    }
    if (!c->replaying) {                          /* nothing may come before an instruction started again */
        if (left <= 0 || stop_wanted(c))
            stop_before_block(c, ra);
        if (n > left) {                           /* the tail: a block of exactly what is left */
            c->stats.tails++;
            replace_block(c, ra, (uint32_t)left);
        }
        if (s->last_alone)
            replace_block(c, ra, (uint32_t)n - 1);
    }
    if (s->key - c->epoch >= EPOCH_STEP)
        prove_pages(c, s, ra, n);
    c->single_block = false;
    if (c->replaying) {
        c->replaying = false;
        c->replay_active = true;
    } else if (c->replay_active) {
        c->replay_active = false;
        c->log_used = 0;
    }
    c->debug_pending |= c->debug_hits;
    c->debug_hits = 0;
    core_update_watch(c);
    if (c->budget == 0)
        c->reserve -= n;
    else
        c->budget -= n;
    c->running = s;
}

/* What prologue.c emits has counted the block already. */
void __wrap_helper_check_exit_request_x86_64(void *of, uint32_t delay_slot)
{
    core *c = core_current;
    struct block_slot *s = of;
    (void)delay_slot;
    if (!c) {
        if (probe_current)
            probe_note_prologue(probe_current, (uintptr_t)__builtin_return_address(0));
        return;
    }
    c->budget += (int64_t)(s->key - c->epoch);
    c->running = NULL;
    block_start_slow(c, s, FIELD(s->tb, TB_OFF_TC_PTR, uintptr_t) + RETURN_ADDRESS_MIN);
}

/* A store hit the block it belongs to (self-modifying code): the engine has set EIP back to the store
 * and starts again with a block of one instruction. The rest of the old block was counted too early. */
void __wrap_cpu_loop_exit_noexc_x86_64(CPUState *cpu)
{
    core *c = core_current;
    if (c) {
        c->stats.smc_restarts++;
        core_settle(c);
    }
    __real_cpu_loop_exit_noexc_x86_64(cpu);
}

/* A full code buffer makes the translator give up in the middle of a block and forget that the block was
 * to be limited: limit it again. Otherwise a fault of its fetch would be taken for an exact one. */
void __wrap_cpu_loop_exit_x86_64(CPUState *cpu)
{
    core *c = core_current;
    if (c && (c->single_block || c->replaying) && FIELD(cpu, CPU_OFF_EXCEPTION_INDEX, int32_t) == EXCP_INTERRUPT)
        FIELD(cpu, CPU_OFF_CFLAGS_NEXT_TB, uint32_t) = 1;
    __real_cpu_loop_exit_x86_64(cpu);
}
