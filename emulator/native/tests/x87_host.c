/* x87_host.c - Goal: what an x87 instruction leaves is what the host's own processor leaves of it: results, exceptions, C1, tags and
 * memory, for all roundings, precisions, masks, and operands that are zero, denormal, infinite, NaNs or unsupported.
 * Method: the same machine code runs on the host and in a guest, for random operands:
 *
 *   fninit; fld y; fld x; [ffree]; fldcw; the instruction; pushf; FNSAVE, which asks for no exception
 *
 *   record: 0 control word   4 flags after   16 x   32 y   48 operand in memory   64 FNSAVE's image, 108 bytes
 *
 * Not compared: condition codes that the manual leaves undefined, pointers, what lies in empty registers, and the functions that x87.c
 * compares; and two things that this core does by the manual and an AMD EPYC does not, where an exception is unmasked: a comparison leaves
 * the conditions, the load of a denormal number leaves the stack.
 * usage: x87_host [records of each instruction]
 * Source: Intel SDM volume 2, the instructions' opcodes; volume 1, figure 8-9 (the image). */
#define _GNU_SOURCE                      /* mempcpy */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "../x87.h"
#include "guest_image.h"

#define RAM_BYTES (16u << 20)
#define CODE 0x100000u
#define RECORDS 0x200000u
#define CPUID_ECX_SSE3 1u                /* FISTTP */
#define CPUID_EDX 0x8001u                /* FPU, CMOV */
#define IMAGE_BYTES 108
#define ALL 0xffffu
#define C1_ONLY (ALL & ~(X87_C0 | X87_C2 | X87_C3))

struct record {
    uint16_t control, padding;
    uint32_t flags;
    uint64_t more;
    struct x87_float x, y;
    uint8_t memory[16];
    uint16_t image[IMAGE_BYTES / 2];
    uint8_t rest[4];
};
_Static_assert(sizeof(struct record) == 176, "the code below knows the places");

