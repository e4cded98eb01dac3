/* x87_moves.c - loads and exchanges of the x87 registers, and what becomes of a full or an empty stack. Stores: x87_stores.c.
 *
 *   load     the stack is full -> stack fault, C1 = 1        masked   the indefinite number is pushed
 *                                                            unmasked nothing is
 *
 * The engine has no stack faults. Those that access memory themselves must know their caller in the generated code.
 * Source: Intel SDM volume 1, sections 4.8.4 (rounding), 8.5.1 and 8.5.2; table 4-3 (indefinite numbers); volume 2, FLD, FXCH, FCMOVcc,
 * FBLD. */
#include "interpose.h"
#include "x87.h"
#include "x87_faults.h"

bool x87_stack_fault(CPUX86State *env, bool overflow)
{
    bool masked = FIELD(env, ENV_OFF_FPUC, uint16_t) & X87_IE;
    unsigned status = (FIELD(env, ENV_OFF_FPUS, uint16_t) & ~X87_C1) | X87_IE | X87_SF | (overflow ? X87_C1 : 0);
    FIELD(env, ENV_OFF_FPUS, uint16_t) = (uint16_t)(status | (masked ? 0 : X87_ES | X87_BUSY));
    FLAGS(env) = masked ? 0 : X87_NOT_DONE;
    return masked;
}

static void put(CPUX86State *env, int number, struct x87_float value)
{
    x87_put(x87_register(env, number), value);
    *x87_tag(env, number) = 0;
}

void x87_overflow(CPUX86State *env)
{
    if (!x87_stack_fault(env, true))
        return;
    x87_push(env);
    put(env, 0, x87_indefinite);
    FLAGS(env) = X87_NOT_DONE;
}

void x87_underflow(CPUX86State *env, int number)
{
    if (x87_stack_fault(env, false))
        put(env, number, x87_indefinite);
}

/* ---- loads ---- */

static void load(CPUX86State *env, struct x87_float value, enum x87_class class)
{
    if (x87_overflows(env))
        return;
    if (__builtin_expect(class == X87_DENORMAL, false))
        FLAGS(env) = X87_DE;
    if (__builtin_expect(class == X87_NO_NUMBER, false)) {
        FLAGS(env) = value.significand & X87_QUIET_BIT ? 0 : X87_IE;
        value.significand |= X87_QUIET_BIT;
    }
    bool denied = x87_denies(env, X87_BEFORE);
    x87_tell_flags(env, false);
    if (denied)
        return;
    x87_push(env);
    x87_put(x87_register(env, 0), value);
}

void __wrap_helper_flds_ST0_x86_64(CPUX86State *env, uint32_t number)
{
    x87_begin(env, HOST_PC);
    load(env, x87_of_single(number), x87_class_of_single(number));
}

void __wrap_helper_fldl_ST0_x86_64(CPUX86State *env, uint64_t number)
{
    x87_begin(env, HOST_PC);
    load(env, x87_of_double(number), x87_class_of_double(number));
}

#define LOAD_INTEGER(type, name)                                                                             \
    void __real_helper_##name##_x86_64(CPUX86State *env, type operand);                                      \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, type operand);                                      \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, type operand)                                       \
    {                                                                                                        \
        x87_begin(env, HOST_PC);                                                                             \
        if (!x87_overflows(env))                                                                             \
            __real_helper_##name##_x86_64(env, operand);                                                     \
    }
LOAD_INTEGER(int32_t, fildl_ST0)
LOAD_INTEGER(int64_t, fildll_ST0)

static void push(CPUX86State *env, struct x87_float value)
{
    if (x87_overflows(env))
        return;
    x87_push(env);
    x87_put(x87_register(env, 0), value);
}

void __wrap_helper_fldt_ST0_x86_64(CPUX86State *env, uint64_t va)
{
    x87_begin(env, HOST_PC);
    uint64_t significand = cpu_ldq_data_ra_x86_64(env, (uint32_t)va, HOST_PC);
    uint32_t sign_exponent = cpu_lduw_data_ra_x86_64(env, (uint32_t)va + 8, HOST_PC);
    push(env, (struct x87_float){ significand, (uint16_t)sign_exponent });
}

/* Digits above 9 are undefined: they count for what their four bits say. */
void __wrap_helper_fbld_ST0_x86_64(CPUX86State *env, uint64_t va)
{
    uint64_t integer = 0;
    struct x87_float value = { 0, 0 };
    x87_begin(env, HOST_PC);
    for (int i = X87_DECIMAL_BYTES - 2; i >= 0; i--) {
        uint32_t digits = cpu_ldub_data_ra_x86_64(env, (uint32_t)va + (uint32_t)i, HOST_PC);
        integer = integer * 100 + (digits >> 4) * 10 + (digits & 15);
    }
    if (integer) {
        unsigned shift = (unsigned)__builtin_clzll(integer);
        value = (struct x87_float){ integer << shift, (uint16_t)(0x3fff + 63 - shift) };
    }
    value.sign_exponent |= (uint16_t)(cpu_ldub_data_ra_x86_64(env, (uint32_t)va + X87_DECIMAL_BYTES - 1, HOST_PC) >> 7 << 15);
    push(env, value);
}

