/*
 * Every fault with its address, error code and CR2: the table of faults.S, and instruction fetches from pages that
 * are missing or forbidden.
 *
 * Source: Intel SDM volume 3A, sections 6.13 (error codes), 6.15 (exception reference), 4.7 (page-fault error code).
 */
#include "chaos.h"
#include "memory.h"
#include "selectors.h"

struct fault_case {
    const char *name;
    const void *code;
    uint32_t eip, vector, error, address, ring;
};

extern const struct fault_case faults_table[], faults_end[];

#define PAGE_MISSING 30u
#define PAGE_READ_ONLY 31u
#define PAGE_SYSTEM 34u
#define PAGE_CODE 36u
#define ACCESS_ABSENT_DATA 0x12
#define ACCESS_ABSENT_CODE 0x1a
#define ACCESS_EXECUTE_ONLY 0x98
#define ACCESS_READ_ONLY 0x90
#define FLAGS_4G 0xc
#define OPCODE_NOP 0x90
#define OPCODE_MOV_EAX 0xb8

static void segments_start(void)
{
    segment_set(SEL_ABSENT_DATA, 0, 0xfffff, ACCESS_ABSENT_DATA, FLAGS_4G);
    segment_set(SEL_ABSENT_CODE, 0, 0xfffff, ACCESS_ABSENT_CODE, FLAGS_4G);
    segment_set(SEL_EXECUTE_ONLY, 0, 0xfffff, ACCESS_EXECUTE_ONLY, FLAGS_4G);
    segment_set(SEL_READ_ONLY, 0, 0xfffff, ACCESS_READ_ONLY, FLAGS_4G);
}

static void expect(const char *name, uint32_t vector, const struct fault_case *wanted)
{
    if (vector != wanted->vector || trap_last.eip != wanted->eip || trap_last.error != wanted->error)
        fail(EXIT_CHECK, "%s: vector %u error %x at %08x, expected vector %u error %x at %08x", name, vector,
             trap_last.error, trap_last.eip, wanted->vector, wanted->error, wanted->eip);
    chaos_equal(name, trap_last.cs & 3, wanted->ring);
    if (vector == VECTOR_PF)
        chaos_equal(name, trap_address, wanted->address);
}

static void table(void)
{
    for (const struct fault_case *item = faults_table; item < faults_end; item++) {
        uint32_t argument = chaos_random(), vector;
        if (item->ring == 3)
            vector = trap_catch_user(item->code, argument, FLAGS_BASE);
        else
            vector = trap_catch((void (*)(uint32_t))item->code, argument);
        if (item->vector == VECTOR_NM)
            __asm__ volatile("clts");
        expect(item->name, vector, item);
    }
}

/* Fetches: a missing page, one that user code may not enter, and instructions that begin on a page that is there
 * and end on one that is not. */
static void fetches(void)
{
    uint8_t *missing = window_page(PAGE_MISSING), *border = window_page(PAGE_CODE + 1);
    struct fault_case wanted = { 0, 0, (uint32_t)missing, VECTOR_PF, 0, (uint32_t)missing, 0 };
    expect("a jump to a missing page", trap_catch((void (*)(uint32_t))missing, 0), &wanted);
    wanted = (struct fault_case){ 0, 0, (uint32_t)missing, VECTOR_PF, 4, (uint32_t)missing, 3 };
    expect("a user jump to a missing page", trap_catch_user(missing, 0, FLAGS_BASE), &wanted);
    uint32_t system = (uint32_t)window_page(PAGE_SYSTEM);
    wanted = (struct fault_case){ 0, 0, system, VECTOR_PF, 5, system, 3 };
    expect("a user jump to a system page", trap_catch_user((void *)system, 0, FLAGS_BASE), &wanted);
    for (uint32_t before = 1; before <= 4; before++) {
        uint8_t *code = border - before - 5;
        for (uint32_t i = 0; i < 5; i++)
            code[i] = OPCODE_NOP;
        code[5] = OPCODE_MOV_EAX;
        window_map(PAGE_CODE + 1, PAGE_CODE + 1, 0);
        wanted = (struct fault_case){ 0, 0, (uint32_t)code + 5, VECTOR_PF, 0, (uint32_t)border, 0 };
        expect("an instruction that ends on a missing page", trap_catch((void (*)(uint32_t))code, 0), &wanted);
        wanted = (struct fault_case){ 0, 0, (uint32_t)code + 5, VECTOR_PF, 4, (uint32_t)border, 3 };
        expect("a user instruction that ends on a missing page", trap_catch_user(code, 0, FLAGS_BASE), &wanted);
        window_map(PAGE_CODE + 1, PAGE_CODE + 1, PAGE_ALL);
    }
}

struct copy_arguments {
    const uint8_t *from;
    uint8_t *to;
};

static void copy_a_thousand(uint32_t argument)
{
    struct copy_arguments *at = (struct copy_arguments *)argument;
    uint32_t count = 1000;
    __asm__ volatile("rep movsb" : "+S"(at->from), "+D"(at->to), "+c"(count) : : "memory");
}

/* A copy into a missing page stops with the registers at the element that could not be stored. */
static void half_a_copy(void)
{
    uint32_t there = 1 + chaos_random() % 900;
    uint8_t *to = window_page(PAGE_MISSING) - there;
    static uint8_t source[2048];
    memset(source, (int)there, sizeof source);
    memset(to, 0, there);
    struct copy_arguments arguments = { source, to };
    uint32_t vector = trap_catch(copy_a_thousand, (uint32_t)&arguments);
    chaos_equal("half a copy", vector, VECTOR_PF);
    chaos_equal("half a copy: ECX", trap_last.ecx, 1000 - there);
    chaos_equal("half a copy: EDI", trap_last.edi, (uint32_t)window_page(PAGE_MISSING));
    chaos_equal("half a copy: ESI", trap_last.esi - (uint32_t)source, there);
    chaos_equal_bytes("half a copy: what arrived", to, source, there);
}

void chaos_faults(void)
{
    segments_start();
    window_reset();
    window_map(PAGE_MISSING, PAGE_MISSING, 0);
    window_map(PAGE_READ_ONLY, PAGE_READ_ONLY, PAGE_PRESENT | PAGE_USER);
    window_map(PAGE_SYSTEM, PAGE_SYSTEM, PAGE_PRESENT | PAGE_WRITE);
    table();
    fetches();
    half_a_copy();
    window_reset();
}
