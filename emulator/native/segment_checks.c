/* segment_checks.c - where translated code asks whether a segment allows an access.
 *
 *   decode.c: the instruction -> segments of its loads and stores -> each access that the engine emits: a call before it
 *
 * The offset is the access's linear address less the segment's base, so any way to compute an address is covered. An
 * engine's helper that accesses memory gets the question before its call. Nothing is emitted for segments that allow
 * everything: their bits in hflags, by which translations are found, are clear.
 *
 * A load of a segment register that does not end its block makes that segment unknown to the block's rest, and the block
 * must not be chained to others: its successors depend on what was loaded.
 * Source: Intel SDM volume 3, 5.3 to 5.5; volume 1, 3.7.4 (default segments); volume 2, appendix A (opcode maps). */
#include "core_internal.h"
#include "debug.h"
#include "engine.h"
#include "interpose.h"
#include "segments.h"

#define NO_SEGMENT (-1)
#define OPCODE_MASKMOV 0x1f7             /* its other operand is at DS:EDI */
#define MEMORY_SIZE 3u                   /* of an access's description: log2 of its bytes */
#define DIRECT_EXITS 2u                  /* numbers of a block's exits below it lead straight to other blocks */

void tcg_gen_lookup_and_goto_ptr_x86_64(TCGContext *tcg);
void __real_tcg_gen_goto_tb_x86_64(TCGContext *tcg, unsigned number);
void __wrap_tcg_gen_goto_tb_x86_64(TCGContext *tcg, unsigned number);
void __real_tcg_gen_exit_tb_x86_64(TCGContext *tcg, const TranslationBlock *tb, unsigned number);
void __wrap_tcg_gen_exit_tb_x86_64(TCGContext *tcg, const TranslationBlock *tb, unsigned number);

/* Only their addresses are used; engine.h declares the others. */
#define DECLARE(name) void helper_##name##_x86_64(void);
DECLARE(fldt_ST0) DECLARE(fstt_ST0) DECLARE(fbld_ST0) DECLARE(fbst_ST0) DECLARE(fstenv) DECLARE(fsave) DECLARE(fxsave)
DECLARE(boundw) DECLARE(boundl) DECLARE(maskmov_mmx) DECLARE(maskmov_xmm) DECLARE(load_seg) DECLARE(ljmp_protected)
DECLARE(lcall_protected) DECLARE(lret_protected) DECLARE(iret_protected) DECLARE(lcall_real) DECLARE(iret_real)
DECLARE(write_crN) DECLARE(lmsw)

static __thread struct {
    CPUX86State *env;                    /* NULL: not translating an instruction */
    uint32_t checked;                    /* bit n: accesses through segment register n are asked about */
    uint32_t loaded, loads;              /* bit n: the block has loaded it before; this instruction loads it */
    bool store_to_code;                  /* a store through CS is asked about in any case */
    int8_t load, later_load, store;      /* segments of the first load, of later ones, and of stores */
    uint32_t first_bytes;                /* of the whole operand, if it is more than the first access */
    uint32_t whole_store;                /* bytes of a store in parts, before its first part */
    bool aligned;                        /* alignment may be checked */
    uint32_t jump_of_load;               /* what to ask of the first value it loads: a near jump's target */
    bool modifies;                       /* what it loads is stored to, too, and flags have changed by then */
    uint32_t bytes;                      /* of the newest access */
    bool frame32;                        /* FSAVE, FSTENV and their like in their 32-bit format */
} now;

void checks_begin_block(void)
{
    now.env = NULL;
    now.loaded = now.loads = 0;
}

void checks_end_instruction(void)
{
    now.env = NULL;
    now.loaded |= now.loads;
    now.loads = 0;
}

/* ---- which segments an instruction uses ---- */

static bool opcode_has_modrm(unsigned opcode)
{
    if (opcode >= OPCODE_TWO_BYTES) {
        opcode &= 0xff;
        return !((opcode >= 0x04 && opcode <= 0x0c) || opcode == 0x0e || (opcode >= 0x30 && opcode <= 0x37) ||
                 opcode == 0x77 || (opcode >= 0x80 && opcode <= 0x8f) || (opcode >= 0xa0 && opcode <= 0xa2) ||
                 (opcode >= 0xa8 && opcode <= 0xaa) || (opcode >= 0xc8 && opcode <= 0xcf));
    }
    if (opcode < 0x40)
        return (opcode & 7) < 4;
    return opcode == 0x62 || opcode == 0x63 || opcode == 0x69 || opcode == 0x6b || (opcode >= 0x80 && opcode <= 0x8f) ||
           opcode == 0xc0 || opcode == 0xc1 || (opcode >= 0xc4 && opcode <= 0xc7) || (opcode >= 0xd0 && opcode <= 0xd3) ||
           (opcode >= 0xd8 && opcode <= 0xdf) || opcode == 0xf6 || opcode == 0xf7 || opcode >= 0xfe;
}

