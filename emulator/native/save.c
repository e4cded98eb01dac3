/* save.c - the processor's state as bytes: every field by name, nothing copied from the engine as a block.
 *
 *   offset bytes  field (little-endian)
 *   0      8      magic "ft86cpu" NUL
 *   8      4      version 5
 *   12     4      bytes of the whole blob
 *   16     4+4    RAM pages, flags (bit 0 halted, 1 interrupt shadow, 2 A20 on, 3 an NMI waits, 4 NMIs
 *                 are blocked, 8-11 data breakpoints met before the shadow)
 *   24     32     count, clock base count, clock base ns, clock rate (u64 each)
 *   56     56     EAX ECX EDX EBX ESP EBP ESI EDI, EIP EFLAGS, CR0 CR2 CR3 CR4 (u32 each)
 *   112    128    ES CS SS DS FS GS LDT TR: selector, base, limit, flags (u32 each)
 *   240    16     GDT base, limit, IDT base, limit
 *   256    8      mode bits (CPL, CS/SS size, address size) and padding
 *   264    24     DR0 DR1 DR2 DR3 DR6 DR7
 *   288    16     FPU control, status, tags, MXCSR
 *   304    128    FPU registers R0-R7, 10 bytes each padded to 16
 *   432    128    XMM0-XMM7
 *   560    40     MSRs 174h 175h 176h 1A0h 277h (u64 each)
 *   600    8      number of TLB entries, padding
 *   608    16     FPU opcode, instruction's CS, operand's DS (u16 each), padding, instruction, operand (u32 each)
 *   624    16     time-stamp counter less guest time, APIC base (u64 each)
 *   640    32     page-directory pointers of physical address extension (u64 each), zero without it
 *   672    8 n    TLB entries: slot, page << 4 | large | rights (arch_tlb.h)
 *
 * Version 1 has no FPU pointers: its entries begin at 608. Versions 1 and 2 know nothing of NMIs,
 * up to version 3 nobody could write the counter and the base: entries begin at 624. Up to version 4, where they begin at
 * 640, the pointers are read from RAM, as walks did.
 * Restoring checks every length and count; no field is used as an index, a pointer or a mode the engine
 * does not run in. A blob that lies makes a strange guest, not a broken host. */
#include <string.h>
#include "core_internal.h"

#define FIXED_BYTES 672u
#define VERSION 5u
#define POINTERS_BYTES 16u                   /* since version 2 */
#define WRITTEN_BYTES 16u                    /* since version 4 */
#define TABLE_BYTES 32u                      /* since version 5 */
#define FLAG_HALTED 1u
#define FLAG_SHADOW 2u
#define FLAG_A20 4u
#define FLAG_NMI_PENDING 8u
#define FLAG_NMI_BLOCKED 16u
#define FLAGS_DEBUG_SHIFT 8
#define FLAGS_SINCE_3 (FLAG_NMI_PENDING | FLAG_NMI_BLOCKED | 0xfu << FLAGS_DEBUG_SHIFT)
#define MODE_BITS 0x73u                      /* of the engine's hflags: CPL, CS32, SS32, ADDSEG */
#define CR0_KEPT 0xe005003fu
#define CR4_KEPT 0x7fcu
#define EFLAGS_KEPT 0x3f7fd7u

static const uint8_t magic[8] = "ft86cpu";
static const uint32_t kept_msrs[5] = { 0x174, 0x175, 0x176, 0x1a0, 0x277 };
static const int kept_drs[6] = { 0, 1, 2, 3, 6, 7 };

struct fixed_part {
    uint8_t magic[8];
    uint32_t version, bytes, pages, flags;
    uint64_t count, clock_base_count, clock_base_ns, clock_rate;
    uint32_t gpr[8], eip, eflags, cr0, cr2, cr3, cr4;
    core_segment seg[6], ldt, tr;
    uint32_t gdt_base, gdt_limit, idt_base, idt_limit;
    uint32_t mode, pad;
    uint32_t dr[6];
    uint32_t fpu_control, fpu_status, fpu_tags, mxcsr;
    uint8_t fpu[8][16], xmm[8][16];
    uint64_t msr[5];
    uint32_t entries, pad2;
    uint16_t fpu_opcode, fpu_cs, fpu_ds, pad3;
    uint32_t fpu_instruction, fpu_operand;
    uint64_t tsc_offset, apic_base;
    uint64_t pae_pointers[PAE_POINTERS];
};
_Static_assert(sizeof(struct fixed_part) == FIXED_BYTES, "the layout in the header comment");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fields are written as they lie in memory");

