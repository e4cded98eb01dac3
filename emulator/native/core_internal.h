/* core_internal.h - state shared by the parts of the core; not for callers.
 *
 *   core.c     life cycle, run loop, injection      counting.c  block starts, exact stops   prologue.c  as emitted
 *   tlb.c      what the engine's TLB may hold       arch_tlb.c  what the guest's TLB holds
 *   events.c   exceptions, CPUID, RDTSC, MSRs       bus.c       ports and memory-mapped devices
 *   ram.c      RAM, dirty pages, digests            state.c     registers     save.c  saved state
 *   msr.c      model-specific registers   pae.c     page-directory pointers
 *   features.c CPUID                                translate.c what the engine translates otherwise
 *   debug.c    debug exceptions, RF
 *   segments.c what segments allow                  segment_checks.c where translated code asks them */
#ifndef FT86_CORE_INTERNAL_H
#define FT86_CORE_INTERNAL_H
#include "arch_tlb.h"
#include "core.h"
#include "decode.h"
#include "layout.h"

#define PAGE_SHIFT 12
#define PAGE_BYTES 4096u
/* Device accesses one instruction can do: FXRSTOR from a device is 128 words, a misaligned one is split
 * into 512 bytes, a task switch out of and into device memory stays below 250. */
#define ACCESS_LOG_MAX 1024
#define DIRTY_ALL 0xffu
#define PAE_POINTERS 4

/* Thread-local with the cheapest access a shared object can have; a few bytes, so they fit. */
#define CORE_THREAD __thread __attribute__((tls_model("initial-exec")))

/* What the start of a translated block looks at (prologue.c). */
#define SLOT_UNPROVED UINT64_MAX
struct block_slot {
    uint64_t key;                        /* the epoch in which its pages were proved + its instructions; SLOT_UNPROVED */
    const TranslationBlock *tb;
    bool known;                          /* it was looked at, ... */
    bool last_alone;                     /* ... and its last instruction must be a block of its own */
};

/* The reason for which a block start left the engine; the run loop's own checks decide what follows. */
enum stop_reason { STOP_NONE, STOP_ASKED };

/* What the engine's page walker is working for. */
enum walk_purpose { WALK_NONE = -1, WALK_LOAD = ACCESS_LOAD, WALK_STORE = ACCESS_STORE, WALK_FETCH = ACCESS_FETCH, WALK_TOUCH };

/* A page walk: its writes until they are known to count; of one done for its side effects, its result, too. */
struct touch_walk {
    uint64_t page;
    int prot;
    bool large;
    struct { uint64_t address; uint32_t value; } writes[4];
    int write_count;
};

struct core_ram {
    uint8_t *bytes;
    size_t size;
    void *mapping;                       /* bytes with a guard page on either side */
    uint8_t *page_bytes;                 /* what the core's dirty and code_page point into */
    int users;                           /* atomic: external buffers may be released by another thread */
};

/* Pages whose entries were filled since a table of the engine's TLB was flushed (tlb_clear.c). */
#define TLB_NOTES_MAX 2048
struct tlb_notes {
    const uint8_t *table;                /* what was flushed; NULL: nothing yet */
    size_t bytes;
    uint32_t generation, count;          /* a count above the maximum: too many to be known */
    uint32_t pages[TLB_NOTES_MAX];
};

struct core {
    /* --- hot: touched once per block ---
     * count = target - (budget + reserve), the count at the END of the current block.
     * budget is what the block prologue compares; when something must be checked at every block the
     * whole amount is moved to reserve, budget becomes 0 and every prologue takes the slow path. */
    int64_t budget;
    const struct block_slot *running;    /* of the block being executed; NULL = count is exact as it is */
    uint64_t epoch;                      /* in steps of EPOCH_STEP (counting.c) */
    int64_t reserve;
    uint64_t target;

    uc_engine *uc;
    CPUState *cpu;
    CPUX86State *env;
    core_config config;
    struct decode_features features;     /* what CPUID offers of decode.c's */
    struct block_slot **slot_chunks;     /* prologue.c */
    size_t slot_chunk_count, slots_used;
    uintptr_t newest_code;               /* highest host code address generated since the last flush */

