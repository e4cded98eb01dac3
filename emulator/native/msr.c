/* msr.c - model-specific registers.
 *
 *   kept       SYSENTER_CS, _ESP, _EIP, MISC_ENABLE, PAT: the engine's
 *   ours       time-stamp counter: guest time and what was written; APIC base: moves the APIC's registers, or takes the
 *              APIC away, which then is as software leaves it that disables it; one moved over RAM is not to be seen
 *   there      what else a Pentium III has: read 0, writes change nothing
 *   others     #GP, EFER among them
 *
 * Source: Intel SDM volume 4, 2.22 (P6 family); volume 2, RDMSR and WRMSR; volume 3, 11.4.3 and 11.4.4
 * (APIC base), 17.17 (time-stamp counter: all 64 bits may be written, as in later processors). */
#include "core_internal.h"
#include "interpose.h"

#define MSR_TSC 0x10u
#define MSR_APIC_BASE 0x1bu
#define APIC_BASE_RESERVED UINT64_C(0xfffffff0000006ff)
#define APIC_BASE_BOOTSTRAP 0x100u       /* cannot be written */
#define APIC_PAGE (APIC_BASE_AT_RESET >> PAGE_SHIFT)
#define APIC_SPURIOUS 0xf0u              /* its bit 8 enables the APIC; without it all local interrupts are masked */
#define APIC_SPURIOUS_AT_RESET 0xffu
#define CPUID_EDX_APIC (1u << 9)

static bool is_kept(uint32_t number)
{
    return (number >= 0x174 && number <= 0x176) || number == 0x1a0 || number == 0x277;
}

static bool is_there(uint32_t number)
{
    static const struct { uint16_t first, last; } ranges[] = {
        { 0x00, 0x01 },                  /* machine check of the P5 */
        { MSR_TSC, MSR_TSC }, { 0x17, 0x17 }, { MSR_APIC_BASE, MSR_APIC_BASE }, { 0x2a, 0x2a }, { 0x33, 0x33 },
        { 0x79, 0x79 }, { 0x88, 0x8b },  /* microcode */
        { 0xc1, 0xc2 }, { 0x186, 0x187 },/* performance counters */
        { 0xfe, 0xfe }, { 0x200, 0x20f }, { 0x250, 0x250 }, { 0x258, 0x259 }, { 0x268, 0x26f },
        { 0x2ff, 0x2ff },                /* memory types: U-Boot sets them and does not ask CPUID */
        { 0x116, 0x116 }, { 0x118, 0x11b }, { 0x11e, 0x11e },   /* second-level cache */
        { 0x179, 0x17a },                /* machine check: no banks */
        { 0x1d9, 0x1d9 }, { 0x1db, 0x1de }, { 0x1e0, 0x1e0 },   /* debugging */
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (number >= ranges[i].first && number <= ranges[i].last)
            return true;
    return false;
}

static bool has_apic(const core *c) { return core_cpuid(c, 1).edx & CPUID_EDX_APIC; }

bool msr_apic_base_is_valid(uint64_t value) { return (value & (APIC_BASE_RESERVED | APIC_BASE_BOOTSTRAP)) == APIC_BASE_BOOTSTRAP; }

bool msr_route_apic(const core *c, uint64_t *address)
{
    if (__builtin_expect(c->apic_base == APIC_BASE_AT_RESET, 1))
        return true;
    uint64_t page = *address >> PAGE_SHIFT;
    if ((c->apic_base & APIC_BASE_ENABLED) && page == c->apic_base >> PAGE_SHIFT)
        *address = APIC_PAGE << PAGE_SHIFT | (*address & (PAGE_BYTES - 1));
    else if (page == APIC_PAGE)
        return false;
    return true;
}

/* The device first: it may have the instruction started again. */
static void set_apic_base(core *c, uint64_t value)
{
    if (c->apic_base & ~value & APIC_BASE_ENABLED)
        core_device_write(c, (uint32_t)(APIC_PAGE << PAGE_SHIFT) | APIC_SPURIOUS, APIC_SPURIOUS_AT_RESET);
    c->apic_base = value | APIC_BASE_BOOTSTRAP;
}

static void refuse(CPUX86State *env, uintptr_t host_pc) { raise_exception_err_ra_x86_64(env, VECTOR_PROTECTION, 0, host_pc); }

void __wrap_helper_rdmsr_x86_64(CPUX86State *env)
{
    core *c = core_current;
    uint32_t number = FIELD(env, ENV_OFF_REGS + 8, uint32_t);
    uintptr_t ra = (uintptr_t)__builtin_return_address(0);
    uint64_t value = 0;
    if (!c || is_kept(number)) {
        __real_helper_rdmsr_x86_64(env);
        return;
    }
    if (!is_there(number))
        refuse(env, ra);
    if (number == MSR_TSC) {
        cpu_restore_state_x86_64(c->cpu, ra, false);
        value = core_time_stamp(c);
    }
    if (number == MSR_APIC_BASE && has_apic(c))
        value = c->apic_base;
    FIELD(env, ENV_OFF_REGS, uint64_t) = (uint32_t)value;
    FIELD(env, ENV_OFF_REGS + 8 * 2, uint64_t) = value >> 32;
}

void __wrap_helper_wrmsr_x86_64(CPUX86State *env)
{
    core *c = core_current;
    uint32_t number = FIELD(env, ENV_OFF_REGS + 8, uint32_t);
    uint64_t value = FIELD(env, ENV_OFF_REGS, uint32_t) | (uint64_t)FIELD(env, ENV_OFF_REGS + 8 * 2, uint32_t) << 32;
    uintptr_t ra = (uintptr_t)__builtin_return_address(0);
    if (!c || is_kept(number)) {
        __real_helper_wrmsr_x86_64(env);
        return;
    }
    if (!is_there(number) || (number == MSR_APIC_BASE && (value & APIC_BASE_RESERVED)))
        refuse(env, ra);
    cpu_restore_state_x86_64(c->cpu, ra, false);
    if (number == MSR_TSC)
        c->tsc_offset += value - core_time_stamp(c);
    if (number == MSR_APIC_BASE && has_apic(c))
        set_apic_base(c, value);
}
