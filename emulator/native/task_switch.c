/* task_switch.c - hardware task switches: JMP, CALL, exceptions and interrupts to a task segment or gate, IRET with NT set.
 *
 *   find the task segment -> read it all -> make sure that nothing faults -> save the old task -> TR, then the new task
 *                            (faults are the old task's)                     (from here on they are the new task's)
 *
 * The engine's own knows no 16-bit task segments (its offsets of segment registers are wrong), saves in the format of the new
 * one, ignores the T bit and blames faults of the new task on the old one's instruction.
 *
 *   32 bits  backlink 0  CR3 1Ch  EIP 20h  EFLAGS 24h  EAX .. EDI 28h  ES .. GS 48h (dwords)  LDT 60h  T 64h
 *   16 bits  backlink 0           IP 0Eh   FLAGS 10h   AX .. DI 12h    ES .. DS 22h (words)   LDT 2Ah
 *
 * Source: Intel SDM volume 3, 7.2 to 7.3 (table 7-1), 7.6 (16-bit task segments), 6.13; volume 2, JMP, CALL, IRET, INT n. */
#include "core_internal.h"
#include "task_image.h"
#include "task_switch.h"

#define TYPE_TSS 1u                      /* with BUSY and 32_BITS */
#define TYPE_TASK_GATE 5u
#define TYPE_BUSY 2u
#define TYPE_32_BITS 8u
#define BUSY (TYPE_BUSY << TYPE_SHIFT)
#define NESTED_TASK (1u << 14)
#define FLAGS_HIDDEN (EFLAGS_VM | EFLAGS_RF)
#define CR0_TS 8u
#define DR6_TASK 0x8000u
#define DR7_LOCAL 0x55u
#define VECTOR_DEBUG 1

void cpu_x86_update_cr3_x86_64(CPUX86State *env, uint64_t value);
void cpu_x86_update_dr7_x86_64(CPUX86State *env, uint32_t value);
uint64_t helper_read_eflags_x86_64(CPUX86State *env);

struct format { uint8_t bytes, eip, flags, registers, segments, segment_step, segment_count, ldt, size; };
static const struct format format16 = { 2, 0x0e, 0x10, 0x12, 0x22, 2, 4, 0x2a, 0x2c };
static const struct format format32 = { 4, 0x20, 0x24, 0x28, 0x48, 4, 6, 0x60, 0x68 };
#define OFFSET_CR3 0x1c
#define OFFSET_TRAP 0x64

static __thread bool trap_wanted;        /* the new task segment's T bit */

static void need_writable(const struct switching *s, uint32_t at)
{
    probe_access_x86_64(s->env, at, 1, ACCESS_STORE, MMU_KERNEL, s->host_pc);
}

static const struct format *format_of(uint32_t high) { return TYPE(high) & TYPE_32_BITS ? &format32 : &format16; }

/* ---- the old task ---- */

static struct descriptor find(const struct switching *s, uint32_t selector, enum task_source source)
{
    int wrong = source == TASK_RETURN ? VECTOR_TASK : VECTOR_PROTECTION;
    uint32_t type = TYPE_TSS | (source == TASK_RETURN ? TYPE_BUSY : 0);
    struct descriptor d;
    if ((selector & TABLE_LOCAL) || !read_descriptor(s, selector, &d) || (TYPE(d.high) & ~TYPE_32_BITS) != type)
        fail(s, wrong, selector);
    if (!(d.high & PRESENT))
        fail(s, VECTOR_NOT_PRESENT, selector);
    if (limit_of(d) < format_of(d.high)->size - 1u)
        fail(s, VECTOR_TASK, selector);
    return d;
}

static void read_image(const struct switching *s, uint32_t at, const struct format *f, struct image *image)
{
    *image = (struct image){ .eip = load(s, at + f->eip, f->bytes), .flags = load(s, at + f->flags, f->bytes) };
    for (int i = 0; i < REGISTERS; i++)
        image->registers[i] = load(s, at + f->registers + f->bytes * i, f->bytes) | (f == &format16 ? 0xffff0000 : 0);
    for (int i = 0; i < f->segment_count; i++)
        image->segments[i] = load(s, at + f->segments + f->segment_step * i, 2);
    image->ldt = load(s, at + f->ldt, 2);
    if (f == &format32) {
        image->cr3 = load(s, at + OFFSET_CR3, 4);
        image->trap = load(s, at + OFFSET_TRAP, 2) & 1;
    }
}