/* Before a constant, and before FLD ST(i). */
void __wrap_helper_fpush_x86_64(CPUX86State *env)
{
    x87_begin(env, HOST_PC);
    if (x87_overflows(env))
        return;
    x87_push(env);
    FLAGS(env) = X87_PUSHED;
}

/* Constants are rounded as the control word says; the engine's are those to nearest. */
static void round_constant(CPUX86State *env, bool nearest_is_above)
{
    unsigned mode = FIELD(env, ENV_OFF_FPUC, uint16_t) >> X87_ROUND_SHIFT & 3;
    uint64_t *significand = &x87_register(env, 0)->significand;
    if (mode == X87_UP && !nearest_is_above)
        *significand += 1;
    if ((mode == X87_DOWN || mode == X87_CHOP) && nearest_is_above)
        *significand -= 1;
}

#define CONSTANT(name, round)                                                                                \
    void __real_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env)                                                     \
    {                                                                                                        \
        if (FLAGS(env) & X87_NOT_DONE)                                                                       \
            return;                                                                                          \
        __real_helper_##name##_x86_64(env);                                                                  \
        round;                                                                                               \
    }
CONSTANT(fld1_ST0, )
CONSTANT(fldz_ST0, )
CONSTANT(fldl2t_ST0, round_constant(env, false))
CONSTANT(fldl2e_ST0, round_constant(env, true))
CONSTANT(fldpi_ST0, round_constant(env, true))
CONSTANT(fldlg2_ST0, round_constant(env, true))
CONSTANT(fldln2_ST0, round_constant(env, true))

/* ---- between registers ---- */

/* FLD ST(i), behind fpush: an empty register pushes the indefinite number. ST(7) has been where ST(0) is now.
 * FCMOVcc: asked about first, whatever its condition (translate_x87.c). */
void __wrap_helper_fmov_ST0_STN_x86_64(CPUX86State *env, int number)
{
    if (number & X87_STORED) {
        x87_stored(env);
    } else if (number & X87_ASK_MOVE) {
        x87_begin(env, HOST_PC);
        x87_clear_c1(env);
        if (x87_is_empty(env, 0) || x87_is_empty(env, number & 7)) {
            x87_underflow(env, 0);
            FLAGS(env) = X87_NOT_DONE;
        }
    } else if ((FLAGS(env) & X87_PUSHED) && (number == 0 || x87_is_empty(env, number))) {
        x87_underflow(env, 0);
        if (FLAGS(env) & X87_NOT_DONE)
            x87_pop(env);
    } else if (!(FLAGS(env) & X87_NOT_DONE)) {
        x87_put(x87_register(env, 0), x87_value(x87_register(env, number)));
    }
}

void __wrap_helper_fmov_STN_ST0_x86_64(CPUX86State *env, int number)
{
    x87_begin(env, HOST_PC);
    x87_clear_c1(env);
    if (x87_is_empty(env, 0))
        x87_underflow(env, number);
    else
        put(env, number, x87_value(x87_register(env, 0)));
}

void __wrap_helper_fxchg_ST0_STN_x86_64(CPUX86State *env, int number)
{
    struct x87_float *x = x87_register(env, 0), *y = x87_register(env, number);
    x87_begin(env, HOST_PC);
    x87_clear_c1(env);
    if (x87_is_empty(env, 0) || x87_is_empty(env, number)) {
        bool both = x87_is_empty(env, number);
        x87_underflow(env, x87_is_empty(env, 0) ? 0 : number);
        if (FLAGS(env) & X87_NOT_DONE)
            return;
        if (both)
            put(env, number, x87_indefinite);
    }
    struct x87_float kept = x87_value(x);
    x87_put(x, x87_value(y));
    x87_put(y, kept);
}

void __wrap_helper_ffree_STN_x86_64(CPUX86State *env, int number)
{
    x87_begin(env, HOST_PC);
    *x87_tag(env, number) = X87_TAG_EMPTY;
}

/* Behind what has looked at the registers. */
void __wrap_helper_fpop_x86_64(CPUX86State *env)
{
    if (!(FLAGS(env) & X87_NOT_DONE))
        x87_pop(env);
}

#define TURN(name)                                                                                           \
    void __real_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env);                                                    \
    void __wrap_helper_##name##_x86_64(CPUX86State *env)                                                     \
    {                                                                                                        \
        x87_begin(env, HOST_PC);                                                                             \
        __real_helper_##name##_x86_64(env);                                                                  \
    }
TURN(fincstp)
TURN(fdecstp)
