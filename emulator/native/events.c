/* events.c - exceptions, and instructions whose answers come from ft86: RDTSC, CR4 (CPUID: features.c; MSRs: msr.c).
 *
 * Whatever would make hidden state of the engine's own model reachable or ask the host is closed here: unknown CR4
 * bits raise #GP.
 * Source: Intel SDM volume 2 (RDTSC, RDPMC), volume 3, 2.5 (CR4) and 4.4.1 (page-directory pointers). */
#include <stdlib.h>
#include <string.h>
#include "core_internal.h"
#include "debug.h"
#include "interpose.h"
#include "segments.h"

#define VECTOR_DEBUG 1
#define GATE_TASK 5u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
/* TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT */
#define CR4_ALLOWED 0x7fcu
#define EXCEPTIONS_WITHOUT_PROGRESS_MAX 1000

static void set_gpr(core *c, int n, uint32_t v) { FIELD(c->env, ENV_OFF_REGS + 8 * n, uint64_t) = v; }

/* ---- exceptions ---- */

static void forget_exception(core *c)
{
    FIELD(c->env, ENV_OFF_CR + 16, uint64_t) = c->walk_cr2;
    FIELD(c->env, ENV_OFF_OLD_EXCEPTION, int32_t) = -1;  /* else the next fault looks like a double fault */
}

/* An instruction fetch faulted while a block was looked for or translated. Two reasons to forget the
 * fault; it comes back when the faulting instruction itself is next and may run:
 *  - the run has to stop here: state at an instruction count is always that before the next fetch,
 *    whether or not the engine had to fetch;
 *  - the engine reports a fault in a later page at the start of the block although the instructions
 *    before the missing page are fine: do one instruction at a time. */
static bool discard_fetch_fault(core *c)
{
    uint32_t fault = env_u32(c, ENV_OFF_CR + 16);
    if (instructions_left(c) <= 0 || stop_wanted(c)) {
        forget_exception(c);
        c->stop = STOP_ASKED;
        uc_emu_stop(c->uc);
        return true;
    }
    if (c->single_block || ((fault ^ linear_pc(c)) & ~(PAGE_BYTES - 1)) == 0) {
        c->single_block = false;
        return false;
    }
    c->stats.fetch_retries++;
    c->single_block = true;
    core_update_watch(c);                    /* the next block start must clear the mark */
    forget_exception(c);
    FIELD(c->cpu, CPU_OFF_CFLAGS_NEXT_TB, uint32_t) = 1;
    return true;
}

/* What is missing lies beyond the code segment's limit, which comes first. */
static bool beyond_code(core *c)
{
    if (!code_limit_is_below(c->env, env_u32(c, ENV_OFF_CR + 16)))
        return false;
    forget_exception(c);
    FIELD(c->env, ENV_OFF_OLD_EXCEPTION, int32_t) = VECTOR_PROTECTION;
    FIELD(c->env, ENV_OFF_ERROR_CODE, uint32_t) = 0;
    FIELD(c->cpu, CPU_OFF_EXCEPTION_INDEX, int32_t) = VECTOR_PROTECTION;
    return true;
}

/* A handler that faults on its first instruction, whose handler does, and so on: a real processor would
 * do that for ever, and a run would never end. No sound guest takes more than a few exceptions without
 * retiring an instruction, so this is a shutdown, like a triple fault. */
bool core_exception_storm(core *c)
{
    uint64_t now = end_count(c);
    if (now != c->storm_count) {
        c->storm_count = now;
        c->storm = 0;
    }
    if (++c->storm > EXCEPTIONS_WITHOUT_PROGRESS_MAX)
        c->triple_fault = true;
    return c->triple_fault;
}

static void end_instruction(core *c)
{
    c->running = NULL;
    c->instruction_open = false;
}

/* A port breakpoint's trap comes in the middle of a block: what follows EIP there has not retired. */
static void give_back_behind(core *c)
{
    int index = c->running ? block_instruction_index(running_block(c), linear_pc(c)) : -1;
    if (index > 0)
        core_give_back(c, FIELD(running_block(c), TB_OFF_ICOUNT, uint16_t) - index);
}

/* The engine has moved EIP past an INT, INT3 or INTO before it asks for the delivery. A fault during the
 * delivery (a gate that this privilege may not use, a missing stack page) belongs to the instruction
 * itself, which then has not retired: EIP goes back to it; what is pushed is the engine's own record of
 * the next address. INTO does not end its block: what follows it there has not retired either. */
