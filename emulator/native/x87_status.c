/* x87_status.c - exceptions of the x87 instructions that the engine computes itself.
 *
 *   waiting? -> #MF          flags of the softfloat library = 0 -> the engine's function -> flags -> status word
 *
 * The engine keeps the exception flags of its arithmetic and never tells the guest, and it raises #MF at FWAIT only.
 * Here each flag reaches the status word at its instruction, and a waiting instruction that finds an unmasked one
 * faults (with CR0.NE; without, the guest sees ES only). An instruction that loads its operand into the engine's FT0
 * first is asked there, once. Denormal operands: x87_operands.h. The engine has no C1 and no stack faults for these: x87_stack.c does.
 * What loads a control word changes which of the exceptions told before are unmasked, and so ES and B.
 * Source: Intel SDM volume 1, sections 8.1.3, 8.5 and 8.7; volume 2, FLDCW; volume 3, 2.5 (CR0.NE). */
#include "interpose.h"
#include "x87.h"
#include "x87_operands.h"

#define HOST_PC ((uintptr_t)__builtin_return_address(0))
#define X87_ALL (X87_EXCEPTIONS | X87_ES | X87_BUSY)
#define FLAGS(env) FIELD(env, ENV_OFF_FP_STATUS + STATUS_OFF_FLAGS, uint8_t)

/* LDMXCSR sets its flush to zero here, too. */
static void forget(CPUX86State *env)
{
    FLAGS(env) = 0;
    FIELD(env, ENV_OFF_FP_STATUS + STATUS_OFF_FLUSH_TO_ZERO, uint8_t) = 0;
}

static void wait_for(CPUX86State *env, uintptr_t host_pc)
{
    if ((FIELD(env, ENV_OFF_FPUS, uint16_t) & X87_ES) && (FIELD(env, ENV_OFF_CR, uint32_t) & CR0_NE))
        raise_exception_ra_x86_64(env, VECTOR_FLOATING_POINT, host_pc);
    forget(env);
}

/* The library's flags have the bits of the status word, but for its own denormal ones (64, 128); 2 is ours. */
static void tell(CPUX86State *env)
{
    unsigned status = FIELD(env, ENV_OFF_FPUS, uint16_t);
    status |= FLAGS(env) & X87_EXCEPTIONS;
    if (status & ~FIELD(env, ENV_OFF_FPUC, uint16_t) & X87_EXCEPTIONS)
        status |= X87_ES | X87_BUSY;
    FIELD(env, ENV_OFF_FPUS, uint16_t) = (uint16_t)status;
}

/* FLDCW; a value of X87_SUMMARY stands behind what has loaded the control word with everything else (translate.c). */
void __real_helper_fldcw_x86_64(CPUX86State *env, uint32_t control);
void __wrap_helper_fldcw_x86_64(CPUX86State *env, uint32_t control);
void __wrap_helper_fldcw_x86_64(CPUX86State *env, uint32_t control)
{
    if (control != X87_SUMMARY) {
        wait_for(env, HOST_PC);
        __real_helper_fldcw_x86_64(env, control);
    }
    unsigned status = FIELD(env, ENV_OFF_FPUS, uint16_t) & ~(X87_ES | X87_BUSY);
    if (status & ~FIELD(env, ENV_OFF_FPUC, uint16_t) & X87_EXCEPTIONS)
        status |= X87_ES | X87_BUSY;
    FIELD(env, ENV_OFF_FPUS, uint16_t) = (uint16_t)status;
}

/* The engine widens a signalling NaN to a signalling one. */
static void quiet(CPUX86State *env)
{
    unsigned top = FIELD(env, ENV_OFF_FPSTT, uint32_t) & 7;
    struct x87_float *x = &FIELD(env, ENV_OFF_FPREGS + FPREG_STRIDE * top, struct x87_float);
    if ((x->sign_exponent & 0x7fff) == 0x7fff && x->significand << 1)
        x->significand |= UINT64_C(3) << 62;
}

static void tell_denormal(CPUX86State *env, enum x87_class a, enum x87_class b)
{
    if (x87_denormal_counts(a, b) && !(FLAGS(env) & (X87_IE | X87_ZE)))
        FLAGS(env) |= X87_DE;
}

#define WAITS wait_for(env, HOST_PC)
#define OPERATION(result, keep, give, name, start, declared, passed)                                         \
    result __real_helper_##name##_x86_64 declared;                                                           \
    result __wrap_helper_##name##_x86_64 declared;                                                           \
    result __wrap_helper_##name##_x86_64 declared                                                            \
    {                                                                                                        \
        start;                                                                                               \
        keep __real_helper_##name##_x86_64 passed;                                                           \
        tell(env);                                                                                           \
        give;                                                                                                \
    }
