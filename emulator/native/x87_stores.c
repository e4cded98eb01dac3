/* x87_stores.c - FST, FIST and FISTTP: what ST(0) is in the memory's format, its exceptions and C1.
 *
 *   ST(0) is empty -> stack fault, C1 = 0: masked, the indefinite number is stored; unmasked, nothing is, and nothing is popped
 *
 * The engine has no stack faults, and stores whatever its function has converted to: translate_x87.c puts a branch around it, and
 * a call behind it that tells the exceptions. A store that faults leaves the status word as it was.
 * Those that access memory themselves must know their caller in the generated code.
 * Source: Intel SDM volume 1, sections 4.8.4 (rounding), 8.5.1 to 8.5.6; tables 4-3 and 8-2 (indefinite numbers); volume 2, FST, FIST,
 * FISTTP. */
#include "interpose.h"
#include "x87.h"
#include "x87_faults.h"

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

uint32_t __real_helper_fsts_ST0_x86_64(CPUX86State *env);
uint64_t __real_helper_fstl_ST0_x86_64(CPUX86State *env);
int32_t __real_helper_fistl_ST0_x86_64(CPUX86State *env);
int64_t __real_helper_fistll_ST0_x86_64(CPUX86State *env);

/* Of a NaN the engine gives the indefinite one when nothing of its fraction is left. */
static uint32_t to_single(CPUX86State *env)
{
    struct x87_float x = x87_value(x87_register(env, 0));
    uint32_t value = __real_helper_fsts_ST0_x86_64(env);
    tell_tiny(env, x87_class_of_single(value));
    return is_nan(x) ? (uint32_t)(x.sign_exponent >> 15) << 31 | 0x7fc00000u | (uint32_t)(x.significand << 1 >> 41) : value;
}

static uint64_t to_double(CPUX86State *env)
{
    struct x87_float x = x87_value(x87_register(env, 0));
    uint64_t value = __real_helper_fstl_ST0_x86_64(env);
    tell_tiny(env, x87_class_of_double(value));
    return is_nan(x) ? (uint64_t)(x.sign_exponent >> 15) << 63 | UINT64_C(0x7ff8000000000000) | x.significand << 1 >> 12 : value;
}

/* 16 bits: the engine converts to 32 and gives the indefinite number without a word when it does not fit. */
static int32_t to_int16(CPUX86State *env)
{
    int32_t value = __real_helper_fistl_ST0_x86_64(env);
    if (value == (int16_t)value && !(FLAGS(env) & X87_IE))
        return value;
    FLAGS(env) = X87_IE;
    return INT16_MIN;
}

/* FISTTP: the engine gives the largest number instead of the indefinite one, and calls -2^31 and -2^63 too large. */
static int64_t truncated(CPUX86State *env, int64_t least)
{
    struct x87_float x = x87_value(x87_register(env, 0));
    unsigned places = 0x3fff + 63 - (x.sign_exponent & 0x7fff);
    bool negative = x.sign_exponent >> 15;
    uint64_t size = places < 64 ? x.significand >> places : 0;
    if (x87_class_of(x) == X87_NO_NUMBER || (int)places < 0 || size > (uint64_t)-(least + 1) + negative) {
        FLAGS(env) = X87_IE;
        return least;
    }
    FLAGS(env) = places < 64 ? (size << places != x.significand ? X87_PE : 0) : x.significand ? X87_PE : 0;
    return (int64_t)(negative ? -size : size);
}

/* Whether what was stored is larger than ST(0), apart from its sign. */
static bool is_up(CPUX86State *env, struct x87_float stored)
{
    struct x87_float x = x87_value(x87_register(env, 0));
    unsigned of_stored = stored.sign_exponent & 0x7fff, of_x = x.sign_exponent & 0x7fff;
    return of_stored != of_x ? of_stored > of_x : stored.significand > x.significand;
}

/* The same of an integer, where ST(0) has a fraction. */
static bool is_up_integer(CPUX86State *env, int64_t stored)
{
    struct x87_float x = x87_value(x87_register(env, 0));
    unsigned places = 0x3fff + 63 - (x.sign_exponent & 0x7fff);
    uint64_t size = stored < 0 ? -(uint64_t)stored : (uint64_t)stored;
    return size > (places < 64 ? x.significand >> places : 0);
}

/* Behind the conversion; what is not stored is told at once. */
static inline void converted(CPUX86State *env, bool up)
{
    if (x87_denies(env, X87_IE | X87_OE | X87_UE))
        x87_tell_flags(env, false);
    else if (up)
        FLAGS(env) |= X87_STORE_UP;
}

void x87_stored(CPUX86State *env)
{
    unsigned raised = FLAGS(env) & X87_EXCEPTIONS;
    if (FLAGS(env) & X87_STORE_UP)
        raised |= raised & X87_IE ? X87_SF : X87_C1;
    FLAGS(env) = (uint8_t)(raised & X87_EXCEPTIONS);
    x87_tell(env, raised);
}

/* ST(0) is empty. */
static void nothing_to_store(CPUX86State *env)
{
    if (FIELD(env, ENV_OFF_FPUC, uint16_t) & X87_IE)
        FLAGS(env) = X87_IE | X87_STORE_UP;
    else
        x87_stack_fault(env, false);
}

/* Translated code stores the value, unless X87_NOT_DONE is set, and then comes to x87_stored. up: asked of an inexact one. */
#define STORE(type, name, indefinite, number, up)                                                            \
    type __wrap_helper_##name##_x86_64(CPUX86State *env);                                                    \
    type __wrap_helper_##name##_x86_64(CPUX86State *env)                                                     \
    {                                                                                                        \
        x87_begin(env, HOST_PC);                                                                             \
        if (x87_is_empty(env, 0))                                                                            \
            return nothing_to_store(env), (type)(indefinite);                                                \
        type value = (type)(number);                                                                         \
        converted(env, (FLAGS(env) & X87_PE) && (up));                                                       \
        return value;                                                                                        \
    }
STORE(uint32_t, fsts_ST0, UINT32_C(0xffc00000), to_single(env), is_up(env, x87_of_single(value)))
STORE(uint64_t, fstl_ST0, UINT64_C(0xfff8000000000000), to_double(env), is_up(env, x87_of_double(value)))
STORE(int32_t, fist_ST0, INT16_MIN, to_int16(env), is_up_integer(env, value))
STORE(int32_t, fistl_ST0, INT32_MIN, __real_helper_fistl_ST0_x86_64(env), is_up_integer(env, value))
STORE(int64_t, fistll_ST0, INT64_MIN, __real_helper_fistll_ST0_x86_64(env), is_up_integer(env, value))
STORE(int32_t, fistt_ST0, INT16_MIN, truncated(env, INT16_MIN), false)
STORE(int32_t, fisttl_ST0, INT32_MIN, truncated(env, INT32_MIN), false)
STORE(int64_t, fisttll_ST0, INT64_MIN, truncated(env, INT64_MIN), false)

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
