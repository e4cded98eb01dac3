/* task_load.c - the second half of a task switch: registers, LDT and segments of the new task. Its faults are the new
 * task's, and what has been loaded stays.
 * Source: Intel SDM volume 3, table 7-1 and 7.3; 20.2.1 (segments of virtual 8086 tasks). */
#include "segments.h"
#include "task_image.h"

#define TYPE_LDT 2u
#define IS_SEGMENT 0x10u
#define IS_CODE 0x18u
#define READ_WRITE 2u                    /* of code: may be read; of data: may be written */
#define CONFORMING 4u
#define BIG (1u << 22)
#define ACCESSED (1u << 8)
#define FLAGS_OF_SYSTEM 0x3f7300u        /* the engine keeps those of arithmetic apart */
#define V86_FLAGS 0xf300u
#define HF_ADDSEG (1u << 6)

void helper_write_eflags_x86_64(CPUX86State *env, uint64_t value, uint32_t mask);

void task_set_segment(CPUX86State *env, int at, uint32_t selector, uint32_t base, uint32_t limit, uint32_t flags)
{
    FIELD(env, at + SEG_OFF_SELECTOR, uint32_t) = selector;
    FIELD(env, at + SEG_OFF_BASE, uint64_t) = base;
    FIELD(env, at + SEG_OFF_LIMIT, uint32_t) = limit;
    FIELD(env, at + SEG_OFF_FLAGS, uint32_t) = flags;
}

/* The engine's copies of what CS and SS say. */
static void derive(CPUX86State *env)
{
    uint32_t code = segment(env, SEG_CS, SEG_OFF_FLAGS), stack = segment(env, SEG_SS, SEG_OFF_FLAGS);
    uint32_t bases = segment(env, SEG_DS, SEG_OFF_BASE) | segment(env, SEG_ES, SEG_OFF_BASE) |
                     segment(env, SEG_SS, SEG_OFF_BASE);
    uint32_t *h = &FIELD(env, ENV_OFF_HFLAGS, uint32_t);
    *h &= ~(HF_CPL_MASK | HF_CS32_MASK | HF_SS32_MASK | HF_ADDSEG | HF_INHIBIT_IRQ_MASK);
    *h |= DPL(stack) | (code & BIG ? HF_CS32_MASK : 0) | (stack & BIG ? HF_SS32_MASK : 0);
    *h |= (eflags(env) & EFLAGS_VM) || !(code & BIG) || bases ? HF_ADDSEG : 0;
    segments_changed(env);
}

static void load_ldt(const struct switching *s, uint32_t selector)
{
    struct descriptor d;
    task_set_segment(s->env, ENV_OFF_LDT, selector, 0, 0, 0);
    if (!(selector & INDEX))
        return;
    if ((selector & TABLE_LOCAL) || !read_descriptor(s, selector, &d) || TYPE(d.high) != TYPE_LDT || !(d.high & PRESENT))
        fail(s, VECTOR_TASK, selector);
    task_set_segment(s->env, ENV_OFF_LDT, selector, base_of(d), limit_of(d), d.high);
}

static bool is_allowed(int number, uint32_t selector, uint32_t high, uint32_t cpl)
{
    uint32_t type = TYPE(high);
    bool is_code = (type & IS_CODE) == IS_CODE, conforming = is_code && (type & CONFORMING);
    if (!(type & IS_SEGMENT))
        return false;
    if (number == SEG_CS)
        return is_code && (conforming ? DPL(high) <= RPL(selector) : DPL(high) == RPL(selector));
    if (number == SEG_SS)
        return !is_code && (type & READ_WRITE) && DPL(high) == cpl && RPL(selector) == cpl;
    return (!is_code || (type & READ_WRITE)) && (conforming || (DPL(high) >= cpl && DPL(high) >= RPL(selector)));
}

static void load_segment(const struct switching *s, int number, uint32_t selector, uint32_t cpl)
{
    struct descriptor d;
    if (!(selector & INDEX)) {
        if (number == SEG_CS || number == SEG_SS)
            fail(s, VECTOR_TASK, selector);
        return;
    }
    if (!read_descriptor(s, selector, &d) || !is_allowed(number, selector, d.high, cpl))
        fail(s, VECTOR_TASK, selector);
    if (!(d.high & PRESENT))
        fail(s, number == SEG_SS ? VECTOR_STACK : VECTOR_NOT_PRESENT, selector);
    if (!(d.high & ACCESSED))
        store(s, table_address(s->env, selector) + 4, d.high |= ACCESSED, 4);
    task_set_segment(s->env, ENV_OFF_SEGS + number * SEG_STRIDE, selector, base_of(d), limit_of(d), d.high);
    derive(s->env);
}

void task_load(const struct switching *s, const struct image *image)
{
    static const int order[] = { SEG_CS, SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    CPUX86State *env = s->env;
    bool v86 = image->flags & EFLAGS_VM;
    FIELD(env, ENV_OFF_EIP, uint64_t) = image->eip;
    helper_write_eflags_x86_64(env, image->flags, FLAGS_OF_SYSTEM);
    for (int i = 0; i < REGISTERS; i++)
        FIELD(env, ENV_OFF_REGS + 8 * i, uint64_t) = image->registers[i];
    for (int i = SEG_ES; i <= SEG_GS; i++)
        task_set_segment(env, ENV_OFF_SEGS + i * SEG_STRIDE, image->segments[i], v86 ? image->segments[i] << 4 : 0,
                    v86 ? UINT16_MAX : 0, v86 ? V86_FLAGS : 0);
    derive(env);
    load_ldt(s, image->ldt);
    for (int i = 0; i < 6 && !v86; i++)
        load_segment(s, order[i], image->segments[order[i]], RPL(image->segments[SEG_CS]));
    if (image->eip > segment(env, SEG_CS, SEG_OFF_LIMIT))
        fail(s, VECTOR_PROTECTION, 0);
}
