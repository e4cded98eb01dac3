/*
 * String instructions: every width, both directions, any count (zero too), any alignment, across a page border,
 * overlapping; with segment and address size prefixes; to and from a port.
 *
 *   window pages 40 and 41 hold the area; model[] is what C says it should be
 *
 * Source: Intel SDM volume 2, REP/REPE/REPNE, MOVS, STOS, LODS, SCAS, CMPS, INS, OUTS.
 */
#include "chaos.h"
#include "memory.h"
#include "port.h"
#include "selectors.h"

#define AREA_BYTES 2048u
#define COUNT_MAX 200u
#define UART_SCRATCH 0x3ff
#define LOW_MEMORY 0x5000u
#define ACCESS_DATA_USER 0xf2
#define FLAGS_4G 0xc

static uint8_t model[AREA_BYTES];

struct registers {
    uint32_t eax, ecx, esi, edi, flags;
};

#define DEFINE_STRING(function, code)                                                                                  \
    static void function(struct registers *r)                                                                          \
    {                                                                                                                  \
        __asm__ volatile("pushl %4; popf; " code "; pushf; cld; popl %4"                                               \
                         : "+a"(r->eax), "+c"(r->ecx), "+S"(r->esi), "+D"(r->edi), "+d"(r->flags)                      \
                         :                                                                                             \
                         : "memory", "cc");                                                                            \
    }
DEFINE_STRING(movs1, "rep movsb")
DEFINE_STRING(movs2, "rep movsw")
DEFINE_STRING(movs4, "rep movsl")
DEFINE_STRING(stos1, "rep stosb")
DEFINE_STRING(stos2, "rep stosw")
DEFINE_STRING(stos4, "rep stosl")
DEFINE_STRING(lods1, "rep lodsb")
DEFINE_STRING(lods2, "rep lodsw")
DEFINE_STRING(lods4, "rep lodsl")
DEFINE_STRING(scas1, "repne scasb")
DEFINE_STRING(scas2, "repne scasw")
DEFINE_STRING(scas4, "repne scasl")
DEFINE_STRING(cmps1, "repe cmpsb")
DEFINE_STRING(cmps2, "repe cmpsw")
DEFINE_STRING(cmps4, "repe cmpsl")
DEFINE_STRING(movs_fs, "rep movsb %%fs:(%%esi), %%es:(%%edi)")
DEFINE_STRING(movs_16, "addr16 rep movsb")

static void (*const string_operations[5][3])(struct registers *) = {
    { movs1, movs2, movs4 }, { stos1, stos2, stos4 }, { lods1, lods2, lods4 },
    { scas1, scas2, scas4 }, { cmps1, cmps2, cmps4 },
};

enum { MOVS, STOS, LODS, SCAS, CMPS };

static uint8_t *area(void) { return window_page(41) - AREA_BYTES / 2; }

static uint32_t model_get(uint32_t offset, uint32_t width)
{
    uint32_t value = 0;
    memcpy(&value, model + offset, width);
    return value;
}

/* What the instruction does, in C, on the model; registers hold offsets instead of addresses. */
static void run_model(uint32_t operation, uint32_t width, struct registers *r)
{
    uint32_t step = r->flags & DF ? 0u - width : width, mask = width == 4 ? ~0u : (1u << width * 8) - 1;
    while (r->ecx != 0) {
        bool stop = false;
        r->ecx--;
        if (operation == MOVS) {
            uint32_t value = model_get(r->esi, width);
            memcpy(model + r->edi, &value, width);
        } else if (operation == STOS) {
            memcpy(model + r->edi, &r->eax, width);
        } else if (operation == LODS) {
            r->eax = (r->eax & ~mask) | model_get(r->esi, width);
        } else {
            uint32_t left = operation == SCAS ? r->eax & mask : model_get(r->esi, width);
            uint32_t right = model_get(r->edi, width);
            r->flags = (r->flags & ~(ZF | CF)) | (left == right ? ZF : 0) | (left < right ? CF : 0);
            stop = (left == right) == (operation == SCAS);
        }
        if (operation != STOS && operation != SCAS)
            r->esi += step;
        if (operation != LODS)
            r->edi += step;
        if (stop)
            break;
    }
}

