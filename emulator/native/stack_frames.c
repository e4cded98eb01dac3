/* stack_frames.c - PUSHA, POPA and ENTER: all that they access is asked for before the first of it.
 *
 *   PUSHA   8 words below ESP            POPA   8 words from ESP on, on pages that are there
 *   ENTER   1 + level words below ESP, level - 1 words below EBP, and a write where ESP will point to would not fault
 *
 * The engine accesses word by word and POPA's registers change as it goes, so what follows a fault would be seen.
 * PUSHA raises #GP where the fourth or a later word of 8086 code's stack would lie across its end.
 * Source: Intel SDM volume 2, PUSHA, POPA, ENTER. */
#include "core_internal.h"
#include "segments.h"

#define OPCODE_PUSHA 0x60
#define OPCODE_POPA 0x61
#define OPCODE_ENTER 0xc8
#define PUSHA 0u
#define POPA 1u
#define ENTER 2u
#define WHICH 3u
#define WORDS_32 4u
#define LEVEL_SHIFT 3
#define LEVEL_MAX 31u
#define GENERAL_REGISTERS 8
#define REG_ESP 4
#define REG_EBP 5
#define PUSHA_STACK_ERROR_MAX 5u         /* SP 1, 3, 5: #SS; 7 to 15: #GP */
#define PUSHA_PROTECTION_MAX 15u

uint32_t stack_frame_question(CPUX86State *env, const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at),
                              bool code32, bool limited, uint32_t *allocated)
{
    uint32_t words = code32 != d->data_prefix ? WORDS_32 : 0;
    uint64_t next = d->pc + d->length;
    *allocated = 0;
    switch (d->opcode) {
    case OPCODE_PUSHA: return limited ? ASK_FRAME | PUSHA | words : 0;
    case OPCODE_POPA: return ASK_FRAME | POPA | words;
    case OPCODE_ENTER:
        *allocated = fetch(env, next) | (uint32_t)fetch(env, next + 1) << 8;
        return ASK_FRAME | ENTER | words | (fetch(env, next + 2) & LEVEL_MAX) << LEVEL_SHIFT;
    default: return 0;
    }
}

struct frame {
    CPUX86State *env;
    struct stack stack;
    uintptr_t host_pc;
    int bytes;                           /* of each word */
};

static uint32_t gpr(const CPUX86State *env, int n) { return FIELD(env, ENV_OFF_REGS + 8 * n, uint32_t); }

static void probe(const struct frame *f, uint32_t offset, int access)
{
    probe_access_x86_64(f->env, (uint32_t)(f->stack.base + (offset & f->stack.mask)), 1, access,
                        current_mmu_index(core_current), f->host_pc);
}

static void __attribute__((noreturn)) refuse(const struct frame *f, int vector)
{
    raise_exception_err_ra_x86_64(f->env, vector, 0, f->host_pc);
}

static void need_room(const struct frame *f, uint32_t offset, int step, unsigned count)
{
    if (!stack_has_room(f->stack, offset, step, count, f->bytes))
        refuse(f, VECTOR_STACK);
}

static void ask_pusha(const struct frame *f)
{
    uint32_t esp = gpr(f->env, REG_ESP), sp = esp & f->stack.mask;
    if (stack_has_room(f->stack, esp - f->bytes, -f->bytes, GENERAL_REGISTERS, f->bytes))
        return;
    bool is_8086 = !(FIELD(f->env, ENV_OFF_CR, uint32_t) & CR0_PE) || (FIELD(f->env, ENV_OFF_EFLAGS, uint32_t) & EFLAGS_VM);
    refuse(f, is_8086 && sp > PUSHA_STACK_ERROR_MAX && sp <= PUSHA_PROTECTION_MAX ? VECTOR_PROTECTION : VECTOR_STACK);
}

static void ask_popa(const struct frame *f)
{
    uint32_t esp = gpr(f->env, REG_ESP), last = GENERAL_REGISTERS * f->bytes - 1;
    need_room(f, esp, f->bytes, GENERAL_REGISTERS);
    if (((f->stack.base + (esp & f->stack.mask)) ^ (f->stack.base + ((esp + last) & f->stack.mask))) >> PAGE_SHIFT)
        for (uint32_t i = 0; i <= last; i++)
            probe(f, esp + i, ACCESS_LOAD);
}

static void ask_enter(const struct frame *f, unsigned level, uint32_t allocated)
{
    uint32_t esp = gpr(f->env, REG_ESP), ebp = gpr(f->env, REG_EBP), lowest = esp - f->bytes * (1 + level);
    unsigned copied = level > 1 ? level - 1 : 0;
    need_room(f, esp - f->bytes, -f->bytes, 1 + level);
    need_room(f, ebp - f->bytes, -f->bytes, copied);
    if (!stack_has_room(f->stack, lowest - allocated, 0, 1, 1))
        refuse(f, VECTOR_STACK);
    probe(f, esp - f->bytes, ACCESS_STORE);
    for (unsigned i = 1; i <= copied; i++)
        probe(f, ebp - f->bytes * i, ACCESS_LOAD);
    probe(f, lowest, ACCESS_STORE);
    probe(f, lowest - allocated, ACCESS_STORE);
}

void stack_frame_check(CPUX86State *env, uint32_t ask, uint32_t allocated, uintptr_t host_pc)
{
    struct frame f = { env, stack_current(env), host_pc, ask & WORDS_32 ? 4 : 2 };
    switch (ask & WHICH) {
    case PUSHA: ask_pusha(&f); break;
    case POPA: ask_popa(&f); break;
    default: ask_enter(&f, ask >> LEVEL_SHIFT & LEVEL_MAX, allocated);
    }
}
