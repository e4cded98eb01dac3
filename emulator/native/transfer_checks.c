/* transfer_checks.c - the accesses and exceptions of the engine's far transfers (transfers.c).
 *
 *   the first push     the whole frame must lie within the limit of the stack that it goes to, else #SS
 *   a return's pops    each group must lie within the limit, before the first of it is read
 *   ring 3's stack     what CALL, RET and IRET push and pop there must be aligned where alignment is checked, else #AC
 *   an exception       gets the manual's vector and error code where the engine has another
 *
 * Which access is which follows from their order: descriptors are read by dwords (a gate's and its code segment's first), the
 * stack pointer of another privilege by words from the task segment.
 * Source: Intel SDM volume 2, CALL, RET, IRET, INT n (operation); volume 3, 5.8.5 (stack switching), 6.13 (error codes),
 * 6.15 (interrupt 17), 20.3 (interrupts in virtual 8086 mode). */
#include "debug.h"
#include "interpose.h"
#include "transfers.h"

#define now transfer_now
#define TYPE_CODE_SEGMENT 0x18u
#define TYPE_CONFORMING 4u
#define IS_CODE(e2) (((e2) >> TYPE_SHIFT & TYPE_CODE_SEGMENT) == TYPE_CODE_SEGMENT)
#define IS_WRITABLE_DATA(e2) (((e2) >> TYPE_SHIFT & 0x1a) == 0x12)
#define DPL(e2) ((e2) >> 13 & 3)
#define STACK32 (1u << 22)
#define GRANULAR (1u << 23)
#define V86_EIP_MAX 0xffffu
#define EXTERNAL 1u
#define VECTOR_TASK 10
#define VECTOR_NOT_PRESENT 11
#define WORDS_V86 6u                     /* ESP SS ES DS FS GS, behind EIP CS EFLAGS */

void __real_raise_exception_err_x86_64(CPUX86State *env, int vector, int error) __attribute__((noreturn));
void __wrap_raise_exception_err_x86_64(CPUX86State *env, int vector, int error) __attribute__((noreturn));
void __real_raise_exception_err_ra_x86_64(CPUX86State *env, int vector, int error, uintptr_t ra) __attribute__((noreturn));
void __wrap_raise_exception_err_ra_x86_64(CPUX86State *env, int vector, int error, uintptr_t ra) __attribute__((noreturn));

void transfer_fault(CPUX86State *env, int vector, uint32_t error, uintptr_t host_pc)
{
    error |= now.external ? EXTERNAL : 0;
    now.kind = NONE;
    __real_raise_exception_err_ra_x86_64(env, vector, (int)error, host_pc);
}

/* ---- the stack ---- */

/* Of a descriptor that the engine has just read. */
static struct stack stack_of(CPUX86State *env, uint32_t selector, uintptr_t host_pc)
{
    uint32_t at = FIELD(env, (selector & 4 ? ENV_OFF_LDT : ENV_OFF_GDT) + SEG_OFF_BASE, uint32_t) + (selector & ~7u);
    uint32_t low = cpu_ldl_mmuidx_ra_x86_64(env, at, MMU_KERNEL, host_pc);
    uint32_t high = cpu_ldl_mmuidx_ra_x86_64(env, (uint32_t)(at + 4), MMU_KERNEL, host_pc);
    uint32_t limit = (low & 0xffff) | (high & 0xf0000);
    return (struct stack){ low >> 16 | (high & 0xff) << 16 | (high & 0xff000000),
                           high & GRANULAR ? limit << 12 | 0xfff : limit, high, high & STACK32 ? UINT32_MAX : UINT16_MAX };
}

static unsigned parameters(void) { return now.loaded[1] & 0x1f; }

static unsigned pushed_words(const CPUX86State *env)
{
    if (now.kind == CALL)
        return now.inner ? 4 + parameters() : 2;
    return now.words + (now.inner ? (eflags(env) & EFLAGS_VM ? WORDS_V86 : 2) : 0);
}

/* Behind the limit and the pages, as for any operand. */
static void check_alignment(CPUX86State *env, uint32_t at, unsigned words, unsigned bytes, uint32_t direction, uintptr_t host_pc)
{
    if (operand_is_aligned_code(env))
        operand_check(env, words * bytes | (bytes - 1) << ASK_ALIGN_SHIFT | direction, at, host_pc);
}