static void save(const struct switching *s, uint32_t at, const struct format *f, uint32_t eip, bool nested)
{
    uint32_t hidden = eflags(s->env) & FLAGS_HIDDEN;
    uint32_t flags = ((uint32_t)helper_read_eflags_x86_64(s->env) | hidden) & ~(nested ? 0 : NESTED_TASK);
    store(s, at + f->eip, eip, f->bytes);
    store(s, at + f->flags, flags, f->bytes);
    for (int i = 0; i < REGISTERS; i++)
        store(s, at + f->registers + f->bytes * i, FIELD(s->env, ENV_OFF_REGS + 8 * i, uint32_t), f->bytes);
    for (int i = 0; i < f->segment_count; i++)
        store(s, at + f->segments + f->segment_step * i, segment(s->env, i, SEG_OFF_SELECTOR), 2);
}

static void set_busy(const struct switching *s, uint32_t selector, bool busy)
{
    uint32_t at = table_address(s->env, selector) + 4, high = load(s, at, 4);
    store(s, at, busy ? high | BUSY : high & ~BUSY, 4);
}

/* ---- from one to the other ---- */

/* All that the switch writes before it can no longer fail. */
static void need_all_writable(const struct switching *s, const struct format *old, uint32_t old_base, uint32_t old_entry,
                              uint32_t new_base, uint32_t new_entry, enum task_source source)
{
    need_writable(s, old_base + old->eip);
    need_writable(s, old_base + old->size - 1);
    if (source == TASK_CALL)
        need_writable(s, new_base);
    else
        need_writable(s, old_entry + 4);
    if (source != TASK_RETURN)
        need_writable(s, new_entry + 4);
}

/* TR and what comes with it. */
static void enter(CPUX86State *env, uint32_t selector, struct descriptor d, uint32_t cr3)
{
    uint32_t dr7 = FIELD(env, ENV_OFF_DR + 8 * 7, uint32_t);
    task_set_segment(env, ENV_OFF_TR, selector, base_of(d), limit_of(d), d.high & ~BUSY);
    cpu_x86_update_cr0_x86_64(env, FIELD(env, ENV_OFF_CR, uint32_t) | CR0_TS);
    if (format_of(d.high) == &format32 && (FIELD(env, ENV_OFF_CR, uint32_t) & CR0_PG)) {
        cpu_x86_update_cr3_x86_64(env, cr3);
        pae_load(core_current);
    }
    if (dr7 & DR7_LOCAL)
        cpu_x86_update_dr7_x86_64(env, dr7 & ~DR7_LOCAL);
}

/* To the task segment of that selector; eip is what the old task goes on with. */
static void task_switch(CPUX86State *env, uint32_t selector, enum task_source source, uint32_t eip, bool external,
                        uintptr_t host_pc)
{
    struct switching s = { env, host_pc, external };
    struct image image;
    struct descriptor d = find(&s, selector, source);
    uint32_t base = base_of(d), old = FIELD(env, ENV_OFF_TR + SEG_OFF_BASE, uint32_t);
    uint32_t old_selector = FIELD(env, ENV_OFF_TR + SEG_OFF_SELECTOR, uint32_t) & ~TABLE_LOCAL;
    const struct format *old_format = format_of(FIELD(env, ENV_OFF_TR + SEG_OFF_FLAGS, uint32_t));
    read_image(&s, base, format_of(d.high), &image);
    need_all_writable(&s, old_format, old, table_address(env, old_selector), base, table_address(env, selector),
                      source);
    save(&s, old, old_format, eip, source != TASK_RETURN);
    if (source == TASK_CALL) {
        store(&s, base, old_selector, 2);
        image.flags |= NESTED_TASK;
    } else {
        set_busy(&s, old_selector, false);
    }
    if (source != TASK_RETURN)
        set_busy(&s, selector, true);
    enter(env, selector, d, image.cr3);
    s.host_pc = 0;                       /* what follows is no fault of the instruction, which has retired */
    core_current->running = NULL;
    core_current->instruction_open = core_current->interrupt_open = false;
    task_load(&s, &image);
    trap_wanted = image.trap;
}

