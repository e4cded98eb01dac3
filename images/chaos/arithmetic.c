/*
 * ALU operations in three widths: results and flags against C. Flags that the manual calls undefined are masked.
 *
 * Source: Intel SDM volume 1, section 3.4.3.1 (status flags); volume 2, the instructions' "Flags Affected".
 */
#include "chaos.h"

enum operation { ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, INC, DEC, NEG, OPERATIONS };

struct outcome {
    uint32_t value, flags;
};

/* One operation of one width by the CPU. A macro, since the width is part of the mnemonic. */
#define DEFINE_RUN(function, suffix, reg)                                                                              \
    static struct outcome function(enum operation operation, uint32_t a, uint32_t b, uint32_t flags_in)                \
    {                                                                                                                  \
        uint32_t flags;                                                                                                \
        switch (operation) {                                                                                           \
            TWO(ADD, "add" suffix, reg)                                                                                \
            TWO(OR, "or" suffix, reg)                                                                                  \
            TWO(ADC, "adc" suffix, reg)                                                                                \
            TWO(SBB, "sbb" suffix, reg)                                                                                \
            TWO(AND, "and" suffix, reg)                                                                                \
            TWO(SUB, "sub" suffix, reg)                                                                                \
            TWO(XOR, "xor" suffix, reg)                                                                                \
            TWO(CMP, "cmp" suffix, reg)                                                                                \
            ONE(INC, "inc" suffix, reg)                                                                                \
            ONE(DEC, "dec" suffix, reg)                                                                                \
        default:                                                                                                       \
            ONE(NEG, "neg" suffix, reg)                                                                                \
        }                                                                                                              \
        return (struct outcome){ a, flags };                                                                           \
    }
#define TWO(operation, mnemonic, reg)                                                                                  \
    case operation:                                                                                                    \
        __asm__ volatile("pushl %2; popf; " mnemonic " %" reg "3, %" reg "0; pushf; popl %1"                           \
                         : "+&q"(a), "=&r"(flags)                                                                      \
                         : "r"(flags_in), "q"(b)                                                                       \
                         : "cc", "memory");                                                                            \
        break;
#define ONE(operation, mnemonic, reg)                                                                                  \
    case operation:                                                                                                    \
        __asm__ volatile("pushl %2; popf; " mnemonic " %" reg "0; pushf; popl %1"                                      \
                         : "+&q"(a), "=&r"(flags)                                                                      \
                         : "r"(flags_in)                                                                               \
                         : "cc", "memory");                                                                            \
        break;
DEFINE_RUN(run8, "b", "b")
DEFINE_RUN(run16, "w", "w")
DEFINE_RUN(run32, "l", "k")

static bool has_even_parity(uint32_t value)
{
    value ^= value >> 4;
    value ^= value >> 2;
    return ((value ^ value >> 1) & 1) == 0;
}

/* SF, ZF and PF of a result. */
static uint32_t result_flags(uint32_t value, uint32_t bits)
{
    uint32_t mask = bits == 32 ? 0xffffffffu : (1u << bits) - 1;
    uint32_t zero = (value & mask) == 0 ? ZF : 0, sign = value >> (bits - 1) & 1 ? SF : 0;
    return zero | sign | (has_even_parity(value & 0xff) ? PF : 0);
}

/* a + b + carry, where subtraction adds the complement; `borrow` turns the carries round again. */
static struct outcome add(uint32_t a, uint32_t b, uint32_t carry, uint32_t bits, bool borrow)
{
    uint32_t mask = bits == 32 ? 0xffffffffu : (1u << bits) - 1, sign = 1u << (bits - 1);
    uint64_t sum = (uint64_t)(a & mask) + (b & mask) + carry;
    uint32_t value = (uint32_t)sum & mask, flags = result_flags(value, bits);
    bool carry_out = (sum >> bits) != 0, half = ((a & 15) + (b & 15) + carry) > 15;
    flags |= (carry_out != borrow ? CF : 0) | (half != borrow ? AF : 0);
    flags |= ~(a ^ b) & (a ^ value) & sign ? OF : 0;
    return (struct outcome){ value, flags };
}

static struct outcome expected(enum operation operation, uint32_t a, uint32_t b, uint32_t bits, uint32_t flags_in)
{
    uint32_t carry = flags_in & CF, mask = bits == 32 ? 0xffffffffu : (1u << bits) - 1;
    struct outcome outcome;
    switch (operation) {
    case ADD:
        return add(a, b, 0, bits, false);
    case ADC:
        return add(a, b, carry, bits, false);
    case SUB:
        return add(a, ~b, 1, bits, true);
    case SBB:
        return add(a, ~b, 1 - carry, bits, true);
    case CMP:
        outcome = add(a, ~b, 1, bits, true);
        outcome.value = a & mask;
        return outcome;
    case INC:
        outcome = add(a, 1, 0, bits, false);
        outcome.flags = (outcome.flags & ~CF) | carry;
        return outcome;
    case DEC:
        outcome = add(a, ~1u, 1, bits, true);
        outcome.flags = (outcome.flags & ~CF) | carry;
        return outcome;
    case NEG:
        return add(0, ~a, 1, bits, true);
    default:
        outcome.value = (operation == OR ? a | b : operation == AND ? a & b : a ^ b) & mask;
        outcome.flags = result_flags(outcome.value, bits);
        return outcome;
    }
}

