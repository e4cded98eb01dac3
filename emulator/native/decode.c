/* decode.c - which encodings are undefined, or want an aligned operand, where the engine does not care.
 *
 * Source: Intel SDM volume 2, chapter 2.1 (prefixes), 2.4 (exception classes), appendix A (opcode maps, groups 12 to
 * 14), LOCK, LDS/LES and the #UD conditions of each instruction; AMD64 manual volume 4 for SSE4A. */
#include "core_internal.h"
#include "decode.h"

#define BYTES_MAX 15
#define DIGITS_RCL_RCR 0x0cu            /* /2 and /3 */
#define DIGITS_ALL 0xffu

enum prefix { NOT_A_PREFIX, PREFIX_26, PREFIX_64, PREFIX_67, PREFIX_66, PREFIX_F3, PREFIX_F2, PREFIX_LOCK };

static enum prefix prefix_of(uint8_t byte)
{
    switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: return PREFIX_26;
    case 0x64: case 0x65: return PREFIX_64;
    case 0x67: return PREFIX_67;
    case 0x66: return PREFIX_66;
    case 0xf3: return PREFIX_F3;
    case 0xf2: return PREFIX_F2;
    case 0xf0: return PREFIX_LOCK;
    default: return NOT_A_PREFIX;
    }
}

/* ADD OR ADC SBB AND SUB XOR to a register or memory operand. */
static bool is_arithmetic_to_operand(unsigned opcode) { return opcode < 0x38 && (opcode & 7) < 2; }

/* Opcodes whose ModRM byte decides something here: those which a LOCK may precede, 63, 8E, 8F, C4, C5, 0F 01, 0F 71 to 73, and
 * those with a 16-byte or MMX operand. */
static bool modrm_matters(const struct decoded *d)
{
    unsigned opcode = d->opcode;
    if (opcode >= OPCODE_TWO_BYTES) {
        opcode &= 0xff;
        return opcode == 0x01 || (opcode >= 0x10 && opcode <= 0x17) || (opcode >= 0x28 && opcode <= 0x2f) ||
               (opcode >= 0x50 && opcode <= 0x7f && opcode != 0x77) || opcode >= 0xd0 ||
               (opcode >= 0xc0 && opcode <= 0xc7 && opcode != 0xc3) || opcode == 0xab || opcode == 0xb0 ||
               opcode == 0xb1 || opcode == 0xb3 || opcode == 0xba || opcode == 0xbb;
    }
    if (opcode == 0x63 || opcode == 0x8e || opcode == 0x8f || opcode == 0xc4 || opcode == 0xc5)
        return true;
    return d->lock && (is_arithmetic_to_operand(opcode) || (opcode >= 0x80 && opcode <= 0x87) ||
                       opcode == 0xf6 || opcode == 0xf7 || opcode >= 0xfe);
}

bool decode(struct decoded *d, uint64_t pc, uint8_t (*fetch)(void *opaque, uint64_t at), void *opaque)
{
    bool seen[PREFIX_LOCK + 1] = { false };
    uint8_t byte;
    *d = (struct decoded){ .pc = pc, .segment = -1 };
    for (;;) {
        if (d->length == BYTES_MAX)
            return false;
        byte = fetch(opaque, pc + d->length++);
        enum prefix kind = prefix_of(byte);
        if (kind == NOT_A_PREFIX)
            break;
        seen[kind] = true;
        if (kind == PREFIX_LOCK)
            d->lock_at = d->length - 1;
        if (kind == PREFIX_26)
            d->segment = byte >> 3 & 3;      /* ES CS SS DS */
        else if (kind == PREFIX_64)
            d->segment = byte & 7;           /* FS GS */
    }
    d->lock = seen[PREFIX_LOCK];
    d->prefixes = d->length - 1;
    d->data_prefix = seen[PREFIX_66];
    d->address_prefix = seen[PREFIX_67];
    d->column = seen[PREFIX_F3]   ? COLUMN_F3
                : seen[PREFIX_F2] ? COLUMN_F2
                : seen[PREFIX_66] ? COLUMN_66
                                  : COLUMN_NONE;
    d->opcode = byte;
    if (byte == 0x0f) {
        if (d->length == BYTES_MAX)
            return false;
        d->opcode = OPCODE_TWO_BYTES | fetch(opaque, pc + d->length++);
    }
    if (modrm_matters(d)) {
        if (d->length == BYTES_MAX)
            return false;
        d->modrm = fetch(opaque, pc + d->length++);
        d->has_modrm = true;
    }
    return true;
}

