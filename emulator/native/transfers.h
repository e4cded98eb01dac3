/* transfers.h - a far transfer that is under way; for transfers.c and transfer_checks.c only. */
#ifndef FT86_TRANSFERS_H
#define FT86_TRANSFERS_H
#include <string.h>
#include "core_internal.h"
#include "segments.h"

#define REG_ESP 4
#define STATE_BYTES ENV_OFF_CR           /* registers, EIP, flags, segments, descriptor tables */
#define INDEX 0xfffcu                    /* of a selector in an error code */
#define PRESENT (1u << 15)
#define TYPE_SHIFT 8
#define DESCRIPTOR 2                     /* loads of one */

enum kind { NONE, CALL, JUMP, RETURN, INTERRUPT };

struct transfer {
    enum kind kind;
    bool external;                       /* an exception, or an interrupt from outside: EXT in error codes */
    bool pushed, inner;                  /* the frame was looked at; the stack is another privilege's */
    unsigned loads;                      /* of descriptors and, of RETURN, of the frame */
    uint32_t loaded[4];                  /* the first four: of a gate and of its code segment */
    uint32_t latest, inner_stack;        /* the latest of all; the selector in the task segment */
    unsigned words;                      /* what an interrupt pushes without a stack switch, or what a return pops first */
    unsigned bytes;                      /* of each */
    uint32_t outer;                      /* linear address of what a return to another privilege pops next */
    int32_t old_exception;
    uint8_t before[STATE_BYTES];
};
extern __thread struct transfer transfer_now __attribute__((visibility("hidden")));

static inline uint32_t eflags(const CPUX86State *env) { return FIELD(env, ENV_OFF_EFLAGS, uint32_t); }
static inline uint32_t privilege(const CPUX86State *env) { return FIELD(env, ENV_OFF_HFLAGS, uint32_t) & HF_CPL_MASK; }
static inline uint32_t segment(const CPUX86State *env, int number, int field)
{
    return FIELD(env, ENV_OFF_SEGS + number * SEG_STRIDE + field, uint32_t);
}
static inline bool uses_descriptors(const CPUX86State *env)
{
    return (FIELD(env, ENV_OFF_CR, uint32_t) & CR0_PE) && !(eflags(env) & EFLAGS_VM);
}

/* transfer_checks.c: the transfer's own fault; a return is about to pop so many words and to release bytes behind them */
void transfer_fault(CPUX86State *env, int vector, uint32_t error, uintptr_t host_pc) __attribute__((noreturn));
void transfer_pops(CPUX86State *env, unsigned words, int shift, uint32_t released, uintptr_t host_pc);
void __real_cpu_stl_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, uint32_t value, int mmu_idx, uintptr_t host_pc);
#endif
