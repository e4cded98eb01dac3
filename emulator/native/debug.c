/* debug.c - debug exceptions, and RF, which holds instruction breakpoints back for one instruction.
 *
 *   an access meets a data breakpoint   the instruction is done alone; at its end, or behind the shadow of MOV SS, #DB
 *   MOV of a debug register, DR7.GD     #DB before it
 *   HLT with TF set                     #DB instead of a halt
 *   ICEBP                               #DB behind it, through no gate's privilege
 *   a fault is delivered        EFLAGS is pushed with RF set, so that IRET does not meet a breakpoint again
 *   MOV SS, POP SS              RF is set behind them: an instruction breakpoint on the next instruction is not met
 *   a block starts with RF set  one instruction of it runs (counting.c), and whatever way it is left RF is cleared
 *
 * The engine clears RF at a block's end only, and not at all when one block jumps straight to the next, so it would
 * depend on where blocks end. IRET is the instruction that may leave RF set, and one pass of REP is no instruction.
 *
 * While a data breakpoint is armed every access is asked about, as if no segment allowed everything (segments.h). Instruction and
 * port breakpoints and single steps are the engine's.
 * Source: Intel SDM volume 3, 17.2 (debug registers), 17.3.1 (RF, data breakpoints, GD), 6.8.3 (MOV SS); volume 2, INT1, HLT. */
#include "debug.h"
#include "interpose.h"
#include "segments.h"

#define DR6_BREAKPOINTS 0xfu
#define DR6_GENERAL_DETECT 0x2000u
#define DR6_SINGLE_STEP 0x4000u
#define DR7_GENERAL_DETECT 0x2000u
#define TYPE_WRITE 1u
#define TYPE_READ_WRITE 3u
#define OPCODE_IRET 0xcf
#define OPCODE_POP_SS 0x17
#define OPCODE_MOV_SEGMENT 0x8e
#define EXIT_AGAIN 0u                    /* of a string instruction with REP: to its next pass */
#define VECTOR_DEBUG 1
#define VECTOR_DOUBLE_FAULT 8

void helper_reset_rf_x86_64(CPUX86State *env);
void helper_hlt_x86_64(CPUX86State *env, int length);
void helper_pause_x86_64(CPUX86State *env, int length);
void __real_tcg_gen_callN_x86_64(TCGContext *tcg, void *function, void *result, int count, void **arguments);

/* The block that is translated now begins with RF set, or in a shadow; its instruction is repeated, is IRET, casts one. */
static __thread bool resumes, shadowed, repeats, returns, shadows;

/* ---- exceptions ---- */

/* An instruction breakpoint is a fault, every other debug exception is a trap. */
bool debug_is_fault(core *c)
{
    if (c->general_detect) {
        c->general_detect = false;
        return true;
    }
    const uint64_t *dr = &FIELD(c->env, ENV_OFF_DR, uint64_t);
    uint32_t pc = linear_pc(c);
    if (dr[6] & DR6_SINGLE_STEP)
        return false;
    for (int i = 0; i < 4; i++)
        if ((dr[6] >> i & 1) && (dr[7] >> 2 * i & 3) && !(dr[7] >> (16 + 4 * i) & 3) && (uint32_t)dr[i] == pc)
            return true;
    return false;
}

/* The reference mode's hook is not called for an instruction with a breakpoint, so the run has to be
 * stopped here; counted blocks were stopped at their start. */
bool debug_discard_breakpoint(core *c)
{
    if (!c->config.count_by_instruction || (instructions_left(c) > 0 && !stop_wanted(c)))
        return false;
    FIELD(c->env, ENV_OFF_DR + 8 * 6, uint64_t) = c->reference_dr6;
    c->stop = STOP_ASKED;
    uc_emu_stop(c->uc);
    return true;
}

/* Traps and software interrupts come after their instruction, which has cleared RF; of a debug exception the engine's
 * blocks have. A double fault belongs to no instruction that could be started again. */