static bool same_page(uint64_t a, uint64_t b) { return a / PAGE_BYTES == b / PAGE_BYTES; }

/* Of a byte that may lie in a page that nobody has looked at: then it may be anything. */
static bool is_memory_operand(uint64_t seen, uint64_t at, unsigned digits, uint8_t (*fetch)(void *opaque, uint64_t at), void *opaque)
{
    if (!same_page(seen, at))
        return true;
    uint8_t modrm = fetch(opaque, at);
    return modrm < 0xc0 && (digits >> (modrm >> 3 & 7) & 1);
}

bool decode_wants_flags(uint64_t pc, uint8_t (*fetch)(void *opaque, uint64_t at), void *opaque)
{
    uint64_t seen = pc - 1, at = pc;
    while (same_page(seen, at) && prefix_of(fetch(opaque, at)) != NOT_A_PREFIX)
        at++;
    if (!same_page(seen, at))
        return true;
    switch (fetch(opaque, at)) {
    case 0xc0: case 0xc1: case 0xd0: case 0xd1: case 0xd2: case 0xd3:
        return is_memory_operand(seen, at + 1, DIGITS_RCL_RCR, fetch, opaque);
    case 0x0f: break;
    default: return false;
    }
    if (!same_page(seen, at + 1))
        return true;
    uint8_t second = fetch(opaque, at + 1);
    switch (second) {
    case 0xa3: case 0xab: case 0xb3: case 0xba: case 0xbb: return true;
    default: return (second & 0xf0) == 0x90 && is_memory_operand(seen, at + 2, DIGITS_ALL, fetch, opaque);
    }
}

bool decoded_is_rotation_of_memory(const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at), void *opaque)
{
    if (d->opcode != 0xc0 && d->opcode != 0xc1 && (d->opcode < 0xd0 || d->opcode > 0xd3))
        return false;
    uint64_t at = d->pc + d->length;
    return is_memory_operand(at, at, DIGITS_RCL_RCR, fetch, opaque);
}

/* ---- undefined ---- */

static bool lock_is_allowed(const struct decoded *d)
{
    unsigned digit = decoded_digit(d);
    if (!d->has_modrm || decoded_is_register(d))
        return false;
    switch (d->opcode) {
    case 0x80: case 0x81: case 0x82: case 0x83: return digit != 7;
    case 0x86: case 0x87: return true;
    case 0xf6: case 0xf7: return digit == 2 || digit == 3;
    case 0xfe: case 0xff: return digit < 2;
    case 0x1ab: case 0x1b0: case 0x1b1: case 0x1b3: case 0x1bb: case 0x1c0: case 0x1c1: return true;
    case 0x1ba: return digit >= 5;
    case 0x1c7: return digit == 1;
    default: return is_arithmetic_to_operand(d->opcode);
    }
}

/* Groups 12, 13 and 14: shifts of a register by a constant. */
static bool shift_is_defined(const struct decoded *d)
{
    unsigned digit = decoded_digit(d);
    if (!decoded_is_register(d))
        return false;
    if (d->opcode == 0x173)
        return digit == 2 || digit == 6 || (d->column == COLUMN_66 && (digit == 3 || digit == 7));
    return digit == 2 || digit == 4 || digit == 6;
}

static bool is_sse3(const struct decoded *d)
{
    switch (d->opcode) {
    case 0x112: return d->column == COLUMN_F2 || d->column == COLUMN_F3;
    case 0x116: return d->column == COLUMN_F3;
    case 0x17c: case 0x17d: case 0x1d0: return d->column == COLUMN_66 || d->column == COLUMN_F2;
    case 0x1f0: return d->column == COLUMN_F2;
    default: return false;
    }
}

static bool is_sse4a(const struct decoded *d)
{
    switch (d->opcode) {
    case 0x12b: return d->column == COLUMN_F2 || d->column == COLUMN_F3;
    case 0x178: case 0x179: return d->column == COLUMN_66 || d->column == COLUMN_F2;
    default: return false;
    }
}

