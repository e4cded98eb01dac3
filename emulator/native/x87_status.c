/* x87_status.c - the engine's side of x87 arithmetic and comparisons: what becomes of results and exceptions.
 *
 *   waiting? -> #MF     a register is empty -> stack fault     x87_arithmetic.c -> exceptions, C1 -> status word
 *   an invalid, denormal or divided operand that is unmasked -> the registers as they were
 *
 * An instruction with two operands is two functions of the engine: the first loads one of them, and asks once. The second finds
 * it here; the engine's FT0, which would hold it, is not used. What follows in the same instruction: x87_faults.h.
 * The engine itself keeps the exceptions of its arithmetic and never tells the guest, raises #MF at FWAIT only, and knows no
 * stack faults. A waiting instruction that finds an unmasked one faults with CR0.NE; without, the guest sees ES only.
 * What loads a control word changes which of the exceptions told before are unmasked, and so ES and B.
 * Source: Intel SDM volume 1, sections 8.1.3, 8.5 and 8.7; volume 2, FLDCW, FCOM, FCOMI; volume 3, 2.5 (CR0.NE). */
#include "interpose.h"
#include "x87.h"
#include "x87_faults.h"

#define UNORDERED (X87_C0 | X87_C2 | X87_C3)     /* of a comparison */
#define EFLAGS_ZPC 0x45u

#define DEFINE(name, declared)                                                                               \
    void __wrap_helper_##name##_x86_64 declared;                                                             \
    void __wrap_helper_##name##_x86_64 declared

/* What stands for FT0. loaded: what it was before it became a number of 80 bits; a signalling NaN is one still. */
static __thread enum x87_class loaded;
static __thread struct x87_float operand;

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

static inline unsigned control_of(CPUX86State *env) { return FIELD(env, ENV_OFF_FPUC, uint16_t); }

/* Exceptions reach the status word. True: one that is unmasked leaves the operands as they were, and nothing is popped. */
static inline bool tell(CPUX86State *env, unsigned raised)
{
    bool denied = raised & ~control_of(env) & X87_BEFORE;
    FLAGS(env) = (uint8_t)((raised & X87_EXCEPTIONS) | (denied ? X87_NOT_DONE : 0));
    x87_tell(env, raised);
    return denied;
}

static inline void give(CPUX86State *env, struct x87_float *to, const struct x87_result *r)
{
    if (!tell(env, r->status))
        x87_put(to, r->value);
}

/* ---- arithmetic ---- */

/* What was loaded as a denormal number of 32 or 64 bits is a normal one now. */
static void give_denormal(CPUX86State *env, struct x87_float *x, struct x87_result *r)
{
    if (x87_class_of(*x) != X87_NO_NUMBER && !(r->status & (X87_IE | X87_ZE)))
        r->status = control_of(env) & X87_DE ? r->status | X87_DE : X87_DE;
    give(env, x, r);
}

#define WITH_FT0(name, operation, first, second)                                                             \
    DEFINE(name, (CPUX86State *env))                                                                         \
    {                                                                                                        \
        struct x87_float *to = x87_register(env, 0), x = x87_value(to);                                      \
        struct x87_result r;                                                                                 \
        if (loaded == X87_NOTHING || x87_is_empty(env, 0)) {                                                 \
            x87_underflow(env, 0);                                                                           \
            return;                                                                                          \
        }                                                                                                    \
        operation(control_of(env), first, second, &r);                                                       \
        if (__builtin_expect(loaded == X87_DENORMAL, false))                                                 \
            give_denormal(env, to, &r);                                                                      \
        else                                                                                                 \
            give(env, to, &r);                                                                               \
    }
WITH_FT0(fadd_ST0_FT0, x87_add, x, x87_value(&operand))
WITH_FT0(fmul_ST0_FT0, x87_multiply, x, x87_value(&operand))
WITH_FT0(fsub_ST0_FT0, x87_subtract, x, x87_value(&operand))
WITH_FT0(fsubr_ST0_FT0, x87_subtract, x87_value(&operand), x)
WITH_FT0(fdiv_ST0_FT0, x87_divide, x, x87_value(&operand))
WITH_FT0(fdivr_ST0_FT0, x87_divide, x87_value(&operand), x)

/* ST(n) takes the result. */
#define INTO_STN(name, operation, first, second)                                                             \
    DEFINE(name, (CPUX86State *env, int number))                                                             \
    {                                                                                                        \
        struct x87_float x = x87_value(x87_register(env, 0)), *to = x87_register(env, number), y = x87_value(to); \
        struct x87_result r;                                                                                 \
        x87_begin(env, HOST_PC);                                                                             \
        if (x87_is_empty(env, 0) || x87_is_empty(env, number)) {                                             \
            x87_underflow(env, number);                                                                      \
            return;                                                                                          \
        }                                                                                                    \
        operation(control_of(env), first, second, &r);                                                       \
        give(env, to, &r);                                                                                   \
    }
