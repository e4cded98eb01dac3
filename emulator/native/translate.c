/* translate.c - instructions that the engine translates into something else than the guest's processor does.
 *
 *   the engine's loop over a block's instructions -> ours for each: decode it, then the engine's own, watched
 *
 *   undefined here (decode.c)      the engine is shown UD2 in its place; the block's length stays that of the instruction
 *   LOCK NEG                       the engine is shown no LOCK: its locked form sets wrong flags
 *   66 with F3 or F2               the engine is shown no 66, which it lets win
 *   16-byte operand                its first access asks for alignment, which the engine's slow path finds out about
 *   8-byte operand read as 16      the second half is read from where the first is
 *   MOVUPS, MOVUPD, MOVDQU         both halves are read before the first is written
 *   FLDENV, FRSTOR, FXRSTOR        ES and B are computed afterwards (x87_status.c)
 *   INS, OUTS                      the port is asked for before the memory is (bus.c)
 *   MMX operand in memory          the MMX state is entered after the access, which may fault; CVTPI2PS and CVTPI2PD
 *                                  from memory do not enter it at all; the others raise an x87 exception that waits
 *   PUSHF, ENTER, ARPL, SGDT       other values (translate_values.c); stores of the FPU, FCMOVcc: translate_x87.c
 *   ICEBP                          the engine is shown INT3, before which #DB is raised (debug.c)
 *   before BT, BTS, BTR, BTC       flags are computed: the engine's change OF and AF where it has them still to compute, and not at
 *                                  a block's beginning; before SETcc, RCL and RCR of memory, which compute them before they may fault
 *
 * Everything is decided by the instruction's bytes and CPUID, and costs nothing when the block runs. A translation may
 * end by a jump out of it (a fetch that faults, a full code buffer): each instruction starts afresh.
 * Source: Intel SDM volume 2 (LOCK, NEG, CVTPI2PS, CVTPI2PD, INS, OUTS, UD2; 2.1.1; 2.4: exception classes);
 * volume 1, 9.5 and 9.6.1; volume 3, 6.5. */
#include <string.h>
#include "core_internal.h"
#include "debug.h"
#include "decode.h"
#include "engine.h"
#include "interpose.h"
#include "segments.h"
#include "translate.h"
#include "x87.h"

#define OPCODE_INSB 0x6c
#define OPCODE_OUTSD 0x6f
#define OPCODE_CVTPI2 0x12a
#define OPCODE_ICEBP 0xf1
#define OPCODE_INT3 0xcc
#define OPCODE_CMC 0xf5
#define PREFIX_REPEAT 0xf3               /* before NEG it does nothing */
#define PREFIX_REPEAT_UNEQUAL 0xf2
#define PREFIX_DATA 0x66
#define MEMORY_SIZE 3u                   /* bits of an access's description: log2 of its bytes, ... */
#define MEMORY_8_BYTES 3u
#define MEMORY_ALIGN_16 0x40u            /* ... and log2 of its alignment, from bit 4 on */
#define HALF_BYTES 8
#define NOWHERE UINT64_MAX

typedef void translate_insn(void *block, CPUState *cpu);
struct translator_ops { void *before[TRANSLATOR_OPS_BEFORE]; translate_insn *translate; void *after[TRANSLATOR_OPS_AFTER]; };

void __real_translator_loop_x86_64(const struct translator_ops *ops, void *block, CPUState *cpu, TranslationBlock *tb,
                                   int instructions_max);
void __wrap_translator_loop_x86_64(const struct translator_ops *ops, void *block, CPUState *cpu, TranslationBlock *tb,
                                   int instructions_max);
uint32_t __real_cpu_ldub_code_x86_64(CPUX86State *env, uint64_t at);
uint32_t __wrap_cpu_ldub_code_x86_64(CPUX86State *env, uint64_t at);
void __wrap_tcg_gen_callN_x86_64(TCGContext *tcg, void *function, void *result, int count, void **arguments);
void __real_tcg_gen_qemu_ld_i64_x86_64(TCGContext *tcg, uintptr_t v, uintptr_t at, uint64_t mmu, uint32_t memory);
void __wrap_tcg_gen_qemu_ld_i64_x86_64(TCGContext *tcg, uintptr_t v, uintptr_t at, uint64_t mmu, uint32_t memory);

