/* segments.c - what a segment allows, and which segments translated code must ask about.
 *
 * A segment is not asked about when it allows every access: present, 4 GiB, writable (code: readable; a store to code is
 * always asked about). In real and virtual 8086 mode there are no types; limits stay those that were last loaded
 * in protected mode ("big real mode").
 *
 *   expand up     0 ... limit            expand down     limit + 1 ... FFFFh, or FFFFFFFFh with B set
 *
 * Source: Intel SDM volume 3: 5.3 (limit checking), 5.4 and 5.5 (types, null selectors), 3.4.5.1 (types), 9.9.2
 * (attributes kept in real mode); volume 2: #SS for SS, #GP for the others. */
#include "core_internal.h"
#include "debug.h"
#include "segments.h"

#define TYPE_READ_WRITE (1u << 9)        /* data may be written, code may be read */
#define TYPE_EXPAND_DOWN (1u << 10)      /* of data */
#define TYPE_CODE (1u << 11)
#define PRESENT (1u << 15)
#define BIG (1u << 22)
#define REAL_MODE_LIMIT 0xffffu

static uint32_t field(const CPUX86State *env, int segment, int off)
{
    return FIELD(env, ENV_OFF_SEGS + segment * SEG_STRIDE + off, uint32_t);
}

static bool has_types(const CPUX86State *env)
{
    return (FIELD(env, ENV_OFF_CR, uint32_t) & CR0_PE) && !(FIELD(env, ENV_OFF_EFLAGS, uint32_t) & EFLAGS_VM);
}

static bool expands_down(uint32_t flags) { return (flags & (TYPE_CODE | TYPE_EXPAND_DOWN)) == TYPE_EXPAND_DOWN; }

/* A null selector that was loaded in protected mode has left neither a limit nor rights. */
static uint32_t limit_of(const CPUX86State *env, int segment, uint32_t flags)
{
    return flags & PRESENT ? field(env, segment, SEG_OFF_LIMIT) : REAL_MODE_LIMIT;
}

static bool type_allows(uint32_t flags, bool store)
{
    if (!(flags & PRESENT))
        return false;
    if (flags & TYPE_CODE)
        return !store && (flags & TYPE_READ_WRITE);
    return !store || (flags & TYPE_READ_WRITE);
}

bool segment_limit_allows(uint32_t flags, uint32_t limit, uint32_t offset, uint32_t bytes)
{
    uint32_t last = offset + bytes - 1;
    if (expands_down(flags))
        return offset > limit && last >= offset && last <= (flags & BIG ? UINT32_MAX : REAL_MODE_LIMIT);
    return limit == UINT32_MAX || (last >= offset && last <= limit);
}

struct stack stack_current(const CPUX86State *env)
{
    uint32_t flags = field(env, SEG_SS, SEG_OFF_FLAGS);
    return (struct stack){ field(env, SEG_SS, SEG_OFF_BASE), limit_of(env, SEG_SS, flags), flags,
                           flags & BIG ? UINT32_MAX : UINT16_MAX };
}

bool stack_has_room(struct stack s, uint32_t offset, int step, unsigned count, unsigned bytes)
{
    for (unsigned i = 0; i < count; i++, offset += step)
        if (!segment_limit_allows(s.flags, s.limit, offset & s.mask, bytes))
            return false;
    return true;
}

static bool is_unlimited(const CPUX86State *env, int segment, bool types)
{
    uint32_t flags = field(env, segment, SEG_OFF_FLAGS);
    if (expands_down(flags) || limit_of(env, segment, flags) != UINT32_MAX)
        return false;
    return !types || type_allows(flags, segment != SEG_CS);
}

void segments_changed(CPUX86State *env)
{
    uint32_t *hflags = &FIELD(env, ENV_OFF_HFLAGS, uint32_t), checked = 0;
    bool types = has_types(env);
    bool all = debug_asks(env);
    for (int segment = SEG_ES; segment <= SEG_GS; segment++)
        if (all || !is_unlimited(env, segment, types))
            checked |= HF_CHECKED(segment);
    *hflags = (*hflags & ~HF_CHECKED_MASK) | checked;
    code_limit_changed(env);
}

void __wrap_helper_svm_check_intercept_param_x86_64(CPUX86State *env, uint32_t ask, uint64_t at);
void __wrap_helper_svm_check_intercept_param_x86_64(CPUX86State *env, uint32_t ask, uint64_t at)
{
    if (ask & ASK_NOTHING) {
        transfer_end(env, (uintptr_t)__builtin_return_address(0));
        segments_changed(env);
        return;
    }
    if (ask & ASK_JUMP) {
        code_limit_of_jump(env, ask, (uint32_t)at, (uintptr_t)__builtin_return_address(0));
        return;
    }
    uintptr_t host_pc = (uintptr_t)__builtin_return_address(0);
    if (ask & ASK_FRAME) {
        stack_frame_check(env, ask, (uint32_t)at, host_pc);
        return;
    }
    if (ask & ASK_CC_OP) {
        cpu_restore_state_x86_64(core_current->cpu, host_pc, false);
        return;
    }
    if (ask & ASK_SHADOW) {
        debug_shadow(env);
        return;
    }
    if (ask & ASK_ICEBP)
        debug_icebp(env, ask & ASK_BYTES, host_pc);
    int segment = ask >> ASK_SEGMENT_SHIFT & 7;
    if (segment == ASK_NO_SEGMENT) {
        operand_check(env, ask, (uint32_t)at, host_pc);
        return;
    }
    uint32_t flags = field(env, segment, SEG_OFF_FLAGS), offset = (uint32_t)at - field(env, segment, SEG_OFF_BASE);
    if (segment_limit_allows(flags, limit_of(env, segment, flags), offset, ask & ASK_BYTES) &&
        (!has_types(env) || type_allows(flags, ask & ASK_STORE))) {
        operand_check(env, ask, (uint32_t)at, host_pc);
        debug_access(env, (uint32_t)at, ask & ASK_BYTES, ask & ASK_STORE, host_pc);
        return;
    }
    raise_exception_err_ra_x86_64(env, segment == SEG_SS ? VECTOR_STACK : VECTOR_PROTECTION, 0, host_pc);
}
