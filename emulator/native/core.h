/* core.h - one x86 processor with exact instruction counting, in the style of KVM's vcpu.
 *
 *   core_run(target) --> engine --> callbacks (ports, memory-mapped devices)
 *                    <-- why it stopped, core_count() = retired instructions
 *
 * Rules a caller must keep:
 *  - one thread at a time uses a core; several cores may exist, in one or many threads;
 *  - all guest-visible time is derived from core_count() (+ idle time the machine adds itself);
 *  - host writes into guest RAM go through core_ram_write() or are announced by core_ram_written().
 *
 * What a guest can observe depends only on its state and on the instruction counts at which these
 * functions are called, never on how a run was cut into slices, nor on when translations or the engine's
 * TLB were thrown away, a digest was taken or a state was saved (see arch_tlb.h for the hard part). */
#ifndef FT86_CORE_H
#define FT86_CORE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct core core;

enum core_exit {
    CORE_EXIT_TARGET,      /* core_count() == the target given to core_run() or core_lower_target() */
    CORE_EXIT_IRQ_WINDOW,  /* an interrupt is pending and may be injected now */
    CORE_EXIT_HALTED,      /* HLT retired (and no interrupt was injected since) */
    CORE_EXIT_REQUESTED,   /* a device callback called core_request_exit(); its instruction is complete */
    CORE_EXIT_TRIPLE_FAULT,
    CORE_EXIT_ERROR        /* see core_error(); the core is of no more use */
};

enum core_access_kind { CORE_PORT_IN, CORE_PORT_OUT, CORE_MEMORY_READ, CORE_MEMORY_WRITE };
typedef struct core_access {
    enum core_access_kind kind;
    uint32_t address;      /* port number or guest physical address */
    uint32_t size;         /* 1, 2 or 4 */
    uint32_t value;        /* written value, or the callback's answer; all ones (open bus) before a read */
} core_access;

typedef struct core_cpuid_row { uint32_t leaf, eax, ebx, ecx, edx; } core_cpuid_row;
#define CORE_CPUID_ROWS_MAX 32

/* How many independent readers of the dirty bitmap there are. Number 0 is core_ram_digest() itself; the last one never
 * collects, so its bits say what was ever written. */
#define CORE_DIRTY_CONSUMERS 8
#define CORE_DIRTY_EVER (CORE_DIRTY_CONSUMERS - 1)

typedef struct core_config {
    uint32_t ram_bytes;             /* multiple of 4096, 4 MiB to 3 GiB; guest physical 0 .. ram_bytes */
    void *opaque;
    /* Every port access and every access outside RAM. The answer is written into a->value. */
    void (*access)(core *c, core_access *a, void *opaque);
    core_cpuid_row cpuid[CORE_CPUID_ROWS_MAX];   /* other leaves read as zeroes */
    uint32_t cpuid_rows;
    /* A copy is mapped to end at 4 GiB: read and executed there, never written. */
    const uint8_t *rom;
    uint32_t rom_bytes;             /* a multiple of 4096, at most CORE_ROM_BYTES_MAX; 0 = none */
    uint32_t translation_bytes;     /* size of the host code buffer, 0 = the engine's default (1 GiB) */
    bool count_by_instruction;      /* slow reference mode for tests: a hook on every instruction */
} core_config;

typedef struct core_segment { uint32_t selector, base, limit, flags; } core_segment;
typedef struct core_registers {
    uint32_t gpr[8], eip, eflags;   /* order of gpr: eax ecx edx ebx esp ebp esi edi */
    uint32_t cr0, cr2, cr3, cr4;
    core_segment seg[6], ldt, tr;   /* ES CS SS DS FS GS */
    uint32_t gdt_base, gdt_limit, idt_base, idt_limit;
} core_registers;

/* Physical addresses from CORE_HOLE_START up to CORE_HOLE_END belong to devices even if RAM is larger. */
#define CORE_HOLE_START 0xa0000u
#define CORE_HOLE_END 0xc0000u
#define CORE_ROM_BYTES_MAX (1u << 20)

/* Create a core with zeroed RAM in power-on state. NULL on failure, and a message in `message`. */
core *core_create(const core_config *config, char *message, size_t message_bytes);
void core_destroy(core *c);
uint8_t *core_ram(core *c);
/* Two bytes for each page, to be read: all that core_ram_written() would set in the first array (all ones: nothing), and
 * behind that array whether translated code must be looked for. */
uint8_t *core_page_bytes(core *c);
/* Keep both mapped after core_destroy(); core_ram_release() undoes it (used by external buffers). */
struct core_ram *core_ram_retain(core *c);
void core_ram_release(struct core_ram *ram);

enum core_exit core_run(core *c, uint64_t target_count);
const char *core_error(const core *c);

uint64_t core_count(core *c);            /* retired instructions; exact also inside callbacks */
bool core_irq_window(core *c);           /* IF set and no STI/MOV SS shadow */
bool core_halted(const core *c);
void core_set_irq_pending(core *c, bool pending);   /* may be called inside callbacks */
void core_raise_nmi(core *c);                       /* the same; taken by itself, once, when none is being handled */
bool core_inject(core *c, uint8_t vector);          /* outside core_run; false = triple fault */
/* Guest time in ns is base_ns + (count - base_count) * rate / 1024, rounded down; RDTSC shows it. */
void core_set_clock(core *c, uint64_t base_count, uint64_t base_ns, uint64_t ns_per_1024);

/* Take effect exactly after the current instruction, even in the middle of a translated block, when
 * called inside a callback; at once otherwise. */
void core_lower_target(core *c, uint64_t count);
void core_request_exit(core *c);
void core_set_a20(core *c, bool on);

void core_get_registers(core *c, core_registers *r);
void core_set_registers(core *c, const core_registers *r);
void core_reset(core *c);                /* power-on state: F000:FFF0, real mode; the count stays */

/* Saved state: everything of the processor a guest can observe, nothing else; RAM is not included. The
 * bytes are equal for equal guest state, whatever process and history they come from (save.c). */
size_t core_state_bytes(core *c);
void core_save(core *c, uint8_t *blob);             /* core_state_bytes() bytes */
/* NULL when restored; otherwise a word that says what is wrong with the blob, and nothing was changed. */
const char *core_restore(core *c, const uint8_t *blob, size_t bytes, size_t *error_offset);

/* RAM as the host sees it. Not to be called for reads that must not be observable: they never are. */
void core_ram_write(core *c, uint32_t address, const void *data, uint32_t bytes);
void core_ram_written(core *c, uint32_t address, uint32_t bytes);
/* Pages written since this consumer's last call, in ascending order, into `pages`; returns their count
 * and forgets them. `pages` has room for core_ram_pages(). */
uint32_t core_collect_dirty(core *c, unsigned consumer, uint32_t *pages);
uint32_t core_ram_pages(const core *c);
/* As core_collect_dirty(): pages written since the core was made, nothing is forgotten. The others are zero. */
uint32_t core_written_pages(const core *c, uint32_t *pages);
void core_ram_digest(core *c, uint8_t digest[16]);

void core_flush_translations(core *c);   /* tests only: neither may be noticed by a guest */
void core_flush_engine_tlb(core *c);

typedef struct core_stats {
    uint64_t starts, tails, slot_misses, revalidations, smc_restarts, fetch_retries, io_retries, refunds,
             fills, walks, fetch_fills, touches, page_splits, touch_restarts, arch_flushes, code_page_flushes,
             growth_flushes, exceptions[256];
} core_stats;
const core_stats *core_statistics(const core *c);
#endif
