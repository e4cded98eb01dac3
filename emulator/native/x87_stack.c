/* x87_stack.c - the engine's side of the x87 operations: registers, tags, status word, #MF.
 *
 *   ST(0) = register[top], ST(1) the next;  binary: the result takes ST(1)'s place and ST(0) is popped
 *   (FPATAN, FYL2X, FYL2XP1) or takes ST(0)'s place (FPREM, FSCALE);  FSINCOS, FPTAN, FXTRACT push
 *
 * Each function below replaces the engine's own of the same name (interpose.h). Those convert to the
 * host's double and call its libm, or lose bits. An instruction that finds an unmasked exception waiting
 * faults first, if CR0.NE says that the guest wants #MF.
 * Source: Intel SDM volume 1, sections 8.1.3, 8.1.7, 8.5.1.1 (stack faults), 8.6 and 8.7. */
#include "interpose.h"
#include "x87.h"
#include "x87_faults.h"

#define TAG_EMPTY X87_TAG_EMPTY

static unsigned top_of(const CPUX86State *env) { return FIELD(env, ENV_OFF_FPSTT, uint32_t) & 7; }
static uint8_t *tag(CPUX86State *env, unsigned i) { return &FIELD(env, ENV_OFF_FPTAGS + ((top_of(env) + i) & 7), uint8_t); }
static struct x87_float *st(CPUX86State *env, unsigned i)
{
    return &FIELD(env, ENV_OFF_FPREGS + FPREG_STRIDE * ((top_of(env) + i) & 7), struct x87_float);
}
static unsigned control_of(const CPUX86State *env) { return FIELD(env, ENV_OFF_FPUC, uint16_t); }

static void stack_fault(bool overflow, struct x87_result *r)
{
    r->value = r->pushed = x87_indefinite;
    r->status = X87_IE | X87_SF | (overflow ? X87_C1 : 0);
}

/* Put the status into the status word. False: the registers stay as they are. */
static bool accept(CPUX86State *env, const struct x87_result *r, unsigned conditions)
{
    unsigned open = ~control_of(env) & X87_EXCEPTIONS;
    unsigned status = (FIELD(env, ENV_OFF_FPUS, uint16_t) & ~(conditions | X87_C1)) | r->status;
    if (status & open)
        status |= X87_ES | X87_BUSY;
    FIELD(env, ENV_OFF_FPUS, uint16_t) = (uint16_t)status;
    return !(r->status & open & X87_BEFORE);
}

static void unary(CPUX86State *env, x87_unary *operation, bool pushes, unsigned conditions, uintptr_t host_pc)
{
    struct x87_result r = { 0 };
    x87_begin(env, host_pc);
    bool underflow = *tag(env, 0) == TAG_EMPTY;
    if (underflow || (pushes && *tag(env, 7) != TAG_EMPTY))
        stack_fault(!underflow, &r);
    else
        operation(control_of(env), *st(env, 0), &r);
    if (!accept(env, &r, conditions) || (r.status & conditions & X87_C2))
        return;
    *st(env, 0) = r.value;
    if (pushes) {
        FIELD(env, ENV_OFF_FPSTT, uint32_t) = (top_of(env) - 1) & 7;
        *st(env, 0) = r.pushed;
        *tag(env, 0) = 0;
    }
    *tag(env, pushes) = 0;
}

static void binary(CPUX86State *env, x87_binary *operation, bool pops, unsigned conditions, uintptr_t host_pc)
{
    struct x87_result r = { 0 };
    x87_begin(env, host_pc);
    if (*tag(env, 0) == TAG_EMPTY || *tag(env, 1) == TAG_EMPTY)
        stack_fault(false, &r);
    else
        operation(control_of(env), *st(env, 0), *st(env, 1), &r);
    if (!accept(env, &r, conditions))
        return;
    if (pops) {
        *tag(env, 0) = TAG_EMPTY;
        FIELD(env, ENV_OFF_FPSTT, uint32_t) = (top_of(env) + 1) & 7;
    }
    *st(env, 0) = r.value;
    *tag(env, 0) = 0;
}