/* The segment of a memory operand without a prefix: SS when its address is based on the stack or frame pointer. */
static int default_segment(uint8_t modrm, uint8_t sib, bool address32)
{
    int mode = modrm >> 6, base = modrm & 7;
    if (!address32)
        return base == 2 || base == 3 || (base == 6 && mode != 0) ? SEG_SS : SEG_DS;
    if (base == 4) {
        base = sib & 7;
        if (base == 4)
            return SEG_SS;
    }
    return base == 5 && mode != 0 ? SEG_SS : SEG_DS;
}

static void use(int load, int later_load, int store)
{
    now.load = (int8_t)load;
    now.later_load = (int8_t)later_load;
    now.store = (int8_t)store;
}

static void use_modrm(const struct decoded *d, uint8_t modrm, int segment)
{
    unsigned digit = modrm >> 3 & 7;
    if (modrm >= 0xc0 && d->opcode != OPCODE_MASKMOV)
        segment = SEG_SS;                                /* CALL of a register */
    use(segment, segment, segment);
    if (d->opcode == 0x8f)
        use(SEG_SS, SEG_SS, segment);                    /* POP to memory */
    else if (d->opcode == 0xff && (digit == 2 || digit == 3 || digit == 6))
        use(segment, segment, SEG_SS);                   /* CALL through and PUSH of memory */
}

/* The operand's bytes where the engine accesses it in parts and a store of the first would be seen. */
static uint32_t whole_operand(const struct decoded *d, unsigned digit)
{
    if (decoded_is_aligned(d))
        return 16;
    switch (d->opcode) {
    case 0x110: case 0x111: return d->column <= COLUMN_66 ? 16 : 0;
    case 0x16f: case 0x17f: return d->column == COLUMN_F3 ? 16 : 0;
    case 0x101: return digit <= 3 ? 6 : 0;               /* SGDT, SIDT, LGDT, LIDT */
    default: return 0;
    }
}

static void use_segments(const struct decoded *d, bool address32, uint8_t (*fetch)(void *opaque, uint64_t at))
{
    int data = d->segment >= 0 ? d->segment : SEG_DS;
    uint64_t next = d->pc + d->length;
    if (opcode_has_modrm(d->opcode)) {
        uint8_t modrm = d->has_modrm ? d->modrm : fetch(now.env, next++);
        bool sib = address32 && modrm < 0xc0 && (modrm & 7) == 4;
        if (d->segment < 0 && modrm < 0xc0)
            data = default_segment(modrm, sib ? fetch(now.env, next) : 0, address32);
        use_modrm(d, modrm, data);
        now.first_bytes = whole_operand(d, modrm >> 3 & 7);
        return;
    }
    switch (d->opcode) {
    case 0x6c: case 0x6d: case 0xaa: case 0xab: case 0xae: case 0xaf: use(SEG_ES, SEG_ES, SEG_ES); break;
    case 0xa4: case 0xa5: use(data, data, SEG_ES); break;
    case 0xa6: case 0xa7: use(SEG_ES, data, NO_SEGMENT); break;  /* the engine loads the second operand first */
    case 0x6e: case 0x6f: case 0xa0: case 0xa1: case 0xa2: case 0xa3: case 0xac: case 0xad: case 0xd7:
        use(data, data, data);
        break;
    default: use(SEG_SS, SEG_SS, SEG_SS);
    }
}

/* Segment registers that an instruction may load without ending its block. */
static uint32_t loads_of(const struct decoded *d)
{
    switch (d->opcode) {
    case 0x07: case 0xc4: return 1u << SEG_ES;
    case 0x1f: case 0xc5: return 1u << SEG_DS;
    case 0x8e: return 1u << SEG_ES | 1u << SEG_DS | 1u << SEG_FS | 1u << SEG_GS;
    case 0x1a1: case 0x1b4: return 1u << SEG_FS;
    case 0x1a9: case 0x1b5: return 1u << SEG_GS;
    default: return 0;
    }
}

/* ---- what is emitted ---- */

