/* bus.c - port and memory-mapped device accesses, exact to the instruction.
 *
 * A callback may ask for the end of the run, raise the interrupt line, move the target, set A20 or write
 * into code. All that must take effect right after the current instruction, but the engine would first
 * finish its block. So the instruction is abandoned (longjmp) and started again as a block of one, its
 * device accesses so far answered from a log; then the core stands at an exact instruction boundary.
 *
 *   IN -> callback -> boundary needed? no  -> go on
 *                                     yes -> give back the block's rest, block of one, IN from the log */
#include "core_internal.h"
#include "interpose.h"

#define REGISTER_EDX 2

void core_start_instruction_again(core *c)
{
    c->stats.io_retries++;
    c->in_callback = false;
    c->replaying = true;
    c->log_position = 0;
    core_settle(c);
    core_update_watch(c);
    FIELD(c->cpu, CPU_OFF_CFLAGS_NEXT_TB, uint32_t) = 1;
    cpu_loop_exit_x86_64(c->cpu);
}

static bool boundary_needed(core *c)
{
    if (c->config.count_by_instruction || c->replay_active || !c->running)
        return false;                        /* a boundary follows this instruction anyway */
    if (!stop_wanted(c) && instructions_left(c) >= 0)
        return false;
    int index = block_instruction_index(running_block(c), linear_pc(c));
    return index >= 0 && index != FIELD(running_block(c), TB_OFF_ICOUNT, uint16_t) - 1;
}

/* restartable: EIP is synchronised, i.e. the access belongs to the instruction at EIP. */
static uint32_t access_device(core *c, core_access *a, bool restartable)
{
    uint32_t all_ones = a->size >= 4 ? ~0u : (1u << 8 * a->size) - 1;
    c->in_callback = true;
    if (restartable) {
        uint64_t now = core_count(c);
        if (now != c->log_count) {
            c->log_count = now;
            c->log_used = c->log_position = 0;
        }
        if (c->replay_active && c->log_position < c->log_used) {
            c->in_callback = false;
            return c->log[c->log_position++] & all_ones;
        }
    }
    if (a->kind == CORE_PORT_IN || a->kind == CORE_MEMORY_READ)
        a->value = all_ones;                 /* open bus */
    c->config.access(c, a, c->config.opaque);
    if (restartable && c->log_used < ACCESS_LOG_MAX) {
        c->log[c->log_used++] = a->value;
        c->log_position = c->log_used;
        if (boundary_needed(c))
            core_start_instruction_again(c);
    }
    c->in_callback = false;
    return a->value & all_ones;
}

void core_device_write(core *c, uint32_t address, uint32_t value)
{
    core_access a = { CORE_MEMORY_WRITE, address, 4, value };
    access_device(c, &a, true);
}

/* ---- ports ---- */

/* The engine omits the I/O privilege check, so do it here. The helper raises #GP (longjmp) unless the
 * TSS bitmap allows the port. Source: Intel SDM volume 1, section 19.5. */
static void check_port_privilege(core *c, uint32_t port, int size)
{
    uint32_t flags = env_u32(c, ENV_OFF_EFLAGS);
    if (!(env_u32(c, ENV_OFF_CR) & CR0_PE))
        return;
    if ((env_u32(c, ENV_OFF_HFLAGS) & HF_CPL_MASK) <= (flags >> EFLAGS_IOPL_SHIFT & 3) && !(flags & EFLAGS_VM))
        return;
    if (size == 1)
        __real_helper_check_iob_x86_64(c->env, port);
    else if (size == 2)
        __real_helper_check_iow_x86_64(c->env, port);
    else
        __real_helper_check_iol_x86_64(c->env, port);
}

