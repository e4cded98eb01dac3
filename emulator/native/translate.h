/* translate.h - what translate_values.c, translate_x87.c and prologue.c do while translate.c translates a block. */
#ifndef FT86_TRANSLATE_H
#define FT86_TRANSLATE_H
#include "core_internal.h"
#include "decode.h"
#include "layout.h"

/* No instruction; that one, in protected mode or not; around each of its stores */
void values_forget(void);
void values_begin(const struct decoded *d, uint32_t hflags, bool protected);
void values_before_store(TCGContext *tcg, uintptr_t value);
void values_after_store(TCGContext *tcg);
/* translate_x87.c: the same; around each store, whose value and address it may replace */
void x87_forget(void);
void x87_begin_instruction(const core *c, const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at));
void x87_before_store(TCGContext *tcg, uintptr_t *value, uintptr_t *at, int type);
void x87_after_store(TCGContext *tcg);
/* prologue.c: a block's translation begins; whether something else is emitted for a call; the translation ends */
void prologue_begin(const TranslationBlock *tb);
bool prologue_replaces(TCGContext *tcg, void *function);
void prologue_end(void);
#endif