/* The translator as it is now; a thread translates one block at a time. */
static __thread struct {
    translate_insn *engine;
    uint64_t shown_at;                   /* the bytes here are replaced for the translator */
    uint32_t shown_count;
    uint8_t shown[2];
    uint64_t hidden_end;                 /* 66 before it is shown as ... */
    uint8_t hidden_as;                   /* ... this prefix */
    bool align;                          /* the next access of 8 bytes is the first half of one of 16 */
    bool half;                           /* the second access reads the operand's 8 bytes again, ... */
    uintptr_t half_at;                   /* ... from here: that of the first; 0: before it */
    bool whole;                          /* two loads of 8 bytes are one of 16 */
    void *second;                        /* what the second is to give; NULL: before the first */
    unsigned port_bytes;                 /* INS and OUTS that must ask for their port; 0: need not, or have asked */
    bool defer_mmx, drop_mmx;            /* what becomes of a call that enters the MMX state */
    void *deferred;                      /* the call to come after the next access */
    void *deferred_argument;
    uint32_t icebp;                      /* bytes of an ICEBP; 0: another instruction */
} now;

/* ---- the engine's own code for the instruction, as it is emitted ---- */

uint32_t __wrap_cpu_ldub_code_x86_64(CPUX86State *env, uint64_t at)
{
    uint32_t byte = __real_cpu_ldub_code_x86_64(env, at);
    if (byte == PREFIX_DATA && at < now.hidden_end)
        return now.hidden_as;
    return at - now.shown_at < now.shown_count ? now.shown[at - now.shown_at] : byte;
}

static uint32_t aligned(uint32_t memory)
{
    if (!now.align || (memory & MEMORY_SIZE) != MEMORY_8_BYTES)
        return memory;
    now.align = false;
    return memory | MEMORY_ALIGN_16;
}

static uintptr_t address_of(uintptr_t at)
{
    if (!now.half)
        return at;
    if (!now.half_at)
        now.half_at = at;
    return now.half_at;
}

static void after_access(TCGContext *tcg)
{
    void *function = now.deferred;
    if (!function)
        return;
    now.deferred = NULL;
    __real_tcg_gen_callN_x86_64(tcg, function, NULL, 1, &now.deferred_argument);
}

static void ask_for_port(TCGContext *tcg)
{
    static void *const helpers[] = { NULL, helper_check_iob_x86_64, helper_check_iow_x86_64, NULL, helper_check_iol_x86_64 };
    if (now.port_bytes)
        call_with(tcg, helpers[now.port_bytes], 0);
    now.port_bytes = 0;
}

static void before_store(TCGContext *tcg, uintptr_t value)
{
    ask_for_port(tcg);
    values_before_store(tcg, value);
}

#define ACCESS(name, store, before)                                                                          \
    void __real_##name##_x86_64(TCGContext *tcg, uintptr_t v, uintptr_t at, uint64_t mmu, uint32_t memory);  \
    void __wrap_##name##_x86_64(TCGContext *tcg, uintptr_t v, uintptr_t at, uint64_t mmu, uint32_t memory);  \
    void __wrap_##name##_x86_64(TCGContext *tcg, uintptr_t v, uintptr_t at, uint64_t mmu, uint32_t memory)   \
    {                                                                                                        \
        before;                                                                                              \
        checks_access(tcg, at, memory, store);                                                               \
        __real_##name##_x86_64(tcg, v, at, mmu, aligned(memory));                                            \
        after_access(tcg);                                                                                   \
        values_after_store(tcg), x87_after_store(tcg);                                                       \
    }
ACCESS(tcg_gen_qemu_ld_i32, false, )
ACCESS(tcg_gen_qemu_st_i32, true, x87_before_store(tcg, &v, &at, TEMPORARY_32_BITS))
ACCESS(tcg_gen_qemu_st_i64, true, (x87_before_store(tcg, &v, &at, TEMPORARY_64_BITS), before_store(tcg, v)))

static void move(TCGContext *tcg, uintptr_t result, uintptr_t operand)
{
    tcg_gen_addi_i64_x86_64(tcg, result, operand, 0);
}

