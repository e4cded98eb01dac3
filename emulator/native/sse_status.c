/* sse_status.c - exceptions of the SSE and SSE2 arithmetic.
 *
 *   flags of the softfloat library = 0 -> the engine's function -> flags -> MXCSR -> unmasked? undo, #XM (or #UD)
 *
 * The engine keeps the exception flags of its arithmetic and never tells the guest; it knows neither #XM nor flush to
 * zero (it sets that in the x87 status instead). RCP and RSQRT raise nothing. The engine has no denormal-operand flag.
 * Of two NaNs it gives the one with the larger significand, as the x87 does; SSE gives the first, made quiet.
 * Source: Intel SDM volume 1, sections 11.5.2 (SIMD exceptions), 10.2.3 (MXCSR), 4.8.3.5 (table 4-7, NaNs);
 * volume 3, 2.5 (CR4.OSXMMEXCPT). */
#include <string.h>
#include "interpose.h"

#define HOST_PC ((uintptr_t)__builtin_return_address(0))
#define VECTOR_SIMD 19
#define CR4_OSXMMEXCPT 0x400u
#define FLAGS_REPORTED 0x3du             /* IE ZE OE UE PE: the library's bits are those of MXCSR */
#define FLAGS_ALL 0x3fu
#define FLAG_FLUSHED 0x80u               /* a denormal result became 0 */
#define UNDERFLOW_INEXACT 0x30u
#define MASKS_SHIFT 7
#define FLUSH_TO_ZERO_SHIFT 15
#define REGISTER_BYTES 16
#define FLOAT_EXPONENT 0x7f800000u
#define FLOAT_SIGN 0x80000000u
#define FLOAT_QUIET 0x00400000u
#define DOUBLE_EXPONENT 0x7ff0000000000000u
#define DOUBLE_SIGN 0x8000000000000000u
#define DOUBLE_QUIET 0x0008000000000000u

#define FLAGS(env) FIELD(env, ENV_OFF_SSE_STATUS + STATUS_OFF_FLAGS, uint8_t)

static void begin(CPUX86State *env)
{
    FLAGS(env) = 0;
    FIELD(env, ENV_OFF_SSE_STATUS + STATUS_OFF_FLUSH_TO_ZERO, uint8_t) =
        FIELD(env, ENV_OFF_MXCSR, uint32_t) >> FLUSH_TO_ZERO_SHIFT & 1;
    FIELD(env, ENV_OFF_FP_STATUS + STATUS_OFF_FLUSH_TO_ZERO, uint8_t) = 0;
}

/* What an operation may have written before its exception is known. */
struct undo { void *destination; uint8_t bytes[REGISTER_BYTES]; uint64_t cc_src; };

static void remember_flags(CPUX86State *env, struct undo *undo)
{
    undo->cc_src = FIELD(env, ENV_OFF_CC_SRC, uint64_t);
    undo->destination = NULL;
}

static void remember(CPUX86State *env, struct undo *undo, void *destination)
{
    remember_flags(env, undo);
    undo->destination = destination;
    memcpy(undo->bytes, destination, REGISTER_BYTES);
}

static void end(CPUX86State *env, const struct undo *undo, uintptr_t host_pc)
{
    uint32_t *mxcsr = &FIELD(env, ENV_OFF_MXCSR, uint32_t);
    uint32_t raised = FLAGS(env) & FLAGS_REPORTED;
    if (FLAGS(env) & FLAG_FLUSHED)
        raised |= UNDERFLOW_INEXACT;
    *mxcsr |= raised;
    if (!(raised & ~(*mxcsr >> MASKS_SHIFT) & FLAGS_ALL))
        return;
    FIELD(env, ENV_OFF_CC_SRC, uint64_t) = undo->cc_src;
    if (undo->destination)
        memcpy(undo->destination, undo->bytes, REGISTER_BYTES);
    bool wanted = FIELD(env, ENV_OFF_CR + 4 * 8, uint32_t) & CR4_OSXMMEXCPT;
    raise_exception_ra_x86_64(env, wanted ? VECTOR_SIMD : VECTOR_INVALID_OPCODE, host_pc);
}

/* The second operand may be the result, which is a NaN when the first is one. */
static void keep_first_floats(uint32_t *result, const struct undo *before, const uint32_t *second, int count)
{
    uint32_t first[REGISTER_BYTES / 4];
    memcpy(first, before->bytes, REGISTER_BYTES);
    for (int i = 0; i < count; i++)
        if ((first[i] & ~FLOAT_SIGN) > FLOAT_EXPONENT && (second[i] & ~FLOAT_SIGN) > FLOAT_EXPONENT)
            result[i] = first[i] | FLOAT_QUIET;
}

static void keep_first_doubles(uint64_t *result, const struct undo *before, const uint64_t *second, int count)
{
    uint64_t first[REGISTER_BYTES / 8];
    memcpy(first, before->bytes, REGISTER_BYTES);
    for (int i = 0; i < count; i++)
        if ((first[i] & ~DOUBLE_SIGN) > DOUBLE_EXPONENT && (second[i] & ~DOUBLE_SIGN) > DOUBLE_EXPONENT)
            result[i] = first[i] | DOUBLE_QUIET;
}