static void ask(TCGContext *tcg, uint32_t what, uintptr_t at)
{
    void *env = pointer(tcg, TCG_OFF_ENV), *question = pointer(tcg, tcg_const_i32_x86_64(tcg, (int32_t)what));
    void *arguments[] = { env, question, at ? pointer(tcg, at) : env };
    __real_tcg_gen_callN_x86_64(tcg, (void *)helper_svm_check_intercept_param_x86_64, NULL, 3, arguments);
    tcg_temp_free_internal_x86_64(tcg, question);
}

/* What to ask of the operand itself. SGDT stores 2 bytes and 4, MOVUPS 8 and 8. */
static uint32_t operand_question(uint32_t *bytes, uint32_t align, bool store)
{
    bool in_parts = store && *bytes < now.whole_store, aligned = now.aligned;
    if (in_parts) {
        *bytes = now.whole_store;
        align = align < 4 ? 4 : align;
        now.whole_store = 0;
        now.aligned = false;
    }
    bool whole = in_parts || (store && *bytes > 8 && align > 1);
    return (whole ? ASK_WHOLE : 0) | ((align > 8 ? whole : aligned) ? (align - 1) << ASK_ALIGN_SHIFT : 0);
}

/* The segment of an access that must be asked about. */
static uint32_t asked_segment(int segment, bool store)
{
    bool checked = segment >= 0 && ((now.checked >> segment & 1) || (now.store_to_code && store && segment == SEG_CS));
    return checked ? (uint32_t)segment : ASK_NO_SEGMENT;
}

static void ask_access(TCGContext *tcg, uintptr_t at, uint32_t bytes, uint32_t align, bool store)
{
    uint32_t segment = asked_segment(store ? now.store : now.load, store);
    bool checked = segment != ASK_NO_SEGMENT;
    uint32_t question = operand_question(&bytes, align, store);
    if (!store)
        now.load = now.later_load;
    if (checked && bytes < now.first_bytes)
        bytes = now.first_bytes;
    if (checked)
        now.first_bytes = 0;
    now.bytes = bytes;
    if (checked || question)
        ask(tcg, question | bytes | segment << ASK_SEGMENT_SHIFT | (store ? ASK_STORE : 0), at);
}

void checks_ask(TCGContext *tcg, uint32_t what) { ask(tcg, what, 0); }

void checks_access(TCGContext *tcg, uintptr_t at, uint32_t memory, bool store)
{
    if (now.env)
        ask_access(tcg, at, 1u << (memory & MEMORY_SIZE), 1u << (memory & MEMORY_SIZE), store);
}

/* The value that the instruction has just loaded from there. */
void checks_loaded(TCGContext *tcg, uintptr_t value, uintptr_t at)
{
    if (now.env && now.jump_of_load)
        ask(tcg, now.jump_of_load, value);
    now.jump_of_load = 0;
    if (now.env && now.modifies)
        ask(tcg, ASK_MODIFIES | ASK_STORE | now.bytes | asked_segment(now.store, true) << ASK_SEGMENT_SHIFT, at);
    now.modifies = false;
}

static void ask_with(uint32_t question, uint32_t constant)
{
    TCGContext *tcg = FIELD(core_current->uc, UC_OFF_TCG, TCGContext *);
    uintptr_t at = tcg_const_i64_x86_64(tcg, constant);
    ask(tcg, question, at);
    tcg_temp_free_internal_x86_64(tcg, pointer(tcg, at));
}

static void ask_jump(const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at), bool code32, bool far)
{
    uint32_t target;
    bool of_load;
    uint32_t question = code_limit_question(now.env, d, fetch, code32, far, &target, &of_load);
    if (of_load)
        now.jump_of_load = question;
    else if (question)
        ask_with(question, target);
}