static void before_push(CPUX86State *env, uint32_t at, unsigned bytes, uintptr_t host_pc)
{
    if ((now.kind != CALL && now.kind != INTERRUPT) || now.pushed)
        return;
    now.pushed = true;
    bool inner = now.inner;
    struct stack s = inner ? stack_of(env, now.inner_stack, host_pc) : stack_current(env);
    int step = -(int)bytes;
    if (!stack_has_room(s, at - s.base, step, pushed_words(env), bytes))
        transfer_fault(env, VECTOR_STACK, inner ? now.inner_stack & INDEX : 0, host_pc);
    if (now.kind == CALL && !inner)
        check_alignment(env, at - bytes, 2, bytes, ASK_STORE, host_pc);
    if (now.kind == CALL && inner &&
        !stack_has_room(stack_current(env), FIELD(env, ENV_OFF_REGS + 8 * REG_ESP, uint32_t), (int)bytes, parameters(), bytes))
        transfer_fault(env, VECTOR_STACK, 0, host_pc);
}

void transfer_pops(CPUX86State *env, unsigned words, int shift, uint32_t released, uintptr_t host_pc)
{
    struct stack s = stack_current(env);
    uint32_t esp = FIELD(env, ENV_OFF_REGS + 8 * REG_ESP, uint32_t);
    if (!uses_descriptors(env))
        s.mask = UINT16_MAX;                             /* the engine's IRET of 8086 code */
    now.words = words;
    now.bytes = shift ? 4 : 2;
    now.outer = s.base + ((esp + words * now.bytes + released) & s.mask);
    if (!stack_has_room(s, esp, (int)now.bytes, words, now.bytes))
        transfer_fault(env, VECTOR_STACK, 0, host_pc);
    check_alignment(env, s.base + (esp & s.mask), words, now.bytes, 0, host_pc);
}

/* A return has popped EFLAGS with VM set; only ring 0 returns to virtual 8086 mode. */
static uint32_t returned_flags(CPUX86State *env, uint32_t flags, uintptr_t host_pc)
{
    if (!(flags & EFLAGS_VM) || !uses_descriptors(env))
        return flags;
    if (privilege(env) != 0)
        return flags & ~EFLAGS_VM;
    struct stack s = stack_current(env);
    if (!stack_has_room(s, now.outer - s.base, 4, WORDS_V86, 4))
        transfer_fault(env, VECTOR_STACK, 0, host_pc);
    if (now.loaded[0] > V86_EIP_MAX)
        transfer_fault(env, VECTOR_PROTECTION, 0, host_pc);
    now.pushed = true;
    return flags;
}

/* What a return to another privilege pops is a pair: both at once. */
static void before_load(CPUX86State *env, uint32_t at, uintptr_t host_pc)
{
    if (now.kind != RETURN || now.pushed || now.loads < now.words + DESCRIPTOR || at != now.outer)
        return;
    struct stack s = stack_current(env);
    now.pushed = true;
    if (!stack_has_room(s, at - s.base, (int)now.bytes, 2, now.bytes))
        transfer_fault(env, VECTOR_STACK, 0, host_pc);
}

/* ---- the engine's accesses ---- */

static uint32_t loaded(CPUX86State *env, uint32_t value, unsigned bytes, uintptr_t host_pc)
{
    if (now.kind == NONE)
        return value;
    if (now.kind == RETURN && now.loads + 1 == now.words && now.words == 3 && bytes == 4)
        value = returned_flags(env, value, host_pc);
    if (now.loads < sizeof now.loaded / sizeof *now.loaded)
        now.loaded[now.loads] = value;
    now.latest = value;
    now.loads++;
    return value;
}

uint32_t __real_cpu_ldl_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, int mmu_idx, uintptr_t host_pc);
uint32_t __wrap_cpu_ldl_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, int mmu_idx, uintptr_t host_pc);
uint32_t __wrap_cpu_ldl_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, int mmu_idx, uintptr_t host_pc)
{
    before_load(env, (uint32_t)va, host_pc);
    return loaded(env, __real_cpu_ldl_mmuidx_ra_x86_64(env, va, mmu_idx, host_pc), 4, host_pc);
}

