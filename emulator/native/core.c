/* core.c - life cycle, the run loop, interrupt injection. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xmmintrin.h>
#include "core_internal.h"
#include "debug.h"
#include "hash.h"
#include "segments.h"

const char *core_error(const core *c) { return c->error; }
const core_stats *core_statistics(const core *c) { return &c->stats; }
bool core_halted(const core *c) { return c->halted; }
bool core_irq_window(core *c) { return window_open(c); }

/* ---- life cycle ---- */

static bool map_memory(core *c)
{
    uint32_t bytes = c->config.ram_bytes, rom_bytes = c->config.rom_bytes;
    uint64_t rom_start = (UINT64_C(1) << 32) - rom_bytes;
    uint8_t *high = c->ram + CORE_HOLE_END;
    if (uc_mem_map_ptr(c->uc, 0, CORE_HOLE_START, UC_PROT_ALL, c->ram) ||
        uc_mem_map_ptr(c->uc, CORE_HOLE_END, bytes - CORE_HOLE_END, UC_PROT_ALL, high))
        return false;
    if (rom_bytes &&
        uc_mem_map_ptr(c->uc, rom_start, rom_bytes, UC_PROT_READ | UC_PROT_EXEC, c->rom_mapping->bytes))
        return false;
    /* Everything else is bus, so that no access is ever invalid: the hole, from RAM's end to 4 GiB or the
     * ROM, and what page tables can reach beyond. */
    return core_map_bus(c, CORE_HOLE_START, CORE_HOLE_END - CORE_HOLE_START) &&
           core_map_bus(c, bytes, rom_start - bytes) &&
           core_map_bus(c, UINT64_C(1) << 32, (UINT64_C(1) << 40) - (UINT64_C(1) << 32));
}

static bool open_engine(core *c)
{
    uint32_t zero = 0;
    if (uc_open(UC_ARCH_X86, UC_MODE_32, &c->uc))
        return false;
    if (c->config.translation_bytes && uc_ctl_set_tcg_buffer_size(c->uc, c->config.translation_bytes))
        return false;
    if (uc_ctl_exits_enable(c->uc) || !map_memory(c))        /* no "until" address: 0 is a legal guest address */
        return false;
    if (uc_reg_write(c->uc, UC_X86_REG_EAX, &zero))          /* forces the engine's lazy initialisation */
        return false;
    c->cpu = FIELD(c->uc, UC_OFF_CPU, CPUState *);
    c->env = FIELD(c->cpu, CPU_OFF_ENV, CPUX86State *);
    /* Stop checks after every memory access are useless here and cost a call each. */
    FIELD(c->uc, UC_OFF_NO_EXIT_REQUEST, uint8_t) = 1;
    c->ram_offset_low = qemu_ram_addr_from_host_x86_64(c->uc, c->ram);
    c->ram_offset_high = qemu_ram_addr_from_host_x86_64(c->uc, c->ram + CORE_HOLE_END);
    if (c->rom_mapping)
        c->ram_offset_rom = qemu_ram_addr_from_host_x86_64(c->uc, c->rom_mapping->bytes);
    return core_install_event_hooks(c) && core_install_port_hooks(c);
}

static bool allocate(core *c)
{
    c->ram_mapping = ram_map(c->config.ram_bytes);
    if (c->ram_mapping) {
        c->dirty = c->ram_mapping->page_bytes;
        c->code_page = c->dirty + c->pages;
    }
    c->page_hash = malloc((c->pages + rom_pages(c)) * sizeof *c->page_hash);
    if (c->config.rom_bytes && !(c->rom_mapping = rom_map(c->config.rom, c->config.rom_bytes)))
        return false;
    c->config.rom = NULL;                /* the caller's bytes are not needed any more */
    return arch_init(&c->arch) && c->ram_mapping && c->page_hash;
}

/* RAM is all zeroes; the ROM's pages follow, which never change. */
static void hash_all_pages(core *c)
{
    uint64_t zero_page = hash_zero_page();
    for (uint32_t page = 0; page < c->pages; page++)
        c->page_hash[page] = zero_page;
    for (uint32_t page = 0; page < rom_pages(c); page++)
        c->page_hash[c->pages + page] = hash_page(c->rom_mapping->bytes + ((size_t)page << PAGE_SHIFT));
}