INTO_STN(fadd_STN_ST0, x87_add, y, x)
INTO_STN(fmul_STN_ST0, x87_multiply, y, x)
INTO_STN(fsub_STN_ST0, x87_subtract, y, x)
INTO_STN(fsubr_STN_ST0, x87_subtract, x, y)
INTO_STN(fdiv_STN_ST0, x87_divide, y, x)
INTO_STN(fdivr_STN_ST0, x87_divide, x, y)

#define OF_ST0(name, operation)                                                                              \
    DEFINE(name, (CPUX86State *env))                                                                         \
    {                                                                                                        \
        struct x87_float *x = x87_register(env, 0);                                                          \
        struct x87_result r;                                                                                 \
        x87_begin(env, HOST_PC);                                                                             \
        if (x87_is_empty(env, 0)) {                                                                          \
            x87_underflow(env, 0);                                                                           \
            return;                                                                                          \
        }                                                                                                    \
        operation(control_of(env), x87_value(x), &r);                                                        \
        give(env, x, &r);                                                                                    \
    }
OF_ST0(fsqrt, x87_square_root)
OF_ST0(frndint, x87_to_integer)

/* They raise nothing else. */
#define SIGN_OF_ST0(name, changed)                                                                           \
    DEFINE(name, (CPUX86State *env))                                                                         \
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

/* ---- comparisons ---- */

/* They change no register. False: an unmasked exception leaves the conditions, too. */
static bool compare(CPUX86State *env, bool quiet, unsigned *conditions)
{
    struct x87_float x = x87_value(x87_register(env, 0));
    unsigned raised = x87_compare(x, x87_value(&operand), quiet, conditions);
    if (loaded == X87_DENORMAL && x87_class_of(x) != X87_NO_NUMBER)
        raised |= X87_DE;
    return !tell(env, raised);
}

static inline bool conditions_of(CPUX86State *env, bool quiet, unsigned *conditions)
{
    *conditions = UNORDERED;
    if (loaded == X87_NOTHING || x87_is_empty(env, 0))
        return x87_stack_fault(env, false);
    return compare(env, quiet, conditions);
}

#define TO_CONDITIONS(name, quiet)                                                                           \
    DEFINE(name, (CPUX86State *env))                                                                         \
    {                                                                                                        \
        uint16_t *status = &FIELD(env, ENV_OFF_FPUS, uint16_t);                                              \
        unsigned conditions;                                                                                 \
        if (conditions_of(env, quiet, &conditions))                                                          \
            *status = (uint16_t)((*status & ~UNORDERED) | conditions);                                       \
    }
TO_CONDITIONS(fcom_ST0_FT0, false)
TO_CONDITIONS(fucom_ST0_FT0, true)

/* C0, C2 and C3 become CF, PF and ZF; the engine takes cc_src for all flags afterwards. OF, SF and AF are cleared in any case. */
#define TO_EFLAGS(name, quiet)                                                                               \
    DEFINE(name, (CPUX86State *env))                                                                         \
    {                                                                                                        \
        uint64_t *flags = &FIELD(env, ENV_OFF_CC_SRC, uint64_t);                                             \
        unsigned conditions;                                                                                 \
        if (conditions_of(env, quiet, &conditions))                                                          \
            *flags = conditions >> 8;                                                                        \
        else                                                                                                 \
            *flags = cpu_cc_compute_all_x86_64(env, FIELD(env, ENV_OFF_CC_OP, int)) & EFLAGS_ZPC;            \
    }
TO_EFLAGS(fcomi_ST0_FT0, false)
TO_EFLAGS(fucomi_ST0_FT0, true)

/* ---- operands in FT0 ---- */

static inline void load(enum x87_class class, struct x87_float value)
{
    loaded = class;
    x87_put(&operand, value);
}

DEFINE(fmov_FT0_STN, (CPUX86State *env, int number))
{
    x87_begin(env, HOST_PC);
    load(x87_is_empty(env, number) ? X87_NOTHING : X87_ORDINARY, x87_value(x87_register(env, number)));
}

#define LOAD_FT0(type, name, widened, class)                                                                 \
    DEFINE(name, (CPUX86State *env, type number))                                                            \
    {                                                                                                        \
        x87_begin(env, HOST_PC);                                                                             \
        load(class, widened(number));                                                                        \
    }
LOAD_FT0(uint32_t, flds_FT0, x87_of_single, x87_class_of_single(number))
LOAD_FT0(uint64_t, fldl_FT0, x87_of_double, x87_class_of_double(number))
LOAD_FT0(int32_t, fildl_FT0, x87_of_integer, X87_ORDINARY)

DEFINE(fldz_FT0, (CPUX86State *env))
{
    x87_begin(env, HOST_PC);
    load(X87_ORDINARY, (struct x87_float){ 0, 0 });
}