    uint32_t code_limit;                 /* of CS: what the blocks of this epoch that must respect one were held against */
    enum stop_reason stop;
    bool irq_pending, exit_requested, in_callback, triple_fault, halted, failed;
    uint8_t debug_hits;                  /* data breakpoints (bits of DR6) that the current instruction has met, ... */
    uint8_t debug_pending;               /* ... and instructions before it, in whose shadow it is */
    bool general_detect;                 /* the debug exception being raised is that of DR7.GD */
    bool nmi_pending;                    /* taken when no other is being handled */
    bool boundary_requested;             /* the run loop must come in after the current instruction ... */
    int a20_wanted;                      /* ... to set the A20 gate (0, 1), or -1 */
    bool interrupt_open;                 /* INT n is being delivered: it may still turn out not to have retired */
    bool single_block;                   /* the next block was limited to one instruction by us */
    unsigned touch_restarts;             /* in a row, without a block that ran */
    const TranslationBlock *reference_block;    /* reference mode only: the block being executed, ... */
    uint64_t reference_dr6;              /* ... DR6 before it, ... */
    uint32_t last_instruction_pc;        /* ... the instruction counted last ... */
    bool instruction_open;               /* ... and whether it may still turn out not to have retired */

    uint64_t storm_count;                /* exceptions taken since the count had this value ... */
    unsigned storm;                      /* ... number them */

    /* memory management */
    struct arch_tlb arch;
    bool own_flush;                      /* a flush of ours is running: not the guest's */
    enum walk_purpose walking;
    uint64_t pae_pointers[PAE_POINTERS]; /* of a guest with physical address extension (pae.c) */
    bool pae_first;                      /* the walk's next entry is one of them */
    uint64_t walk_cr2;                   /* CR2 before the walk (a discarded fetch fault restores it) */
    struct touch_walk touch;
    uint32_t fills_since_flush, fills_limit;
    struct tlb_notes tlb_notes[TLB_TABLES];

    /* Device accesses done by the current instruction; replayed if it must be started again. */
    uint32_t log[ACCESS_LOG_MAX];
    uint32_t log_used, log_position;
    uint64_t log_count;                  /* value of core_count() the log belongs to */
    bool replaying;                      /* the next block start is the instruction started again */
    bool replay_active;                  /* that instruction is executing */

    struct core_ram *ram_mapping;
    uint8_t *ram;
    uint32_t pages;
    uint64_t ram_offset_low, ram_offset_high;   /* the engine's RAM offsets of address 0 and the hole's end */
    struct core_ram *rom_mapping;        /* NULL when there is none */
    uint64_t ram_offset_rom;
    uint8_t *dirty;                      /* one bit per consumer; writes are fast only when all are set */
    uint8_t *code_page;                  /* behind those: 1 = some block was translated from this page */
    uint64_t *page_hash;

    uint64_t clock_base_count, clock_base_ns, clock_rate;
    uint64_t tsc_offset;                 /* what WRMSR has made of the time-stamp counter, less guest time */
    uint64_t apic_base;                  /* the model-specific register */
    core_stats stats;
    char error[160];
};

/* The block being executed; NULL = count is exact as it is. */
static inline const TranslationBlock *running_block(const core *c) { return c->running ? c->running->tb : NULL; }

/* The core whose engine is executing on this thread: the engine's internal functions which ft86
 * interposes do not carry a user pointer. */
extern CORE_THREAD core *core_current;

static inline uint64_t end_count(const core *c) { return c->target - (uint64_t)(c->budget + c->reserve); }
static inline int64_t instructions_left(const core *c) { return c->budget + c->reserve; }
static inline uint32_t env_u32(const core *c, int off) { return FIELD(c->env, off, uint32_t); }
static inline uint32_t linear_pc(const core *c)
{
    return (uint32_t)(FIELD(c->env, ENV_OFF_SEGS + SEG_CS * SEG_STRIDE + SEG_OFF_BASE, uint64_t) +
                      FIELD(c->env, ENV_OFF_EIP, uint64_t));
}
static inline bool window_open(const core *c)
{
    return (env_u32(c, ENV_OFF_EFLAGS) & EFLAGS_IF) && !(env_u32(c, ENV_OFF_HFLAGS) & HF_INHIBIT_IRQ_MASK);
}
static inline bool paging_on(const core *c) { return env_u32(c, ENV_OFF_CR) & CR0_PG; }
static inline int current_mmu_index(const core *c)
{
    return (env_u32(c, ENV_OFF_HFLAGS) & HF_CPL_MASK) == 3 ? MMU_USER : MMU_KERNEL;
}
/* A data breakpoint's trap follows the instruction that met it, or the one in its shadow. */
static inline bool debug_due(const core *c)
{
    return (c->debug_hits | c->debug_pending) && !(env_u32(c, ENV_OFF_HFLAGS) & HF_INHIBIT_IRQ_MASK);
}
/* A non-maskable interrupt waits for the end of an earlier one's handler, and of a shadow. */
static inline bool nmi_due(const core *c)
{
    return c->nmi_pending && !(env_u32(c, ENV_OFF_HFLAGS2) & HF2_NMI_MASK) &&
           !(env_u32(c, ENV_OFF_HFLAGS) & HF_INHIBIT_IRQ_MASK);
}
/* The guest may not go on to its next instruction before the run loop was asked. */
static inline bool stop_wanted(const core *c)
{
    return c->exit_requested || c->boundary_requested || nmi_due(c) || debug_due(c) ||
           (c->irq_pending && window_open(c));
}