struct instruction {
    const char *name;
    uint8_t code[3];
    uint8_t length;
    unsigned status;                     /* bits that are compared */
};
#define REGISTER(name, a, b, status) { name, { a, b }, 2, status }
#define MEMORY(name, a, digit) { name, { a, 0x46 | (digit) << 3, 48 }, 3, C1_ONLY }
static const struct instruction instructions[] = {
#define ARITHMETIC(name, digit, into)                                                                            \
    REGISTER(name " st, st1", 0xd8, 0xc1 | (digit) << 3, C1_ONLY), REGISTER(name " st1, st", 0xdc, 0xc1 | (into) << 3, C1_ONLY), \
    REGISTER(name "p", 0xde, 0xc1 | (into) << 3, C1_ONLY), MEMORY(name " m32", 0xd8, digit), MEMORY(name " m64", 0xdc, digit),   \
    MEMORY(name " int32", 0xda, digit), MEMORY(name " int16", 0xde, digit)
    ARITHMETIC("fadd", 0, 0), ARITHMETIC("fmul", 1, 1), ARITHMETIC("fsub", 4, 5), ARITHMETIC("fsubr", 5, 4),
    ARITHMETIC("fdiv", 6, 7), ARITHMETIC("fdivr", 7, 6),
    REGISTER("fadd st, st", 0xd8, 0xc0, C1_ONLY), REGISTER("fdiv st, st", 0xdc, 0xf8, C1_ONLY),
    REGISTER("fsqrt", 0xd9, 0xfa, C1_ONLY), REGISTER("frndint", 0xd9, 0xfc, C1_ONLY), REGISTER("fscale", 0xd9, 0xfd, C1_ONLY),
    REGISTER("fchs", 0xd9, 0xe0, C1_ONLY), REGISTER("fabs", 0xd9, 0xe1, C1_ONLY), REGISTER("fxch", 0xd9, 0xc9, C1_ONLY),
    REGISTER("fcom", 0xd8, 0xd1, ALL), REGISTER("fcomp", 0xd8, 0xd9, ALL), REGISTER("fcompp", 0xde, 0xd9, ALL),
    REGISTER("fucom", 0xdd, 0xe1, ALL), REGISTER("fucompp", 0xda, 0xe9, ALL), REGISTER("ftst", 0xd9, 0xe4, ALL),
    REGISTER("fcomi", 0xdb, 0xf1, ALL), REGISTER("fucomip", 0xdf, 0xe9, ALL), REGISTER("fxam", 0xd9, 0xe5, ALL),
    { "fcom m32", { 0xd8, 0x56, 48 }, 3, ALL }, { "fcomp m64", { 0xdc, 0x5e, 48 }, 3, ALL },
    { "ficom int32", { 0xda, 0x56, 48 }, 3, ALL }, { "ficomp int16", { 0xde, 0x5e, 48 }, 3, ALL },
    MEMORY("fld m32", 0xd9, 0), MEMORY("fld m64", 0xdd, 0), MEMORY("fld m80", 0xdb, 5), MEMORY("fild int16", 0xdf, 0),
    MEMORY("fild int32", 0xdb, 0), MEMORY("fild int64", 0xdf, 5),
    MEMORY("fst m32", 0xd9, 2), MEMORY("fstp m32", 0xd9, 3), MEMORY("fst m64", 0xdd, 2), MEMORY("fstp m64", 0xdd, 3),
    MEMORY("fstp m80", 0xdb, 7), MEMORY("fist int16", 0xdf, 2), MEMORY("fistp int16", 0xdf, 3), MEMORY("fist int32", 0xdb, 2),
    MEMORY("fistp int32", 0xdb, 3), MEMORY("fistp int64", 0xdf, 7), MEMORY("fisttp int16", 0xdf, 1), MEMORY("fisttp int32", 0xdb, 1),
    MEMORY("fisttp int64", 0xdd, 1), MEMORY("fbstp", 0xdf, 6),
    REGISTER("fst st1", 0xdd, 0xd1, C1_ONLY), REGISTER("fld st1", 0xd9, 0xc1, C1_ONLY), REGISTER("fldpi", 0xd9, 0xeb, C1_ONLY),
    REGISTER("fldl2t", 0xd9, 0xe9, C1_ONLY), REGISTER("fldl2e", 0xd9, 0xea, C1_ONLY), REGISTER("fldln2", 0xd9, 0xed, C1_ONLY),
};
#define INSTRUCTIONS (sizeof instructions / sizeof instructions[0])

/* ---- operands ---- */

static uint64_t state = 86;
static uint64_t next_random(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = state ^ state >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return x ^ x >> 32;
}

/* Where results are wrapped, become denormal, or fit into the memory's formats more often than by chance. */
static unsigned any_exponent(void)
{
    static const uint16_t centres[] = { 0x3fff, 0x3fff, 0x3fff, 0x3fff + 30, 0x3fff + 60, 0x3fff + 127, 0x3fff - 127, 0x3fff + 1023,
                                        0x3fff - 1023, 0x1fff, 0x5fff, 40, 0x7fd0, 0x3fff - 100 };
    if (next_random() % 16 == 0)
        return (unsigned)(next_random() % 0x7fff);
    return centres[next_random() % (sizeof centres / sizeof centres[0])] + (unsigned)(next_random() % 64) - 32;
}

static struct x87_float any_number(void)
{
    uint64_t significand = next_random() | 1ull << 63, kind = next_random() % 40;
    unsigned sign = (unsigned)(next_random() & 0x8000), places = (unsigned)(next_random() % 64);
    if (kind % 4 == 1)
        significand &= ~0ull << places;
    if (kind % 8 == 2)
        significand = ~0ull << places;
    switch (kind) {
    case 3: return (struct x87_float){ 0, (uint16_t)sign };
    case 7: case 11: return (struct x87_float){ significand >> 1 >> places, (uint16_t)sign };
    case 15: return (struct x87_float){ significand, (uint16_t)sign };
    case 19: return (struct x87_float){ 1ull << 63, (uint16_t)(sign | 0x7fff) };
    case 23: case 27: return (struct x87_float){ significand, (uint16_t)(sign | 0x7fff) };
    case 31: return (struct x87_float){ significand >> 1, (uint16_t)(sign | any_exponent()) };
    case 35: return (struct x87_float){ 1ull << 63 | (next_random() & 1) << places, (uint16_t)(sign | (0x400e + 16 * (places % 4))) };
    default: return (struct x87_float){ significand, (uint16_t)(sign | any_exponent()) };
    }
}

