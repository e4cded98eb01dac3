/* x87_moves.c - loads, stores and exchanges of the x87 registers, and what becomes of a full or an empty stack.
 *
 *   load     the stack is full -> stack fault, C1 = 1        store    ST(0) is empty -> stack fault, C1 = 0
 *   masked   the indefinite number is pushed or stored       unmasked nothing is, and nothing is popped
 *
 * The engine has no stack faults, and stores whatever its function has converted to: translate_x87.c puts a branch around it.
 * Those that access memory themselves must know their caller in the generated code.
 * Source: Intel SDM volume 1, sections 4.8.4 (rounding), 8.5.1 and 8.5.2; table 4-3 (indefinite numbers); volume 2, FLD, FST, FIST,
 * FISTTP, FXCH, FCMOVcc, FBLD. */
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

/* The engine widens a signalling NaN to a signalling one. */
static void quiet(struct x87_float *x)
{
    if ((x->sign_exponent & 0x7fff) == 0x7fff && x->significand << 1)
        x->significand |= UINT64_C(3) << 62;
}

#define LOAD(type, name, class)                                                                              \
    void __real_helper_##name##_x86_64(CPUX86State *env, type operand);                                      \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, type operand);                                      \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, type operand)                                       \
    {                                                                                                        \
        x87_begin(env, HOST_PC);                                                                             \
        if (x87_overflows(env))                                                                              \
            return;                                                                                          \
        struct x87_float *x = x87_register(env, -1), kept = x87_value(x);                                              \
        __real_helper_##name##_x86_64(env, operand);                                                         \
        quiet(x);                                                                                            \
        x87_tell_denormal(env, class, X87_ORDINARY);                                                         \
        bool denied = x87_denies(env, X87_BEFORE);                                                           \
        x87_tell(env, false);                                                                                \
        if (denied) {                                                                                        \
            x87_pop(env);                                                                                    \
            x87_put(x, kept);                                                                                       \
        }                                                                                                    \
    }
LOAD(uint32_t, flds_ST0, x87_class_of_single(operand))
LOAD(uint64_t, fldl_ST0, x87_class_of_double(operand))

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
    if (number & X87_ASK_MOVE) {
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

/* ---- stores ---- */

/* A tiny number is an underflow even if it is exact, where that is unmasked. */
static void tell_tiny(CPUX86State *env, enum x87_class stored)
{
    if (stored == X87_DENORMAL && !(FIELD(env, ENV_OFF_FPUC, uint16_t) & X87_UE))
        FLAGS(env) |= X87_UE;
}

static bool is_nan(struct x87_float x)
{
    return (x.sign_exponent & 0x7fff) == 0x7fff && x.significand >> 63 && x.significand << 1;
}

/* Of a NaN the engine gives the indefinite one when nothing of its fraction is left. */
static uint32_t look_at_single(CPUX86State *env, uint32_t value)
{
    struct x87_float x = x87_value(x87_register(env, 0));
    tell_tiny(env, x87_class_of_single(value));
    return is_nan(x) ? (uint32_t)(x.sign_exponent >> 15) << 31 | 0x7fc00000u | (uint32_t)(x.significand << 1 >> 41) : value;
}

static uint64_t look_at_double(CPUX86State *env, uint64_t value)
{
    struct x87_float x = x87_value(x87_register(env, 0));
    tell_tiny(env, x87_class_of_double(value));
    return is_nan(x) ? (uint64_t)(x.sign_exponent >> 15) << 63 | UINT64_C(0x7ff8000000000000) | x.significand << 1 >> 12 : value;
}

/* Translated code stores the value, unless X87_NOT_DONE is set. */
#define STORE(type, name, engines, indefinite, look)                                                         \
    type __real_helper_##engines##_x86_64(CPUX86State *env);                                                 \
    type __wrap_helper_##name##_x86_64(CPUX86State *env);                                                    \
    type __wrap_helper_##name##_x86_64(CPUX86State *env)                                                     \
    {                                                                                                        \
        x87_begin(env, HOST_PC);                                                                             \
        if (x87_is_empty(env, 0))                                                                            \
            return x87_stack_fault(env, false), (type)(indefinite);                                          \
        type value = __real_helper_##engines##_x86_64(env);                                                  \
        look;                                                                                                \
        x87_denies(env, X87_IE | X87_OE | X87_UE);                                                           \
        x87_tell(env, x87_register(env, 0)->sign_exponent >> 15);                                            \
        return value;                                                                                        \
    }
STORE(uint32_t, fsts_ST0, fsts_ST0, UINT32_C(0xffc00000), value = look_at_single(env, value))
STORE(uint64_t, fstl_ST0, fstl_ST0, UINT64_C(0xfff8000000000000), value = look_at_double(env, value))
STORE(int32_t, fistl_ST0, fistl_ST0, INT32_MIN, )
STORE(int64_t, fistll_ST0, fistll_ST0, INT64_MIN, )

/* FISTTP: the engine gives the largest number instead of the indefinite one. */
#define TRUNCATION(type, name, indefinite) STORE(type, name, name, indefinite, if (FLAGS(env) & X87_IE) value = indefinite)
TRUNCATION(int32_t, fisttl_ST0, INT32_MIN)
TRUNCATION(int64_t, fisttll_ST0, INT64_MIN)

/* 16 bits: the engine converts to 32 and gives the indefinite number without a word when it does not fit. */
static int32_t fitting(CPUX86State *env, int32_t value)
{
    if (value == (int16_t)value && !(FLAGS(env) & X87_IE))
        return value;
    FLAGS(env) = X87_IE;
    return INT16_MIN;
}
STORE(int32_t, fist_ST0, fistl_ST0, INT16_MIN, value = fitting(env, value))
STORE(int32_t, fistt_ST0, fisttl_ST0, INT16_MIN, value = fitting(env, value))

/* FSTP of 80 bits, which the engine pops afterwards. A store that faults leaves the status word as it was. */
void __wrap_helper_fstt_ST0_x86_64(CPUX86State *env, uint64_t va)
{
    struct x87_float x = x87_indefinite;
    x87_begin(env, HOST_PC);
    bool underflow = x87_is_empty(env, 0);
    if (!underflow)
        x = x87_value(x87_register(env, 0));
    if (!underflow || (FIELD(env, ENV_OFF_FPUC, uint16_t) & X87_IE)) {
        cpu_stq_data_ra_x86_64(env, (uint32_t)va, x.significand, HOST_PC);
        cpu_stw_data_ra_x86_64(env, (uint32_t)va + 8, x.sign_exponent, HOST_PC);
    }
    if (underflow)
        x87_stack_fault(env, false);
    else
        x87_clear_c1(env);
}