static inline uint32_t rom_pages(const core *c) { return c->config.rom_bytes >> PAGE_SHIFT; }
static inline bool is_rom_page(const core *c, uint64_t page) { return ARCH_PAGES - 1 - page < rom_pages(c); }

/* block.c */
int block_instruction_index(const TranslationBlock *tb, uint32_t pc);
uint32_t block_instruction_last(const TranslationBlock *tb, uint32_t pc);
uint32_t block_instruction_at(const TranslationBlock *tb, int index);
int block_instructions_below(const TranslationBlock *tb, uint64_t border);
/* bus.c */
void core_start_instruction_again(core *c) __attribute__((noreturn));   /* alone, its device accesses repeated from a log */
/* counting.c */
void core_refetch(core *c);                     /* after TOUCH_STALE; the caller then leaves the block */
void core_update_watch(core *c);                /* choose between fast and checked block starts */
void core_give_back(core *c, int64_t n);         /* n instructions counted ahead have not retired */
void core_settle(core *c);                      /* make the count exact at the synchronised EIP */
void core_new_epoch(core *c);                   /* every block must prove its pages again */
/* pae.c: read the pointers, if there are any; whether MOV to a control register is #GP, or is to load them; a walk begins */
bool pae_is_on(const core *c);
void pae_load(core *c);
bool pae_refuses(core *c, int reg, uint32_t value, bool *loads);
void pae_begin_walk(core *c);
/* prologue.c */
void prologue_free_slots(core *c);
/* tlb.c */
void core_arch_flush(core *c);
void core_write_walked(core *c);                /* Accessed and Dirty bits of a walk that found its page */
void core_tlb_flush(core *c);                   /* the engine's TLB only; no guest can notice */
/* tlb_clear.c */
static inline void tlb_note(core *c, int mmu_idx, uint64_t va)   /* an entry for that page is about to be filled */
{
    struct tlb_notes *notes = &c->tlb_notes[mmu_idx];
    if (notes->count < TLB_NOTES_MAX)
        notes->pages[notes->count] = (uint32_t)(va >> PAGE_SHIFT);
    if (notes->count <= TLB_NOTES_MAX)
        notes->count++;
}
void tlb_forget_notes(void);                    /* entries were filled that no core noted */
/* touch.c */
enum touch_result { TOUCH_OK, TOUCH_STALE, TOUCH_SPLIT };
enum touch_result touch_block(core *c, const TranslationBlock *tb, uint32_t *first_page_instructions);
bool touch_instruction(core *c, const TranslationBlock *tb, uint32_t address);
/* ram.c */
struct core_ram *ram_map(uint32_t bytes);
struct core_ram *rom_map(const uint8_t *bytes, uint32_t count);
uint64_t ram_offset_of_page(const core *c, uint64_t page);
const uint8_t *ram_at_offset(const core *c, uint64_t offset);
static inline void ram_mark(core *c, uint64_t page) { c->dirty[page] = DIRTY_ALL; }
/* msr.c */
#define APIC_BASE_AT_RESET UINT64_C(0xfee00900)  /* enabled, bootstrap processor */
#define APIC_BASE_ENABLED 0x800u
bool msr_apic_base_is_valid(uint64_t value);     /* as a whole, the bit that cannot be written included */
/* Where an access to a physical address goes: to the local APIC's own place when its base register says so; false: nowhere. */
bool msr_route_apic(const core *c, uint64_t *address);
/* bus.c */
void core_device_write(core *c, uint32_t address, uint32_t value);   /* of the instruction at EIP */
bool core_map_bus(core *c, uint64_t start, uint64_t size);
bool core_install_port_hooks(core *c);
/* events.c */
uint64_t core_time_stamp(core *c);               /* as RDTSC shows it */
core_cpuid_row core_cpuid(const core *c, uint32_t leaf);
int core_on_cpuid(uc_engine *uc, void *opaque);
void core_hide_features(core *c);
bool core_install_event_hooks(core *c);
bool core_exception_storm(core *c);             /* too many exceptions without an instruction: shut down */
bool core_raise_outside(core *c, int vector);   /* deliver a fault while the engine does not run */
#endif
