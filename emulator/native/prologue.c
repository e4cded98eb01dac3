/* prologue.c - the start of each translated block, as it is emitted: count the block if it may run, and go on.
 *
 *   the engine's call of helper_check_exit_request at a block's start becomes, in the translated code itself:
 *
 *   n = slot.key - core.epoch        the block's instructions if its pages are proved in this epoch; else a huge number
 *   left = core.budget
 *   core.running = slot, core.budget = left - n
 *   if (n > left) goto slow          unsigned: not proved, or not enough left
 *   go on:  the block's instructions
 *   slow:   helper_check_exit_request(slot)      counting.c takes n back, and decides
 *           goto go on
 *
 * A call for each block took a sixth of a kernel's boot. A slot is made for each translation and lives until the code buffer
 * is flushed. A flush shows itself by host code addresses: they only grow until there is one. */
#include <stdlib.h>
#include "core_internal.h"
#include "engine.h"
#include "interpose.h"
#include "translate.h"

#define CHUNK_SLOTS 4096u
#ifdef FT86_UNCOUNTED                            /* what the core would do without counting, for the bench */
#define COUNTS false
#else
#define COUNTS true
#endif

/* The block being translated; a thread translates one at a time. */
static __thread struct {
    struct block_slot *slot;
    TCGContext *tcg;
    void *slow, *enough;                         /* labels; NULL: not emitted yet */
} now;

/* ---- slots ---- */

/* Out of memory ends the process, as it does in the engine, whose translator has no way to refuse. */
static void *or_end(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static struct block_slot *slot_at(core *c, size_t index)
{
    size_t chunk = index / CHUNK_SLOTS;
    if (chunk == c->slot_chunk_count) {
        c->slot_chunks = or_end(realloc(c->slot_chunks, (chunk + 1) * sizeof *c->slot_chunks));
        c->slot_chunks[chunk] = or_end(malloc(CHUNK_SLOTS * sizeof **c->slot_chunks));
        c->slot_chunk_count++;
    }
    return &c->slot_chunks[chunk][index % CHUNK_SLOTS];
}

void prologue_free_slots(core *c)
{
    for (size_t i = 0; i < c->slot_chunk_count; i++)
        free(c->slot_chunks[i]);
    free(c->slot_chunks);
}

static struct block_slot *new_slot(core *c, const TranslationBlock *tb)
{
    uintptr_t code = FIELD(tb, TB_OFF_TC_PTR, uintptr_t);
    if (code < c->newest_code) {
        c->slots_used = 0;
        c->running = NULL;                       /* no block is running while one is translated */
    }
    /* The same place again: the translator gave up and starts afresh. */
    if (code != c->newest_code || c->slots_used == 0)
        c->slots_used++;
    c->newest_code = code;
    struct block_slot *slot = slot_at(c, c->slots_used - 1);
    *slot = (struct block_slot){ .key = SLOT_UNPROVED, .tb = tb };
    return slot;
}

void prologue_begin(const TranslationBlock *tb)
{
    now.slot = core_current ? new_slot(core_current, tb) : NULL;
    now.slow = now.enough = NULL;
}

/* ---- code ---- */

static void *temporary(TCGContext *tcg) { return tcg_temp_new_internal_x86_64(tcg, TEMPORARY_64_BITS, false); }

static void *constant(TCGContext *tcg, const void *value)
{
    return pointer(tcg, tcg_const_i64_x86_64(tcg, (int64_t)(uintptr_t)value));
}

static void emit(TCGContext *tcg, int operation, void *value, void *base, size_t offset)
{
    tcg_gen_op3_x86_64(tcg, operation, (uintptr_t)value, (uintptr_t)base, offset);
}

static void emit_count(TCGContext *tcg)
{
    void *core_at = constant(tcg, core_current), *slot_at = constant(tcg, now.slot);
    void *count = temporary(tcg), *epoch = temporary(tcg), *left = temporary(tcg);
    emit(tcg, OPERATION_LOAD_64, count, slot_at, offsetof(struct block_slot, key));
    emit(tcg, OPERATION_LOAD_64, epoch, core_at, offsetof(core, epoch));
    emit(tcg, OPERATION_LOAD_64, left, core_at, offsetof(core, budget));
    emit(tcg, OPERATION_STORE_64, slot_at, core_at, offsetof(core, running));
    tcg_gen_op3_x86_64(tcg, OPERATION_SUBTRACT_64, (uintptr_t)count, (uintptr_t)count, (uintptr_t)epoch);
    tcg_gen_op3_x86_64(tcg, OPERATION_SUBTRACT_64, (uintptr_t)epoch, (uintptr_t)left, (uintptr_t)count);
    emit(tcg, OPERATION_STORE_64, epoch, core_at, offsetof(core, budget));
    tcg_gen_brcond_i64_x86_64(tcg, CONDITION_ABOVE, value_of(tcg, count), value_of(tcg, left), now.slow);
    void *const used[] = { core_at, slot_at, count, epoch, left };
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        tcg_temp_free_internal_x86_64(tcg, used[i]);
}

static void emit_start(TCGContext *tcg)
{
    now.tcg = tcg;
    now.slow = gen_new_label_x86_64(tcg);
    now.enough = gen_new_label_x86_64(tcg);
    emit_count(tcg);
    label_set(tcg, now.enough);
}

/* The engine asks behind each call of a hook, too (reference mode); the hook leaves by itself. */
bool prologue_replaces(TCGContext *tcg, void *function)
{
    if (probe_current)
        probe_current->tcg = tcg;
    if (!now.slot || function != (void *)helper_check_exit_request_x86_64)
        return false;
    if (COUNTS && !now.slow)
        emit_start(tcg);
    return true;
}

/* Behind all else, out of the way of what runs. */
void prologue_end(void)
{
    TCGContext *tcg = now.tcg;
    if (!now.slow)
        return;
    label_set(tcg, now.slow);
    void *arguments[] = { constant(tcg, now.slot), pointer(tcg, tcg_const_i32_x86_64(tcg, 0)) };
    __real_tcg_gen_callN_x86_64(tcg, (void *)helper_check_exit_request_x86_64, NULL, 2, arguments);
    tcg_temp_free_internal_x86_64(tcg, arguments[0]);
    tcg_temp_free_internal_x86_64(tcg, arguments[1]);
    label_branch(tcg, now.enough);
}
