/* interpose.h - engine functions replaced at link time with ld's --wrap=NAME.
 *
 * Every call from another object file of libunicorn.a to NAME arrives at __wrap_NAME; the original is
 * __real_NAME. This is how ft86 extends the engine without its source or private headers. Calls within
 * one object file cannot be redirected; each function on the Makefile's list was checked to be called
 * across files (nm: "U" in the caller's object; tests/link_check.sh repeats the check). */
#ifndef FT86_INTERPOSE_H
#define FT86_INTERPOSE_H
#include "layout.h"

bool __real_x86_cpu_tlb_fill_x86_64(CPUState *cpu, uint64_t va, int size, int access, int mmu_idx, bool probe,
                                    uintptr_t ra);
bool __wrap_x86_cpu_tlb_fill_x86_64(CPUState *cpu, uint64_t va, int size, int access, int mmu_idx, bool probe,
                                    uintptr_t ra);
void __real_tlb_set_page_with_attrs_x86_64(CPUState *cpu, uint64_t va, uint64_t pa, uint32_t attrs, int prot,
                                           int mmu_idx, uint64_t size);
void __real_x86_stl_phys_notdirty_x86_64(CPUState *cpu, uint64_t pa, uint32_t value);
void __real_tlb_flush_x86_64(CPUState *cpu);
void __real_tlb_flush_page_x86_64(CPUState *cpu, uint64_t va);
void __real_tlb_reset_dirty_by_vaddr_x86_64(CPUState *cpu, uint64_t va, uint64_t bytes);
void __real_cpu_loop_exit_noexc_x86_64(CPUState *cpu) __attribute__((noreturn));
void __real_cpu_loop_exit_x86_64(CPUState *cpu) __attribute__((noreturn));
void __real_qemu_system_reset_request(uc_engine *uc);
void __real_helper_write_crN_x86_64(CPUX86State *env, int reg, uint64_t value);
void __real_helper_rdmsr_x86_64(CPUX86State *env);
void __real_helper_wrmsr_x86_64(CPUX86State *env);
void __real_helper_check_iob_x86_64(CPUX86State *env, uint32_t port);
void __real_helper_check_iow_x86_64(CPUX86State *env, uint32_t port);
void __real_helper_check_iol_x86_64(CPUX86State *env, uint32_t port);

/* How layout_probe.c observes block prologues before any core exists. */
#define PROBE_PROLOGUES 64
struct probe_watch {
    unsigned count;
    uintptr_t return_address[PROBE_PROLOGUES];
    TCGContext *tcg;
    unsigned instructions;               /* that translate.c saw translated */
    bool translator_differs;
};
extern __thread struct probe_watch *probe_current;
static inline void probe_note_prologue(struct probe_watch *w, uintptr_t ra)
{
    if (w->count < PROBE_PROLOGUES)
        w->return_address[w->count] = ra;
    w->count++;
}
#endif
