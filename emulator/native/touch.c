/* touch.c - the instruction side of the guest's TLB: page walks at execution.
 *
 * Before a block runs for the first time in an epoch, the page it begins in is "touched": if the guest's
 * TLB has no entry, the engine's walker runs once more, now with its side effects, and the entry is made.
 * A block that reaches into a second page may run as a whole only when that page was touched before;
 * otherwise the instructions wholly in the first page run as a block of their own, and the one crossing
 * the border as a block of one, which touches both. So the set of touched pages depends on executed
 * instructions alone, not on how far the translator read ahead.
 *
 *   entry -> physical page == the page the block was translated from?   no: TOUCH_STALE, fetch again
 *
 * The Accessed bits of a walk that ends in a fault are not set: the fetch that follows reports the fault,
 * and it must leave the same memory behind whether or not a translation was there already. */
#include <setjmp.h>
#include "core_internal.h"
#include "interpose.h"

#define NOT_RAM UINT64_MAX

static uint64_t offset_of_page(const core *c, uint64_t page)
{
    return page < c->pages || is_rom_page(c, page) ? ram_offset_of_page(c, page) : NOT_RAM;
}

/* Walk for fetching at va, with side effects. False: it would fault; then nothing has changed. */
static bool walk_for_execution(core *c, uint32_t va, int mmu_idx)
{
    int *level = &FIELD(c->uc, UC_OFF_NESTED_LEVEL, int);
    sigjmp_buf *buffers = &FIELD(c->uc, UC_OFF_JMP_BUFS, sigjmp_buf);
    uint64_t cr2 = FIELD(c->env, ENV_OFF_CR + 16, uint64_t);
    uint64_t next_eip = FIELD(c->env, ENV_OFF_EXCEPTION_NEXT_EIP, uint64_t);
    uint32_t error_code = env_u32(c, ENV_OFF_ERROR_CODE), is_int = env_u32(c, ENV_OFF_EXCEPTION_IS_INT);
    int32_t old_exception = FIELD(c->env, ENV_OFF_OLD_EXCEPTION, int32_t);
    volatile bool ok = false;
    c->walking = WALK_TOUCH;
    c->touch.write_count = 0;
    pae_begin_walk(c);
    *level += 1;
    if (sigsetjmp(buffers[*level - 1], 0) == 0)   /* a fault is a longjmp to the newest buffer */
        ok = __real_x86_cpu_tlb_fill_x86_64(c->cpu, va, 1, ACCESS_FETCH, mmu_idx, false, 0);
    *level -= 1;
    c->walking = WALK_NONE;
    if (!ok) {
        FIELD(c->env, ENV_OFF_CR + 16, uint64_t) = cr2;
        FIELD(c->env, ENV_OFF_EXCEPTION_NEXT_EIP, uint64_t) = next_eip;
        FIELD(c->env, ENV_OFF_ERROR_CODE, uint32_t) = error_code;
        FIELD(c->env, ENV_OFF_EXCEPTION_IS_INT, uint32_t) = is_int;
        FIELD(c->env, ENV_OFF_OLD_EXCEPTION, int32_t) = old_exception;
        FIELD(c->cpu, CPU_OFF_EXCEPTION_INDEX, int32_t) = -1;
        return false;
    }
    core_write_walked(c);
    return true;
}

/* Make sure the guest's TLB has an entry to execute from the page of va, and that it leads to the page
 * with the engine's RAM offset `expected`. */
static bool touch_page(core *c, uint32_t va, uint64_t expected)
{
    int mmu_idx = current_mmu_index(c);
    uint32_t slot = arch_slot(mmu_idx == MMU_USER, va);
    uint64_t entry = arch_find(&c->arch, slot);
    if (!(entry & PROT_X)) {
        c->stats.touches++;
        if (!walk_for_execution(c, va, mmu_idx))
            return false;
        arch_record(&c->arch, slot, c->touch.page, (uint32_t)c->touch.prot | (c->touch.large ? ARCH_LARGE : 0));
        entry = arch_find(&c->arch, slot);
    }
    arch_mark_executed(&c->arch, slot);
    return offset_of_page(c, arch_page(entry)) == expected;
}

static bool touched_before(const core *c, uint32_t va)
{
    return arch_find(&c->arch, arch_slot(current_mmu_index(c) == MMU_USER, va)) & PROT_X;
}

/* Touch the pages of a block about to run. TOUCH_SPLIT: only that many of its instructions may run, as a
 * block of their own (0: its first one, alone). */
enum touch_result touch_block(core *c, const TranslationBlock *tb, uint32_t *first_page_instructions)
{
    uint64_t pc = FIELD(tb, TB_OFF_PC, uint64_t);
    uint64_t border = (pc | (PAGE_BYTES - 1)) + 1, end = pc + FIELD(tb, TB_OFF_SIZE, uint16_t);
    const uint64_t *offsets = &FIELD(tb, TB_OFF_PAGE_ADDR, uint64_t);
#ifdef FT86_NO_ARCH_TLB
    return TOUCH_OK;
#endif
    if (!paging_on(c))
        return TOUCH_OK;
    if (!touch_page(c, (uint32_t)pc, offsets[0]))
        return TOUCH_STALE;
    if (end <= border)
        return TOUCH_OK;
    if (FIELD(tb, TB_OFF_ICOUNT, uint16_t) > 1 && !touched_before(c, (uint32_t)border)) {
        *first_page_instructions = (uint32_t)block_instructions_below(tb, border);
        return TOUCH_SPLIT;
    }
    return touch_page(c, (uint32_t)border, offsets[1]) ? TOUCH_OK : TOUCH_STALE;
}

/* The same for one instruction of a block, in the reference mode. False: fetch it again. */
bool touch_instruction(core *c, const TranslationBlock *tb, uint32_t address)
{
    uint32_t first_page = (uint32_t)FIELD(tb, TB_OFF_PC, uint64_t) >> PAGE_SHIFT;
    const uint64_t *offsets = &FIELD(tb, TB_OFF_PAGE_ADDR, uint64_t);
#ifdef FT86_NO_ARCH_TLB
    return true;
#endif
    if (!paging_on(c))
        return true;
    uint32_t last = block_instruction_last(tb, address);
    if (!touch_page(c, address, offsets[address >> PAGE_SHIFT != first_page]))
        return false;
    return last >> PAGE_SHIFT == address >> PAGE_SHIFT || touch_page(c, last & ~(PAGE_BYTES - 1), offsets[1]);
}