static size_t fixed_bytes(uint32_t version)
{
    return FIXED_BYTES - (version < 5 ? TABLE_BYTES : 0) - (version < 4 ? WRITTEN_BYTES : 0) - (version == 1 ? POINTERS_BYTES : 0);
}

size_t core_state_bytes(core *c) { return FIXED_BYTES + 8 * (size_t)arch_count(&c->arch); }

static void save_fpu(core *c, struct fixed_part *s)
{
    uint64_t v = 0;
    uc_reg_read(c->uc, UC_X86_REG_FPCW, &v), s->fpu_control = (uint16_t)v;
    uc_reg_read(c->uc, UC_X86_REG_FPSW, &v), s->fpu_status = (uint16_t)v;
    uc_reg_read(c->uc, UC_X86_REG_FPTAG, &v), s->fpu_tags = 0;
    for (int i = 0; i < 16; i += 2)          /* only "empty" is state; the rest follows from the registers */
        if ((v >> i & 3) == 3)
            s->fpu_tags |= 3u << i;
    uc_reg_read(c->uc, UC_X86_REG_MXCSR, &v), s->mxcsr = (uint32_t)v;
    s->fpu_opcode = FIELD(c->env, ENV_OFF_FPU_OPCODE, uint16_t);
    s->fpu_cs = FIELD(c->env, ENV_OFF_FPU_CS, uint16_t);
    s->fpu_ds = FIELD(c->env, ENV_OFF_FPU_DS, uint16_t);
    s->fpu_instruction = env_u32(c, ENV_OFF_FPU_IP);
    s->fpu_operand = env_u32(c, ENV_OFF_FPU_DP);
    for (int i = 0; i < 8; i++) {
        uc_reg_read(c->uc, UC_X86_REG_FP0 + i, s->fpu[i]);
        uc_reg_read(c->uc, UC_X86_REG_XMM0 + i, s->xmm[i]);
    }
}

void core_save(core *c, uint8_t *blob)
{
    struct fixed_part s = { .version = VERSION };
    core_registers r;
    core *outer = core_current;
    core_current = c;
    core_get_registers(c, &r);
    memcpy(s.magic, magic, sizeof magic);
    s.bytes = (uint32_t)core_state_bytes(c);
    s.pages = c->pages;
    s.flags = (c->halted ? FLAG_HALTED : 0) | (env_u32(c, ENV_OFF_HFLAGS) & HF_INHIBIT_IRQ_MASK ? FLAG_SHADOW : 0) |
              (env_u32(c, ENV_OFF_A20_MASK) >> 20 & 1 ? FLAG_A20 : 0) | (c->nmi_pending ? FLAG_NMI_PENDING : 0) |
              (env_u32(c, ENV_OFF_HFLAGS2) & HF2_NMI_MASK ? FLAG_NMI_BLOCKED : 0) |
              (uint32_t)(c->debug_hits | c->debug_pending) << FLAGS_DEBUG_SHIFT;
    s.count = end_count(c);
    s.clock_base_count = c->clock_base_count;
    s.clock_base_ns = c->clock_base_ns;
    s.clock_rate = c->clock_rate;
    memcpy(s.gpr, r.gpr, sizeof s.gpr);
    s.eip = r.eip, s.eflags = r.eflags;
    s.cr0 = r.cr0, s.cr2 = r.cr2, s.cr3 = r.cr3, s.cr4 = r.cr4;
    memcpy(s.seg, r.seg, sizeof s.seg);
    s.ldt = r.ldt, s.tr = r.tr;
    s.gdt_base = r.gdt_base, s.gdt_limit = r.gdt_limit, s.idt_base = r.idt_base, s.idt_limit = r.idt_limit;
    s.mode = env_u32(c, ENV_OFF_HFLAGS) & MODE_BITS;
    for (int i = 0; i < 6; i++)
        s.dr[i] = env_u32(c, ENV_OFF_DR + 8 * kept_drs[i]);
    save_fpu(c, &s);
    for (int i = 0; i < 5; i++) {
        uc_x86_msr msr = { kept_msrs[i], 0 };
        uc_reg_read(c->uc, UC_X86_REG_MSR, &msr);
        s.msr[i] = msr.value;
    }
    s.tsc_offset = c->tsc_offset;
    s.apic_base = c->apic_base;
    if (pae_is_on(c))
        memcpy(s.pae_pointers, c->pae_pointers, sizeof s.pae_pointers);
    s.entries = arch_count(&c->arch);
    memcpy(blob, &s, sizeof s);
    arch_save(&c->arch, (uint32_t *)(blob + FIXED_BYTES));
    core_current = outer;
}

