/* tlb.c - what the engine's software TLB may hold, and who may make it walk.
 *
 *   miss -> __wrap_x86_cpu_tlb_fill: guest's TLB knows it? -> install
 *                                    else the engine's walker -> __wrap_tlb_set_page -> record, install
 *
 * Rules for what is installed (the engine's entries are never more than these):
 *   X  only with fetches, and on data entries of pages that hold translated code. Data pages without X
 *      take the engine's fast store path. When a page first becomes code the whole TLB goes, so that no
 *      alias keeps a fast write entry to it and modified code is always noticed.
 *   W  only after the page was marked dirty for all consumers: the first write to a clean page comes here.
 *   a fetch through a walk of its own grants X alone: translation reads ahead of execution, so it must
 *      neither set Accessed bits nor let a later data access slip past the guest's TLB.
 *   ROM  a store gets an entry that leads to open bus and grants nothing else, other accesses one without W. */
#include <sys/time.h>
#include "core_internal.h"
#include "interpose.h"

/* The engine sizes its TLB only when it flushes it; it starts with 256 entries. So flush now and then
 * while many misses happen: the first interval, doubled each time, halved when the guest flushes. */
#define GROWTH_FILLS_MIN 1024u
#define GROWTH_FILLS_MAX (1u << 20)

/* The first page beyond 4 GiB: bus where no device is ever asked. */
#define NOWHERE_PAGE ARCH_PAGES

/* Empty the engine's TLB. No guest can notice: entries come back from the guest's own TLB. */
void core_tlb_flush(core *c)
{
    c->fills_since_flush = 0;
    __real_tlb_flush_x86_64(c->cpu);
}

static void install(core *c, uint64_t va, uint64_t page, uint32_t attributes, int prot, int mmu_idx, int access)
{
    if (is_rom_page(c, page)) {
        if (access == ACCESS_STORE) {
            page = NOWHERE_PAGE;
            prot = PROT_W;
        } else {
            prot &= ~PROT_W;
        }
    }
    if (page < c->pages) {
        if (access == ACCESS_FETCH) {
            if (!c->code_page[page]) {
                c->code_page[page] = 1;
                c->stats.code_page_flushes++;
                core_tlb_flush(c);
            }
        } else if (!c->code_page[page]) {
            prot &= ~PROT_X;
        }
        if (access == ACCESS_STORE)
            ram_mark(c, page);
        else if (c->dirty[page] != DIRTY_ALL)
            prot &= ~PROT_W;
    }
    tlb_note(c, mmu_idx, va);
    __real_tlb_set_page_with_attrs_x86_64(c->cpu, va, page << PAGE_SHIFT, attributes, prot, mmu_idx, PAGE_BYTES);
}

void __wrap_tlb_set_page_with_attrs_x86_64(CPUState *cpu, uint64_t va, uint64_t pa, uint32_t attributes, int prot,
                                           int mmu_idx, uint64_t size)
{
    core *c = core_current;
    if (!c) {
        tlb_forget_notes();
        __real_tlb_set_page_with_attrs_x86_64(cpu, va, pa, attributes, prot, mmu_idx, size);
        return;
    }
    uint64_t page = pa >> PAGE_SHIFT;
    if (!paging_on(c)) {                      /* linear addresses beyond 4 GiB wrap, nothing is recorded */
        install(c, va, page & (ARCH_PAGES - 1), attributes, prot, mmu_idx, (int)c->walking);
        return;
    }
#ifndef FT86_NO_ARCH_TLB
    uint32_t slot = arch_slot(mmu_idx == MMU_USER, (uint32_t)va);
    if (c->walking == WALK_TOUCH) {
        c->touch.page = page;
        c->touch.prot = prot;
        c->touch.large = size > PAGE_BYTES;
        return;
    }
    if (c->walking == WALK_FETCH)
        prot = PROT_X;
    else
        arch_record(&c->arch, slot, page, (uint32_t)prot | (size > PAGE_BYTES ? ARCH_LARGE : 0));
#endif
    install(c, va, page, attributes, prot, mmu_idx, (int)c->walking);
}

/* Walk for a data access; the entry it finds wanting goes first, whatever comes of the walk. */
static bool walk_data(core *c, uint64_t va, int size, int access, int mmu_idx, bool probe, uintptr_t ra, uint32_t slot)
{
    uint64_t old = arch_find(&c->arch, slot), old_epoch = c->epoch;
    if (old) {
        if (arch_drop(&c->arch, slot))
            core_new_epoch(c);
        __real_tlb_flush_page_x86_64(c->cpu, va);
    }
    c->stats.walks++;
    c->walking = (enum walk_purpose)access;   /* stays set if the walk faults (longjmp) */
    c->touch.write_count = 0;
    pae_begin_walk(c);
    bool ok = __real_x86_cpu_tlb_fill_x86_64(c->cpu, va, size, access, mmu_idx, probe, ra);
    c->walking = WALK_NONE;
    if (ok)
        core_write_walked(c);
    uint64_t now = arch_find(&c->arch, slot);
    if (ok && (old & ARCH_EXECUTED) && now && arch_page(now) == arch_page(old) && (now & PROT_X)) {
        arch_mark_executed(&c->arch, slot);   /* more rights, same page: no block need prove it again */
        if (c->epoch > old_epoch)
            c->epoch = old_epoch;
    }
    return ok;
}

