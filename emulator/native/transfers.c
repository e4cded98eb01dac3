/* transfers.c - far CALL, JMP, RET, IRET and the delivery of exceptions and interrupts: what the engine's own functions for
 * them leave out.
 *
 *   before  a task switch is not the engine's (task_switch.c)
 *           the state is kept; what is popped must lie within the limit of the stack
 *   inside  the engine's accesses and exceptions: transfer_checks.c
 *   behind  EIP must lie within the limit of CS, else the state is what it was and #GP; accessed bits are set
 *
 * The functions know their caller in translated code by their return address, so those in front of them end by a jump, and
 * what is behind them is called by the translated code (segment_checks.c). One that is left by an exception is forgotten when
 * that is delivered.
 * Source: Intel SDM volume 2, CALL, RET, JMP, IRET, INT n (operation), LTR; volume 3, 3.4.5.1 (accessed), 6.13 (EXT). */
#include "interpose.h"
#include "task_switch.h"
#include "transfers.h"

#define now transfer_now
#define HOST_PC ((uintptr_t)__builtin_return_address(0))
#define ACCESSED (1u << 8)
#define GATE_CALL16 4u
#define GATE_INTERRUPT16 6u
#define GATE_TRAP16 7u
#define NESTED_TASK (1u << 14)
/* Exceptions with an error code: 8, 10 to 14, 17 */
#define HAS_ERROR 0x27d00u

__thread struct transfer transfer_now;

void transfers_forget(void) { now.kind = NONE; }

static void begin(CPUX86State *env, enum kind kind)
{
    if (!core_current)
        return;
    now.kind = kind;
    now.external = now.pushed = now.inner = false;
    now.loads = now.words = now.bytes = 0;
    now.old_exception = FIELD(env, ENV_OFF_OLD_EXCEPTION, int32_t);
    memcpy(now.before, env, STATE_BYTES);
}

/* ---- behind it ---- */

static void swap_state(CPUX86State *env)
{
    uint8_t after[STATE_BYTES];
    memcpy(after, env, STATE_BYTES);
    memcpy(env, now.before, STATE_BYTES);
    memcpy(now.before, after, STATE_BYTES);
    int32_t *old = &FIELD(env, ENV_OFF_OLD_EXCEPTION, int32_t), exception = *old;
    *old = now.old_exception;
    now.old_exception = exception;
}

/* The descriptor may lie on a page that faults: that is the transfer's fault, before anything has changed. */
static void set_accessed(CPUX86State *env, int number, uintptr_t host_pc)
{
    uint32_t *flags = &FIELD(env, ENV_OFF_SEGS + number * SEG_STRIDE + SEG_OFF_FLAGS, uint32_t);
    uint32_t selector = segment(env, number, SEG_OFF_SELECTOR);
    if ((*flags & ACCESSED) || !(*flags & PRESENT))
        return;
    uint32_t table = selector & 4 ? ENV_OFF_LDT : ENV_OFF_GDT, value = *flags |= ACCESSED;
    uint32_t at = FIELD(env, table + SEG_OFF_BASE, uint32_t) + (selector & ~7u) + 4;
    swap_state(env);
    __real_cpu_stl_mmuidx_ra_x86_64(env, at, value, MMU_KERNEL, host_pc);
    swap_state(env);
}

static bool is_gate16(void)
{
    unsigned type = now.loaded[1] >> TYPE_SHIFT & 0x1f;
    if (now.kind == INTERRUPT)
        return type == GATE_INTERRUPT16 || type == GATE_TRAP16;
    return now.kind == CALL && type == GATE_CALL16;
}

void transfer_end(CPUX86State *env, uintptr_t host_pc)
{
    if (now.kind == NONE)
        return;
    uint64_t *eip = &FIELD(env, ENV_OFF_EIP, uint64_t);
    bool descriptors = uses_descriptors(env);
    if (descriptors && is_gate16())
        *eip &= UINT16_MAX;
    if ((now.kind != INTERRUPT || descriptors) && (uint32_t)*eip > segment(env, SEG_CS, SEG_OFF_LIMIT)) {
        swap_state(env);
        transfer_fault(env, VECTOR_PROTECTION, 0, host_pc);
    }
    if (descriptors && now.loads >= DESCRIPTOR) {
        set_accessed(env, SEG_CS, host_pc);
        set_accessed(env, SEG_SS, host_pc);
    }
    now.kind = NONE;
}

/* ---- in front of it ---- */

static void begin_return(CPUX86State *env, unsigned words, int shift, uint32_t released, uintptr_t host_pc)
{
    begin(env, RETURN);
    if (now.kind == RETURN)
        transfer_pops(env, words, shift, released, host_pc);
}