static void trap(CPUX86State *env)
{
    if (!trap_wanted)
        return;
    FIELD(env, ENV_OFF_DR + 8 * 6, uint64_t) |= DR6_TASK;
    raise_exception_ra_x86_64(env, VECTOR_DEBUG, 0);
}

/* ---- how a switch comes about ---- */

/* The state is the new task's, of which the translated code knows nothing. */
static void __attribute__((noreturn)) leave(CPUX86State *env)
{
    trap(env);
    cpu_loop_exit_x86_64(core_current->cpu);
}

void task_transfer(CPUX86State *env, uint32_t selector, enum task_source source, uint32_t next, uintptr_t host_pc)
{
    struct switching s = { env, host_pc, 0 };
    struct descriptor d;
    if (!core_current || !(selector & INDEX) || !read_descriptor(&s, selector, &d))
        return;
    if (TYPE(d.high) != TYPE_TASK_GATE && (TYPE(d.high) & ~TYPE_32_BITS) != TYPE_TSS)
        return;
    if (DPL(d.high) < privilege(env) || DPL(d.high) < RPL(selector))
        fail(&s, VECTOR_PROTECTION, selector);
    if (TYPE(d.high) == TYPE_TASK_GATE && !(d.high & PRESENT))
        fail(&s, VECTOR_NOT_PRESENT, selector);
    cpu_restore_state_x86_64(core_current->cpu, host_pc, false);     /* for the flags */
    task_switch(env, TYPE(d.high) == TYPE_TASK_GATE ? d.low >> 16 : selector, source, next, false, host_pc);
    leave(env);
}

void task_return(CPUX86State *env, uint32_t next, uintptr_t host_pc)
{
    struct switching s = { env, host_pc, 0 };
    uint32_t selector = load(&s, FIELD(env, ENV_OFF_TR + SEG_OFF_BASE, uint32_t), 2);
    cpu_restore_state_x86_64(core_current->cpu, host_pc, false);
    task_switch(env, selector, TASK_RETURN, next, false, host_pc);
    leave(env);
}

bool task_interrupt(CPUX86State *env, unsigned vector, uint32_t eip, bool external)
{
    struct switching s = { env, 0, external };
    if (!(FIELD(env, ENV_OFF_CR, uint32_t) & CR0_PE) || 8 * vector + 7 > FIELD(env, ENV_OFF_IDT + SEG_OFF_LIMIT, uint32_t))
        return false;
    uint32_t at = FIELD(env, ENV_OFF_IDT + SEG_OFF_BASE, uint32_t) + 8 * vector, high = load(&s, at + 4, 4);
    if (TYPE(high) != TYPE_TASK_GATE)
        return false;
    if (!(high & PRESENT))
        raise_exception_err_ra_x86_64(env, VECTOR_NOT_PRESENT, (int)(8 * vector + 2 + external), 0);
    task_switch(env, load(&s, at, 4) >> 16, TASK_CALL, eip, external, 0);
    return true;
}

void task_push_error(CPUX86State *env, uint32_t error)
{
    struct switching s = { env, 0, 1 };
    struct stack stack = stack_current(env);
    unsigned bytes = format_of(FIELD(env, ENV_OFF_TR + SEG_OFF_FLAGS, uint32_t))->bytes;
    uint64_t *esp = &FIELD(env, ENV_OFF_REGS + 8 * REG_ESP, uint64_t);
    uint32_t offset = ((uint32_t)*esp - bytes) & stack.mask;
    if (!stack_has_room(stack, offset, 0, 1, bytes))
        fail(&s, VECTOR_STACK, 0);
    store(&s, stack.base + offset, error, bytes);
    *esp = ((uint32_t)*esp & ~stack.mask) | offset;
}

void task_end_interrupt(CPUX86State *env)
{
    FIELD(env, ENV_OFF_OLD_EXCEPTION, int32_t) = -1;
    trap(env);
}