/* Everything that can be wrong with a blob, by name; *at is the byte at which it shows. */
static const char *check_blob(core *c, const struct fixed_part *s, const uint8_t *blob, size_t bytes, size_t *at)
{
    size_t fixed = fixed_bytes(s->version);
    if (memcmp(s->magic, magic, sizeof magic))
        return *at = 0, "bad-magic";
    if (s->version < 1 || s->version > VERSION)
        return *at = 8, "bad-version";
    if (s->bytes != bytes || s->entries > ARCH_SLOTS || bytes != fixed + 8 * (size_t)s->entries)
        return *at = 12, "bad-length";
    if (s->pages != c->pages)
        return *at = 16, "other-ram-size";
    if (s->flags & ~(FLAG_HALTED | FLAG_SHADOW | FLAG_A20 | (s->version < 3 ? 0 : FLAGS_SINCE_3)))
        return *at = 20, "bad-flags";
    if (s->count > INT64_MAX / 2 || s->clock_base_count > s->count)
        return *at = 24, "bad-count";
    if ((s->eflags & ~EFLAGS_KEPT) || (s->cr0 & ~CR0_KEPT) || (s->cr4 & ~CR4_KEPT) || (s->mode & ~MODE_BITS))
        return *at = 92, "bad-mode";
    for (int i = 0; i < 5; i++)
        if (kept_msrs[i] == 0x174 && s->msr[i] > 0xffff)
            return *at = 560, "bad-msr";
    if ((s->fpu_control | s->fpu_status | s->fpu_tags) > 0xffff || (s->mxcsr & ~0xffffu) || s->pad || s->pad2)
        return *at = 288, "bad-fpu";
    if (s->pad3)
        return *at = 614, "bad-fpu";
    if (s->version >= 4 && !msr_apic_base_is_valid(s->apic_base))
        return *at = 632, "bad-msr";
    uint32_t bad = arch_check((const uint32_t *)(blob + fixed), s->entries);
    if (bad != s->entries)
        return *at = fixed + 8 * (size_t)bad, "bad-tlb";
    return NULL;
}

static void restore_fpu_and_debug(core *c, const struct fixed_part *s)
{
    uint64_t control = s->fpu_control, status = s->fpu_status, tags = s->fpu_tags, mxcsr = s->mxcsr;
    uc_reg_write(c->uc, UC_X86_REG_FPCW, &control);
    uc_reg_write(c->uc, UC_X86_REG_FPSW, &status);
    uc_reg_write(c->uc, UC_X86_REG_MXCSR, &mxcsr);
    for (int i = 0; i < 8; i++) {
        uc_reg_write(c->uc, UC_X86_REG_FP0 + i, s->fpu[i]);
        uc_reg_write(c->uc, UC_X86_REG_XMM0 + i, s->xmm[i]);
    }
    uc_reg_write(c->uc, UC_X86_REG_FPTAG, &tags);
    FIELD(c->env, ENV_OFF_FPU_OPCODE, uint16_t) = s->fpu_opcode;
    FIELD(c->env, ENV_OFF_FPU_CS, uint16_t) = s->fpu_cs;
    FIELD(c->env, ENV_OFF_FPU_DS, uint16_t) = s->fpu_ds;
    FIELD(c->env, ENV_OFF_FPU_IP, uint64_t) = s->fpu_instruction;
    FIELD(c->env, ENV_OFF_FPU_DP, uint64_t) = s->fpu_operand;
    helper_set_dr_x86_64(c->env, 7, 0x400);              /* through the engine's own function: it arms */
    for (int i = 0; i < 6; i++)
        if (kept_drs[i] != 6)
            helper_set_dr_x86_64(c->env, kept_drs[i], s->dr[i]);
    FIELD(c->env, ENV_OFF_DR + 8 * 6, uint64_t) = s->dr[4];
}

