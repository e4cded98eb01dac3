/* x87_status.c - arithmetic and comparisons of the x87 that the engine computes itself, with their exceptions.
 *
 *   waiting? -> #MF     a register is empty -> stack fault     flags of the softfloat library = 0 -> the engine's function
 *   -> flags -> status word     an invalid, denormal or divided operand that is unmasked -> the registers as they were
 *
 * The engine keeps the exception flags of its arithmetic and never tells the guest, it raises #MF at FWAIT only, and knows no
 * stack faults. Here each flag reaches the status word at its instruction, and a waiting instruction that finds an unmasked one
 * faults (with CR0.NE; without, the guest sees ES only). An instruction that loads its operand into the engine's FT0
 * first is asked there, once. Denormal operands: x87_operands.h. What follows in the same instruction: x87_faults.h.
 * What loads a control word changes which of the exceptions told before are unmasked, and so ES and B.
 * Source: Intel SDM volume 1, sections 8.1.3, 8.5 and 8.7; volume 2, FLDCW, FCOM, FCOMI; volume 3, 2.5 (CR0.NE). */
#include "interpose.h"
#include "x87.h"
#include "x87_faults.h"

#define X87_ALL (X87_EXCEPTIONS | X87_ES | X87_BUSY)
#define CONDITIONS (X87_C0 | X87_C2 | X87_C3)    /* of a comparison */
#define EFLAGS_ZPC 0x45u

static __thread enum x87_class loaded;   /* what FT0 holds */

/* FLDCW; a value of X87_SUMMARY stands behind what has loaded the control word with everything else (translate.c). */
void __real_helper_fldcw_x86_64(CPUX86State *env, uint32_t control);
void __wrap_helper_fldcw_x86_64(CPUX86State *env, uint32_t control);
void __wrap_helper_fldcw_x86_64(CPUX86State *env, uint32_t control)
{
    if (control != X87_SUMMARY) {
        x87_begin(env, HOST_PC);
        __real_helper_fldcw_x86_64(env, control);
    }
    unsigned status = FIELD(env, ENV_OFF_FPUS, uint16_t) & ~(X87_ES | X87_BUSY);
    if (status & ~FIELD(env, ENV_OFF_FPUC, uint16_t) & X87_EXCEPTIONS)
        status |= X87_ES | X87_BUSY;
    FIELD(env, ENV_OFF_FPUS, uint16_t) = (uint16_t)status;
}

/* What an operation has made of the status word besides the flags: the engine calls every division by 0 one, that of 0 and
 * infinity as well. */
static void restore_exceptions(CPUX86State *env, uint16_t before)
{
    uint16_t *status = &FIELD(env, ENV_OFF_FPUS, uint16_t);
    *status = (uint16_t)((*status & ~X87_ALL) | (before & X87_ALL));
}

static void restore_conditions(CPUX86State *env, uint16_t before)
{
    uint16_t *status = &FIELD(env, ENV_OFF_FPUS, uint16_t);
    *status = (uint16_t)((*status & ~CONDITIONS) | (before & CONDITIONS));
}

/* Behind an operation whose result is in *result: its exceptions; one that is unmasked leaves it as it was. */
static inline void finish(CPUX86State *env, struct x87_float *result, struct x87_float kept, enum x87_class a, enum x87_class b)
{
    x87_tell_denormal(env, a, b);
    bool denied = x87_denies(env, X87_BEFORE);
    x87_tell(env, result->sign_exponent >> 15);
    if (denied)
        x87_put(result, kept);
}

#define DECLARE(name, declared)                                                                              \
    void __real_helper_##name##_x86_64 declared;                                                             \
    void __wrap_helper_##name##_x86_64 declared;                                                             \
    void __wrap_helper_##name##_x86_64 declared