#define OPERATION_THEN(name, source, then)                                                                   \
    void __real_helper_##name##_x86_64(CPUX86State *env, void *d, source s);                                 \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, void *d, source s);                                 \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, void *d, source s)                                  \
    {                                                                                                        \
        struct undo undo;                                                                                    \
        remember(env, &undo, d);                                                                             \
        begin(env);                                                                                          \
        __real_helper_##name##_x86_64(env, d, s);                                                            \
        then;                                                                                                \
        end(env, &undo, HOST_PC);                                                                            \
    }
#define OPERATION(name, source) OPERATION_THEN(name, source, )
#define ARITHMETIC(name)                                                                                     \
    OPERATION_THEN(name##ps, void *, keep_first_floats(d, &undo, s, 4))                                      \
    OPERATION_THEN(name##ss, void *, keep_first_floats(d, &undo, s, 1))                                      \
    OPERATION_THEN(name##pd, void *, keep_first_doubles(d, &undo, s, 2))                                     \
    OPERATION_THEN(name##sd, void *, keep_first_doubles(d, &undo, s, 1))
/* The operands are only looked at, the result is in the flags. */
#define COMPARISON(name)                                                                                     \
    void __real_helper_##name##_x86_64(CPUX86State *env, void *d, void *s);                                  \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, void *d, void *s);                                  \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, void *d, void *s)                                   \
    {                                                                                                        \
        struct undo undo;                                                                                    \
        remember_flags(env, &undo);                                                                          \
        begin(env);                                                                                          \
        __real_helper_##name##_x86_64(env, d, s);                                                            \
        end(env, &undo, HOST_PC);                                                                            \
    }
#define TO_INTEGER(name)                                                                                     \
    int32_t __real_helper_##name##_x86_64(CPUX86State *env, void *s);                                        \
    int32_t __wrap_helper_##name##_x86_64(CPUX86State *env, void *s);                                        \
    int32_t __wrap_helper_##name##_x86_64(CPUX86State *env, void *s)                                         \
    {                                                                                                        \
        struct undo undo;                                                                                    \
        remember_flags(env, &undo);                                                                          \
        begin(env);                                                                                          \
        int32_t value = __real_helper_##name##_x86_64(env, s);                                               \
        end(env, &undo, HOST_PC);                                                                            \
        return value;                                                                                        \
    }
/* RCP and RSQRT take a denormal number for 0 and give 0 for one, whatever MXCSR says. */
static void flush_denormals(uint32_t *words, int count)
{
    for (int i = 0; i < count; i++)
        if (!(words[i] & FLOAT_EXPONENT))
            words[i] &= FLOAT_SIGN;
}

#define RECIPROCAL(name, count)                                                                              \
    void __real_helper_##name##_x86_64(CPUX86State *env, void *d, void *s);                                  \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, void *d, void *s);                                  \
    void __wrap_helper_##name##_x86_64(CPUX86State *env, void *d, void *s)                                   \
    {                                                                                                        \
        uint32_t operand[REGISTER_BYTES / 4] __attribute__((aligned(16)));                                   \
        memcpy(operand, s, 4 * (count));                                                                     \
        flush_denormals(operand, count);                                                                     \
        __real_helper_##name##_x86_64(env, d, operand);                                                      \
        flush_denormals(d, count);                                                                           \
    }
#define PACKED(name) OPERATION(name##ps, void *) OPERATION(name##pd, void *)
#define FOUR(name) PACKED(name) OPERATION(name##ss, void *) OPERATION(name##sd, void *)

ARITHMETIC(add) ARITHMETIC(sub) ARITHMETIC(mul) ARITHMETIC(div)
FOUR(min) FOUR(max) FOUR(sqrt)
FOUR(cmpeq) FOUR(cmplt) FOUR(cmple) FOUR(cmpunord) FOUR(cmpneq) FOUR(cmpnlt) FOUR(cmpnle) FOUR(cmpord)
COMPARISON(comiss) COMPARISON(comisd) COMPARISON(ucomiss) COMPARISON(ucomisd)
OPERATION(cvtps2pd, void *) OPERATION(cvtpd2ps, void *) OPERATION(cvtss2sd, void *) OPERATION(cvtsd2ss, void *)
OPERATION(cvtdq2ps, void *) OPERATION(cvtps2dq, void *) OPERATION(cvtpd2dq, void *)
OPERATION(cvttps2dq, void *) OPERATION(cvttpd2dq, void *)
OPERATION(cvtpi2ps, void *) OPERATION(cvtps2pi, void *) OPERATION(cvtpd2pi, void *)
OPERATION(cvttps2pi, void *) OPERATION(cvttpd2pi, void *)
OPERATION(cvtsi2ss, uint32_t)
RECIPROCAL(rcpss, 1) RECIPROCAL(rcpps, 4) RECIPROCAL(rsqrtss, 1) RECIPROCAL(rsqrtps, 4)
TO_INTEGER(cvtss2si) TO_INTEGER(cvtsd2si) TO_INTEGER(cvttss2si) TO_INTEGER(cvttsd2si)