void debug_before_delivery(core *c, uint32_t vector, bool software)
{
    uint64_t *eflags = &FIELD(c->env, ENV_OFF_EFLAGS, uint64_t), *dr = &FIELD(c->env, ENV_OFF_DR, uint64_t);
    if (vector == VECTOR_DEBUG && !software) {
        dr[6] |= c->debug_hits | c->debug_pending;
        dr[7] &= ~(uint64_t)DR7_GENERAL_DETECT;
        c->debug_hits = c->debug_pending = 0;
    }
    if (software || vector == VECTOR_DOUBLE_FAULT)
        *eflags &= ~(uint64_t)EFLAGS_RF;
    else if (vector != VECTOR_DEBUG)
        *eflags |= EFLAGS_RF;
}

bool debug_take(core *c, uint32_t bits)
{
    uint64_t *dr6 = &FIELD(c->env, ENV_OFF_DR + 8 * 6, uint64_t);
    *dr6 = (*dr6 & ~(uint64_t)DR6_BREAKPOINTS) | bits;
    c->halted = false;
    bool ok = core_raise_outside(c, VECTOR_DEBUG);
    core_update_watch(c);
    return ok;
}

bool debug_steps_halt(core *c)
{
    return (env_u32(c, ENV_OFF_EFLAGS) & EFLAGS_TF) && debug_take(c, DR6_SINGLE_STEP);
}

/* ---- data breakpoints ---- */

/* Bits of those that are armed and meet `bytes` at `at`; of all that are armed, if it has none. */
static uint32_t data_breakpoints(const CPUX86State *env, uint32_t at, uint32_t bytes, bool store)
{
    static const uint8_t length_less_1[] = { 0, 1, 7, 3 };
    const uint64_t *dr = &FIELD(env, ENV_OFF_DR, uint64_t);
    uint32_t hits = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t type = dr[7] >> (16 + 4 * i) & 3, more = length_less_1[dr[7] >> (18 + 4 * i) & 3];
        uint32_t first = (uint32_t)dr[i] & ~more;
        if (!(dr[7] >> 2 * i & 3) || (type != TYPE_READ_WRITE && type != TYPE_WRITE))
            continue;
        bool meets = (store || type == TYPE_READ_WRITE) && at - first < more + 1;
        meets = meets || ((store || type == TYPE_READ_WRITE) && first - at < bytes);
        if (bytes == 0 || meets)
            hits |= 1u << i;
    }
    return hits;
}

bool debug_asks(const CPUX86State *env) { return data_breakpoints(env, 0, 0, true) != 0; }

void debug_access(CPUX86State *env, uint32_t at, uint32_t bytes, bool store, uintptr_t host_pc)
{
    core *c = core_current;
    uint32_t hits = (FIELD(env, ENV_OFF_DR + 8 * 7, uint32_t) & 0xff) ? data_breakpoints(env, at, bytes, store) : 0;
    if (!hits)
        return;
    if (c->running && !c->config.count_by_instruction) {
        cpu_restore_state_x86_64(c->cpu, host_pc, false);
        int index = block_instruction_index(running_block(c), linear_pc(c));
        if (index != FIELD(running_block(c), TB_OFF_ICOUNT, uint16_t) - 1)
            core_start_instruction_again(c);
    }
    c->debug_hits |= hits;
    core_update_watch(c);
}

void debug_push(CPUX86State *env, uint32_t at, uint32_t bytes)
{
    core *c = core_current;
    if (!c || !(FIELD(env, ENV_OFF_DR + 8 * 7, uint32_t) & 0xff))
        return;
    c->debug_hits |= data_breakpoints(env, at, bytes, true);
    core_update_watch(c);
}

/* ---- MOV of debug registers, ICEBP ---- */

static void detect(CPUX86State *env, uintptr_t host_pc)
{
    core *c = core_current;
    uint64_t *dr = &FIELD(env, ENV_OFF_DR, uint64_t);
    if (!c || FIELD(c->uc, UC_OFF_NESTED_LEVEL, int) == 0 || !(dr[7] & DR7_GENERAL_DETECT))
        return;
    dr[6] = (dr[6] & ~(uint64_t)DR6_BREAKPOINTS) | DR6_GENERAL_DETECT;
    c->general_detect = true;
    raise_exception_ra_x86_64(env, VECTOR_DEBUG, host_pc);
}