static void one_operation(void)
{
    uint32_t operation = chaos_random() % 5, size = chaos_random() % 3, width = 1u << size;
    uint32_t count = chaos_random() % COUNT_MAX, span = COUNT_MAX * 4;
    bool down = chaos_random() & 1;
    uint32_t from = chaos_random() % (AREA_BYTES - span) + (down ? span - 4 : 0);
    uint32_t to = chaos_random() % (AREA_BYTES - span) + (down ? span - 4 : 0);
    if (operation == CMPS && chaos_random() & 1)
        to = from; /* else they differ at once */
    uint32_t eax = operation == SCAS ? model_get(to / 2, 4) : chaos_random();
    uint32_t flags = FLAGS_BASE | (down ? DF : 0) | (chaos_random() & (ZF | CF));
    struct registers wanted = { eax, count, from, to, flags };
    struct registers actual = { eax, count, (uint32_t)area() + from, (uint32_t)area() + to, flags };
    run_model(operation, width, &wanted);
    string_operations[operation][size](&actual);
    chaos_equal("string EAX", actual.eax, wanted.eax);
    chaos_equal("string ECX", actual.ecx, wanted.ecx);
    chaos_equal("string ESI", actual.esi - (uint32_t)area(), wanted.esi);
    chaos_equal("string EDI", actual.edi - (uint32_t)area(), wanted.edi);
    chaos_equal("string flags", actual.flags & (ZF | CF | DF), wanted.flags & (ZF | CF | DF));
}

/* A copy with FS as the source segment, and one in the low 64 KiB with 16-bit registers. */
static void prefixes(void)
{
    uint32_t bytes = 1 + chaos_random() % 100, null = 0;
    uint8_t *low = chaos_pointer(LOW_MEMORY);
    struct registers r = { 0, bytes, 5, (uint32_t)area() + 900, FLAGS_BASE };
    segment_set(SEL_BASED, (uint32_t)area() + 100, 0xfffff, ACCESS_DATA_USER, FLAGS_4G);
    __asm__ volatile("movl %0, %%fs" : : "r"(SEL_BASED));
    movs_fs(&r);
    __asm__ volatile("movl %0, %%fs" : : "r"(null));
    memmove(model + 900, model + 105, bytes);
    chaos_equal_bytes("a copy from FS", area() + 900, model + 900, bytes);
    memcpy(low, model, bytes);
    r = (struct registers){ 0, 0x77770000 | bytes, 0xabcd0000 | LOW_MEMORY, 0x12340800 | LOW_MEMORY, FLAGS_BASE };
    movs_16(&r);
    chaos_equal_bytes("a copy with 16-bit registers", low + 0x800, model, bytes);
    chaos_equal("its CX", r.ecx, 0x77770000);
    chaos_equal("its SI", r.esi, (0xabcd0000 | LOW_MEMORY) + bytes);
    chaos_equal("its DI", r.edi, (0x12340800 | LOW_MEMORY) + bytes);
}

/* Does the port keep what is written to it? On a machine without a UART it may read as anything. */
static bool scratch_register_works(void)
{
    static const uint8_t values[] = { 0x5a, 0xa5, 0x00, 0xff, 0x36, 0xc9 };
    for (uint32_t i = 0; i < sizeof values; i++) {
        out8(UART_SCRATCH, values[i]);
        if (in8(UART_SCRATCH) != values[i])
            return false;
    }
    return true;
}

/* OUTS and INS on the UART's scratch register; where there is none, only the registers are looked at. */
static void ports(void)
{
    uint8_t *from = area() + chaos_random() % 1000, *to = area() + 1200;
    uint32_t count = 1 + chaos_random() % 20, left = count;
    uint8_t *end = from;
    __asm__ volatile("rep outsb" : "+S"(end), "+c"(left) : "d"(UART_SCRATCH) : "memory");
    chaos_equal("REP OUTSB", (uint32_t)(end - from) + left, count);
    bool works = scratch_register_works();
    out8(UART_SCRATCH, from[count - 1]);
    end = to;
    left = count;
    __asm__ volatile("rep insb" : "+D"(end), "+c"(left) : "d"(UART_SCRATCH) : "memory");
    chaos_equal("REP INSB", (uint32_t)(end - to) + left, count);
    for (uint32_t i = 0; works && i < count; i++)
        check(to[i] == from[count - 1], "REP INSB read %x, expected %x", to[i], from[count - 1]);
    memcpy(to, model + 1200, count);
}

void chaos_strings(void)
{
    window_reset();
    for (uint32_t i = 0; i < AREA_BYTES; i += 4) {
        uint32_t value = chaos_random();
        memcpy(model + i, &value, 4);
    }
    memcpy(area(), model, AREA_BYTES);
    for (uint32_t i = 0; i < 12; i++)
        one_operation();
    prefixes();
    ports();
    chaos_equal_bytes("the area of the string instructions", area(), model, AREA_BYTES);
}
