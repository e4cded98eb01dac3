/* arch_tlb.h - the guest's TLB: the one that decides when page walks with side effects happen.
 *
 * A page walk sets Accessed and Dirty bits in guest memory. The engine walks whenever its own software
 * TLB misses, and that depends on slices, on when blocks were translated, on evictions and flushes: a
 * guest that clears A bits without INVLPG (page reclaim does) would read different ones. So ft86 keeps a
 * second TLB that never evicts. It depends on executed instructions alone:
 *
 *   data access    entry with the right present -> engine TLB filled from it, no walk
 *                  otherwise                    -> the engine's walker walks, the entry is recorded
 *   instructions   the walk with side effects is done at execution, once per page (touch.c);
 *                  translation, which reads ahead, uses a walk without side effects
 *   INVLPG         drops the page (a large page wholly), in both modes
 *   CR0 CR3 CR4 A20, task switches: whatever makes the engine flush -> a new generation, all are gone
 *
 * The engine's TLB holds a data right only if an entry here grants it in this generation, and is flushed
 * whenever entries vanish here. Infinite TLBs that lose entries only when told to are legal x86.
 * Source: Intel SDM volume 3, sections 4.8 (accessed and dirty flags) and 4.10 (caching translations). */
#ifndef FT86_ARCH_TLB_H
#define FT86_ARCH_TLB_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARCH_PAGES (1u << 20)            /* virtual pages of one mode */
#define ARCH_SLOTS (2 * ARCH_PAGES)      /* supervisor first, then user */
#define ARCH_PHYSICAL_BITS 28            /* 40-bit physical addresses, as the engine's walker yields */

/* Entry: bits 0-2 rights (read, write, execute), 3 part of a large page, 4 executed since it is here,
 * 5-32 physical page, 33-63 generation. Rights 0 = no entry. */
#define ARCH_RIGHTS 7u
#define ARCH_READ 1u
#define ARCH_LARGE 8u
#define ARCH_EXECUTED 16u

struct arch_tlb {
    uint64_t *entries;                   /* ARCH_SLOTS, mapped lazily */
    uint32_t *listed;                    /* slots that have an entry of this generation, unsorted */
    uint32_t listed_count;
    uint32_t generation;                 /* 1 .. 2^31 - 1 */
    uint32_t *large_generation;          /* per 4 MiB of virtual space: when a large page was last seen */
};

static inline uint32_t arch_slot(bool user, uint32_t va) { return (user ? ARCH_PAGES : 0) | va >> 12; }
static inline uint64_t arch_page(uint64_t entry) { return entry >> 5 & ((1u << ARCH_PHYSICAL_BITS) - 1); }

/* The entry of this generation, 0 when there is none. */
static inline uint64_t arch_find(const struct arch_tlb *t, uint32_t slot)
{
    uint64_t entry = t->entries[slot];
    return entry >> 33 == t->generation && (entry & ARCH_RIGHTS) ? entry : 0;
}

bool arch_init(struct arch_tlb *t);
void arch_free(struct arch_tlb *t);
void arch_record(struct arch_tlb *t, uint32_t slot, uint64_t page, uint32_t rights_and_large);
void arch_mark_executed(struct arch_tlb *t, uint32_t slot);
/* Drop one entry. True: instructions were executed through it. */
bool arch_drop(struct arch_tlb *t, uint32_t slot);
/* Drop a virtual page in both modes; *large is set when large pages around it went too. */
bool arch_drop_page(struct arch_tlb *t, uint32_t va, bool *large);
void arch_flush(struct arch_tlb *t);

/* Saved form: per live entry two words, slot and (page << 4 | large | rights), ascending by slot. */
uint32_t arch_count(const struct arch_tlb *t);
void arch_save(struct arch_tlb *t, uint32_t *words);
/* Check `count` saved entries. Returns the index of the first bad one, or count. */
uint32_t arch_check(const uint32_t *words, uint32_t count);
void arch_restore(struct arch_tlb *t, const uint32_t *words, uint32_t count);
#endif
