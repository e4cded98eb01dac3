/* engine.h - functions of the engine that translate.c calls, or has translated code call.
 *
 * Source: exported by libunicorn.a 2.1.4. */
#ifndef FT86_ENGINE_H
#define FT86_ENGINE_H
#include "layout.h"

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
void *tcg_temp_new_internal_x86_64(TCGContext *tcg, int type, bool local);
void tcg_temp_free_internal_x86_64(TCGContext *tcg, void *temporary);
uintptr_t tcg_const_i32_x86_64(TCGContext *tcg, int32_t value);
void tcg_gen_addi_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand, int64_t added);
#endif
