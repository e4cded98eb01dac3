/* operands.c - operands that the engine accesses in parts, and alignment checks.
 *
 *   a store of more than 8 bytes   both pages are asked for before its first part: a fault leaves nothing stored
 *   RCL, RCR                       the operand is asked for a second time, to be stored to: the engine changes flags before it stores
 *   EFLAGS.AC, CR0.AM, ring 3      an operand that is not aligned is #AC, behind the faults of its segment and pages
 *
 * Operands that must be aligned on 16 bytes are #GP otherwise, before their pages are looked at: the engine does that.
 *
 * EFLAGS.AC is one of the flags by which translations are found, so code that runs without it asks nothing. Accesses that
 * the processor makes for itself (descriptors, stacks of other privileges, task segments) are not checked; the stack of far
 * transfers within ring 3 is (transfer_checks.c).
 * Source: Intel SDM volume 3, 6.15 (interrupt 17, table 6-7), table 6-2 (which comes first); 6.5 (faults). */
#include "core_internal.h"
#include "segments.h"

#define CR0_AM 0x40000u
#define VECTOR_ALIGNMENT 17
#define MUST_BE_ALIGNED 15u              /* FXSAVE: else it is #GP, which comes first */
#define OPCODE_TABLE_REGISTERS 0x101u    /* SGDT, SIDT, ... */
#define TABLE_REGISTER_BYTES 6u

static void probe(CPUX86State *env, uint32_t at, uint32_t bytes, int access, uintptr_t host_pc)
{
    uint32_t last = at + bytes - 1;
    int mmu = current_mmu_index(core_current);
    probe_access_x86_64(env, at, 1, access, mmu, host_pc);
    if ((at ^ last) >> PAGE_SHIFT)
        probe_access_x86_64(env, last & ~(PAGE_BYTES - 1), 1, access, mmu, host_pc);
}

uint32_t operand_whole_store(const struct decoded *d)
{
    switch (d->opcode) {
    case 0x111: return d->column <= COLUMN_66 ? 16 : 0;
    case 0x17f: return d->column == COLUMN_F3 ? 16 : 0;
    case OPCODE_TABLE_REGISTERS: return !decoded_is_register(d) && decoded_digit(d) <= 1 ? TABLE_REGISTER_BYTES : 0;
    default: return 0;
    }
}

bool operand_is_aligned_code(const CPUX86State *env)
{
    return (FIELD(env, ENV_OFF_EFLAGS, uint32_t) & EFLAGS_AC) && (FIELD(env, ENV_OFF_HFLAGS, uint32_t) & HF_CPL_MASK) == 3;
}

void operand_check(CPUX86State *env, uint32_t ask, uint32_t at, uintptr_t host_pc)
{
    uint32_t bytes = ask & ASK_BYTES, align_less_1 = ask >> ASK_ALIGN_SHIFT & 15;
    if (align_less_1 == MUST_BE_ALIGNED && (at & align_less_1))
        return;
    bool is_misaligned = (at & align_less_1) && (FIELD(env, ENV_OFF_CR, uint32_t) & CR0_AM);
    if (is_misaligned || (ask & ASK_MODIFIES) || ((ask & ASK_WHOLE) && (at ^ (at + bytes - 1)) >> PAGE_SHIFT))
        probe(env, at, bytes, ask & ASK_STORE ? ACCESS_STORE : ACCESS_LOAD, host_pc);
    if (is_misaligned)
        raise_exception_err_ra_x86_64(env, VECTOR_ALIGNMENT, 0, host_pc);
}