void __real_helper_lcall_protected_x86_64(CPUX86State *env, int selector, uint64_t eip, int shift, uint64_t next);
void __wrap_helper_lcall_protected_x86_64(CPUX86State *env, int selector, uint64_t eip, int shift, uint64_t next);
void __wrap_helper_lcall_protected_x86_64(CPUX86State *env, int selector, uint64_t eip, int shift, uint64_t next)
{
    task_transfer(env, (uint32_t)selector, TASK_CALL, (uint32_t)next, HOST_PC);
    begin(env, CALL);
    __real_helper_lcall_protected_x86_64(env, selector, eip, shift, next);
}

void __real_helper_ljmp_protected_x86_64(CPUX86State *env, int selector, uint64_t eip, uint64_t next);
void __wrap_helper_ljmp_protected_x86_64(CPUX86State *env, int selector, uint64_t eip, uint64_t next);
void __wrap_helper_ljmp_protected_x86_64(CPUX86State *env, int selector, uint64_t eip, uint64_t next)
{
    task_transfer(env, (uint32_t)selector, TASK_JUMP, (uint32_t)next, HOST_PC);
    begin(env, JUMP);
    __real_helper_ljmp_protected_x86_64(env, selector, eip, next);
}

void __real_helper_lcall_real_x86_64(CPUX86State *env, int selector, uint64_t eip, int shift, int next);
void __wrap_helper_lcall_real_x86_64(CPUX86State *env, int selector, uint64_t eip, int shift, int next);
void __wrap_helper_lcall_real_x86_64(CPUX86State *env, int selector, uint64_t eip, int shift, int next)
{
    begin(env, CALL);
    __real_helper_lcall_real_x86_64(env, selector, eip, shift, next);
}

void __real_helper_iret_real_x86_64(CPUX86State *env, int shift);
void __wrap_helper_iret_real_x86_64(CPUX86State *env, int shift);
void __wrap_helper_iret_real_x86_64(CPUX86State *env, int shift)
{
    begin_return(env, 3, shift, 0, HOST_PC);
    __real_helper_iret_real_x86_64(env, shift);
}

void __real_helper_lret_protected_x86_64(CPUX86State *env, int shift, int released);
void __wrap_helper_lret_protected_x86_64(CPUX86State *env, int shift, int released);
void __wrap_helper_lret_protected_x86_64(CPUX86State *env, int shift, int released)
{
    begin_return(env, 2, shift, (uint32_t)released, HOST_PC);
    __real_helper_lret_protected_x86_64(env, shift, released);
}

void __real_helper_iret_protected_x86_64(CPUX86State *env, int shift, int next);
void __wrap_helper_iret_protected_x86_64(CPUX86State *env, int shift, int next);
void __wrap_helper_iret_protected_x86_64(CPUX86State *env, int shift, int next)
{
    if (core_current && (eflags(env) & NESTED_TASK))
        task_return(env, (uint32_t)next, HOST_PC);
    begin_return(env, 3, shift, 0, HOST_PC);
    __real_helper_iret_protected_x86_64(env, shift, next);
}

void __real_helper_ltr_x86_64(CPUX86State *env, int selector);
void __wrap_helper_ltr_x86_64(CPUX86State *env, int selector);
void __wrap_helper_ltr_x86_64(CPUX86State *env, int selector)
{
    if (core_current && !(selector & INDEX))
        raise_exception_err_ra_x86_64(env, VECTOR_PROTECTION, 0, HOST_PC);
    __real_helper_ltr_x86_64(env, selector);
}

static void begin_interrupt(CPUX86State *env, bool external, bool error)
{
    begin(env, INTERRUPT);
    now.external = external;
    now.words = 3 + (error && (FIELD(env, ENV_OFF_CR, uint32_t) & CR0_PE));
}

void transfer_exception(CPUState *cpu, CPUX86State *env)
{
    bool software = FIELD(env, ENV_OFF_EXCEPTION_IS_INT, uint32_t);
    unsigned vector = FIELD(cpu, CPU_OFF_EXCEPTION_INDEX, uint32_t);
    bool has_error = !software && (HAS_ERROR >> vector & 1);
    if (task_interrupt(env, vector, FIELD(env, software ? ENV_OFF_EXCEPTION_NEXT_EIP : ENV_OFF_EIP, uint32_t), !software)) {
        if (has_error)
            task_push_error(env, FIELD(env, ENV_OFF_ERROR_CODE, uint32_t));
        task_end_interrupt(env);
        return;
    }
    begin_interrupt(env, !software, has_error);
    x86_cpu_do_interrupt_x86_64(cpu);                    /* a fault in it is a longjmp back into the engine */
    transfer_end(env, 0);
}

void transfer_interrupt(CPUX86State *env, int vector)
{
    if (task_interrupt(env, (unsigned)vector, FIELD(env, ENV_OFF_EIP, uint32_t), true)) {
        task_end_interrupt(env);
        return;
    }
    begin_interrupt(env, true, false);
    do_interrupt_x86_hardirq_x86_64(env, vector, 1);
    transfer_end(env, 0);
}