/* FT0 is loaded already: the instruction has been asked, and the library's flags are those of the load. */
#define WITH_FT0(name)                                                                                       \
    DECLARE(name, (CPUX86State *env))                                                                        \
    {                                                                                                        \
        struct x87_float *x = x87_register(env, 0), kept = x87_value(x);                                     \
        uint16_t before = FIELD(env, ENV_OFF_FPUS, uint16_t);                                                \
        if (loaded == X87_NOTHING || x87_is_empty(env, 0)) {                                                 \
            x87_underflow(env, 0);                                                                           \
            return;                                                                                          \
        }                                                                                                    \
        x87_normalize(x);                                                                                    \
        __real_helper_##name##_x86_64(env);                                                                  \
        restore_exceptions(env, before);                                                                     \
        finish(env, x, kept, x87_class_of(kept), loaded);                                                    \
    }
WITH_FT0(fadd_ST0_FT0)
WITH_FT0(fmul_ST0_FT0)
WITH_FT0(fsub_ST0_FT0)
WITH_FT0(fsubr_ST0_FT0)
WITH_FT0(fdiv_ST0_FT0)
WITH_FT0(fdivr_ST0_FT0)

/* ST(n) takes the result. */
#define INTO_STN(name)                                                                                       \
    DECLARE(name, (CPUX86State *env, int number))                                                            \
    {                                                                                                        \
        struct x87_float *x = x87_register(env, 0), *y = x87_register(env, number), kept = x87_value(x), old = x87_value(y);\
        uint16_t before = FIELD(env, ENV_OFF_FPUS, uint16_t);                                                \
        x87_begin(env, HOST_PC);                                                                             \
        if (x87_is_empty(env, 0) || x87_is_empty(env, number)) {                                             \
            x87_underflow(env, number);                                                                      \
            return;                                                                                          \
        }                                                                                                    \
        x87_normalize(x);                                                                                    \
        x87_normalize(y);                                                                                    \
        __real_helper_##name##_x86_64(env, number);                                                          \
        if (x != y)                                                                                          \
            x87_put(x, kept);                                                                                \
        restore_exceptions(env, before);                                                                     \
        finish(env, y, old, x87_class_of(kept), x87_class_of(old));                                          \
    }
INTO_STN(fadd_STN_ST0)
INTO_STN(fmul_STN_ST0)
INTO_STN(fsub_STN_ST0)
INTO_STN(fsubr_STN_ST0)
INTO_STN(fdiv_STN_ST0)
INTO_STN(fdivr_STN_ST0)

/* Comparisons change no register. An unmasked exception leaves the conditions, too. */
static inline __attribute__((always_inline)) bool compare(CPUX86State *env, void (*operation)(CPUX86State *env))
{
    struct x87_float *x = x87_register(env, 0), kept = x87_value(x);
    uint16_t before = FIELD(env, ENV_OFF_FPUS, uint16_t);
    x87_normalize(x);
    operation(env);
    x87_put(x, kept);
    restore_exceptions(env, before);
    x87_tell_denormal(env, x87_class_of(kept), loaded);
    bool denied = x87_denies(env, X87_BEFORE);
    x87_tell(env, false);
    return !denied;
}