core *core_create(const core_config *config, char *message, size_t message_bytes)
{
    if (!layout_probe(message, message_bytes))
        return NULL;
    core *c = calloc(1, sizeof *c);
    if (!c) {
        snprintf(message, message_bytes, "out of memory");
        return NULL;
    }
    c->config = *config;
    c->pages = config->ram_bytes >> PAGE_SHIFT;
    c->walking = WALK_NONE;
    c->a20_wanted = -1;
    c->fills_limit = 1024;
    core *outer = core_current;
    core_current = c;
    bool allocated = allocate(c);
    bool ok = allocated;
    if (ok) {
        c->ram = c->ram_mapping->bytes;
        hash_all_pages(c);
        ok = open_engine(c);
    }
    if (ok) {
        core_new_epoch(c);
        core_update_watch(c);
        core_reset(c);
    }
    core_current = outer;
    if (!ok) {
        snprintf(message, message_bytes, allocated ? "cannot set up the engine" : "out of memory");
        core_destroy(c);
        return NULL;
    }
    return c;
}

void core_destroy(core *c)
{
    if (!c)
        return;
    core *outer = core_current;
    core_current = NULL;
    if (c->uc)
        uc_close(c->uc);
    core_current = outer;
    arch_free(&c->arch);
    if (c->ram_mapping)
        core_ram_release(c->ram_mapping);
    if (c->rom_mapping)
        core_ram_release(c->rom_mapping);
    free(c->page_hash);
    prologue_free_slots(c);
    free(c);
}

/* ---- requests ---- */

static void set_target(core *c, uint64_t target)
{
    c->reserve += (int64_t)(target - c->target);
    c->target = target;
    core_update_watch(c);
}

void core_lower_target(core *c, uint64_t count)
{
    uint64_t now = core_count(c), earliest = c->in_callback ? now + 1 : now;  /* an instruction completes */
    if (count < earliest)
        count = earliest;
    if (count < c->target)
        set_target(c, count);
}

void core_request_exit(core *c)
{
    c->exit_requested = true;
    core_update_watch(c);
}

void core_raise_nmi(core *c)
{
    c->nmi_pending = true;
    core_update_watch(c);
}

void core_set_irq_pending(core *c, bool pending)
{
    if (c->irq_pending != pending) {
        c->irq_pending = pending;
        core_update_watch(c);
    }
}

/* ---- delivering ---- */

/* Deliver a fault or interrupt while the engine does not run. Delivery reads and writes guest memory and
 * may fault itself: that is a longjmp to the engine's current jump buffer, so one is provided; the new
 * exception is then delivered instead, as a real processor does, and if that fails too the engine reports
 * the triple fault. */
static bool deliver(core *c, int vector, bool hardware)
{
    int *level = &FIELD(c->uc, UC_OFF_NESTED_LEVEL, int);
    sigjmp_buf *buffers = &FIELD(c->uc, UC_OFF_JMP_BUFS, sigjmp_buf);
    int32_t *exception = &FIELD(c->cpu, CPU_OFF_EXCEPTION_INDEX, int32_t);
    c->walking = WALK_NONE;
    *level += 1;
    if (sigsetjmp(buffers[*level - 1], 0) == 0) {
        if (hardware) {
            transfer_interrupt(c->env, vector);
        } else {
            *exception = vector;
            FIELD(c->env, ENV_OFF_ERROR_CODE, uint32_t) = 0;
            FIELD(c->env, ENV_OFF_EXCEPTION_IS_INT, uint32_t) = 0;
            c->stats.exceptions[vector]++;
            debug_before_delivery(c, (uint32_t)vector, false);
            transfer_exception(c->cpu, c->env);
        }
    } else if (!c->triple_fault && *exception >= 0 && *exception < 256) {
        c->walking = WALK_NONE;
        c->stats.exceptions[*exception]++;
        debug_before_delivery(c, (uint32_t)*exception, false);
        transfer_exception(c->cpu, c->env);    /* may come back through sigsetjmp once more */
    }
    *exception = -1;
    *level -= 1;
    c->walking = WALK_NONE;
    FIELD(c->env, ENV_OFF_HFLAGS, uint32_t) &= ~HF_INHIBIT_IRQ_MASK;
    segments_changed(c->env);
    return !c->triple_fault;
}

bool core_raise_outside(core *c, int vector) { return deliver(c, vector, false); }

static bool take_nmi(core *c)
{
    c->nmi_pending = c->halted = false;
    FIELD(c->env, ENV_OFF_HFLAGS2, uint32_t) |= HF2_NMI_MASK;
    bool ok = deliver(c, VECTOR_NMI, true);
    core_update_watch(c);
    return ok;
}

/* ---- running ---- */