void __real_helper_set_dr_x86_64(CPUX86State *env, int reg, uint64_t value);
void __wrap_helper_set_dr_x86_64(CPUX86State *env, int reg, uint64_t value);
void __wrap_helper_set_dr_x86_64(CPUX86State *env, int reg, uint64_t value)
{
    detect(env, (uintptr_t)__builtin_return_address(0));
    __real_helper_set_dr_x86_64(env, reg, value);
    if (core_current)
        segments_changed(env);
}

uint64_t __real_helper_get_dr_x86_64(CPUX86State *env, int reg);
uint64_t __wrap_helper_get_dr_x86_64(CPUX86State *env, int reg);
uint64_t __wrap_helper_get_dr_x86_64(CPUX86State *env, int reg)
{
    detect(env, (uintptr_t)__builtin_return_address(0));
    return __real_helper_get_dr_x86_64(env, reg);
}

void debug_icebp(CPUX86State *env, uint32_t length, uintptr_t host_pc)
{
    uint64_t *dr6 = &FIELD(env, ENV_OFF_DR + 8 * 6, uint64_t);
    cpu_restore_state_x86_64(core_current->cpu, host_pc, false);
    FIELD(env, ENV_OFF_EIP, uint64_t) += length;
    *dr6 &= ~(uint64_t)DR6_BREAKPOINTS;
    raise_exception_err_ra_x86_64(env, VECTOR_DEBUG, 0, 0);
}

void debug_shadow(CPUX86State *env) { FIELD(env, ENV_OFF_EFLAGS, uint64_t) |= EFLAGS_RF; }

/* ---- translation ---- */

void debug_begin_block(const TranslationBlock *tb)
{
    resumes = core_current && (FIELD(tb, TB_OFF_FLAGS, uint32_t) & EFLAGS_RF);
    shadowed = FIELD(tb, TB_OFF_FLAGS, uint32_t) & HF_INHIBIT_IRQ_MASK;
    repeats = returns = shadows = false;
}

/* A string instruction with REP is told apart by its prefix. */
void debug_begin_instruction(const struct decoded *d)
{
    bool string = (d->opcode >= 0xa4 && d->opcode <= 0xa7) || (d->opcode >= 0xaa && d->opcode <= 0xaf) ||
                  (d->opcode >= 0x6c && d->opcode <= 0x6f);
    repeats = string && d->column >= COLUMN_F3;
    returns = d->opcode == OPCODE_IRET;
    bool stack = d->opcode == OPCODE_POP_SS || (d->opcode == OPCODE_MOV_SEGMENT && decoded_digit(d) == SEG_SS);
    shadows = stack && !shadowed;
}

static void clear_rf(TCGContext *tcg)
{
    void *arguments[] = { (char *)tcg + TCG_OFF_ENV };
    __real_tcg_gen_callN_x86_64(tcg, (void *)helper_reset_rf_x86_64, NULL, 1, arguments);
}

/* HLT and PAUSE leave their block from within their call. */
bool debug_before_call(TCGContext *tcg, const void *function)
{
    if (resumes && (function == (const void *)helper_hlt_x86_64 || function == (const void *)helper_pause_x86_64))
        clear_rf(tcg);
    return returns && function == (const void *)helper_reset_rf_x86_64;
}

void debug_before_exit(TCGContext *tcg, unsigned number)
{
    if (resumes && !(repeats && number == EXIT_AGAIN))
        clear_rf(tcg);
}

/* So ends a block whose last instruction casts a shadow. In that of another it casts none, as the engine has it. */
void debug_before_return(TCGContext *tcg, const TranslationBlock *tb)
{
    if (shadows && !tb)
        checks_ask(tcg, ASK_SHADOW);
}
