/* pae.c - physical address extension: the four page-directory pointers, and entries of 8 bytes.
 *
 *   MOV CR3; MOV CR0 that changes CD, NW or PG; MOV CR4 that changes PAE, PGE or PSE; a task switch
 *        -> the pointers are read, and kept until the next of these; reserved bits in them: #GP, nothing changes
 *   page walk -> its first entry is one that was kept
 *
 * The engine reads pointers at each walk, without a look at them. Only those of MOV are refused here: a task switch takes
 * what it finds, and its first walk faults.
 * Source: Intel SDM volume 3, 4.4.1 (PDPTE registers), 4.4.2 (reserved bits). */
#include "core_internal.h"
#include "interpose.h"

#define CR4_PSE 0x10u
#define CR4_PAE 0x20u
#define CR4_PGE 0x80u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define POINTER_RESERVED UINT64_C(0xfffffff0000001e6)
#define RESERVED_IN_ENTRY UINT64_C(0x7ffffff000000000)
#define SEEN_AS_RESERVED (UINT64_C(1) << 51)

uint64_t __real_x86_ldq_phys_x86_64(CPUState *cpu, uint64_t pa);
uint64_t __wrap_x86_ldq_phys_x86_64(CPUState *cpu, uint64_t pa);

static uint32_t cr(const core *c, int number) { return env_u32(c, ENV_OFF_CR + 8 * number); }

bool pae_is_on(const core *c) { return paging_on(c) && (cr(c, 4) & CR4_PAE); }

static void read_pointers(core *c, uint32_t table, uint64_t pointers[PAE_POINTERS])
{
    enum walk_purpose before = c->walking;
    c->walking = WALK_LOAD;                              /* no device is asked */
    for (uint32_t i = 0; i < PAE_POINTERS; i++)
        pointers[i] = __real_x86_ldq_phys_x86_64(c->cpu, ((table & ~0x1fu) + 8 * i) & env_u32(c, ENV_OFF_A20_MASK));
    c->walking = before;
}

void pae_load(core *c)
{
    if (pae_is_on(c))
        read_pointers(c, cr(c, 3), c->pae_pointers);
}

/* Whether MOV of that value to the control register loads the pointers. */
static bool loads_pointers(const core *c, int reg, uint32_t value)
{
    uint32_t cr0 = reg == 0 ? value : cr(c, 0), cr4 = reg == 4 ? value : cr(c, 4);
    if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE))
        return false;
    return reg == 3 || ((cr0 ^ cr(c, 0)) & (CR0_CD | CR0_NW | CR0_PG)) || ((cr4 ^ cr(c, 4)) & (CR4_PAE | CR4_PGE | CR4_PSE));
}

bool pae_refuses(core *c, int reg, uint32_t value, bool *loads)
{
    uint64_t pointers[PAE_POINTERS];
    *loads = loads_pointers(c, reg, value);
    if (!*loads)
        return false;
    read_pointers(c, reg == 3 ? value : cr(c, 3), pointers);
    for (int i = 0; i < PAE_POINTERS; i++)
        if ((pointers[i] & 1) && (pointers[i] & POINTER_RESERVED))
            return true;
    return false;
}

void pae_begin_walk(core *c) { c->pae_first = pae_is_on(c); }

/* The engine has addresses of 40 bits and looks at none from bit 52 on. What lies beyond the 36 bits of this processor is
 * reserved; the engine is shown a bit that it takes for that. */
uint64_t __wrap_x86_ldq_phys_x86_64(CPUState *cpu, uint64_t pa)
{
    core *c = core_current;
    uint64_t entry;
    if (c && c->pae_first) {
        c->pae_first = false;
        entry = c->pae_pointers[pa >> 3 & (PAE_POINTERS - 1)];
    } else {
        entry = __real_x86_ldq_phys_x86_64(cpu, pa);
    }
    return c && (entry & RESERVED_IN_ENTRY) ? entry | SEEN_AS_RESERVED : entry;
}