static enum core_exit fail(core *c, const char *what, uc_err err)
{
    snprintf(c->error, sizeof c->error, "%s: %s at eip=%08x count=%llu", what, uc_strerror(err),
             env_u32(c, ENV_OFF_EIP), (unsigned long long)core_count(c));
    c->failed = true;
    return CORE_EXIT_ERROR;
}

/* What callbacks left to be done between two instructions. */
static void perform_boundary(core *c)
{
    if (!c->boundary_requested)
        return;
    c->boundary_requested = false;
    if (c->a20_wanted >= 0)
        x86_cpu_set_a20_x86_64(c->cpu, c->a20_wanted);
    c->a20_wanted = -1;
    core_update_watch(c);
}

/* Instructions can only come from RAM and ROM. A fetch from anywhere else reads open bus, FFh FFh: #UD. A block
 * that merely ran up to such a place is done instruction by instruction first. */
static bool fetch_outside_ram(core *c)
{
    bool single = c->single_block;
    c->single_block = !single;
    core_update_watch(c);
    if (!single) {
        c->stats.fetch_retries++;
        return true;
    }
    return !core_exception_storm(c) && core_raise_outside(c, 6);
}

static enum core_exit run_loop(core *c)
{
    for (;;) {
        if (!c->replaying) {                 /* an instruction in progress must complete first */
            perform_boundary(c);
            if (debug_due(c) && !debug_take(c, 0))
                return CORE_EXIT_TRIPLE_FAULT;
            if (nmi_due(c) && !take_nmi(c))
                return CORE_EXIT_TRIPLE_FAULT;
            if (c->exit_requested) {
                c->exit_requested = false;
                core_update_watch(c);
                return CORE_EXIT_REQUESTED;
            }
            if (c->irq_pending && window_open(c))
                return CORE_EXIT_IRQ_WINDOW;
            if (c->halted)
                return CORE_EXIT_HALTED;
            if (end_count(c) >= c->target)
                return CORE_EXIT_TARGET;
        }
        if (c->replaying || c->single_block)
            FIELD(c->cpu, CPU_OFF_CFLAGS_NEXT_TB, uint32_t) = 1;
        c->running = NULL;
        c->stop = STOP_NONE;
        c->stats.starts++;
        uc_err err = uc_emu_start(c->uc, env_u32(c, ENV_OFF_EIP), ~UINT64_C(0), 0, 0);
        c->running = NULL;
        c->in_callback = c->instruction_open = false;
        c->walking = WALK_NONE;
        if (err == UC_ERR_FETCH_PROT) {
            if (!fetch_outside_ram(c))
                return CORE_EXIT_TRIPLE_FAULT;
            continue;
        }
        if (err)
            return fail(c, "engine", err);
        if (c->triple_fault)
            return CORE_EXIT_TRIPLE_FAULT;
        if (!c->replaying)
            c->single_block = false;
        if (c->stop == STOP_NONE && FIELD(c->cpu, CPU_OFF_HALTED, uint32_t)) {
            FIELD(c->cpu, CPU_OFF_HALTED, uint32_t) = 0;
            c->halted = !debug_steps_halt(c);
            c->replay_active = false;
        }
        /* The checks above decide. PAUSE and a full code buffer end the engine's loop, too. */
        if (!c->replaying)
            c->replay_active = false;
        core_update_watch(c);
    }
}

/* The engine does much of the guest's SSE arithmetic on the host's unit and expects it to round to nearest
 * and to keep denormals. Another part of the process may have changed that. */
#define HOST_MXCSR 0x1f80u

enum core_exit core_run(core *c, uint64_t target_count)
{
    if (c->failed)
        return CORE_EXIT_ERROR;
    if (c->triple_fault)
        return CORE_EXIT_TRIPLE_FAULT;
    core *outer = core_current;
    unsigned host_mxcsr = _mm_getcsr();
    core_current = c;
    transfers_forget();
    _mm_setcsr(HOST_MXCSR);
    /* Budgets are signed, and a block whose pages are not proved adds its epoch for a moment (counting.c). */
    set_target(c, target_count > INT64_MAX / 2 ? INT64_MAX / 2 : target_count);
    enum core_exit why = run_loop(c);
    _mm_setcsr(host_mxcsr);
    core_current = outer;
    return why;
}

bool core_inject(core *c, uint8_t vector)
{
    core *outer = core_current;
    core_current = c;
    c->halted = false;
    bool ok = deliver(c, vector, true);
    core_current = outer;
    return ok;
}
