/* translate.h - what translate_values.c does while translate.c translates an instruction. */
#ifndef FT86_TRANSLATE_H
#define FT86_TRANSLATE_H
#include "decode.h"
#include "layout.h"

/* No instruction; that one, in protected mode or not; around each of its stores */
void values_forget(void);
void values_begin(const struct decoded *d, uint32_t hflags, bool protected);
void values_before_store(TCGContext *tcg, uintptr_t value);
void values_after_store(TCGContext *tcg);
#endif
