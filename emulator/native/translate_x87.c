/* translate_x87.c - x87 instructions whose parts the translator puts together otherwise.
 *
 *   FST, FIST, FISTTP of 16, 32 and 64 bits    conversion -> X87_NOT_DONE? ----------------------.
 *                                                             | no                             v
 *                                                             '-> the engine's store -> x87_stored -> label -> fpop, which asks, too
 *   FCMOVcc    registers are looked at before the condition is: an empty one is a stack fault in any case
 *
 * What lives across the branch must be local, in the engine's terms: the value, its address, and where the engine keeps that
 * address for FSTENV.
 * Source: Intel SDM volume 1, 8.5.1.1; volume 2, appendix A, tables. */
#include "core_internal.h"
#include "engine.h"
#include "translate.h"
#include "x87_faults.h"

#define OPCODE_X87_FIRST 0xd8
#define OPCODE_X87_LAST 0xdf
#define OPCODE_FCMOV 0xda                /* and DB, the inverse conditions */
#define HF_NO_FPU 0xc00u                 /* CR0.EM or CR0.TS: #NM comes before everything */

void *__real_tcg_temp_new_internal_x86_64(TCGContext *tcg, int type, bool local);
void *__wrap_tcg_temp_new_internal_x86_64(TCGContext *tcg, int type, bool local);

static __thread struct {
    bool stores;                         /* a number of 16, 32 or 64 bits */
    void *value, *address, *label;       /* of its store; NULL: there is none */
} now;

void x87_forget(void)
{
    now.stores = false;
    now.label = NULL;
}

/* Digits 2, 3 (FST, FIST) and 1 (FISTTP), but for what D9 and DF have in their places; DF /7. */
static bool is_store(unsigned opcode, unsigned digit)
{
    if (opcode < 0xd9 || !(opcode & 1))
        return false;
    return digit == 2 || digit == 3 || (digit == 1 && opcode != 0xd9) || (digit == 7 && opcode == 0xdf);
}

static void ask(TCGContext *tcg, int what)
{
    call_with(tcg, (void *)helper_fmov_ST0_STN_x86_64, what);
}

void x87_begin_instruction(const core *c, const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at))
{
    if (d->opcode < OPCODE_X87_FIRST || d->opcode > OPCODE_X87_LAST)
        return;
    unsigned modrm = d->has_modrm ? d->modrm : fetch(c->env, d->pc + d->length), digit = modrm >> 3 & 7;
    if (modrm < 0xc0)
        now.stores = is_store(d->opcode, digit);
    else if ((d->opcode & ~1) == OPCODE_FCMOV && digit <= 3 && !(env_u32(c, ENV_OFF_HFLAGS) & HF_NO_FPU))
        ask(FIELD(c->uc, UC_OFF_TCG, TCGContext *), (modrm & 7) | X87_ASK_MOVE);
}

void *__wrap_tcg_temp_new_internal_x86_64(TCGContext *tcg, int type, bool local)
{
    return __real_tcg_temp_new_internal_x86_64(tcg, type, local || now.stores);
}

void x87_before_store(TCGContext *tcg, uintptr_t *value, uintptr_t *at, int type)
{
    if (!now.stores)
        return;
    now.value = __real_tcg_temp_new_internal_x86_64(tcg, type, true);
    now.address = __real_tcg_temp_new_internal_x86_64(tcg, TEMPORARY_64_BITS, true);
    now.label = gen_new_label_x86_64(tcg);
    void *flags = __real_tcg_temp_new_internal_x86_64(tcg, TEMPORARY_32_BITS, false);
    tcg_gen_addi_i64_x86_64(tcg, value_of(tcg, now.address), *at, 0);
    if (type == TEMPORARY_64_BITS)
        tcg_gen_addi_i64_x86_64(tcg, value_of(tcg, now.value), *value, 0);
    else
        tcg_gen_addi_i32_x86_64(tcg, value_of(tcg, now.value), *value, 0);
    tcg_gen_op3_x86_64(tcg, OPERATION_LOAD_SIGNED_BYTE, (uintptr_t)flags, (uintptr_t)pointer(tcg, TCG_OFF_ENV),
                       ENV_OFF_FP_STATUS + STATUS_OFF_FLAGS);
    tcg_gen_brcondi_i32_x86_64(tcg, CONDITION_LESS, value_of(tcg, flags), 0, now.label);
    tcg_temp_free_internal_x86_64(tcg, flags);
    *value = value_of(tcg, now.value);
    *at = value_of(tcg, now.address);
}

void x87_after_store(TCGContext *tcg)
{
    if (!now.label)
        return;
    now.stores = false;                  /* no more temporaries must be local */
    ask(tcg, X87_STORED);
    label_set(tcg, now.label);
    tcg_temp_free_internal_x86_64(tcg, now.value);
    tcg_temp_free_internal_x86_64(tcg, now.address);
    now.label = NULL;
}
