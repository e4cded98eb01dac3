/* arch_tlb.c - the guest's TLB as a table; see arch_tlb.h for what it is for.
 *
 * A slot is on the list of its generation exactly once: dropping an entry clears its rights but keeps its
 * generation. So the list never outgrows the table and a save need not look at all slots. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "arch_tlb.h"

#define LARGE_REGIONS 1024u              /* 4 MiB each */
#define REGION_PAGES 1024u
#define GENERATION_MAX 0x7fffffffu

static void *map_zeroes(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

bool arch_init(struct arch_tlb *t)
{
    t->entries = map_zeroes(ARCH_SLOTS * sizeof *t->entries);
    t->listed = map_zeroes(ARCH_SLOTS * sizeof *t->listed);
    t->large_generation = calloc(LARGE_REGIONS, sizeof *t->large_generation);
    t->generation = 1;
    t->listed_count = 0;
    return t->entries && t->listed && t->large_generation;
}

void arch_free(struct arch_tlb *t)
{
    if (t->entries)
        munmap(t->entries, ARCH_SLOTS * sizeof *t->entries);
    if (t->listed)
        munmap(t->listed, ARCH_SLOTS * sizeof *t->listed);
    free(t->large_generation);
}

void arch_record(struct arch_tlb *t, uint32_t slot, uint64_t page, uint32_t rights_and_large)
{
    if (t->entries[slot] >> 33 != t->generation)
        t->listed[t->listed_count++] = slot;
    t->entries[slot] = (uint64_t)t->generation << 33 | page << 5 | rights_and_large;
    if (rights_and_large & ARCH_LARGE)
        t->large_generation[(slot & (ARCH_PAGES - 1)) / REGION_PAGES] = t->generation;
}

void arch_mark_executed(struct arch_tlb *t, uint32_t slot) { t->entries[slot] |= ARCH_EXECUTED; }

bool arch_drop(struct arch_tlb *t, uint32_t slot)
{
    uint64_t entry = arch_find(t, slot);
    if (entry)
        t->entries[slot] = (uint64_t)t->generation << 33;
    return entry & ARCH_EXECUTED;
}

bool arch_drop_page(struct arch_tlb *t, uint32_t va, bool *large)
{
    bool executed = false;
    uint32_t region = va >> 22;
    *large = t->large_generation[region] == t->generation;
    if (*large) {
        for (uint32_t slot = region * REGION_PAGES; slot < (region + 1) * REGION_PAGES; slot++) {
            if (arch_find(t, slot) & ARCH_LARGE)
                executed |= arch_drop(t, slot);
            if (arch_find(t, slot | ARCH_PAGES) & ARCH_LARGE)
                executed |= arch_drop(t, slot | ARCH_PAGES);
        }
    }
    executed |= arch_drop(t, arch_slot(false, va));
    executed |= arch_drop(t, arch_slot(true, va));
    return executed;
}

void arch_flush(struct arch_tlb *t)
{
    t->listed_count = 0;
    if (++t->generation > GENERATION_MAX) {
        /* Anonymous memory given back reads as zeroes again: no entry of an old generation survives. */
        madvise(t->entries, ARCH_SLOTS * sizeof *t->entries, MADV_DONTNEED);
        memset(t->large_generation, 0, LARGE_REGIONS * sizeof *t->large_generation);
        t->generation = 1;
    }
}

uint32_t arch_count(const struct arch_tlb *t)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < t->listed_count; i++)
        count += arch_find(t, t->listed[i]) != 0;
    return count;
}

static int compare_slots(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

void arch_save(struct arch_tlb *t, uint32_t *words)
{
    qsort(t->listed, t->listed_count, sizeof *t->listed, compare_slots);
    for (uint32_t i = 0; i < t->listed_count; i++) {
        uint64_t entry = arch_find(t, t->listed[i]);
        if (!entry)
            continue;
        *words++ = t->listed[i];
        *words++ = (uint32_t)(arch_page(entry) << 4 | (entry & (ARCH_LARGE | ARCH_RIGHTS)));
    }
}

uint32_t arch_check(const uint32_t *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool ascending = i == 0 || words[2 * i] > words[2 * i - 2];
        if (words[2 * i] >= ARCH_SLOTS || !ascending || !(words[2 * i + 1] & ARCH_READ))
            return i;
    }
    return count;
}

void arch_restore(struct arch_tlb *t, const uint32_t *words, uint32_t count)
{
    arch_flush(t);
    for (uint32_t i = 0; i < count; i++)
        arch_record(t, words[2 * i], words[2 * i + 1] >> 4, words[2 * i + 1] & (ARCH_LARGE | ARCH_RIGHTS));
}