static void open_software_interrupt(core *c)
{
    uint32_t next = linear_pc(c), pc = next;
    if (c->config.count_by_instruction) {
        pc = c->last_instruction_pc;
    } else if (c->running) {
        int index = block_instruction_index(running_block(c), next);
        pc = block_instruction_at(running_block(c), index > 0 ? index - 1 : FIELD(running_block(c), TB_OFF_ICOUNT, uint16_t) - 1);
        if (index > 0)
            core_give_back(c, FIELD(running_block(c), TB_OFF_ICOUNT, uint16_t) - index);
    }
    uint32_t base = (uint32_t)FIELD(c->env, ENV_OFF_SEGS + SEG_CS * SEG_STRIDE + SEG_OFF_BASE, uint64_t);
    FIELD(c->env, ENV_OFF_EIP, uint64_t) = pc - base;
    c->interrupt_open = true;
}

/* INT n, INT3 and INTO may use a task gate of their privilege only; the engine looks at that of the others. */
static void check_task_gate(core *c, uint32_t vector)
{
    uint32_t base = (uint32_t)FIELD(c->env, ENV_OFF_IDT + SEG_OFF_BASE, uint64_t);
    if (!(env_u32(c, ENV_OFF_CR) & CR0_PE) || 8 * vector + 7 > env_u32(c, ENV_OFF_IDT + SEG_OFF_LIMIT))
        return;
    uint32_t gate = cpu_ldl_mmuidx_ra_x86_64(c->env, (uint32_t)(base + 8 * vector + 4), MMU_KERNEL, 0);
    if ((gate >> 8 & 0x1f) == GATE_TASK && (gate >> 13 & 3) < (env_u32(c, ENV_OFF_HFLAGS) & HF_CPL_MASK))
        raise_exception_err_ra_x86_64(c->env, VECTOR_PROTECTION, (int)(8 * vector + 2), 0);
}

static void on_exception(uc_engine *uc, uint32_t vector, void *opaque)
{
    core *c = opaque;
    (void)uc;
    if (c->interrupt_open) {
        c->interrupt_open = false;
        core_give_back(c, 1);
    }
    bool software = env_u32(c, ENV_OFF_EXCEPTION_IS_INT) && c->walking != WALK_FETCH;
    if (software)
        open_software_interrupt(c);
    bool fetch = c->walking == WALK_FETCH;
    c->walking = WALK_NONE;
    c->in_callback = false;
    transfers_forget();
    if (fetch) {
        end_instruction(c);                  /* the block before has retired completely */
        if (discard_fetch_fault(c))
            return;
        vector = beyond_code(c) ? VECTOR_PROTECTION : vector;
    } else if (env_u32(c, ENV_OFF_EXCEPTION_IS_INT) ||
               (vector == VECTOR_DEBUG && !debug_is_fault(c))) {
        if (vector == VECTOR_DEBUG && !software)
            give_back_behind(c);
        end_instruction(c);                  /* INT n, INT3, INTO, single step: the instruction retired */
    } else {
        core_settle(c);
        c->debug_hits = 0;
        if (vector == VECTOR_DEBUG && debug_discard_breakpoint(c))
            return;
    }
    c->replaying = c->replay_active = false; /* what follows is another instruction at the same count */
    c->log_used = c->log_position = 0;
    core_update_watch(c);
    c->stats.exceptions[vector & 255]++;
    if (core_exception_storm(c)) {
        uc_emu_stop(c->uc);
    } else {
        if (software)
            check_task_gate(c, vector);
        debug_before_delivery(c, vector, software);
        transfer_exception(c->cpu, c->env);      /* a fault in it is a longjmp back into the engine */
        FIELD(c->env, ENV_OFF_HFLAGS, uint32_t) &= ~HF_INHIBIT_IRQ_MASK;
        segments_changed(c->env);
    }
    c->interrupt_open = false;
}

/* #UD does not come as an exception but through its own hook; so does INT 6. */
static bool on_invalid_instruction(uc_engine *uc, void *opaque)
{
    core *c = opaque;
    FIELD(c->cpu, CPU_OFF_EXCEPTION_INDEX, int32_t) = VECTOR_INVALID_OPCODE;
    FIELD(c->env, ENV_OFF_ERROR_CODE, uint32_t) = 0;
    if (env_u32(c, ENV_OFF_EXCEPTION_IS_INT))    /* as the engine does before it asks about any other INT n */
        FIELD(c->env, ENV_OFF_EIP, uint64_t) = FIELD(c->env, ENV_OFF_EXCEPTION_NEXT_EIP, uint64_t);
    on_exception(uc, VECTOR_INVALID_OPCODE, opaque);
    FIELD(c->cpu, CPU_OFF_EXCEPTION_INDEX, int32_t) = -1;
    return true;
}

void __wrap_qemu_system_reset_request(uc_engine *uc)
{
    if (core_current)
        core_current->triple_fault = true;
    __real_qemu_system_reset_request(uc);
}

/* The engine gives up the process where a processor shuts down: a task register without a usable task
 * segment, which only a damaged saved state can bring about. Shut the guest down instead. */
void __wrap_cpu_abort_x86_64(CPUState *cpu, const char *format, ...)
{
    core *c = core_current;
    (void)format;
    if (!c || FIELD(c->uc, UC_OFF_NESTED_LEVEL, int) == 0)
        abort();
    c->triple_fault = true;
    uc_emu_stop(c->uc);
    cpu_loop_exit_x86_64(cpu);
}

