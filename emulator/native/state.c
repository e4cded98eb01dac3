/* state.c - registers, reset, A20, and the switches tests use to disturb the engine.
 * Source: Intel SDM volume 3, table 9-1 (state after power-up), section 3.4.5 (segment descriptors). */
#include <string.h>
#include "core_internal.h"
#include "segments.h"

#define DESC_ACCESSED (1u << 8)
#define DESC_RW (1u << 9)
#define DESC_CODE (1u << 11)
#define DESC_S (1u << 12)
#define DESC_DPL_SHIFT 13
#define DESC_PRESENT (1u << 15)
#define DESC_BIG (1u << 22)
#define TSS_BUSY (1u << 9)
#define HF_CS32 (1u << 4)
#define HF_SS32 (1u << 5)
#define HF_ADDSEG (1u << 6)

static void read_segment(const core *c, int off, core_segment *s)
{
    s->selector = env_u32(c, off + SEG_OFF_SELECTOR);
    s->base = env_u32(c, off + SEG_OFF_BASE);
    s->limit = env_u32(c, off + SEG_OFF_LIMIT);
    s->flags = env_u32(c, off + SEG_OFF_FLAGS);
}

static void write_segment(core *c, int off, const core_segment *s)
{
    FIELD(c->env, off + SEG_OFF_SELECTOR, uint32_t) = s->selector & 0xffff;
    FIELD(c->env, off + SEG_OFF_BASE, uint64_t) = s->base;
    FIELD(c->env, off + SEG_OFF_LIMIT, uint32_t) = s->limit;
    FIELD(c->env, off + SEG_OFF_FLAGS, uint32_t) = s->flags;
}

void core_get_registers(core *c, core_registers *r)
{
    for (int i = 0; i < 8; i++)
        r->gpr[i] = env_u32(c, ENV_OFF_REGS + 8 * i);
    r->eip = env_u32(c, ENV_OFF_EIP);
    uc_reg_read(c->uc, UC_X86_REG_EFLAGS, &r->eflags);   /* computes the lazy flags */
    r->cr0 = env_u32(c, ENV_OFF_CR);
    r->cr2 = env_u32(c, ENV_OFF_CR + 16);
    r->cr3 = env_u32(c, ENV_OFF_CR + 24);
    r->cr4 = env_u32(c, ENV_OFF_CR + 32);
    for (int i = 0; i < 6; i++)
        read_segment(c, ENV_OFF_SEGS + i * SEG_STRIDE, &r->seg[i]);
    read_segment(c, ENV_OFF_LDT, &r->ldt);
    read_segment(c, ENV_OFF_TR, &r->tr);
    r->gdt_base = env_u32(c, ENV_OFF_GDT + SEG_OFF_BASE);
    r->gdt_limit = env_u32(c, ENV_OFF_GDT + SEG_OFF_LIMIT);
    r->idt_base = env_u32(c, ENV_OFF_IDT + SEG_OFF_BASE);
    r->idt_limit = env_u32(c, ENV_OFF_IDT + SEG_OFF_LIMIT);
}

/* The engine caches mode bits derived from segments; uc_reg_write() would apply privilege checks. */
static void derive_mode_bits(core *c, const core_registers *r)
{
    uint32_t h = env_u32(c, ENV_OFF_HFLAGS) & ~(HF_CPL_MASK | HF_CS32 | HF_SS32 | HF_ADDSEG | HF_INHIBIT_IRQ_MASK);
    bool code32 = r->seg[SEG_CS].flags & DESC_BIG;
    bool protected_mode = (r->cr0 & CR0_PE) && !(r->eflags & EFLAGS_VM);
    if (protected_mode)
        h |= r->seg[SEG_SS].flags >> DESC_DPL_SHIFT & 3;
    else if (r->eflags & EFLAGS_VM)
        h |= 3;
    if (code32)
        h |= HF_CS32;
    if (r->seg[SEG_SS].flags & DESC_BIG)
        h |= HF_SS32;
    if (!protected_mode || !code32 || (r->seg[SEG_DS].base | r->seg[SEG_ES].base | r->seg[SEG_SS].base))
        h |= HF_ADDSEG;
    FIELD(c->env, ENV_OFF_HFLAGS, uint32_t) = h;
}

void core_set_registers(core *c, const core_registers *r)
{
    core *outer = core_current;
    core_current = c;
    uint32_t cr3 = r->cr3, cr4 = r->cr4, eflags = r->eflags;
    cpu_x86_update_cr0_x86_64(c->env, r->cr0);
    uc_reg_write(c->uc, UC_X86_REG_CR4, &cr4);
    uc_reg_write(c->uc, UC_X86_REG_CR3, &cr3);
    FIELD(c->env, ENV_OFF_CR + 16, uint64_t) = r->cr2;
    for (int i = 0; i < 8; i++)
        FIELD(c->env, ENV_OFF_REGS + 8 * i, uint64_t) = r->gpr[i];
    uc_reg_write(c->uc, UC_X86_REG_EFLAGS, &eflags);
    for (int i = 0; i < 6; i++)
        write_segment(c, ENV_OFF_SEGS + i * SEG_STRIDE, &r->seg[i]);
    write_segment(c, ENV_OFF_LDT, &r->ldt);
    core_segment task = r->tr;
    task.flags &= ~TSS_BUSY;                 /* the engine keeps the bit in the GDT only */
    write_segment(c, ENV_OFF_TR, &task);
    write_segment(c, ENV_OFF_GDT, &(core_segment){ 0, r->gdt_base, r->gdt_limit, 0 });
    write_segment(c, ENV_OFF_IDT, &(core_segment){ 0, r->idt_base, r->idt_limit, 0 });
    FIELD(c->env, ENV_OFF_EIP, uint64_t) = r->eip;
    derive_mode_bits(c, r);
    segments_changed(c->env);
    pae_load(c);
    core_arch_flush(c);
    core_tlb_flush(c);
    c->halted = false;
    core_current = outer;
}