#define NOTHING(name, start, declared, passed) OPERATION(void, , (void)0, name, start, declared, passed)
#define VALUE(result, name) OPERATION(result, result value =, return value, name, WAITS, (CPUX86State *env), (env))
#define PLAIN(name, start) NOTHING(name, start, (CPUX86State *env), (env))
#define NUMBERED(name) NOTHING(name, WAITS, (CPUX86State *env, int number), (env, number))
#define WITH(type, name) NOTHING(name, WAITS, (CPUX86State *env, type operand), (env, operand))
#define LOAD(type, name, class)                                                                              \
    OPERATION(void, tell_denormal(env, class, X87_ORDINARY);, quiet(env), name, WAITS, (CPUX86State *env, type operand), (env, operand))

static __thread enum x87_class loaded;   /* what FT0 holds */

/* FT0 is loaded already: the instruction has been asked. The engine calls every division by 0 one, that of 0 and infinity as
 * well: the status word is what it was before. */
#define WITH_FT0(name, keeps_st0)                                                                            \
    void __real_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env)                                                     \
    {                                                                                                        \
        struct x87_float *x = x87_register(env, 0), kept = *x;                                               \
        uint16_t exceptions = FIELD(env, ENV_OFF_FPUS, uint16_t) & X87_ALL;                                  \
        forget(env);                                                                                         \
        x87_normalize(x);                                                                                    \
        __real_helper_##name##_x86_64(env);                                                                  \
        if (keeps_st0)                                                                                       \
            *x = kept;                                                                                       \
        FIELD(env, ENV_OFF_FPUS, uint16_t) = (FIELD(env, ENV_OFF_FPUS, uint16_t) & ~X87_ALL) | exceptions;   \
        tell_denormal(env, x87_class_of(kept), loaded);                                                      \
        tell(env);                                                                                           \
    }
WITH_FT0(fadd_ST0_FT0, false)
WITH_FT0(fmul_ST0_FT0, false)
WITH_FT0(fsub_ST0_FT0, false)
WITH_FT0(fsubr_ST0_FT0, false)
WITH_FT0(fdiv_ST0_FT0, false)
WITH_FT0(fdivr_ST0_FT0, false)
WITH_FT0(fcom_ST0_FT0, true)
WITH_FT0(fucom_ST0_FT0, true)
WITH_FT0(fcomi_ST0_FT0, true)
WITH_FT0(fucomi_ST0_FT0, true)

/* ST(n) takes the result. */
#define INTO_STN(name)                                                                                       \
    void __real_helper_##name##_x86_64(CPUX86State *env, int number);                                        \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, int number);                                        \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, int number)                                         \
    {                                                                                                        \
        struct x87_float *x = x87_register(env, 0), *y = x87_register(env, number), kept = *x;               \
        enum x87_class class = x87_class_of(*y);                                                             \
        uint16_t exceptions = FIELD(env, ENV_OFF_FPUS, uint16_t) & X87_ALL;                                  \
        wait_for(env, HOST_PC);                                                                              \
        x87_normalize(x);                                                                                    \
        x87_normalize(y);                                                                                    \
        __real_helper_##name##_x86_64(env, number);                                                          \
        if (x != y)                                                                                          \
            *x = kept;                                                                                       \
        FIELD(env, ENV_OFF_FPUS, uint16_t) = (FIELD(env, ENV_OFF_FPUS, uint16_t) & ~X87_ALL) | exceptions;   \
        tell_denormal(env, x87_class_of(kept), class);                                                       \
        tell(env);                                                                                           \
    }
INTO_STN(fadd_STN_ST0)
INTO_STN(fmul_STN_ST0)
INTO_STN(fsub_STN_ST0)
INTO_STN(fsubr_STN_ST0)
INTO_STN(fdiv_STN_ST0)
INTO_STN(fdivr_STN_ST0)

void __real_helper_fmov_FT0_STN_x86_64(CPUX86State *env, int number);
void __wrap_helper_fmov_FT0_STN_x86_64(CPUX86State *env, int number);
void __wrap_helper_fmov_FT0_STN_x86_64(CPUX86State *env, int number)
{
    struct x87_float *y = x87_register(env, number), kept = *y;
    wait_for(env, HOST_PC);
    loaded = x87_class_of(kept);
    x87_normalize(y);
    __real_helper_fmov_FT0_STN_x86_64(env, number);
    *y = kept;
}

#define LOAD_FT0(type, name, class)                                                                          \
    void __real_helper_##name##_x86_64(CPUX86State *env, type operand);                                      \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, type operand);                                      \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, type operand)                                       \
    {                                                                                                        \
        wait_for(env, HOST_PC);                                                                              \
        loaded = class;                                                                                      \
        __real_helper_##name##_x86_64(env, operand);                                                         \
        tell(env);                                                                                           \
    }