/* The engine writes the register's first half between the two loads. */
static void load_whole(TCGContext *tcg, uintptr_t v, uintptr_t at, uint64_t mmu, uint32_t memory)
{
    if (now.second) {
        move(tcg, v, value_of(tcg, now.second));
        tcg_temp_free_internal_x86_64(tcg, now.second);
        now.whole = false;
        return;
    }
    void *first = tcg_temp_new_internal_x86_64(tcg, TEMPORARY_64_BITS, false);
    now.second = tcg_temp_new_internal_x86_64(tcg, TEMPORARY_64_BITS, false);
    uintptr_t second = value_of(tcg, now.second);
    __real_tcg_gen_qemu_ld_i64_x86_64(tcg, value_of(tcg, first), at, mmu, memory);
    tcg_gen_addi_i64_x86_64(tcg, second, at, HALF_BYTES);
    __real_tcg_gen_qemu_ld_i64_x86_64(tcg, second, second, mmu, memory);
    move(tcg, v, value_of(tcg, first));
    tcg_temp_free_internal_x86_64(tcg, first);
}

void __wrap_tcg_gen_qemu_ld_i64_x86_64(TCGContext *tcg, uintptr_t v, uintptr_t at, uint64_t mmu, uint32_t memory)
{
    if (now.whole) {
        if (!now.second)
            checks_access(tcg, at, memory, false);
        load_whole(tcg, v, at, mmu, memory);
        return;
    }
    ask_for_port(tcg);
    checks_access(tcg, address_of(at), memory, false);
    __real_tcg_gen_qemu_ld_i64_x86_64(tcg, v, address_of(at), mmu, aligned(memory));
    checks_loaded(tcg, v, address_of(at));
    after_access(tcg);
}

void __wrap_tcg_gen_callN_x86_64(TCGContext *tcg, void *function, void *result, int count, void **arguments)
{
    if (probe_current && function == (void *)helper_inb_x86_64 && arguments[0] != (char *)tcg + TCG_OFF_ENV)
        probe_current->translator_differs = true;
    if (prologue_replaces(tcg, function) || debug_before_call(tcg, function))
        return;
    if (now.icebp && function == (void *)helper_raise_interrupt_x86_64)
        checks_ask(tcg, ASK_ICEBP | now.icebp);
    bool mmx = function == (void *)helper_enter_mmx_x86_64 && !(now.defer_mmx && now.drop_mmx);
    if (core_current && (mmx || function == (void *)helper_emms_x86_64))
        __real_tcg_gen_callN_x86_64(tcg, (void *)helper_fwait_x86_64, NULL, 1, arguments);
    if (function != (void *)helper_enter_mmx_x86_64 || !now.defer_mmx) {
        /* It takes all flags but ZF from env.cc_op, which the translator keeps to itself until it is asked. */
        if (core_current && (function == (void *)helper_cmpxchg8b_x86_64 || function == (void *)helper_cmpxchg8b_unlocked_x86_64))
            checks_ask(tcg, ASK_CC_OP);
        checks_before_call(tcg, function, arguments);
        __real_tcg_gen_callN_x86_64(tcg, function, result, count, arguments);
        checks_after_call(tcg, function);
    } else if (!now.drop_mmx) {
        now.deferred = function;
        now.deferred_argument = arguments[0];
    }
    if (core_current && (function == (void *)helper_fldenv_x86_64 || function == (void *)helper_frstor_x86_64 ||
                         function == (void *)helper_fxrstor_x86_64))
        call_with(tcg, helper_fldcw_x86_64, X87_SUMMARY);
}

/* ---- each instruction ---- */

static uint8_t fetch(void *env, uint64_t at) { return (uint8_t)__real_cpu_ldub_code_x86_64(env, at); }

static void show(uint64_t at, uint32_t count, uint8_t first, uint8_t second)
{
    now.shown_at = at;
    now.shown_count = count;
    now.shown[0] = first;
    now.shown[1] = second;
}

static void start_afresh(void)
{
    translate_insn *engine = now.engine;
    memset(&now, 0, sizeof now);
    now.engine = engine;
    now.shown_at = NOWHERE;
    values_forget();
    x87_forget();
}

/* A register operand of NEG with LOCK is undefined already. */
static bool is_lock_neg(const struct decoded *d)
{
    return d->lock && (d->opcode == 0xf6 || d->opcode == 0xf7) && decoded_digit(d) == 3;
}

/* Which bytes an INS or OUTS is asked about; the code below is translated for this privilege only. */
static unsigned port_bytes(core *c, const struct decoded *d, bool code32)
{
    uint32_t flags = env_u32(c, ENV_OFF_EFLAGS), privilege = env_u32(c, ENV_OFF_HFLAGS) & HF_CPL_MASK;
    if (d->opcode < OPCODE_INSB || d->opcode > OPCODE_OUTSD || !(env_u32(c, ENV_OFF_CR) & CR0_PE) ||
        (privilege <= (flags >> EFLAGS_IOPL_SHIFT & 3) && !(flags & EFLAGS_VM)))
        return 0;
    if (!(d->opcode & 1))
        return 1;
    return code32 != d->data_prefix ? 4 : 2;
}

