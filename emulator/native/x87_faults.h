/* x87_faults.h - stack faults and unmasked exceptions of the x87 instructions that the engine does in several parts.
 *
 *   fpush, then a constant    the operand, then add    add, then fpop    what ST(0) is in memory, its store, fpop
 *
 * The first part waits and forgets; the exception flags of the engine's library last until the instruction's end, and tell its later
 * parts what has become of it. No part reads those that another instruction has left.
 * Source: Intel SDM volume 1, sections 8.1.3.3 (C1), 8.5.1 (stack faults, invalid operands), 8.5.2, 8.5.3 and 8.7. */
#ifndef FT86_X87_FAULTS_H
#define FT86_X87_FAULTS_H
#include "layout.h"
#include "x87.h"
#include "x87_operands.h"

#define HOST_PC ((uintptr_t)__builtin_return_address(0))
#define FLAGS(env) FIELD(env, ENV_OFF_FP_STATUS + STATUS_OFF_FLAGS, uint8_t)
#define X87_TAG_EMPTY 1

/* Beside the library's flags. Its own of these bits tell of numbers flushed to zero, which it never does here. */
enum {
    X87_PUSHED = 0x40,                   /* fpush has made room for a value */
    X87_STORE_UP = 0x40,                 /* a store has rounded up; beside X87_IE: it is a stack fault */
    X87_NOT_DONE = 0x80,                 /* the other parts of the instruction do nothing: its sign bit (translate_x87.c) */
};

/* In place of a register: beside FCMOVcc's, may it be moved? Behind a store: tell its exceptions. (x87_moves.c) */
enum { X87_ASK_MOVE = 0x100, X87_STORED = 0x200 };

/* x87_moves.c: tell a stack fault in the status word. Unmasked, it gives false and the instruction's other parts do nothing. */
bool x87_stack_fault(CPUX86State *env, bool overflow);
/* Behind a store to memory, which has not faulted. */
void x87_stored(CPUX86State *env);
/* The stack is full: the indefinite number is pushed if the fault is masked. */
void x87_overflow(CPUX86State *env);
/* A register that must not be empty is; if that is masked, ST(number) takes the indefinite one. */
void x87_underflow(CPUX86State *env, int number);

static inline uint8_t *x87_tag(CPUX86State *env, int number)
{
    return &FIELD(env, ENV_OFF_FPTAGS + ((FIELD(env, ENV_OFF_FPSTT, uint32_t) + (uint32_t)number) & 7), uint8_t);
}

static inline bool x87_is_empty(CPUX86State *env, int number) { return *x87_tag(env, number) == X87_TAG_EMPTY; }

/* A waiting instruction begins. LDMXCSR sets its flush to zero here, too. */
static inline void x87_begin(CPUX86State *env, uintptr_t host_pc)
{
    if ((FIELD(env, ENV_OFF_FPUS, uint16_t) & X87_ES) && (FIELD(env, ENV_OFF_CR, uint32_t) & CR0_NE))
        raise_exception_ra_x86_64(env, VECTOR_FLOATING_POINT, host_pc);
    FLAGS(env) = 0;
    FIELD(env, ENV_OFF_FP_STATUS + STATUS_OFF_FLUSH_TO_ZERO, uint8_t) = 0;
}

static inline void x87_clear_c1(CPUX86State *env) { FIELD(env, ENV_OFF_FPUS, uint16_t) &= (uint16_t)~X87_C1; }

static inline void x87_pop(CPUX86State *env)
{
    *x87_tag(env, 0) = X87_TAG_EMPTY;
    FIELD(env, ENV_OFF_FPSTT, uint32_t) = (FIELD(env, ENV_OFF_FPSTT, uint32_t) + 1) & 7;
}

static inline void x87_push(CPUX86State *env)
{
    FIELD(env, ENV_OFF_FPSTT, uint32_t) = (FIELD(env, ENV_OFF_FPSTT, uint32_t) - 1) & 7;
    *x87_tag(env, 0) = 0;
}

/* Whether something is to be pushed where there is no room. */
static inline bool x87_overflows(CPUX86State *env)
{
    if (__builtin_expect(!x87_is_empty(env, -1), false))
        return x87_overflow(env), true;
    x87_clear_c1(env);
    return false;
}

/* The exceptions of an operation reach the status word, and C1: that the magnitude was rounded up. */
static inline void x87_tell(CPUX86State *env, unsigned raised)
{
    unsigned status = (FIELD(env, ENV_OFF_FPUS, uint16_t) & ~X87_C1) | raised;
    if (status & ~FIELD(env, ENV_OFF_FPUC, uint16_t) & X87_EXCEPTIONS)
        status |= X87_ES | X87_BUSY;
    FIELD(env, ENV_OFF_FPUS, uint16_t) = (uint16_t)status;
}

/* The same of what the engine has computed: the flags of its library have the status word's bits. */
static inline void x87_tell_flags(CPUX86State *env, bool up)
{
    x87_tell(env, (FLAGS(env) & X87_EXCEPTIONS) | (up ? X87_C1 : 0));
}

/* Whether one of these exceptions is unmasked: no other is told then, the caller takes its result back, and the instruction's
 * other parts do nothing. */
static inline bool x87_denies(CPUX86State *env, unsigned exceptions)
{
    if (__builtin_expect(!(FLAGS(env) & ~FIELD(env, ENV_OFF_FPUC, uint16_t) & exceptions), true))
        return false;
    FLAGS(env) = (uint8_t)((FLAGS(env) & exceptions) | X87_NOT_DONE);
    return true;
}
#endif