/* What translate.c has INS and OUTS ask before they access memory; the port is in DX. */
#define STRING_PORT(name)                                                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, uint32_t unused);                                   \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, uint32_t unused)                                    \
    {                                                                                                        \
        (void)unused;                                                                                        \
        cpu_restore_state_x86_64(core_current->cpu, (uintptr_t)__builtin_return_address(0), false);          \
        __real_helper_##name##_x86_64(env, FIELD(env, ENV_OFF_REGS + 8 * REGISTER_EDX, uint16_t));           \
    }
STRING_PORT(check_iob)
STRING_PORT(check_iow)
STRING_PORT(check_iol)

static uint32_t on_port_in(uc_engine *uc, uint32_t port, int size, void *opaque)
{
    core *c = opaque;
    (void)uc;
    check_port_privilege(c, port, size);
    core_access a = { CORE_PORT_IN, port & 0xffff, (uint32_t)size, 0 };
    return access_device(c, &a, true);
}

static void on_port_out(uc_engine *uc, uint32_t port, int size, uint32_t value, void *opaque)
{
    core *c = opaque;
    (void)uc;
    check_port_privilege(c, port, size);
    core_access a = { CORE_PORT_OUT, port & 0xffff, (uint32_t)size, value };
    access_device(c, &a, true);
}

bool core_install_port_hooks(core *c)
{
    uc_hook h;
    return !uc_hook_add(c->uc, &h, UC_HOOK_INSN, on_port_in, c, 1, 0, UC_X86_INS_IN) &&
           !uc_hook_add(c->uc, &h, UC_HOOK_INSN, on_port_out, c, 1, 0, UC_X86_INS_OUT);
}

/* ---- memory-mapped devices and open bus ---- */

/* The engine does not synchronise EIP before these callbacks but has noted where the access came from.
 * The note is cleared because accesses without an instruction (page walks) leave an old one behind. */
static bool synchronise(core *c)
{
    uintptr_t from = FIELD(c->cpu, CPU_OFF_MEM_IO_PC, uintptr_t);
    FIELD(c->cpu, CPU_OFF_MEM_IO_PC, uintptr_t) = 0;
    return from && cpu_restore_state_x86_64(c->cpu, from, false);
}

/* No device is ever asked about: page tables outside RAM (walks depend on translation) and addresses
 * beyond 4 GiB (nothing is there). Elsewhere *address becomes where the device is. */
static bool is_open_bus(const core *c, uint64_t *address)
{
    return c->walking != WALK_NONE || !msr_route_apic(c, address) || *address >> 32;
}

static uint64_t on_bus_read(uc_engine *uc, uint64_t offset, unsigned size, void *base)
{
    core *c = core_current;
    uint64_t address = (uintptr_t)base + offset;
    (void)uc;
    if (!c || is_open_bus(c, &address))
        return ~UINT64_C(0);
    bool synchronised = synchronise(c);
    core_access low = { CORE_MEMORY_READ, (uint32_t)address, size > 4 ? 4 : size, 0 };
    uint64_t value = access_device(c, &low, synchronised);
    if (size > 4) {
        core_access high = { CORE_MEMORY_READ, (uint32_t)address + 4, 4, 0 };
        value |= (uint64_t)access_device(c, &high, synchronised) << 32;
    }
    return value;
}

static void on_bus_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *base)
{
    core *c = core_current;
    uint64_t address = (uintptr_t)base + offset;
    (void)uc;
    if (!c || is_open_bus(c, &address))
        return;
    bool synchronised = synchronise(c);
    core_access low = { CORE_MEMORY_WRITE, (uint32_t)address, size > 4 ? 4 : size, (uint32_t)value };
    access_device(c, &low, synchronised);
    if (size > 4) {
        core_access high = { CORE_MEMORY_WRITE, (uint32_t)address + 4, 4, (uint32_t)(value >> 32) };
        access_device(c, &high, synchronised);
    }
}

bool core_map_bus(core *c, uint64_t start, uint64_t size)
{
    void *base = (void *)(uintptr_t)start;
    return !uc_mmio_map(c->uc, start, size, on_bus_read, base, on_bus_write, base);
}
