/* code_limit.c - the limit of the code segment: no instruction's byte and no jump's target may lie beyond it.
 *
 *   a block runs for the first time in an epoch -> its last byte within the limit? else fewer instructions, or #GP(0)
 *   a near jump, or a far one of 8086 code, is taken -> its target within the limit? else #GP(0) for the jump
 *
 * Only while CS is asked about (segments.h). Another limit than the last one is another epoch (counting.c), so that a block
 * costs nothing once it was held against the limit. Other far transfers: transfers.c.
 * Source: Intel SDM volume 3, 5.3; volume 2, JMP, CALL, RET, Jcc, LOOP: #GP(0). */
#include "core_internal.h"
#include "segments.h"

#define CONDITION 0x0fu                  /* of Jcc, as in its opcode; of LOOP and JCXZ the opcode's last two bits */
#define JUMP_ALWAYS 0x10u
#define JUMP_COUNTED 0x20u               /* LOOPNE LOOPE LOOP JCXZ */
#define COUNT_32 0x40u                   /* by ECX, not CX */
#define TO_REGISTER 0x80u                /* the target is that register's number, behind TARGET_16 for its lower half */
#define TARGET_16 0x100u
#define FLAG_CARRY 1u
#define FLAG_PARITY 4u
#define FLAG_ZERO 0x40u
#define FLAG_SIGN_SHIFT 7
#define FLAG_OVERFLOW_SHIFT 11

static bool is_limited(const CPUX86State *env) { return FIELD(env, ENV_OFF_HFLAGS, uint32_t) & HF_CHECKED(SEG_CS); }
static uint32_t limit_of_code(const CPUX86State *env)
{
    return FIELD(env, ENV_OFF_SEGS + SEG_CS * SEG_STRIDE + SEG_OFF_LIMIT, uint32_t);
}
static uint32_t offset_in_code(const CPUX86State *env, uint64_t linear)
{
    return (uint32_t)linear - FIELD(env, ENV_OFF_SEGS + SEG_CS * SEG_STRIDE + SEG_OFF_BASE, uint32_t);
}

void code_limit_changed(CPUX86State *env)
{
    core *c = core_current;
    if (!c || !is_limited(env) || limit_of_code(env) == c->code_limit)
        return;
    c->code_limit = limit_of_code(env);
    core_new_epoch(c);
}

int code_limit_instructions(const CPUX86State *env, const TranslationBlock *tb)
{
    uint64_t pc = FIELD(tb, TB_OFF_PC, uint64_t), first = offset_in_code(env, pc), limit = limit_of_code(env);
    int all = FIELD(tb, TB_OFF_ICOUNT, uint16_t);
    if (!is_limited(env) || first + FIELD(tb, TB_OFF_SIZE, uint16_t) <= limit + 1)
        return all;
    return first > limit ? 0 : block_instructions_below(tb, pc + (limit + 1 - first));
}

bool code_limit_is_below(const CPUX86State *env, uint32_t linear)
{
    return is_limited(env) && offset_in_code(env, linear) > limit_of_code(env);
}

/* ---- near jumps ---- */

/* Whether the condition of a Jcc holds; its lowest bit inverts it. */
static bool holds(uint32_t flags, uint32_t condition)
{
    bool less = (flags >> FLAG_SIGN_SHIFT ^ flags >> FLAG_OVERFLOW_SHIFT) & 1, is;
    switch (condition >> 1) {
    case 0: is = flags >> FLAG_OVERFLOW_SHIFT & 1; break;
    case 1: is = flags & FLAG_CARRY; break;
    case 2: is = flags & FLAG_ZERO; break;
    case 3: is = flags & (FLAG_CARRY | FLAG_ZERO); break;
    case 4: is = flags >> FLAG_SIGN_SHIFT & 1; break;
    case 5: is = flags & FLAG_PARITY; break;
    case 6: is = less; break;
    default: is = less || (flags & FLAG_ZERO);
    }
    return is != (condition & 1);
}