/* ---- time ---- */

void core_set_clock(core *c, uint64_t base_count, uint64_t base_ns, uint64_t ns_per_1024)
{
    c->clock_base_count = base_count;
    c->clock_base_ns = base_ns;
    c->clock_rate = ns_per_1024;
}

uint64_t core_time_stamp(core *c)
{
    bool before = c->in_callback;
    c->in_callback = true;                   /* the reading instruction itself is not counted */
    unsigned __int128 passed = (unsigned __int128)(core_count(c) - c->clock_base_count) * c->clock_rate;
    c->in_callback = before;
    return c->clock_base_ns + (uint64_t)(passed >> 10) + c->tsc_offset;
}

static int on_rdtsc(uc_engine *uc, void *opaque)
{
    core *c = opaque;
    uint64_t stamp = core_time_stamp(c);
    (void)uc;
    set_gpr(c, 0, (uint32_t)stamp);
    set_gpr(c, 2, (uint32_t)(stamp >> 32));
    return 1;
}

void __wrap_helper_rdpmc_x86_64(CPUX86State *env)
{
    raise_exception_err_ra_x86_64(env, VECTOR_PROTECTION, 0, (uintptr_t)__builtin_return_address(0));
}

/* ---- control registers ---- */

/* Paging wants protected mode; NW without CD is none of the cache's modes. */
static bool cr0_is_allowed(uint32_t value)
{
    return !((value & CR0_PG) && !(value & CR0_PE)) && !((value & CR0_NW) && !(value & CR0_CD));
}

void __wrap_helper_write_crN_x86_64(CPUX86State *env, int reg, uint64_t wide)
{
    core *c = core_current;
    uint32_t value = (uint32_t)wide;
    bool pointers = false;
    if (c && ((reg == 0 && !cr0_is_allowed(value)) || (reg == 4 && (value & ~CR4_ALLOWED)) || reg == 8 ||
              pae_refuses(c, reg, value, &pointers)))
        raise_exception_err_ra_x86_64(env, VECTOR_PROTECTION, 0, (uintptr_t)__builtin_return_address(0));
    __real_helper_write_crN_x86_64(env, reg, wide);
    if (pointers)
        pae_load(c);
}

/* ---- reference mode: one call per instruction, EIP and flags synchronised by the engine ---- */

static void on_instruction(uc_engine *uc, uint64_t address, uint32_t bytes, void *opaque)
{
    core *c = opaque;
    (void)bytes;                             /* unknown for some instructions; the block's table knows */
    c->in_callback = false;
    c->instruction_open = false;
    if (stop_wanted(c) || instructions_left(c) <= 0) {
        c->stop = STOP_ASKED;
        uc_emu_stop(uc);
        cpu_loop_exit_x86_64(c->cpu);
    }
    if (!touch_instruction(c, c->reference_block, (uint32_t)address)) {
        core_refetch(c);
        cpu_loop_exit_x86_64(c->cpu);
    }
    c->touch_restarts = 0;
    c->reference_dr6 = FIELD(c->env, ENV_OFF_DR + 8 * 6, uint64_t);
    c->reserve -= 1;
    c->debug_pending |= c->debug_hits;
    c->debug_hits = 0;
    c->last_instruction_pc = (uint32_t)address;
    c->instruction_open = true;
}

/* An access of 16 bytes that is not aligned (translate.c asks for it). */
static void on_unaligned(CPUState *cpu, uint64_t va, int access, int mmu, uintptr_t host_pc)
{
    (void)va, (void)access, (void)mmu;
    raise_exception_err_ra_x86_64(FIELD(cpu, CPU_OFF_ENV, CPUX86State *), VECTOR_PROTECTION, 0, host_pc);
}

bool core_install_event_hooks(core *c)
{
    void *class = FIELD(c->cpu, CPU_OFF_CLASS, void *);
    FIELD(class, CLASS_OFF_UNALIGNED, void *) = (void *)on_unaligned;
    core_hide_features(c);
    uc_hook h;
    bool bad = uc_hook_add(c->uc, &h, UC_HOOK_INTR, on_exception, c, 1, 0) ||
               uc_hook_add(c->uc, &h, UC_HOOK_INSN_INVALID, on_invalid_instruction, c, 1, 0) ||
               uc_hook_add(c->uc, &h, UC_HOOK_INSN, core_on_cpuid, c, 1, 0, UC_X86_INS_CPUID) ||
               uc_hook_add(c->uc, &h, UC_HOOK_INSN, on_rdtsc, c, 1, 0, UC_X86_INS_RDTSC);
    if (!bad && c->config.count_by_instruction)
        bad = uc_hook_add(c->uc, &h, UC_HOOK_CODE, on_instruction, c, 1, 0);
    return !bad;
}