static void compare(enum operation operation, struct outcome actual, struct outcome wanted, uint32_t bits, uint32_t a)
{
    bool logic = operation == OR || operation == AND || operation == XOR;
    uint32_t mask = bits == 32 ? 0xffffffffu : (1u << bits) - 1;
    uint32_t defined = logic ? ARITHMETIC_FLAGS & ~AF : ARITHMETIC_FLAGS;
    chaos_equal("ALU result", actual.value & mask, wanted.value);
    chaos_equal("ALU bits beyond the operand", actual.value & ~mask, a & ~mask);
    chaos_equal("ALU flags", actual.flags & defined, wanted.flags & defined);
}

static void shifts(void)
{
    uint32_t a = chaos_operand(), b = chaos_random(), count = chaos_random() & 31, result, flags;
    uint32_t other = 32 - count;
    __asm__ volatile("shll %%cl, %0; pushf; popl %1" : "=r"(result), "=&r"(flags) : "0"(a), "c"(count) : "cc");
    chaos_equal("SHL", result, a << count);
    if (count != 0)
        chaos_equal("SHL carry", flags & (CF | ZF | SF | PF), (a >> other & 1) | result_flags(a << count, 32));
    __asm__ volatile("shrl %%cl, %0; pushf; popl %1" : "=r"(result), "=&r"(flags) : "0"(a), "c"(count) : "cc");
    chaos_equal("SHR", result, a >> count);
    if (count != 0)
        chaos_equal("SHR carry", flags & (CF | ZF | SF | PF), (a >> (count - 1) & 1) | result_flags(a >> count, 32));
    __asm__ volatile("sarl %%cl, %0" : "=r"(result) : "0"(a), "c"(count) : "cc");
    uint32_t fill = a >> 31 && count != 0 ? ~0u << other : 0;
    chaos_equal("SAR", result, a >> count | fill);
    __asm__ volatile("roll %%cl, %0" : "=r"(result) : "0"(a), "c"(count) : "cc");
    chaos_equal("ROL", result, count != 0 ? a << count | a >> other : a);
    __asm__ volatile("rorl %%cl, %0" : "=r"(result) : "0"(a), "c"(count) : "cc");
    chaos_equal("ROR", result, count != 0 ? a >> count | a << other : a);
    __asm__ volatile("shldl %%cl, %2, %0" : "=r"(result) : "0"(a), "r"(b), "c"(count) : "cc");
    chaos_equal("SHLD", result, count != 0 ? a << count | b >> other : a);
    __asm__ volatile("shrdl %%cl, %2, %0" : "=r"(result) : "0"(a), "r"(b), "c"(count) : "cc");
    chaos_equal("SHRD", result, count != 0 ? a >> count | b << other : a);
}

/* RCL and RCR of a byte, one bit at a time in C. */
static void rotate_through_carry(void)
{
    uint32_t a = chaos_operand() & 0xff, count = chaos_random() & 31, carry = chaos_random() & 1, flags;
    uint32_t left = a, left_carry = carry, right = a, right_carry = carry, result;
    for (uint32_t i = 0; i < count % 9; i++) {
        uint32_t out = left >> 7;
        left = (left << 1 | left_carry) & 0xff;
        left_carry = out;
        out = right & 1;
        right = right >> 1 | right_carry << 7;
        right_carry = out;
    }
    __asm__ volatile("pushl %3; popf; rclb %%cl, %b0; pushf; popl %1"
                     : "=&q"(result), "=&r"(flags)
                     : "0"(a), "r"(FLAGS_BASE | carry), "c"(count)
                     : "cc", "memory");
    chaos_equal("RCL", (result & 0xff) | (flags & CF) << 8, left | left_carry << 8);
    __asm__ volatile("pushl %3; popf; rcrb %%cl, %b0; pushf; popl %1"
                     : "=&q"(result), "=&r"(flags)
                     : "0"(a), "r"(FLAGS_BASE | carry), "c"(count)
                     : "cc", "memory");
    chaos_equal("RCR", (result & 0xff) | (flags & CF) << 8, right | right_carry << 8);
}

void chaos_arithmetic(void)
{
    for (uint32_t round = 0; round < 4; round++) {
        for (enum operation operation = ADD; operation < OPERATIONS; operation++) {
            uint32_t a = chaos_operand(), b = chaos_operand(), flags = FLAGS_BASE | (chaos_random() & ARITHMETIC_FLAGS);
            compare(operation, run8(operation, a, b, flags), expected(operation, a, b, 8, flags), 8, a);
            compare(operation, run16(operation, a, b, flags), expected(operation, a, b, 16, flags), 16, a);
            compare(operation, run32(operation, a, b, flags), expected(operation, a, b, 32, flags), 32, a);
        }
        shifts();
        rotate_through_carry();
    }
}