uint32_t __real_cpu_lduw_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, int mmu_idx, uintptr_t host_pc);
uint32_t __wrap_cpu_lduw_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, int mmu_idx, uintptr_t host_pc);
uint32_t __wrap_cpu_lduw_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, int mmu_idx, uintptr_t host_pc)
{
    before_load(env, (uint32_t)va, host_pc);
    uint32_t value = __real_cpu_lduw_mmuidx_ra_x86_64(env, va, mmu_idx, host_pc);
    if (now.kind == RETURN)
        return loaded(env, value, 2, host_pc);
    if ((now.kind != CALL && now.kind != INTERRUPT) || now.pushed || !(FIELD(env, ENV_OFF_CR, uint32_t) & CR0_PE))
        return value;
    now.inner = true;                                    /* the task segment's SP or SS: at last SS */
    now.inner_stack = value;
    if (now.kind == INTERRUPT && (eflags(env) & EFLAGS_VM) && IS_CODE(now.loaded[3]) && DPL(now.loaded[3]) != 0)
        transfer_fault(env, VECTOR_PROTECTION, now.loaded[0] >> 16 & INDEX, host_pc);
    return value;
}

#define STORE(name, size)                                                                              \
    void __real_##name##_x86_64(CPUX86State *env, uint64_t va, uint32_t value, int mmu_idx, uintptr_t host_pc); \
    void __wrap_##name##_x86_64(CPUX86State *env, uint64_t va, uint32_t value, int mmu_idx, uintptr_t host_pc); \
    void __wrap_##name##_x86_64(CPUX86State *env, uint64_t va, uint32_t value, int mmu_idx, uintptr_t host_pc) \
    {                                                                                                        \
        before_push(env, (uint32_t)va, size, host_pc);                                                       \
        __real_##name##_x86_64(env, va, value, mmu_idx, host_pc);                                            \
        if (now.kind == CALL || now.kind == INTERRUPT)                                                       \
            debug_push(env, (uint32_t)va, size);                                                             \
    }
STORE(cpu_stw_mmuidx_ra, 2)
STORE(cpu_stl_mmuidx_ra, 4)

/* ---- its exceptions ---- */

/* The stack segment that a task segment names is what it should be, but not present. */
static bool is_missing_stack(uint32_t error)
{
    return now.inner && error == (now.inner_stack & INDEX) && IS_WRITABLE_DATA(now.latest) &&
           DPL(now.latest) == (now.inner_stack & 3) && DPL(now.latest) == DPL(now.loaded[3]) && !(now.latest & PRESENT);
}

/* The code segment behind a call gate is what it should be, but not present. */
static bool is_missing_code(const CPUX86State *env)
{
    uint32_t e2 = now.loaded[3];
    bool allowed = e2 >> TYPE_SHIFT & TYPE_CONFORMING ? DPL(e2) <= privilege(env) : DPL(e2) == privilege(env);
    return now.loads == 2 * DESCRIPTOR && IS_CODE(e2) && allowed && !(e2 & PRESENT);
}

static void correct(const CPUX86State *env, int *vector, int *error)
{
    if (now.kind == NONE)
        return;
    if (*vector == VECTOR_TASK && is_missing_stack((uint32_t)*error))
        *vector = VECTOR_STACK;
    else if (*vector == VECTOR_PROTECTION && now.kind == JUMP && is_missing_code(env))
        *vector = VECTOR_NOT_PRESENT;
    else if (*vector == VECTOR_PROTECTION && now.kind == CALL && now.pushed)
        *error = 0;                                      /* EIP beyond the limit */
    else if (*vector == VECTOR_NOT_PRESENT && now.kind == RETURN && now.loads > now.words + DESCRIPTOR)
        *vector = VECTOR_STACK;
    if (now.external && *vector >= VECTOR_TASK && *vector <= VECTOR_PROTECTION)
        *error |= EXTERNAL;
    now.kind = NONE;
}

void __wrap_raise_exception_err_x86_64(CPUX86State *env, int vector, int error)
{
    correct(env, &vector, &error);
    __real_raise_exception_err_x86_64(env, vector, error);
}

void __wrap_raise_exception_err_ra_x86_64(CPUX86State *env, int vector, int error, uintptr_t host_pc)
{
    correct(env, &vector, &error);
    __real_raise_exception_err_ra_x86_64(env, vector, error, host_pc);
}