static void any_record(struct record *r)
{
    memset(r, 0, sizeof *r);
    r->control = (uint16_t)(0x40 | (next_random() & 0xf00) | (next_random() & 1 ? 0x3f : next_random() & 0x3f));
    r->x = any_number();
    r->y = any_number();
    uint64_t near = next_random() % 8, memory = next_random();
    if (near < 2)
        r->y.sign_exponent = (uint16_t)((r->y.sign_exponent & 0x8000) | ((r->x.sign_exponent + near) & 0x7fff));
    if (near == 1)
        r->y.significand = r->x.significand;
    switch (next_random() % 8) {         /* of 32 and of 64 bits: special ones */
    case 0: memory &= 0x807fffff807fffff; break;
    case 1: memory |= 0x7f8000007f800000; break;
    case 2: memory = (memory & 0x800fffff00000000) | (memory & 0xffff ? 0 : memory & 0xffffffff); break;
    case 3: memory = (memory & 0x800fffffffffffff) | 0x7ff0000000000000; break;
    case 4: memory &= 0x8000000080008000; break;
    default: break;
    }
    memcpy(r->memory, &memory, sizeof memory);
    uint16_t exponent = (uint16_t)any_exponent();
    memcpy(r->memory + 8, &exponent, sizeof exponent);
}

/* ---- the code ---- */

static size_t emit(uint8_t *code, const struct instruction *i, int freed)
{
    static const uint8_t before[] = { 0xdb, 0xe3, 0xdb, 0x6e, 32, 0xdb, 0x6e, 16 };
    static const uint8_t load[] = { 0xd9, 0x2e, 0x31, 0xc0 };                    /* fldcw [esi]; xor eax, eax */
    static const uint8_t after[] = { 0x9c, 0x58, 0x89, 0x46, 4, 0xdd, 0x76, 64 }; /* pushf; pop eax; mov [esi+4], eax; fnsave */
    uint8_t *at = mempcpy(code, before, sizeof before);
    if (freed >= 0)
        *at++ = 0xdd, *at++ = (uint8_t)(0xc0 | freed);
    at = mempcpy(at, load, sizeof load);
    at = mempcpy(at, i->code, i->length);
    return (size_t)((uint8_t *)mempcpy(at, after, sizeof after) - code);
}

