/* tlb_clear.c - flushes of the engine's TLB that clear what was filled, not the whole table.
 *
 *   install -> tlb_note(page) -> list          flush -> memset(table) -> [known: the listed entries; else all of it]
 *
 * The engine's table grows to a megabyte, twice a core's second-level cache, while a kernel that changes its address space
 * every 150,000 instructions fills some hundred entries in between: clearing all of it cost time and everything else in that
 * cache.
 *
 * Invariant: an entry that is not empty was noted since the last flush of its table. Entries come from install() only;
 * the victim buffer, which a flush always clears whole, gives one back to where it was. A table is replaced by one of another
 * size, within a flush, just before it is cleared, so one of the same address and size is the one whose entries were noted,
 * unless it was flushed where no core is current: that counts as a new generation. */
#include <string.h>
#include "core_internal.h"

void *__real_memset(void *to, int byte, size_t bytes);
void *__wrap_memset(void *to, int byte, size_t bytes);

/* The engine's smallest table has 64 entries; smaller areas are none of ours. */
#define TABLE_BYTES_MIN (64u * TLB_ENTRY_BYTES)
/* One in so many entries may be cleared by itself; beyond that the whole table is as fast. */
#define SPARSE_SHARE 8

static uint32_t generation = 1;          /* atomic */

void tlb_forget_notes(void) { __atomic_add_fetch(&generation, 1, __ATOMIC_RELAXED); }

static bool clear_noted(core *c, uint8_t *table, size_t bytes)
{
    for (int mmu = 0; mmu < TLB_TABLES; mmu++) {
        int off = ENV_OFF_TLB_TABLES + mmu * TLB_TABLE_STRIDE;
        if (FIELD(c->env, off + TLB_TABLE_OFF_TABLE, uint8_t *) != table)
            continue;
        struct tlb_notes *notes = &c->tlb_notes[mmu];
        size_t entries = bytes / TLB_ENTRY_BYTES;
        uint32_t now = __atomic_load_n(&generation, __ATOMIC_RELAXED);
        bool known = notes->table == table && notes->bytes == bytes && notes->generation == now &&
                     notes->count <= TLB_NOTES_MAX && notes->count * SPARSE_SHARE <= entries;
        for (uint32_t i = 0; known && i < notes->count; i++)
            __builtin_memset(table + (notes->pages[i] & (entries - 1)) * TLB_ENTRY_BYTES, 0xff, TLB_ENTRY_BYTES);
        notes->table = table;
        notes->bytes = bytes;
        notes->generation = now;
        notes->count = 0;
#ifdef FT86_CHECK_CLEARS
        for (size_t i = 0; known && i < bytes; i++)
            if (table[i] != 0xff)
                __builtin_trap();
#endif
        return known;
    }
    return false;
}

void *__wrap_memset(void *to, int byte, size_t bytes)
{
    if (bytes < TABLE_BYTES_MIN || (byte & 0xff) != 0xff)
        return __real_memset(to, byte, bytes);
    core *c = core_current;
    if (!c)
        tlb_forget_notes();
    else if (c->env && clear_noted(c, to, bytes))
        return to;
    return __real_memset(to, byte, bytes);
}