#define ANGLE (X87_C1 | X87_C2)
#define QUOTIENT (X87_C0 | X87_C1 | X87_C2 | X87_C3)

void __wrap_helper_fsin_x86_64(CPUX86State *env) { unary(env, x87_fsin, false, ANGLE, HOST_PC); }
void __wrap_helper_fcos_x86_64(CPUX86State *env) { unary(env, x87_fcos, false, ANGLE, HOST_PC); }
void __wrap_helper_fsincos_x86_64(CPUX86State *env) { unary(env, x87_fsincos, true, ANGLE, HOST_PC); }
void __wrap_helper_fptan_x86_64(CPUX86State *env) { unary(env, x87_fptan, true, ANGLE, HOST_PC); }
void __wrap_helper_f2xm1_x86_64(CPUX86State *env) { unary(env, x87_f2xm1, false, X87_C1, HOST_PC); }
void __wrap_helper_fxtract_x86_64(CPUX86State *env) { unary(env, x87_fxtract, true, X87_C1, HOST_PC); }
void __wrap_helper_fpatan_x86_64(CPUX86State *env) { binary(env, x87_fpatan, true, X87_C1, HOST_PC); }
void __wrap_helper_fyl2x_x86_64(CPUX86State *env) { binary(env, x87_fyl2x, true, X87_C1, HOST_PC); }
void __wrap_helper_fyl2xp1_x86_64(CPUX86State *env) { binary(env, x87_fyl2xp1, true, X87_C1, HOST_PC); }
void __wrap_helper_fprem_x86_64(CPUX86State *env) { binary(env, x87_fprem, false, QUOTIENT, HOST_PC); }
void __wrap_helper_fprem1_x86_64(CPUX86State *env) { binary(env, x87_fprem1, false, QUOTIENT, HOST_PC); }
void __wrap_helper_fscale_x86_64(CPUX86State *env) { binary(env, x87_fscale, false, X87_C1, HOST_PC); }

/* FXAM. The engine takes an encoding that no result has (its integer bit is clear) for another. */
static unsigned class_of(struct x87_float x)
{
    unsigned exponent = x.sign_exponent & 0x7fff;
    if (exponent == 0)
        return x.significand ? X87_C3 | X87_C2 : X87_C3;
    if (!(x.significand >> 63))
        return 0;
    if (exponent < 0x7fff)
        return X87_C2;
    return x.significand << 1 ? X87_C0 : X87_C2 | X87_C0;
}

void __wrap_helper_fxam_ST0_x86_64(CPUX86State *env)
{
    x87_begin(env, HOST_PC);
    unsigned sign = st(env, 0)->sign_exponent >> 15 ? X87_C1 : 0;
    unsigned class = *tag(env, 0) == TAG_EMPTY ? X87_C3 | X87_C0 : class_of(*st(env, 0));
    unsigned others = FIELD(env, ENV_OFF_FPUS, uint16_t) & ~QUOTIENT;
    FIELD(env, ENV_OFF_FPUS, uint16_t) = (uint16_t)(others | sign | class);
}

/* FBSTP; the engine pops afterwards. A store that faults leaves the status word as it was. */
void __wrap_helper_fbst_ST0_x86_64(CPUX86State *env, uint64_t va)
{
    struct x87_result r = { 0 };
    uint8_t decimal[X87_DECIMAL_BYTES];
    x87_begin(env, HOST_PC);
    bool underflow = *tag(env, 0) == TAG_EMPTY;
    r.status = x87_to_decimal(control_of(env), underflow ? x87_indefinite : *st(env, 0), decimal) | (underflow ? X87_SF : 0);
    bool stores = !(r.status & ~control_of(env) & X87_BEFORE);
    for (uint32_t i = 0; stores && i < X87_DECIMAL_BYTES; i++)
        cpu_stb_data_ra_x86_64(env, (uint32_t)(va + i), decimal[i], HOST_PC);
    if (!accept(env, &r, X87_C1))
        FLAGS(env) = X87_NOT_DONE;
}
