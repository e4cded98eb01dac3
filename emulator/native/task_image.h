/* task_image.h - what task_switch.c and task_load.c share: a switch that is under way. */
#ifndef FT86_TASK_IMAGE_H
#define FT86_TASK_IMAGE_H
#include "transfers.h"

#define REGISTERS 8
#define TABLE_LOCAL 4u
#define RPL(selector) ((selector) & 3)
#define DPL(high) ((high) >> 13 & 3)
#define TYPE(high) ((high) >> TYPE_SHIFT & 0x1f)
#define GRANULAR (1u << 23)
#define VECTOR_TASK 10
#define VECTOR_NOT_PRESENT 11

struct switching {
    CPUX86State *env;
    uintptr_t host_pc;
    uint32_t external;                   /* EXT in error codes */
};
struct descriptor { uint32_t low, high; };
struct image { uint32_t cr3, eip, flags, registers[REGISTERS], segments[6], ldt, trap; };

static inline void __attribute__((noreturn)) fail(const struct switching *s, int vector, uint32_t selector)
{
    raise_exception_err_ra_x86_64(s->env, vector, (int)((selector & INDEX) | s->external), s->host_pc);
}

static inline uint32_t load(const struct switching *s, uint32_t at, unsigned bytes)
{
    return bytes == 4 ? cpu_ldl_mmuidx_ra_x86_64(s->env, at, MMU_KERNEL, s->host_pc)
                      : cpu_lduw_mmuidx_ra_x86_64(s->env, at, MMU_KERNEL, s->host_pc);
}

static inline void store(const struct switching *s, uint32_t at, uint32_t value, unsigned bytes)
{
    if (bytes == 4)
        cpu_stl_mmuidx_ra_x86_64(s->env, at, value, MMU_KERNEL, s->host_pc);
    else
        cpu_stw_mmuidx_ra_x86_64(s->env, at, value & UINT16_MAX, MMU_KERNEL, s->host_pc);
}

static inline uint32_t base_of(struct descriptor d) { return d.low >> 16 | (d.high & 0xff) << 16 | (d.high & 0xff000000); }
static inline uint32_t limit_of(struct descriptor d)
{
    uint32_t limit = (d.low & 0xffff) | (d.high & 0xf0000);
    return d.high & GRANULAR ? limit << 12 | 0xfff : limit;
}

static inline uint32_t table_address(const CPUX86State *env, uint32_t selector)
{
    int table = selector & TABLE_LOCAL ? ENV_OFF_LDT : ENV_OFF_GDT;
    return FIELD(env, table + SEG_OFF_BASE, uint32_t) + (selector & ~7u & 0xffff);
}

static inline bool read_descriptor(const struct switching *s, uint32_t selector, struct descriptor *d)
{
    int table = selector & TABLE_LOCAL ? ENV_OFF_LDT : ENV_OFF_GDT;
    if ((selector & 0xffff) / 8 * 8 + 7 > FIELD(s->env, table + SEG_OFF_LIMIT, uint32_t))
        return false;
    d->low = load(s, table_address(s->env, selector), 4);
    d->high = load(s, table_address(s->env, selector) + 4, 4);
    return true;
}

/* task_load.c: a segment or system register; the new task's state, with TR as it is */
void task_set_segment(CPUX86State *env, int at, uint32_t selector, uint32_t base, uint32_t limit, uint32_t flags);
void task_load(const struct switching *s, const struct image *image);
#endif