static bool is_taken(CPUX86State *env, uint32_t ask)
{
    if (ask & JUMP_ALWAYS)
        return true;
    uint32_t flags = cpu_cc_compute_all_x86_64(env, FIELD(env, ENV_OFF_CC_OP, int32_t));
    if (!(ask & JUMP_COUNTED))
        return holds(flags, ask & CONDITION);
    uint32_t mask = ask & COUNT_32 ? UINT32_MAX : UINT16_MAX, count = FIELD(env, ENV_OFF_REGS + 8, uint32_t) & mask;
    bool zero = flags & FLAG_ZERO, more = count != 1;
    switch (ask & 3) {
    case 0: return more && !zero;
    case 1: return more && zero;
    case 2: return more;
    default: return count == 0;
    }
}

void code_limit_of_jump(CPUX86State *env, uint32_t ask, uint32_t target, uintptr_t host_pc)
{
    if (ask & TO_REGISTER)
        target = FIELD(env, ENV_OFF_REGS + 8 * (target & 7), uint32_t);
    if (ask & TARGET_16)
        target &= UINT16_MAX;
    if (target <= limit_of_code(env))
        return;
    cpu_restore_state_x86_64(core_current->cpu, host_pc, false);     /* for the flags */
    if (is_taken(env, ask))
        raise_exception_err_ra_x86_64(env, VECTOR_PROTECTION, 0, host_pc);
}

static uint32_t condition_of(const struct decoded *d, bool code32)
{
    if ((d->opcode & 0xfffc) == 0xe0)
        return JUMP_COUNTED | (d->opcode & 3) | (code32 != d->address_prefix ? COUNT_32 : 0);
    return (d->opcode & 0xf0) == 0x70 || (d->opcode & 0xfff0) == 0x180 ? d->opcode & CONDITION : JUMP_ALWAYS;
}

/* Bytes of the displacement behind the opcode, 0 if it is no jump that has one. */
static unsigned displacement_bytes(unsigned opcode, bool target32)
{
    if ((opcode & 0xfff0) == 0x70 || (opcode & 0xfffc) == 0xe0 || opcode == 0xeb)
        return 1;
    return opcode == 0xe8 || opcode == 0xe9 || (opcode & 0xfff0) == 0x180 ? (target32 ? 4 : 2) : 0;
}

uint32_t code_limit_question(CPUX86State *env, const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at),
                             bool code32, bool far, uint32_t *target, bool *of_load)
{
    bool target32 = code32 != d->data_prefix;
    uint64_t next = d->pc + d->length;
    uint32_t question = ASK_JUMP | (target32 ? 0 : TARGET_16);
    unsigned bytes = displacement_bytes(d->opcode, target32);
    *of_load = d->opcode == 0xc2 || d->opcode == 0xc3 || (far && (d->opcode == 0xca || d->opcode == 0xcb));
    *target = 0;
    if (*of_load)
        return question | JUMP_ALWAYS;
    if (d->opcode == 0xff) {
        uint8_t modrm = d->has_modrm ? d->modrm : fetch(env, next);
        unsigned digit = modrm >> 3 & 7;
        bool is_jump = digit == 2 || digit == 4 || (far && digit == 5);
        *of_load = is_jump && modrm < 0xc0;
        *target = modrm & 7;
        return is_jump ? question | JUMP_ALWAYS | (modrm >= 0xc0 ? TO_REGISTER : 0) : 0;
    }
    bool absolute = far && d->opcode == 0xea;
    if (absolute)
        bytes = target32 ? 4 : 2;
    if (bytes == 0)
        return 0;
    uint32_t displacement = 0;
    for (unsigned i = 0; i < bytes; i++)
        displacement |= (uint32_t)fetch(env, next++) << 8 * i;
    if (absolute) {
        *target = displacement;
        return question | JUMP_ALWAYS;
    }
    unsigned shift = 32 - 8 * bytes;
    *target = offset_in_code(env, next) + (uint32_t)((int32_t)(displacement << shift) >> shift);
    return question | condition_of(d, code32);
}
