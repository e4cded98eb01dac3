/* block.c - instruction boundaries of a translated block, without an instruction decoder.
 *
 * Behind the host code of every block the translator stores a table that it needs to recover the guest
 * PC after a fault: per guest instruction three numbers (guest PC, lazy-flags mode, host end offset),
 * each as signed LEB128 difference to the row before; the first row counts from { block PC, 0, 0 }.
 * Reading that table gives the engine's own opinion about where instructions begin, so the count in the
 * middle of a block can never disagree with the translator. */
#include "core_internal.h"

static int64_t read_sleb128(const uint8_t **at)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (shift < 64 && (byte & 0x40))
        value |= ~UINT64_C(0) << shift;
    return (int64_t)value;
}

struct row_reader { const uint8_t *at; uint64_t pc; };

static struct row_reader first_row(const TranslationBlock *tb)
{
    return (struct row_reader){ FIELD(tb, TB_OFF_TC_PTR, const uint8_t *) + FIELD(tb, TB_OFF_TC_SIZE, size_t),
                                FIELD(tb, TB_OFF_PC, uint64_t) };
}

static uint64_t next_row(struct row_reader *r)
{
    r->pc += (uint64_t)read_sleb128(&r->at);
    read_sleb128(&r->at);
    read_sleb128(&r->at);
    return r->pc;
}

/* Number of instructions of the block that come before pc; -1 if pc is not an instruction of it. */
int block_instruction_index(const TranslationBlock *tb, uint32_t pc)
{
    struct row_reader r = first_row(tb);
    int count = FIELD(tb, TB_OFF_ICOUNT, uint16_t);
    if ((uint32_t)(pc - (uint32_t)r.pc) > FIELD(tb, TB_OFF_SIZE, uint16_t))
        return -1;
    for (int i = 0; i < count; i++)
        if ((uint32_t)next_row(&r) == pc)
            return i;
    return -1;
}

/* Number of instructions of the block that end at or before the address `border` (not truncated). */
int block_instructions_below(const TranslationBlock *tb, uint64_t border)
{
    struct row_reader r = first_row(tb);
    int count = FIELD(tb, TB_OFF_ICOUNT, uint16_t);
    uint64_t end = FIELD(tb, TB_OFF_PC, uint64_t) + FIELD(tb, TB_OFF_SIZE, uint16_t);
    int below = 0;
    next_row(&r);
    for (int i = 1; i < count && next_row(&r) <= border; i++)
        below = i;
    return end <= border ? count : below;
}

/* Address of the last byte of the block's instruction at pc. */
uint32_t block_instruction_last(const TranslationBlock *tb, uint32_t pc)
{
    struct row_reader r = first_row(tb);
    int count = FIELD(tb, TB_OFF_ICOUNT, uint16_t);
    uint64_t end = FIELD(tb, TB_OFF_PC, uint64_t) + FIELD(tb, TB_OFF_SIZE, uint16_t);
    bool found = false;
    for (int i = 0; i < count; i++) {
        uint64_t start = next_row(&r);
        if (found)
            return (uint32_t)start - 1;
        found = (uint32_t)start == pc;
    }
    return (uint32_t)end - 1;
}

/* Address of the block's instruction with that index. */
uint32_t block_instruction_at(const TranslationBlock *tb, int index)
{
    struct row_reader r = first_row(tb);
    uint64_t pc = 0;
    for (int i = 0; i <= index; i++)
        pc = next_row(&r);
    return (uint32_t)pc;
}