static void prepare(core *c, const struct decoded *d, bool undefined, bool code32)
{
    if (undefined)
        show(d->pc, 2, 0x0f, 0x0b);
    else if (d->opcode == OPCODE_ICEBP)
        show(d->pc + d->prefixes, 1, OPCODE_INT3, 0);
    else if (is_lock_neg(d))
        show(d->pc + d->lock_at, 1, PREFIX_REPEAT, 0);
    if (!undefined && decoded_ignores_data_prefix(d)) {
        now.hidden_end = d->pc + d->prefixes;
        now.hidden_as = d->column == COLUMN_F3 ? PREFIX_REPEAT : PREFIX_REPEAT_UNEQUAL;
    }
    now.icebp = d->opcode == OPCODE_ICEBP && !undefined ? d->length : 0;
    now.align = decoded_is_aligned(d);
    now.half = decoded_is_half(d);
    now.whole = decoded_is_whole_load(d);
    now.port_bytes = port_bytes(c, d, code32);
    now.defer_mmx = decoded_is_mmx_memory(d);
    now.drop_mmx = d->opcode == OPCODE_CVTPI2;
    values_begin(d, env_u32(c, ENV_OFF_HFLAGS), (env_u32(c, ENV_OFF_CR) & CR0_PE) && !(env_u32(c, ENV_OFF_EFLAGS) & EFLAGS_VM));
}

/* Behind the instruction at `start`, so that a fault of the next one finds the flags, too. CMC computes them all. */
static void compute_flags(void *block, CPUState *cpu, uint64_t start)
{
    uint64_t *pc = &FIELD(block, DISAS_OFF_PC_NEXT, uint64_t), next = *pc;
    show(start, 1, OPCODE_CMC, 0);
    for (int i = 0; i < 2; i++) {
        *pc = start;
        now.engine(block, cpu);
    }
    *pc = next;
}

static void translate_one(void *block, CPUState *cpu)
{
    core *c = core_current;
    uint64_t *pc = &FIELD(block, DISAS_OFF_PC_NEXT, uint64_t), start = *pc;
    struct decoded d;
    if (!c) {
        probe_current->instructions++;
        if (FIELD(block, DISAS_OFF_IS_JMP, int32_t))
            probe_current->translator_differs = true;
        now.engine(block, cpu);
        return;
    }
    start_afresh();
    if (!decode(&d, start, fetch, c->env)) {
        now.engine(block, cpu);
        return;
    }
    bool undefined = decoded_is_undefined(&d, &c->features);
    debug_begin_instruction(&d);
    prepare(c, &d, undefined, env_u32(c, ENV_OFF_HFLAGS) & HF_CS32_MASK);
    if (!undefined)
        checks_begin_instruction(c->env, &d, fetch), x87_begin_instruction(c, &d, fetch);
    now.engine(block, cpu);
    checks_end_instruction();
    if (undefined)
        *pc = start + d.length;
    start_afresh();
    if (!FIELD(block, DISAS_OFF_IS_JMP, int32_t) && decode_wants_flags(*pc, fetch, c->env)) {
        compute_flags(block, cpu, start);
        start_afresh();
    }
}

void __wrap_translator_loop_x86_64(const struct translator_ops *ops, void *block, CPUState *cpu, TranslationBlock *tb,
                                   int instructions_max)
{
    core *c = core_current;
    start_afresh();
    checks_begin_block();
    debug_begin_block(tb);
    prologue_begin(tb);
    struct translator_ops ours = *ops;
    now.engine = ops->translate;
    if (c ? c->config.cpuid_rows != 0 : !!probe_current)
        ours.translate = translate_one;
    __real_translator_loop_x86_64(&ours, block, cpu, tb, instructions_max);
    prologue_end();
    if (!c && (!FIELD(block, DISAS_OFF_IS_JMP, int32_t) ||
               FIELD(block, DISAS_OFF_PC_NEXT, uint64_t) !=
                   FIELD(tb, TB_OFF_PC, uint64_t) + FIELD(tb, TB_OFF_SIZE, uint16_t)))
        probe_current->translator_differs = true;
}