static void restore_registers(core *c, const struct fixed_part *s)
{
    core_registers r = { .eip = s->eip, .eflags = s->eflags, .cr0 = s->cr0, .cr2 = s->cr2, .cr3 = s->cr3, .cr4 = s->cr4,
                         .ldt = s->ldt, .tr = s->tr, .gdt_base = s->gdt_base, .gdt_limit = s->gdt_limit,
                         .idt_base = s->idt_base, .idt_limit = s->idt_limit };
    memcpy(r.gpr, s->gpr, sizeof r.gpr);
    memcpy(r.seg, s->seg, sizeof r.seg);
    core_reset(c);
    core_set_registers(c, &r);
    uint32_t *hflags = &FIELD(c->env, ENV_OFF_HFLAGS, uint32_t);
    *hflags = (*hflags & ~(MODE_BITS | HF_INHIBIT_IRQ_MASK)) | s->mode | (s->flags & FLAG_SHADOW ? HF_INHIBIT_IRQ_MASK : 0);
    for (int i = 0; i < 5; i++)
        uc_reg_write(c->uc, UC_X86_REG_MSR, &(uc_x86_msr){ kept_msrs[i], s->msr[i] });
    if (s->version >= 4) {
        c->tsc_offset = s->tsc_offset;
        c->apic_base = s->apic_base;
    }
    if (s->version >= 5)
        memcpy(c->pae_pointers, s->pae_pointers, sizeof c->pae_pointers);
    x86_cpu_set_a20_x86_64(c->cpu, (s->flags & FLAG_A20) != 0);
}

const char *core_restore(core *c, const uint8_t *blob, size_t bytes, size_t *error_offset)
{
    struct fixed_part s = { 0 };
    uint32_t version;
    if (bytes < fixed_bytes(1) || bytes % 8)
        return *error_offset = bytes, "bad-length";
    memcpy(&version, blob + offsetof(struct fixed_part, version), sizeof version);
    if (bytes < fixed_bytes(version))
        return *error_offset = bytes, "bad-length";
    memcpy(&s, blob, fixed_bytes(version));
    const char *wrong = check_blob(c, &s, blob, bytes, error_offset);
    if (wrong)
        return wrong;
    core *outer = core_current;
    core_current = c;
    core_flush_translations(c);                          /* RAM may have changed as a whole */
    memset(c->code_page, 0, c->pages);
    restore_registers(c, &s);
    restore_fpu_and_debug(c, &s);
    c->target = s.count;
    c->budget = c->reserve = 0;
    c->halted = s.flags & FLAG_HALTED;
    c->nmi_pending = s.flags & FLAG_NMI_PENDING;
    c->debug_pending = s.flags >> FLAGS_DEBUG_SHIFT & 0xf;
    if (s.flags & FLAG_NMI_BLOCKED)
        FIELD(c->env, ENV_OFF_HFLAGS2, uint32_t) |= HF2_NMI_MASK;
    c->clock_base_count = s.clock_base_count;
    c->clock_base_ns = s.clock_base_ns;
    c->clock_rate = s.clock_rate;
    c->failed = c->in_callback = false;
    c->storm = 0;
    c->log_used = c->log_position = 0;
    core_update_watch(c);
    core_tlb_flush(c);
    arch_restore(&c->arch, (const uint32_t *)(blob + fixed_bytes(version)), s.entries);
    core_new_epoch(c);
    core_current = outer;
    return NULL;
}