static void reset_fpu_and_debug(core *c)
{
    uint32_t control = 0x40, status = 0, tags = 0x5555, mxcsr = 0x1f80;
    uint8_t zeroes[16] = { 0 };
    uc_reg_write(c->uc, UC_X86_REG_FPCW, &control);
    uc_reg_write(c->uc, UC_X86_REG_FPSW, &status);
    uc_reg_write(c->uc, UC_X86_REG_FPTAG, &tags);
    uc_reg_write(c->uc, UC_X86_REG_MXCSR, &mxcsr);
    for (int i = 0; i < 8; i++) {
        uc_reg_write(c->uc, UC_X86_REG_FP0 + i, zeroes);
        uc_reg_write(c->uc, UC_X86_REG_XMM0 + i, zeroes);
    }
    helper_set_dr_x86_64(c->env, 7, 0x400);
    for (int i = 0; i < 4; i++)
        helper_set_dr_x86_64(c->env, i, 0);
    FIELD(c->env, ENV_OFF_DR + 8 * 6, uint64_t) = 0xffff0ff0;
}

void core_reset(core *c)
{
    core_registers r = { .eip = 0xfff0, .eflags = 2, .cr0 = 0x60000010, .idt_limit = 0xffff, .gdt_limit = 0xffff };
    for (int i = 0; i < 6; i++)
        r.seg[i] = (core_segment){ 0, 0, 0xffff, DESC_PRESENT | DESC_S | DESC_RW | DESC_ACCESSED };
    r.seg[SEG_CS] = (core_segment){ 0xf000, 0xffff0000, 0xffff,
                                    DESC_PRESENT | DESC_S | DESC_CODE | DESC_RW | DESC_ACCESSED };
    r.gpr[2] = 0x683;                                    /* edx: family 6, as CPUID says */
    r.ldt = (core_segment){ 0, 0, 0xffff, DESC_PRESENT | 2 << 8 };
    r.tr = (core_segment){ 0, 0, 0xffff, DESC_PRESENT | 9 << 8 };
    core *outer = core_current;
    core_current = c;
    c->triple_fault = c->exit_requested = c->boundary_requested = c->irq_pending = c->nmi_pending = false;
    c->debug_hits = c->debug_pending = 0;
    FIELD(c->env, ENV_OFF_HFLAGS2, uint32_t) &= ~HF2_NMI_MASK;
    c->replaying = c->replay_active = c->single_block = false;
    c->a20_wanted = -1;
    c->tsc_offset = 0;
    c->apic_base = APIC_BASE_AT_RESET;
    FIELD(c->env, ENV_OFF_OLD_EXCEPTION, int32_t) = -1;
    reset_fpu_and_debug(c);
    FIELD(c->env, ENV_OFF_FPU_OPCODE, uint64_t) = 0;     /* and the two selectors */
    FIELD(c->env, ENV_OFF_FPU_IP, uint64_t) = FIELD(c->env, ENV_OFF_FPU_DP, uint64_t) = 0;
    for (uint32_t number = 0x174; number <= 0x176; number++)
        uc_reg_write(c->uc, UC_X86_REG_MSR, &(uc_x86_msr){ number, 0 });
    uc_reg_write(c->uc, UC_X86_REG_MSR, &(uc_x86_msr){ 0x1a0, 1 });
    uc_reg_write(c->uc, UC_X86_REG_MSR, &(uc_x86_msr){ 0x277, UINT64_C(0x0007040600070406) });
    core_set_registers(c, &r);
    x86_cpu_set_a20_x86_64(c->cpu, 1);
    core_update_watch(c);
    core_current = outer;
}

void core_set_a20(core *c, bool on)
{
    if (c->in_callback) {                    /* not before the current instruction is complete */
        c->a20_wanted = on;
        c->boundary_requested = true;
        core_update_watch(c);
        return;
    }
    core *outer = core_current;
    core_current = c;
    x86_cpu_set_a20_x86_64(c->cpu, on);      /* flushes both TLBs if it changes */
    core_current = outer;
}

/* ---- for tests ---- */

void core_flush_translations(core *c)
{
    core *outer = core_current;
    core_current = c;
    uc_ctl_flush_tb(c->uc);
    c->running = NULL;
    core_current = outer;
}

void core_flush_engine_tlb(core *c)
{
    core *outer = core_current;
    core_current = c;
    core_tlb_flush(c);
    core_current = outer;
}