void checks_begin_instruction(CPUX86State *env, const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at))
{
    uint32_t hflags = FIELD(env, ENV_OFF_HFLAGS, uint32_t);
    bool code32 = hflags & HF_CS32_MASK;
    bool types = (hflags & HF_PE_MASK) && !(FIELD(env, ENV_OFF_EFLAGS, uint32_t) & EFLAGS_VM);
    now.env = env;
    now.loads = types ? loads_of(d) : 0;
    now.checked = now.loaded;
    for (int segment = SEG_ES; segment <= SEG_GS; segment++)
        if (hflags & HF_CHECKED(segment))
            now.checked |= 1u << segment;
    now.store_to_code = types && d->segment == SEG_CS;
    now.first_bytes = 0;
    now.whole_store = operand_whole_store(d);
    now.aligned = operand_is_aligned_code(env) && !decoded_is_aligned(d);
    now.frame32 = code32 != d->data_prefix;
    now.modifies = decoded_is_rotation_of_memory(d, fetch, env);
    use(NO_SEGMENT, NO_SEGMENT, NO_SEGMENT);
    if ((now.checked & (1u << SEG_ES | 1u << SEG_SS | 1u << SEG_DS)) || now.store_to_code ||
        (d->segment >= 0 && (now.checked >> d->segment & 1)))
        use_segments(d, code32 != d->address_prefix, fetch);
    now.jump_of_load = 0;
    uint32_t allocated, frame = stack_frame_question(env, d, fetch, code32, now.checked >> SEG_SS & 1, &allocated);
    if (frame)
        ask_with(frame, allocated);
    if (hflags & HF_CHECKED(SEG_CS))
        ask_jump(d, fetch, code32, !types);
}

/* The engine's functions that access memory themselves. */
static const struct { const void *function; uint8_t at; uint16_t bytes, bytes16; uint8_t align, align16; bool store; } helpers[] = {
#define ALIGNED(name, at, bytes, align, store) { (const void *)helper_##name##_x86_64, at, bytes, bytes, align, align, store }
#define FRAME(name, bytes, bytes16, store) { (const void *)helper_##name##_x86_64, 1, bytes, bytes16, 4, 2, store }
    ALIGNED(fldt_ST0, 1, 10, 8, false), ALIGNED(fstt_ST0, 1, 10, 8, true), ALIGNED(fbld_ST0, 1, 10, 8, false),
    ALIGNED(fbst_ST0, 1, 10, 8, true), FRAME(fldenv, 28, 14, false), FRAME(fstenv, 28, 14, true),
    FRAME(frstor, 108, 94, false), FRAME(fsave, 108, 94, true), ALIGNED(fxrstor, 1, 512, 16, false),
    ALIGNED(fxsave, 1, 512, 16, true), ALIGNED(cmpxchg8b, 1, 8, 8, true), ALIGNED(cmpxchg8b_unlocked, 1, 8, 8, true),
    ALIGNED(boundw, 1, 4, 2, false), ALIGNED(boundl, 1, 8, 4, false), ALIGNED(maskmov_mmx, 3, 8, 1, true),
    ALIGNED(maskmov_xmm, 3, 16, 1, true),
#undef ALIGNED
#undef FRAME
};

void checks_before_call(TCGContext *tcg, const void *function, void **arguments)
{
    if (!now.env)
        return;
    for (size_t i = 0; i < sizeof helpers / sizeof *helpers; i++)
        if (function == helpers[i].function)
            ask_access(tcg, (uintptr_t)arguments[helpers[i].at] - (uintptr_t)tcg,
                       now.frame32 ? helpers[i].bytes : helpers[i].bytes16,
                       now.frame32 ? helpers[i].align : helpers[i].align16, helpers[i].store);
}

void checks_after_call(TCGContext *tcg, const void *function)
{
    static const void *const loaders[] = {
        (const void *)helper_load_seg_x86_64, (const void *)helper_ljmp_protected_x86_64,
        (const void *)helper_lcall_protected_x86_64, (const void *)helper_lret_protected_x86_64,
        (const void *)helper_iret_protected_x86_64, (const void *)helper_lcall_real_x86_64,
        (const void *)helper_iret_real_x86_64, (const void *)helper_write_crN_x86_64, (const void *)helper_lmsw_x86_64
    };
    for (size_t i = 0; now.env && i < sizeof loaders / sizeof *loaders; i++)
        if (function == loaders[i])
            ask(tcg, ASK_NOTHING, 0);
}

/* ---- blocks that know less at their end than at their start ---- */

static bool is_unchained(void) { return now.loaded | now.loads; }

void __wrap_tcg_gen_goto_tb_x86_64(TCGContext *tcg, unsigned number)
{
    debug_before_exit(tcg, number);
    if (!is_unchained())
        __real_tcg_gen_goto_tb_x86_64(tcg, number);
}

void __wrap_tcg_gen_exit_tb_x86_64(TCGContext *tcg, const TranslationBlock *tb, unsigned number)
{
    debug_before_return(tcg, tb);
    if (tb && number < DIRECT_EXITS && is_unchained())
        tcg_gen_lookup_and_goto_ptr_x86_64(tcg);
    else
        __real_tcg_gen_exit_tb_x86_64(tcg, tb, number);
}