static void on_host(const struct instruction *i, int freed, struct record *records, size_t count)
{
    uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        abort();
    code[emit(code, i, freed)] = 0xc3;
    mprotect(code, 4096, PROT_READ | PROT_EXEC);
    for (size_t n = 0; n < count; n++)
        __asm__ volatile("sub $128, %%rsp\n call *%1\n add $128, %%rsp" : : "S"(&records[n]), "r"(code)
                         : "rax", "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
    munmap(code, 4096);
}

static bool in_guest(const struct instruction *i, int freed, struct record *records, size_t count)
{
    static const uint8_t loop[] = { 0x81, 0xc6, sizeof(struct record), 0, 0, 0, 0x49, 0x0f, 0x85 };      /* add esi; dec ecx; jnz */
    uint8_t bytes[128] = { 0xbc, 0, 0, 0x18, 0, 0xbe, 0, 0, 0x20, 0, 0xb9 }, *at = bytes + 11;   /* mov esp, esi, ecx */
    char message[200];
    core_config config = { .ram_bytes = RAM_BYTES, .cpuid = { { 1, 0, 0, CPUID_ECX_SSE3, CPUID_EDX } }, .cpuid_rows = 1 };
    uint32_t times = (uint32_t)count;
    at = mempcpy(at, &times, sizeof times);
    uint8_t *start = at;
    at += emit(at, i, freed);
    at = mempcpy(at, loop, sizeof loop);
    int32_t back = (int32_t)(start - at - 4);
    at = mempcpy(at, &back, sizeof back);
    *at++ = 0xf4;
    core *c = core_create(&config, message, sizeof message);
    if (!c)
        return printf("x87_host: %s\n", message), false;
    struct guest_image image = { .bytes = bytes, .size = (size_t)(at - bytes), .elf = false };
    guest_image_load(&image, c, RAM_BYTES);
    core_ram_write(c, RECORDS, records, count * sizeof *records);
    bool halted = core_run(c, INT64_MAX) == CORE_EXIT_HALTED;
    memcpy(records, core_ram(c) + RECORDS, count * sizeof *records);
    core_destroy(c);
    return halted;
}

/* ---- the comparison ---- */

enum { STATUS = 2, TAGS = 4, REGISTERS = 14 };          /* in words of the image */

/* What lies in an empty one may be anything. */
static bool same_registers(const struct record *host, const struct record *guest)
{
    unsigned top = host->image[STATUS] >> 11 & 7;
    for (unsigned i = 0; i < 8; i++)
        if ((host->image[TAGS] >> ((top + i) % 8 * 2) & 3) != 3
            && memcmp(host->image + REGISTERS + 5 * i, guest->image + REGISTERS + 5 * i, 10) != 0)
            return false;
    return true;
}

static bool same(const struct instruction *i, const struct record *host, const struct record *guest)
{
    unsigned open = guest->image[STATUS] & ~guest->control & X87_BEFORE, conditions = X87_C0 | X87_C2 | X87_C3;
    if (open && i->status & conditions)
        return !((host->image[STATUS] ^ guest->image[STATUS]) & i->status & ~conditions);
    if (open == X87_DE && !strncmp(i->name, "fld m", 5))
        return true;
    return !((host->image[STATUS] ^ guest->image[STATUS]) & i->status) && host->image[TAGS] == guest->image[TAGS]
        && same_registers(host, guest) && !memcmp(host->memory, guest->memory, sizeof host->memory)
        && !((host->flags ^ guest->flags) & 0x8d5);
}

static void print_record(const char *where, const struct record *r)
{
    uint64_t first, second, memory;
    memcpy(&first, r->image + REGISTERS, 8);
    memcpy(&second, r->image + REGISTERS + 5, 8);
    memcpy(&memory, r->memory, 8);
    printf("  %s: status %04x, tags %04x, st0 %04x:%016" PRIx64 ", st1 %04x:%016" PRIx64, where, r->image[STATUS], r->image[TAGS],
           r->image[REGISTERS + 4], first, r->image[REGISTERS + 9], second);
    printf(", memory %016" PRIx64 ", flags %03x\n", memory, r->flags & 0x8d5);
}

static unsigned check(const struct instruction *i, int freed, struct record *host, struct record *guest, size_t count)
{
    unsigned bad = 0;
    for (size_t n = 0; n < count; n++)
        any_record(&host[n]);
    memcpy(guest, host, count * sizeof *host);
    on_host(i, freed, host, count);
    if (!in_guest(i, freed, guest, count))
        return printf("x87_host: %s: the guest did not end\n", i->name), 1;
    for (size_t n = 0; n < count; n++) {
        if (same(i, &host[n], &guest[n]) || bad++ >= 3)
            continue;
        printf("x87_host: %s, control %03x, free %d, x %04x:%016" PRIx64 ", y %04x:%016" PRIx64 "\n", i->name, host[n].control, freed,
               host[n].x.sign_exponent, host[n].x.significand, host[n].y.sign_exponent, host[n].y.significand);
        print_record("host ", &host[n]);
        print_record("guest", &guest[n]);
    }
    return bad;
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 0) : 2000;
    struct record *host = calloc(count, sizeof *host), *guest = calloc(count, sizeof *guest);
    unsigned bad = 0;
    if (!host || !guest)
        return 1;
    for (size_t i = 0; i < INSTRUCTIONS; i++)
        for (int freed = -1; freed < 2; freed++)
            bad += check(&instructions[i], freed, host, guest, freed < 0 ? count : count / 20 + 1);
    free(host);
    free(guest);
    printf("%zu instructions, %u results differ from the host's\n", INSTRUCTIONS, bad);
    return bad != 0;
}