LOAD_FT0(uint32_t, flds_FT0, x87_class_of_single(operand))
LOAD_FT0(uint64_t, fldl_FT0, x87_class_of_double(operand))
LOAD_FT0(int32_t, fildl_FT0, X87_ORDINARY)

#define OF_ST0(name)                                                                                         \
    void __real_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env)                                                     \
    {                                                                                                        \
        struct x87_float *x = x87_register(env, 0);                                                          \
        enum x87_class class = x87_class_of(*x);                                                             \
        wait_for(env, HOST_PC);                                                                              \
        x87_normalize(x);                                                                                    \
        __real_helper_##name##_x86_64(env);                                                                  \
        tell_denormal(env, class, X87_ORDINARY);                                                             \
        tell(env);                                                                                           \
    }
OF_ST0(fsqrt)
OF_ST0(frndint)

NUMBERED(fmov_STN_ST0)
NUMBERED(fxchg_ST0_STN)
LOAD(uint32_t, flds_ST0, x87_class_of_single(operand))
LOAD(uint64_t, fldl_ST0, x87_class_of_double(operand))
WITH(int32_t, fildl_ST0)
WITH(int64_t, fildll_ST0)
VALUE(uint32_t, fsts_ST0)
VALUE(uint64_t, fstl_ST0)
VALUE(int32_t, fistl_ST0)
VALUE(int64_t, fistll_ST0)
PLAIN(fchs_ST0, WAITS)
PLAIN(fabs_ST0, WAITS)
PLAIN(fldz_FT0, (WAITS, loaded = X87_ORDINARY))
PLAIN(fpush, WAITS)

/* Constants are rounded as the control word says; the engine's are those to nearest. */
#define CONSTANT(name, nearest_is_above)                                                                     \
    void __real_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env)                                                     \
    {                                                                                                        \
        __real_helper_##name##_x86_64(env);                                                                  \
        round_constant(env, nearest_is_above);                                                               \
    }
static void round_constant(CPUX86State *env, bool nearest_is_above)
{
    unsigned top = FIELD(env, ENV_OFF_FPSTT, uint32_t) & 7;
    unsigned mode = FIELD(env, ENV_OFF_FPUC, uint16_t) >> X87_ROUND_SHIFT & 3;
    uint64_t *significand = &FIELD(env, ENV_OFF_FPREGS + FPREG_STRIDE * top, uint64_t);
    if (mode == X87_UP && !nearest_is_above)
        *significand += 1;
    if ((mode == X87_DOWN || mode == X87_CHOP) && nearest_is_above)
        *significand -= 1;
}
CONSTANT(fldl2t_ST0, false)
CONSTANT(fldl2e_ST0, true)
CONSTANT(fldpi_ST0, true)
CONSTANT(fldlg2_ST0, true)
CONSTANT(fldln2_ST0, true)

/* Those that access memory themselves must know their caller in the generated code: no call, a jump. The engine's
 * own flags stay as they are; a conversion to decimal that does not fit is all they could tell. */

/* FISTTP: the engine gives the largest number instead of the indefinite one. */
#define TRUNCATION(name, type, indefinite)                                                                   \
    type __real_helper_##name##_x86_64(CPUX86State *env);                                                    \
    type __wrap_helper_##name##_x86_64(CPUX86State *env);                                                    \
    type __wrap_helper_##name##_x86_64(CPUX86State *env)                                                     \
    {                                                                                                        \
        wait_for(env, HOST_PC);                                                                              \
        type value = __real_helper_##name##_x86_64(env);                                                     \
        if (FLAGS(env) & X87_IE)                                                                             \
            value = indefinite;                                                                              \
        tell(env);                                                                                           \
        return value;                                                                                        \
    }
TRUNCATION(fisttl_ST0, int32_t, INT32_MIN)
TRUNCATION(fisttll_ST0, int64_t, INT64_MIN)

/* 16 bits: the engine converts to 32 and gives the indefinite number without a word when it does not fit. */
#define INTEGER16(name, wider)                                                                               \
    int32_t __real_helper_##name##_x86_64(CPUX86State *env);                                                 \
    int32_t __wrap_helper_##name##_x86_64(CPUX86State *env);                                                 \
    int32_t __wrap_helper_##name##_x86_64(CPUX86State *env)                                                  \
    {                                                                                                        \
        wait_for(env, HOST_PC);                                                                              \
        int32_t value = __real_helper_##wider##_x86_64(env);                                                 \
        if (value != (int16_t)value || (FLAGS(env) & X87_IE)) {                                              \
            FLAGS(env) = X87_IE;                                                                             \
            value = -32768;                                                                                  \
        }                                                                                                    \
        tell(env);                                                                                           \
        return value;                                                                                        \
    }
INTEGER16(fist_ST0, fistl_ST0)
INTEGER16(fistt_ST0, fisttl_ST0)
