/* features.c - which processor the guest sees: CPUID, and nothing that CPUID does not offer.
 *
 * The engine's own model is a far newer processor than the one ft86 shows: what is hidden is an undefined opcode, in the
 * translator where it asks for features, else by the function that would do it.
 * Source: Intel SDM volume 2, CPUID and each instruction's #UD conditions. */
#include "core_internal.h"
#include "interpose.h"

#define CPUID_ECX_SSE3 1u
#define CPUID_ECX_AVX (1u << 28)
#define CPUID_EDX_APIC (1u << 9)
#define CPUID_EDX_SEP (1u << 11)
#define CPUID_EXTENDED_ECX_SSE4A (1u << 6)
#define CPUID_EXTENDED_EDX_3DNOW (1u << 31)
#define CPUID_EXTENDED_EDX_SYSCALL (1u << 11)

core_cpuid_row core_cpuid(const core *c, uint32_t leaf)
{
    for (uint32_t i = 0; i < c->config.cpuid_rows; i++)
        if (c->config.cpuid[i].leaf == leaf)
            return c->config.cpuid[i];
    return (core_cpuid_row){ leaf, 0, 0, 0, 0 };
}

int core_on_cpuid(uc_engine *uc, void *opaque)
{
    core *c = opaque;
    uint64_t *regs = &FIELD(c->env, ENV_OFF_REGS, uint64_t);   /* EAX ECX EDX EBX */
    core_cpuid_row found = core_cpuid(c, (uint32_t)regs[0]);
    if (found.leaf == 1 && !(c->apic_base & APIC_BASE_ENABLED))
        found.edx &= ~CPUID_EDX_APIC;
    (void)uc;
    regs[0] = found.eax;
    regs[3] = found.ebx;
    regs[1] = found.ecx;
    regs[2] = found.edx;
    return 1;
}

/* The translator asks the engine's own model which instructions exist: what CPUID does not offer is undefined,
 * and the newer meanings of old encodings (TZCNT for REP BSF) do not apply. A core without a table is the engine's. */
void core_hide_features(core *c)
{
    if (c->config.cpuid_rows == 0)
        return;
    uint64_t *features = &FIELD(c->env, ENV_OFF_FEATURES, uint64_t);
    core_cpuid_row basic = core_cpuid(c, 1), structured = core_cpuid(c, 7), extended = core_cpuid(c, 0x80000001);
    c->features = (struct decode_features){
        .sse3 = basic.ecx & CPUID_ECX_SSE3,
        .sse4a = extended.ecx & CPUID_EXTENDED_ECX_SSE4A,
        .avx = basic.ecx & CPUID_ECX_AVX,
        .syscall = extended.edx & CPUID_EXTENDED_EDX_SYSCALL,
        .sysenter = basic.edx & CPUID_EDX_SEP,
        .amd_3dnow = extended.edx & CPUID_EXTENDED_EDX_3DNOW,
    };
    features[FEATURES_1_EDX] = basic.edx;
    features[FEATURES_1_ECX] = basic.ecx;
    features[FEATURES_7_EBX] = structured.ebx;
    features[FEATURES_7_ECX] = structured.ecx;
    features[FEATURES_80000001_EDX] = extended.edx;
    features[FEATURES_80000001_ECX] = extended.ecx;
}

/* Instructions CPUID does not offer, and which ask the host (RDRAND), or which the engine skips without
 * doing anything (SYSENTER and SYSCALL without a hook). */
#define UNDEFINED_INSTRUCTION(name)                                                                          \
    uint64_t __wrap_helper_##name##_x86_64(CPUX86State *env);                                 \
    uint64_t __wrap_helper_##name##_x86_64(CPUX86State *env)                                  \
    {                                                                                                        \
        raise_exception_ra_x86_64(env, VECTOR_INVALID_OPCODE, (uintptr_t)__builtin_return_address(0));       \
    }
UNDEFINED_INSTRUCTION(rdrand)
UNDEFINED_INSTRUCTION(rdtscp)
UNDEFINED_INSTRUCTION(syscall)
UNDEFINED_INSTRUCTION(sysret)
UNDEFINED_INSTRUCTION(sysenter)
UNDEFINED_INSTRUCTION(sysexit)
UNDEFINED_INSTRUCTION(monitor)
UNDEFINED_INSTRUCTION(mwait)
