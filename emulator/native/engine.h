/* engine.h - functions of the engine that what takes part in translation calls, or has translated code call.
 *
 * Source: exported by libunicorn.a 2.1.4. */
#ifndef FT86_ENGINE_H
#define FT86_ENGINE_H
#include "layout.h"

#define TEMPORARY_32_BITS 0
#define TEMPORARY_64_BITS 1
/* Of the translator's own operations and conditions */
#define OPERATION_SET_LABEL 1
#define OPERATION_BRANCH 3
#define OPERATION_LOAD_SIGNED_BYTE 10
#define OPERATION_LOAD_64 73
#define OPERATION_STORE_64 77
#define OPERATION_SUBTRACT_64 79
#define CONDITION_LESS 2
#define CONDITION_ABOVE 13               /* unsigned */

void helper_check_exit_request_x86_64(void *of, uint32_t delay_slot);
void helper_enter_mmx_x86_64(CPUX86State *env);
void helper_raise_interrupt_x86_64(CPUX86State *env, int vector, int length);
void helper_fwait_x86_64(CPUX86State *env);
void helper_cmpxchg8b_x86_64(CPUX86State *env, uint64_t at);
void helper_cmpxchg8b_unlocked_x86_64(CPUX86State *env, uint64_t at);
void helper_emms_x86_64(CPUX86State *env);
void helper_fldcw_x86_64(CPUX86State *env, uint32_t control);
void helper_fldenv_x86_64(CPUX86State *env, uint64_t va, int data32);
void helper_frstor_x86_64(CPUX86State *env, uint64_t va, int data32);
void helper_fxrstor_x86_64(CPUX86State *env, uint64_t va);
void helper_fmov_ST0_STN_x86_64(CPUX86State *env, int number);
void *tcg_temp_new_internal_x86_64(TCGContext *tcg, int type, bool local);
void tcg_temp_free_internal_x86_64(TCGContext *tcg, void *temporary);
uintptr_t tcg_const_i32_x86_64(TCGContext *tcg, int32_t value);
uintptr_t tcg_const_i64_x86_64(TCGContext *tcg, int64_t value);
void *gen_new_label_x86_64(TCGContext *tcg);
void tcg_gen_brcondi_i32_x86_64(TCGContext *tcg, int condition, uintptr_t a, int32_t b, void *label);
void tcg_gen_brcond_i64_x86_64(TCGContext *tcg, int condition, uintptr_t a, uintptr_t b, void *label);
void tcg_gen_op3_x86_64(TCGContext *tcg, int operation, uintptr_t a, uintptr_t b, uintptr_t c);
void tcg_gen_addi_i32_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand, int32_t added);
void tcg_gen_addi_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand, int64_t added);
void __real_tcg_gen_callN_x86_64(TCGContext *tcg, void *function, void *result, int count, void **arguments);
/* A temporary is a pointer for helpers and operations, and a distance from the context where the translator computes with it. */
static inline void *pointer(TCGContext *tcg, uintptr_t value) { return (char *)tcg + value; }
static inline uintptr_t value_of(TCGContext *tcg, void *temporary) { return (uintptr_t)temporary - (uintptr_t)tcg; }
/* A helper that takes the processor's state and a constant */
static inline void call_with(TCGContext *tcg, void *helper, int32_t constant)
{
    void *value = pointer(tcg, tcg_const_i32_x86_64(tcg, constant)), *arguments[] = { pointer(tcg, TCG_OFF_ENV), value };
    __real_tcg_gen_callN_x86_64(tcg, helper, NULL, 2, arguments);
    tcg_temp_free_internal_x86_64(tcg, value);
}
/* A label's first byte holds whether it is placed. */
#define LABEL_PRESENT 1
#define LABEL_OFF_USES 2
void __real_tcg_gen_op1_x86_64(TCGContext *tcg, int operation, uintptr_t operand);
static inline void label_set(TCGContext *tcg, void *label)
{
    FIELD(label, 0, uint8_t) |= LABEL_PRESENT;
    __real_tcg_gen_op1_x86_64(tcg, OPERATION_SET_LABEL, (uintptr_t)label);
}
static inline void label_branch(TCGContext *tcg, void *label)
{
    FIELD(label, LABEL_OFF_USES, uint16_t)++;
    __real_tcg_gen_op1_x86_64(tcg, OPERATION_BRANCH, (uintptr_t)label);
}
#endif