bool __wrap_x86_cpu_tlb_fill_x86_64(CPUState *cpu, uint64_t va, int size, int access, int mmu_idx, bool probe,
                                    uintptr_t ra)
{
    core *c = core_current;
    if (!c)
        return __real_x86_cpu_tlb_fill_x86_64(cpu, va, size, access, mmu_idx, probe, ra);
    c->stats.fills++;
    if (++c->fills_since_flush >= c->fills_limit) {
        c->stats.growth_flushes++;
        if (c->fills_limit < GROWTH_FILLS_MAX)
            c->fills_limit *= 2;
        core_tlb_flush(c);
    }
    c->walk_cr2 = FIELD(c->env, ENV_OFF_CR + 16, uint64_t);
#ifndef FT86_NO_ARCH_TLB
    if (paging_on(c)) {
        uint32_t slot = arch_slot(mmu_idx == MMU_USER, (uint32_t)va);
        uint64_t entry = arch_find(&c->arch, slot);
        if (entry & (1u << access)) {
            install(c, va, arch_page(entry), 0, entry & ARCH_RIGHTS, mmu_idx, access);
            return true;
        }
        if (access != ACCESS_FETCH)
            return walk_data(c, va, size, access, mmu_idx, probe, ra, slot);
        c->stats.fetch_fills++;
    }
#endif
    c->walking = (enum walk_purpose)access;
    pae_begin_walk(c);
    bool ok = __real_x86_cpu_tlb_fill_x86_64(cpu, va, size, access, mmu_idx, probe, ra);
    c->walking = WALK_NONE;
    return ok;
}

static void write_entry(CPUState *cpu, uint64_t pa, uint32_t value)
{
    if (core_current && pa >> PAGE_SHIFT < core_current->pages)
        ram_mark(core_current, pa >> PAGE_SHIFT);
    __real_x86_stl_phys_notdirty_x86_64(cpu, pa, value);
}

/* The page walker writes Accessed and Dirty bits past the TLB. A walk that ends in a fault writes none: what it would
 * write on the way waits for its end. */
void __wrap_x86_stl_phys_notdirty_x86_64(CPUState *cpu, uint64_t pa, uint32_t value)
{
    core *c = core_current;
    if (c && is_rom_page(c, pa >> PAGE_SHIFT))
        return;
#ifndef FT86_NO_ARCH_TLB
    if (c && c->walking == WALK_FETCH)
        return;
    if (c && c->walking != WALK_NONE) {
        if (c->touch.write_count < (int)(sizeof c->touch.writes / sizeof c->touch.writes[0])) {
            c->touch.writes[c->touch.write_count].address = pa;
            c->touch.writes[c->touch.write_count++].value = value;
        }
        return;
    }
#endif
    write_entry(cpu, pa, value);
}

void core_write_walked(core *c)
{
    for (int i = 0; i < c->touch.write_count; i++)
        write_entry(c->cpu, c->touch.writes[i].address, c->touch.writes[i].value);
}

/* ---- flushes the guest asked for: CR0, CR3, CR4, A20, task switches, INVLPG ---- */

void core_arch_flush(core *c)
{
    c->stats.arch_flushes++;
    c->fills_since_flush = 0;
    if (c->fills_limit > GROWTH_FILLS_MIN)
        c->fills_limit /= 2;
    arch_flush(&c->arch);
    core_new_epoch(c);
}

void __wrap_tlb_flush_x86_64(CPUState *cpu)
{
    core *c = core_current;
    if (c && !c->own_flush)
        core_arch_flush(c);
    __real_tlb_flush_x86_64(cpu);
}

void __wrap_tlb_flush_page_x86_64(CPUState *cpu, uint64_t va)
{
    core *c = core_current;
    if (c && !c->own_flush) {
        bool large;
        if (arch_drop_page(&c->arch, (uint32_t)va, &large))
            core_new_epoch(c);
        if (large)
            core_tlb_flush(c);
    }
    __real_tlb_flush_page_x86_64(cpu, va);
}

/* For each block translated the engine would go through its whole TLB and take from the entries of the block's page
 * what lets stores pass unnoticed. Entries with X never have that, and those of pages with code all have X. */
void __wrap_tlb_reset_dirty_by_vaddr_x86_64(CPUState *cpu, uint64_t va, uint64_t bytes);
void __wrap_tlb_reset_dirty_by_vaddr_x86_64(CPUState *cpu, uint64_t va, uint64_t bytes)
{
    if (!core_current)
        __real_tlb_reset_dirty_by_vaddr_x86_64(cpu, va, bytes);
}

/* The engine shrinks its TLB by host time. It gets time that follows the instruction count (a nanosecond
 * each), which is as good and keeps the host's clock out. */
int __wrap_gettimeofday(struct timeval *tv, void *timezone)
{
    uint64_t us = core_current ? end_count(core_current) / 1000 : 0;
    (void)timezone;
    tv->tv_sec = (time_t)(1 + us / 1000000);
    tv->tv_usec = (suseconds_t)(us % 1000000);
    return 0;
}
