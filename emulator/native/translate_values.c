/* translate_values.c - values that the engine computes or stores otherwise than the guest's processor does.
 *
 *   PUSHF          what is stored has VM and RF clear
 *   ENTER          EBP gets as many bits as the operand has, not as the stack pointer; on a stack of 16 bits the frame's
 *                  upper half is that of ESP even where SP wraps
 *   ARPL           memory is written only when its RPL changes: the engine's jump over the change leads behind its store
 *   SGDT, SIDT     all 32 bits of the base are stored with 16-bit operands, too
 *   SMSW           a register of 32 bits gets all of CR0
 *
 * Source: Intel SDM volume 2, PUSHF, ENTER, ARPL, SGDT, SIDT (operation); SMSW leaves the upper half open, processors do this. */
#include <string.h>
#include "core_internal.h"
#include "decode.h"
#include "interpose.h"
#include "translate.h"

#define OPCODE_ARPL 0x63
#define OPCODE_PUSHF 0x9c
#define OPCODE_ENTER 0xc8
#define OPCODE_GROUP_7 0x101
#define DIGIT_SIDT 1u
#define DIGIT_SMSW 4u
#define PUSHED_FLAGS 0xfcffffu
#define BASE_24_BITS 0xffffff

void __real_tcg_gen_andi_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand, int64_t mask);
void __wrap_tcg_gen_andi_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand, int64_t mask);
void __real_tcg_gen_subi_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand, int64_t subtracted);
void __wrap_tcg_gen_subi_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand, int64_t subtracted);
void __real_tcg_gen_op1_x86_64(TCGContext *tcg, int operation, uintptr_t operand);
void __wrap_tcg_gen_op1_x86_64(TCGContext *tcg, int operation, uintptr_t operand);
void __real_tcg_gen_ext32u_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand);
void __wrap_tcg_gen_ext32u_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand);
void __real_tcg_gen_deposit_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t rest, uintptr_t part,
                                       unsigned first, unsigned bits);
void __wrap_tcg_gen_deposit_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t rest, uintptr_t part,
                                       unsigned first, unsigned bits);

static __thread struct {
    bool pushes_flags, stores_base;
    bool stores_status;                  /* SMSW of a 32-bit register */
    bool changes_rpl;                    /* the next operation of one operand is the label before the store ... */
    bool holds_label;                    /* ... which now comes behind it */
    int label_operation;
    uintptr_t label;
    unsigned frame_bits;                 /* of ENTER's operand; 0: another instruction */
    uintptr_t frame_register;            /* EBP: what its first store stores */
    bool frame_wraps;                    /* its first subtraction is of a stack pointer of 16 bits */
} now;

void values_forget(void) { memset(&now, 0, sizeof now); }

void values_begin(const struct decoded *d, uint32_t hflags, bool protected)
{
    bool memory = d->has_modrm && !decoded_is_register(d), wide = ((hflags & HF_CS32_MASK) != 0) != d->data_prefix;
    now.pushes_flags = d->opcode == OPCODE_PUSHF;
    now.stores_base = d->opcode == OPCODE_GROUP_7 && memory && decoded_digit(d) <= DIGIT_SIDT;
    now.stores_status = d->opcode == OPCODE_GROUP_7 && !memory && wide && decoded_digit(d) == DIGIT_SMSW;
    now.changes_rpl = d->opcode == OPCODE_ARPL && memory && protected;
    if (d->opcode == OPCODE_ENTER) {
        now.frame_bits = wide ? 32 : 16;
        now.frame_wraps = !(hflags & HF_SS32_MASK);
    }
}

void values_before_store(TCGContext *tcg, uintptr_t value)
{
    if (now.pushes_flags)
        __real_tcg_gen_andi_i64_x86_64(tcg, value, value, PUSHED_FLAGS);
    if (now.frame_bits && !now.frame_register)
        now.frame_register = value;
}

void values_after_store(TCGContext *tcg)
{
    if (now.holds_label)
        __real_tcg_gen_op1_x86_64(tcg, now.label_operation, now.label);
    now.holds_label = false;
}

void __wrap_tcg_gen_op1_x86_64(TCGContext *tcg, int operation, uintptr_t operand)
{
    if (!now.changes_rpl) {
        __real_tcg_gen_op1_x86_64(tcg, operation, operand);
        return;
    }
    now.changes_rpl = false;
    now.holds_label = true;
    now.label_operation = operation;
    now.label = operand;
}

void __wrap_tcg_gen_andi_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand, int64_t mask)
{
    if (!now.stores_base || mask != BASE_24_BITS)
        __real_tcg_gen_andi_i64_x86_64(tcg, result, operand, mask);
}

/* ENTER's frame is ESP less what it pushes first. */
void __wrap_tcg_gen_subi_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand, int64_t subtracted)
{
    __real_tcg_gen_subi_i64_x86_64(tcg, result, operand, subtracted);
    if (now.frame_wraps)
        __real_tcg_gen_deposit_i64_x86_64(tcg, result, operand, result, 0, 16);
    now.frame_wraps = false;
}

/* ENTER's new EBP. */
void __wrap_tcg_gen_ext32u_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t operand)
{
    if (now.frame_bits == 16 && result == now.frame_register)
        __real_tcg_gen_deposit_i64_x86_64(tcg, result, result, operand, 0, 16);
    else
        __real_tcg_gen_ext32u_i64_x86_64(tcg, result, operand);
}

void __wrap_tcg_gen_deposit_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t rest, uintptr_t part,
                                       unsigned first, unsigned bits)
{
    if (now.stores_status || (now.frame_bits == 32 && result == now.frame_register))
        __real_tcg_gen_ext32u_i64_x86_64(tcg, result, part);
    else
        __real_tcg_gen_deposit_i64_x86_64(tcg, result, rest, part, first, bits);
}
