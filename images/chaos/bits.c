/*
 * Bit scans and tests (also in memory, with offsets far from the operand), byte swaps, conditional moves, and the
 * atomic operations, CMPXCHG8B among them.
 *
 * Source: Intel SDM volume 2, "Bit(BitBase, BitOffset)" in section 3.1.1.9, and the instructions' pages.
 */
#include "chaos.h"

#define MAP_WORDS 16

static void scans(void)
{
    uint32_t value = chaos_operand(), result = 77, low = 0, high = 31, zero;
    __asm__ volatile("bsfl %2, %0; setz %b1" : "+&r"(result), "=q"(zero) : "r"(value) : "cc");
    chaos_equal("BSF zero flag", zero & 1, value == 0);
    if (value == 0)
        return;
    while ((value >> low & 1) == 0)
        low++;
    while ((value >> high & 1) == 0)
        high--;
    chaos_equal("BSF", result, low);
    __asm__ volatile("bsrl %1, %0" : "=r"(result) : "r"(value) : "cc");
    chaos_equal("BSR", result, high);
    __asm__ volatile("bswap %0" : "=r"(result) : "0"(value));
    chaos_equal("BSWAP", result, value << 24 | (value & 0xff00) << 8 | (value >> 8 & 0xff00) | value >> 24);
}

static void tests_in_memory(void)
{
    static uint32_t map[MAP_WORDS], wanted[MAP_WORDS];
    for (uint32_t i = 0; i < 12; i++) {
        int32_t offset = (int32_t)(chaos_random() % (MAP_WORDS * 32)) - MAP_WORDS * 16;
        uint32_t bit = (uint32_t)(offset + MAP_WORDS * 16), before = wanted[bit / 32] >> (bit % 32) & 1, carry;
        uint32_t *middle = &map[MAP_WORDS / 2];
        switch (chaos_random() % 4) {
        case 0:
            __asm__ volatile("btl %2, %1; setc %b0" : "=q"(carry), "+m"(*middle) : "r"(offset) : "cc", "memory");
            break;
        case 1:
            __asm__ volatile("btsl %2, %1; setc %b0" : "=q"(carry), "+m"(*middle) : "r"(offset) : "cc", "memory");
            wanted[bit / 32] |= 1u << bit % 32;
            break;
        case 2:
            __asm__ volatile("lock btrl %2, %1; setc %b0" : "=q"(carry), "+m"(*middle) : "r"(offset) : "cc", "memory");
            wanted[bit / 32] &= ~(1u << bit % 32);
            break;
        default:
            __asm__ volatile("lock btcl %2, %1; setc %b0" : "=q"(carry), "+m"(*middle) : "r"(offset) : "cc", "memory");
            wanted[bit / 32] ^= 1u << bit % 32;
        }
        chaos_equal("bit test", carry & 0xff, before);
    }
    chaos_equal_bytes("bit map", map, wanted, sizeof map);
}

static void exchanges(void)
{
    uint32_t memory = chaos_random(), old = memory, fresh = chaos_random(), accumulator, zero;
    bool match = chaos_random() & 1;
    accumulator = match ? memory : ~memory;
    __asm__ volatile("lock cmpxchgl %3, %1; setz %b2"
                     : "+a"(accumulator), "+m"(memory), "=q"(zero)
                     : "r"(fresh)
                     : "cc");
    chaos_equal("CMPXCHG", memory, match ? fresh : old);
    chaos_equal("CMPXCHG accumulator", accumulator, old);
    chaos_equal("CMPXCHG zero flag", zero & 0xff, match);
    uint32_t before = memory, addend = chaos_random(), source = addend;
    __asm__ volatile("xaddl %0, %1" : "+r"(source), "+m"(memory) : : "cc");
    chaos_equal("XADD source", source, before);
    chaos_equal("XADD sum", memory, before + addend);
    before = memory;
    __asm__ volatile("xchgl %0, %1" : "+r"(source), "+m"(memory));
    chaos_equal("XCHG", source ^ memory, before ^ (before - addend));
}

static void exchange_eight_bytes(void)
{
    static uint32_t pair[2];
    uint32_t low = chaos_random(), high = chaos_random(), fresh_low = chaos_random(), fresh_high = chaos_random();
    uint32_t eax = low, edx = high, zero;
    bool match = chaos_random() & 1;
    pair[0] = low;
    pair[1] = high;
    if (!match)
        edx ^= 0x10000;
    __asm__ volatile("lock cmpxchg8b %2; setz %%bl"
                     : "+a"(eax), "+d"(edx), "+m"(*(uint64_t *)pair), "=b"(zero)
                     : "3"(fresh_low), "c"(fresh_high)
                     : "cc", "memory");
    chaos_equal("CMPXCHG8B zero flag", zero & 0xff, match);
    chaos_equal("CMPXCHG8B low", pair[0], match ? fresh_low : low);
    chaos_equal("CMPXCHG8B high", pair[1], match ? fresh_high : high);
    chaos_equal("CMPXCHG8B EDX", edx, high);
    chaos_equal("CMPXCHG8B EAX", eax, low);
}

static void conditions(void)
{
    uint32_t a = chaos_operand(), b = chaos_operand(), below, less, moved = 1;
    __asm__ volatile("cmpl %3, %2; setb %b0; setl %b1" : "=&q"(below), "=&q"(less) : "r"(a), "r"(b) : "cc");
    chaos_equal("SETB", below & 0xff, a < b);
    chaos_equal("SETL", less & 0xff, (int32_t)a < (int32_t)b);
    __asm__ volatile("cmpl %2, %1; cmoval %1, %0" : "+&r"(moved) : "r"(a), "r"(b) : "cc");
    chaos_equal("CMOVA", moved, a > b ? a : 1);
    __asm__ volatile("movsbl %b1, %0" : "=r"(moved) : "q"(a));
    chaos_equal("MOVSX", moved, (a & 0xff) | (a & 0x80 ? 0xffffff00u : 0));
    static uint8_t table[256];
    table[a & 0xff] = (uint8_t)b;
    __asm__ volatile("xlatb" : "=a"(moved) : "0"(a), "b"(table) : "memory");
    chaos_equal("XLAT", moved, (a & 0xffffff00u) | (b & 0xff));
}

void chaos_bits(void)
{
    for (uint32_t i = 0; i < 8; i++) {
        scans();
        tests_in_memory();
        exchanges();
        exchange_eight_bytes();
        conditions();
    }
}
