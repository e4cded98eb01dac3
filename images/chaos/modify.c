/*
 * Self-modifying code: the next instruction, through aliases, across pages, by string instructions, by remapping;
 * and random programs that are written, run, and written again in the same place.
 *
 * Source: Intel SDM volume 3A, section 11.6: on one processor a store to code is seen by the next instruction.
 */
#include "chaos.h"
#include "memory.h"

uint32_t modify_next(uint32_t byte);
uint32_t modify_alias(uint32_t byte, uint8_t *alias);
uint32_t modify_loop(uint32_t count);
uint32_t modify_opcode(uint32_t a, uint32_t b);
uint32_t modify_string(void);
uint32_t modify_jump(uint32_t a);
uint32_t modify_stack(uint32_t immediate);
extern uint8_t modify_page[];

#define CODE_PAGE 10u
#define FRAME_A 50u
#define FRAME_B 51u
#define PROGRAM_STEPS 12u
#define OPCODE_MOV_EAX 0xb8
#define OPCODE_RET 0xc3
#define ENTRY_ALIAS 20u

typedef uint32_t (*program)(uint32_t eax, uint32_t edx);

static uint8_t *put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, 4);
    return at + 4;
}

/* Write a random program at `at`; return what it computes for these arguments. */
static uint32_t write_program(uint8_t *at, uint32_t eax, uint32_t edx)
{
    static const uint8_t load_arguments[] = { 0x8b, 0x44, 0x24, 0x04, 0x8b, 0x54, 0x24, 0x08 };
    memcpy(at, load_arguments, sizeof load_arguments);
    at += sizeof load_arguments;
    for (uint32_t i = 0; i < PROGRAM_STEPS; i++) {
        uint32_t immediate = chaos_random(), kind = chaos_random() % 6;
        if (kind == 0) { /* add $imm32, %eax */
            *at++ = 0x05;
            at = put32(at, immediate);
            eax += immediate;
        } else if (kind == 1) { /* xor $imm32, %eax */
            *at++ = 0x35;
            at = put32(at, immediate);
            eax ^= immediate;
        } else if (kind == 2) { /* rol $imm8, %eax */
            *at++ = 0xc1, *at++ = 0xc0, *at++ = (uint8_t)(1 + immediate % 31);
            eax = eax << (1 + immediate % 31) | eax >> (31 - immediate % 31);
        } else if (kind == 3) { /* add %edx, %eax */
            *at++ = 0x01, *at++ = 0xd0;
            eax += edx;
        } else if (kind == 4) { /* xchg %eax, %edx */
            *at++ = 0x92;
            uint32_t swap = eax;
            eax = edx;
            edx = swap;
        } else { /* imul $imm8, %eax, %eax */
            *at++ = 0x6b, *at++ = 0xc0, *at++ = (uint8_t)(immediate & 0x7f);
            eax *= immediate & 0x7f;
        }
    }
    *at = OPCODE_RET;
    return eax;
}

static void random_programs(void)
{
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t a = chaos_random(), b = chaos_random();
        /* Mostly in the middle of a page, sometimes over a border of two pages whose frames lie apart. */
        uint8_t *code = window_page(CODE_PAGE) + (i % 2 == 0 ? 0x100 : 4096 - 30);
        uint32_t wanted = write_program(code, a, b);
        __asm__ volatile("" : : : "memory");
        chaos_equal("a program written a moment ago", ((program)code)(a, b), wanted);
    }
}

/* One instruction over a page border, its bytes changed on either side. */
static void crossing_instruction(void)
{
    uint8_t *border = window_page(CODE_PAGE + 3), *code = border - 1 - chaos_random() % 4;
    uint32_t value = chaos_random();
    code[0] = OPCODE_MOV_EAX;
    put32(code + 1, value);
    code[5] = OPCODE_RET;
    __asm__ volatile("" : : : "memory");
    chaos_equal("an instruction across pages", ((program)code)(0, 0), value);
    ((volatile uint8_t *)code)[4] ^= 0x5a;
    chaos_equal("its last byte changed", ((program)code)(0, 0), value ^ 0x5a000000);
    ((volatile uint8_t *)code)[1] ^= 0xa5;
    chaos_equal("its first byte changed", ((program)code)(0, 0), value ^ 0x5a0000a5);
    /* The second page becomes another frame with other bytes. */
    uint32_t page = CODE_PAGE + 3, moved = (uint32_t)(border - code);
    memcpy(window_frame(FRAME_A), border, 64);
    window_frame(FRAME_A)[4 - moved] ^= 0x33;
    window_map(page, FRAME_A, PAGE_ALL);
    chaos_equal("its second page remapped", ((program)code)(0, 0), value ^ 0x690000a5);
}

/* The same virtual page, now this frame, now that one. */
static void remapped_code(void)
{
    uint8_t *code = window_page(CODE_PAGE + 5);
    uint32_t a = chaos_random(), b = chaos_random(), in_a = write_program(window_frame(FRAME_A) + 64, a, b);
    uint32_t in_b = write_program(window_frame(FRAME_B) + 64, a, b);
    for (uint32_t i = 0; i < 3; i++) {
        window_map(CODE_PAGE + 5, FRAME_A, PAGE_ALL);
        chaos_equal("code of one frame", ((program)(code + 64))(a, b), in_a);
        window_map(CODE_PAGE + 5, FRAME_B, PAGE_ALL);
        chaos_equal("code of another frame", ((program)(code + 64))(a, b), in_b);
    }
    /* Copy a whole page over code that has run, through its other address. */
    memcpy(window_frame(FRAME_B), window_frame(FRAME_A), 4096);
    chaos_equal("code copied over code", ((program)(code + 64))(a, b), in_a);
}

static void own_code(void)
{
    uint32_t a = chaos_random(), b = chaos_random(), result = a;
    for (uint32_t i = 0; i < 4; i++) {
        chaos_equal("the next instruction", modify_next(a & 0xff), a & 0xff);
        volatile uint32_t *entry = window_entry(ENTRY_ALIAS);
        *entry = (uint32_t)modify_page | PAGE_ALL;
        __asm__ volatile("invlpg (%0)" : : "r"(window_page(ENTRY_ALIAS)) : "memory");
        chaos_equal("the next instruction by an alias", modify_alias(b & 0xff, window_page(ENTRY_ALIAS)), b & 0xff);
        a = chaos_random();
        chaos_equal("a stack over code", modify_stack(a), a);
        chaos_equal("a jump that was not there", modify_jump(b), b);
    }
    chaos_equal("a loop that changes itself", modify_loop(40), 780);
    chaos_equal("a string over code", modify_string(), 7);
    result = modify_opcode(a, b);
    uint32_t again = modify_opcode(a, b);
    chaos_equal("ADD, SUB, and one of them", result == a + b ? again : result, a - b);
    chaos_equal("the other of them", result ^ again, (a + b) ^ (a - b));
    window_map(ENTRY_ALIAS, ENTRY_ALIAS, PAGE_ALL);
}

void chaos_modify(void)
{
    window_reset();
    random_programs();
    crossing_instruction();
    remapped_code();
    own_code();
    window_reset();
}