bool decoded_is_undefined(const struct decoded *d, const struct decode_features *has)
{
    if (d->lock && !lock_is_allowed(d))
        return true;
    switch (d->opcode) {
    case 0x8f: return decoded_digit(d) != 0;
    case 0xc4: case 0xc5: return decoded_is_register(d) && !has->avx;
    case 0x105: case 0x107: return !has->syscall;
    case 0x10e: case 0x10f: return !has->amd_3dnow;
    case 0x134: case 0x135: return !has->sysenter;
    case 0x171: case 0x172: case 0x173: return !shift_is_defined(d);
    default: return (is_sse3(d) && !has->sse3) || (is_sse4a(d) && !has->sse4a);
    }
}

/* ---- operands ---- */

/* The columns of an opcode 0F xx whose memory operand has 16 bytes; MOVUPS, MOVDQU and their like want no alignment. */
static unsigned aligned_columns(unsigned opcode)
{
    enum { NONE = 1 << COLUMN_NONE, P66 = 1 << COLUMN_66, F3 = 1 << COLUMN_F3, F2 = 1 << COLUMN_F2 };
    if (opcode >= 0xd1 && opcode != 0xd6 && opcode != 0xd7 && opcode != 0xf0 && opcode != 0xf7 && opcode != 0xff)
        return opcode == 0xe6 ? P66 | F2 : P66;
    if (opcode >= 0x60 && opcode <= 0x6d)
        return P66;
    switch (opcode) {
    case 0x14: case 0x15: case 0x28: case 0x29: case 0x2b: case 0x51: case 0x54: case 0x55: case 0x56: case 0x57:
    case 0x58: case 0x59: case 0x5c: case 0x5d: case 0x5e: case 0x5f: case 0xc2: case 0xc6:
        return NONE | P66;
    case 0x12: case 0x16: return F3;     /* MOVSLDUP, MOVSHDUP */
    case 0x2c: case 0x2d: case 0x5a: case 0x6f: case 0x74: case 0x75: case 0x76: case 0x7f: return P66;
    case 0x52: case 0x53: return NONE;
    case 0x5b: return NONE | P66 | F3;
    case 0x70: return P66 | F3 | F2;
    case 0x7c: case 0x7d: case 0xd0: return P66 | F2;
    default: return 0;
    }
}

bool decoded_is_aligned(const struct decoded *d)
{
    return d->opcode >= OPCODE_TWO_BYTES && d->has_modrm && !decoded_is_register(d) &&
           (aligned_columns(d->opcode & 0xff) >> d->column & 1);
}

bool decoded_is_half(const struct decoded *d)
{
    switch (d->opcode) {
    case 0x12c: case 0x12d: case 0x15a: return d->column == COLUMN_NONE;
    case 0x1e6: return d->column == COLUMN_F3;
    default: return false;
    }
}

bool decoded_is_whole_load(const struct decoded *d)
{
    switch (d->opcode) {
    case 0x110: return d->column <= COLUMN_66 && !decoded_is_register(d);
    case 0x16f: return d->column == COLUMN_F3 && !decoded_is_register(d);
    case 0x1f0: return d->column == COLUMN_F2;
    default: return false;
    }
}

bool decoded_ignores_data_prefix(const struct decoded *d)
{
    unsigned opcode = d->opcode & 0xff;
    return d->opcode >= OPCODE_TWO_BYTES && d->data_prefix && d->column > COLUMN_66 && d->has_modrm &&
           !(opcode >= 0xab && opcode <= 0xc1);
}

bool decoded_is_mmx_memory(const struct decoded *d)
{
    unsigned opcode = d->opcode & 0xff;
    if (d->opcode < OPCODE_TWO_BYTES || !d->has_modrm || decoded_is_register(d) || d->column > COLUMN_66)
        return false;
    if (opcode == 0x2a || opcode == 0x2c || opcode == 0x2d)
        return true;                     /* between MMX and XMM registers, with either prefix */
    return d->column == COLUMN_NONE && ((opcode >= 0x60 && opcode <= 0x7f) || opcode == 0xc4 || opcode >= 0xd0);
}