#define TO_CONDITIONS(name)                                                                                  \
    DECLARE(name, (CPUX86State *env))                                                                        \
    {                                                                                                        \
        uint16_t *status = &FIELD(env, ENV_OFF_FPUS, uint16_t), before = *status;                            \
        if (loaded == X87_NOTHING || x87_is_empty(env, 0)) {                                                 \
            if (x87_stack_fault(env, false))                                                                 \
                *status |= CONDITIONS;                                                                       \
        } else if (!compare(env, __real_helper_##name##_x86_64)) {                                           \
            restore_conditions(env, before);                                                                 \
        }                                                                                                    \
    }
TO_CONDITIONS(fcom_ST0_FT0)
TO_CONDITIONS(fucom_ST0_FT0)

/* The engine takes cc_src for all flags afterwards. OF, SF and AF are cleared in any case. */
#define TO_EFLAGS(name)                                                                                      \
    DECLARE(name, (CPUX86State *env))                                                                        \
    {                                                                                                        \
        uint64_t *flags = &FIELD(env, ENV_OFF_CC_SRC, uint64_t), before = *flags;                            \
        bool empty = loaded == X87_NOTHING || x87_is_empty(env, 0);                                          \
        bool sets = empty ? x87_stack_fault(env, false) : compare(env, __real_helper_##name##_x86_64);       \
        if (!sets) {                                                                                         \
            *flags = before;                                                                                 \
            *flags = cpu_cc_compute_all_x86_64(env, FIELD(env, ENV_OFF_CC_OP, int));                         \
        } else if (empty) {                                                                                  \
            *flags = EFLAGS_ZPC;                                                                             \
        }                                                                                                    \
        *flags &= EFLAGS_ZPC;                                                                                \
    }
TO_EFLAGS(fcomi_ST0_FT0)
TO_EFLAGS(fucomi_ST0_FT0)

/* ---- operands in FT0 ---- */

DECLARE(fmov_FT0_STN, (CPUX86State *env, int number))
{
    struct x87_float *y = x87_register(env, number), kept = x87_value(y);
    x87_begin(env, HOST_PC);
    loaded = x87_is_empty(env, number) ? X87_NOTHING : x87_class_of(kept);
    x87_normalize(y);
    __real_helper_fmov_FT0_STN_x86_64(env, number);
    x87_put(y, kept);
}

#define LOAD_FT0(type, name, class)                                                                          \
    DECLARE(name, (CPUX86State *env, type operand))                                                          \
    {                                                                                                        \
        x87_begin(env, HOST_PC);                                                                             \
        loaded = class;                                                                                      \
        __real_helper_##name##_x86_64(env, operand);                                                         \
    }
LOAD_FT0(uint32_t, flds_FT0, x87_class_of_single(operand))
LOAD_FT0(uint64_t, fldl_FT0, x87_class_of_double(operand))
LOAD_FT0(int32_t, fildl_FT0, X87_ORDINARY)

DECLARE(fldz_FT0, (CPUX86State *env))
{
    x87_begin(env, HOST_PC);
    loaded = X87_ORDINARY;
    __real_helper_fldz_FT0_x86_64(env);
}

/* ---- of one register ---- */

#define OF_ST0(name)                                                                                         \
    DECLARE(name, (CPUX86State *env))                                                                        \
    {                                                                                                        \
        struct x87_float *x = x87_register(env, 0), kept = x87_value(x);                                     \
        uint16_t before = FIELD(env, ENV_OFF_FPUS, uint16_t);                                                \
        x87_begin(env, HOST_PC);                                                                             \
        if (x87_is_empty(env, 0)) {                                                                          \
            x87_underflow(env, 0);                                                                           \
            return;                                                                                          \
        }                                                                                                    \
        x87_normalize(x);                                                                                    \
        __real_helper_##name##_x86_64(env);                                                                  \
        finish(env, x, kept, x87_class_of(kept), X87_ORDINARY);                                              \
        if (FLAGS(env) & X87_NOT_DONE)                                                                       \
            restore_conditions(env, before);                                                                 \
    }
OF_ST0(fsqrt)
OF_ST0(frndint)

/* They raise nothing else. */
#define SIGN_OF_ST0(name, changed)                                                                           \
    void __wrap_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env)                                                     \
    {                                                                                                        \
        uint16_t *sign = &x87_register(env, 0)->sign_exponent;                                               \
        x87_begin(env, HOST_PC);                                                                             \
        x87_clear_c1(env);                                                                                   \
        if (x87_is_empty(env, 0))                                                                            \
            x87_underflow(env, 0);                                                                           \
        else                                                                                                 \
            *sign = (uint16_t)(changed);                                                                     \
    }
SIGN_OF_ST0(fchs_ST0, *sign ^ 0x8000)
SIGN_OF_ST0(fabs_ST0, *sign & 0x7fff)
