/* layout_probe.c - start-up self-check of layout.h against the engine that is really linked.
 *
 * A scratch engine runs a few instructions; hooks compare the private fields with what the public
 * interface or the architecture says they must be. Pointers are checked for being readable before they
 * are followed, so that a wrong table gives a message and not a crash. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <sys/mman.h>
#include "core_internal.h"
#include "interpose.h"

#define RAM_BYTES 0x10000u
#define CODE 0x1000u
#define MMIO 0x20000u
#define GDT 0x3000u
#define GP_SELECTOR 0x1234u
#define VIRTUAL_CODE_OFFSET 0x1000u                     /* RAM offset of CODE: RAM starts at offset 0 */

_Static_assert((int)UC_OFF_NESTED_LEVEL - (int)UC_OFF_JMP_BUFS == 64 * (int)sizeof(sigjmp_buf), "jmp_bufs is sigjmp_buf[64]");

static const uint8_t program[] = {
    0xfb,                               /* 1000 sti                                        */
    0xec,                               /* 1001 in al,dx      in the shadow of STI         */
    0xec,                               /* 1002 in al,dx      no longer                    */
    0x66, 0xb8, 0x34, 0x12,             /* 1003 mov ax,0x1234                              */
    0x8e, 0xd8,                         /* 1007 mov ds,ax     #GP(0x1234)                  */
    0xcd, 0x45,                         /* 1009 int 0x45                                   */
    0x40,                               /* 100b inc eax       first of a block of five     */
    0x8b, 0x1d, 0x00, 0x40, 0x00, 0x00, /* 100c mov ebx,[0x4000]                           */
    0x8b, 0x1d, 0x04, 0x40, 0x00, 0x00, /* 1012 mov ebx,[0x4004]                           */
    0x8b, 0x0d, 0x00, 0x00, 0x02, 0x00, /* 1018 mov ecx,[0x20000]  MMIO                    */
    0xeb, 0x00,                         /* 101e jmp 1020                                   */
    0x40, 0x40, 0x40,                   /* 1020 inc eax x 3                                */
    0xf4,                               /* 1023 hlt                                        */
};
enum { AT_SHADOW = CODE + 1, AT_GP = CODE + 7, AT_AFTER_INT = CODE + 0xb, AT_MMIO = CODE + 0x18, AT_INCS = CODE + 0x20,
       AT_END = CODE + 0x24 };

_Static_assert((int)ENV_OFF_CC_SRC2 == (int)ENV_OFF_CC_SRC + 8 && (int)ENV_OFF_CC_OP == (int)ENV_OFF_CC_SRC2 + 8, "lazy flags are neighbours");

struct probe {
    uc_engine *uc;
    CPUState *cpu;
    CPUX86State *env;
    const char *bad;                    /* first mismatch */
    unsigned ins, gps, ints, reads, edges;
    struct probe_watch watch;
};

static void expect(struct probe *p, bool ok, const char *name)
{
    if (!ok && !p->bad)
        p->bad = name;
}
static bool readable(const void *at, size_t n)
{
    static __thread char sink[64];
    struct iovec to = { sink, n < sizeof sink ? n : sizeof sink }, from = { (void *)(uintptr_t)at, to.iov_len };
    return at && process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)to.iov_len;
}
static uint32_t env32(const struct probe *p, int off) { return FIELD(p->env, off, uint32_t); }

static uint32_t on_in(uc_engine *uc, uint32_t port, int size, void *opaque)
{
    struct probe *p = opaque;
    (void)port, (void)size;
    bool first = p->ins++ == 0;
    expect(p, env32(p, ENV_OFF_EIP) == AT_SHADOW + (first ? 0 : 1), "env.eip in an IN hook");
    expect(p, !!(env32(p, ENV_OFF_HFLAGS) & HF_INHIBIT_IRQ_MASK) == first, "env.hflags: interrupt shadow of STI");
    expect(p, env32(p, ENV_OFF_EFLAGS) & EFLAGS_IF, "env.eflags: IF after STI");
    expect(p, FIELD(uc, UC_OFF_NESTED_LEVEL, int) == 1, "uc.nested_level while running");
    return 0;
}
static void on_exception(uc_engine *uc, uint32_t vector, void *opaque)
{
    struct probe *p = opaque;
    expect(p, FIELD(p->cpu, CPU_OFF_EXCEPTION_INDEX, int32_t) == (int32_t)vector, "cpu.exception_index");
    if (vector == 13) {
        p->gps++;
        expect(p, env32(p, ENV_OFF_ERROR_CODE) == GP_SELECTOR, "env.error_code after #GP");
        expect(p, env32(p, ENV_OFF_EXCEPTION_IS_INT) == 0, "env.exception_is_int after #GP");
        expect(p, env32(p, ENV_OFF_OLD_EXCEPTION) == 13, "env.old_exception after #GP");
        expect(p, env32(p, ENV_OFF_EIP) == AT_GP, "env.eip after #GP");
        FIELD(p->env, ENV_OFF_OLD_EXCEPTION, int32_t) = -1;
        FIELD(p->env, ENV_OFF_EIP, uint64_t) = AT_GP + 2;
        if (p->bad || p->gps > 1)
            uc_emu_stop(uc);                            /* a wrong eip must not loop for ever */
    } else {
        p->ints++;
        expect(p, vector == 0x45 && env32(p, ENV_OFF_EXCEPTION_IS_INT) == 1, "env.exception_is_int after INT");
        expect(p, env32(p, ENV_OFF_EXCEPTION_NEXT_EIP) == AT_AFTER_INT, "env.exception_next_eip after INT");
    }
}
static uint64_t on_mmio(uc_engine *uc, uint64_t offset, unsigned size, void *opaque)
{
    struct probe *p = opaque;
    (void)offset, (void)size;
    uintptr_t from = FIELD(p->cpu, CPU_OFF_MEM_IO_PC, uintptr_t);
    (void)uc;
    p->reads++;
    const TranslationBlock *tb = tcg_tb_lookup_x86_64(p->watch.tcg, from);
    if (!tb)
        return expect(p, false, "cpu.mem_io_pc does not lead to a block"), 0;
    expect(p, FIELD(tb, TB_OFF_PC, uint64_t) == AT_AFTER_INT, "tb.pc");
    expect(p, !((FIELD(tb, TB_OFF_FLAGS, uint32_t) ^ env32(p, ENV_OFF_HFLAGS)) & 0xffff), "tb.flags");
    expect(p, env32(p, ENV_OFF_CC_DST) == env32(p, ENV_OFF_REGS), "env.cc_dst after INC");
    expect(p, FIELD(tb, TB_OFF_ICOUNT, uint16_t) == 5, "tb.icount");
    expect(p, FIELD(tb, TB_OFF_SIZE, uint16_t) == AT_INCS - AT_AFTER_INT, "tb.size");
    const uint64_t *offsets = &FIELD(tb, TB_OFF_PAGE_ADDR, uint64_t);
    expect(p, offsets[0] == VIRTUAL_CODE_OFFSET && offsets[1] == UINT64_MAX, "tb.page_addr");
    uintptr_t code = FIELD(tb, TB_OFF_TC_PTR, uintptr_t);
    size_t bytes = FIELD(tb, TB_OFF_TC_SIZE, size_t);
    if (from - code >= bytes || !readable((void *)(code + bytes), 16))
        return expect(p, false, "tb.tc"), 0;
    expect(p, block_instruction_index(tb, AT_MMIO) == 3, "instruction table behind the block's code");
    expect(p, cpu_restore_state_x86_64(p->cpu, from, false) && env32(p, ENV_OFF_EIP) == AT_MMIO, "state recovery from cpu.mem_io_pc");
    return 0;
}
static void on_edge(uc_engine *uc, uc_tb *now, uc_tb *before, void *opaque)
{
    struct probe *p = opaque;
    (void)uc, (void)before;
    if (now->pc == AT_AFTER_INT && now->icount == 5)
        p->edges++;                                     /* the engine's public word for the same number */
}

static void check_registers(struct probe *p)
{
    static const int gpr[8] = { UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX,
                                UC_X86_REG_ESP, UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI };
    for (int i = 0; i < 8; i++) {
        uint32_t v = 0xa5000000u + i;
        uc_reg_write(p->uc, gpr[i], &v);
        expect(p, env32(p, ENV_OFF_REGS + 8 * i) == v, "env.regs");
    }
    uint32_t v = 0xcafe1230, flags = 0x2 | 0x41;
    uc_reg_write(p->uc, UC_X86_REG_CR2, &v);
    expect(p, env32(p, ENV_OFF_CR + 16) == v, "env.cr");
    uc_reg_write(p->uc, UC_X86_REG_EFLAGS, &flags);
    expect(p, env32(p, ENV_OFF_CC_OP) == CC_OP_EFLAGS_VALUE && env32(p, ENV_OFF_CC_SRC) == 0x41, "env.cc_op, env.cc_src");
    static const struct { int reg, off; const char *name; } tables[] = {
        { UC_X86_REG_GDTR, ENV_OFF_GDT, "env.gdt" }, { UC_X86_REG_IDTR, ENV_OFF_IDT, "env.idt" },
        { UC_X86_REG_LDTR, ENV_OFF_LDT, "env.ldt" }, { UC_X86_REG_TR, ENV_OFF_TR, "env.tr" } };
    for (int i = 0; i < 4; i++) {
        uc_x86_mmr mmr = { 0x28, 0x5000 + i, 0x67, 0x8900 };
        uc_reg_write(p->uc, tables[i].reg, &mmr);
        expect(p, env32(p, tables[i].off + SEG_OFF_BASE) == 0x5000u + i && env32(p, tables[i].off + SEG_OFF_LIMIT) == 0x67, tables[i].name);
    }
    expect(p, env32(p, ENV_OFF_TR + SEG_OFF_SELECTOR) == 0x28 && env32(p, ENV_OFF_TR + SEG_OFF_FLAGS) == 0x8900, "segment layout");
    x86_cpu_set_a20_x86_64(p->cpu, 0);
    expect(p, env32(p, ENV_OFF_A20_MASK) == ~(1u << 20), "env.a20_mask");
    x86_cpu_set_a20_x86_64(p->cpu, 1);
    uint32_t dr6 = 0xffff0ff1;
    uc_reg_write(p->uc, UC_X86_REG_DR6, &dr6);
    expect(p, env32(p, ENV_OFF_DR + 8 * 6) == dr6, "env.dr");
    /* Load ES, FS, GS from a table in memory: base 0x2340 + n, limit 0x5678, writable data. */
    static const struct { int reg, index; } segments[] = { { UC_X86_REG_ES, SEG_ES }, { UC_X86_REG_FS, SEG_FS }, { UC_X86_REG_GS, SEG_GS } };
    uc_x86_mmr gdt = { 0, GDT, 4 * 8 - 1, 0 };
    uc_reg_write(p->uc, UC_X86_REG_GDTR, &gdt);
    for (int i = 0; i < 3; i++) {
        uint64_t descriptor = UINT64_C(0x0000930000005678) | (uint64_t)(0x2340 + i) << 16;
        uint32_t selector = 8 * (i + 1);
        int off = ENV_OFF_SEGS + segments[i].index * SEG_STRIDE;
        uc_mem_write(p->uc, GDT + selector, &descriptor, 8);
        uc_reg_write(p->uc, segments[i].reg, &selector);
        expect(p, env32(p, off + SEG_OFF_SELECTOR) == selector && env32(p, off + SEG_OFF_BASE) == 0x2340u + i &&
                      env32(p, off + SEG_OFF_LIMIT) == 0x5678 && (env32(p, off + SEG_OFF_FLAGS) & 0xfe00) == 0x9200, "env.segs");
    }
}

static void check_fpu(struct probe *p)
{
    static const struct { uint64_t significand; uint16_t sign_exponent; } value = { UINT64_C(0xc0de000000000001), 0xbffe };
    uint16_t control = 0x0b7f, status = 0x5a22, tags = 0xfff3;     /* TOP = 3; only register 1 is in use */
    uc_reg_write(p->uc, UC_X86_REG_FPCW, &control);
    uc_reg_write(p->uc, UC_X86_REG_FPSW, &status);
    uc_reg_write(p->uc, UC_X86_REG_FPTAG, &tags);
    expect(p, FIELD(p->env, ENV_OFF_FPUC, uint16_t) == control, "env.fpuc");
    expect(p, (FIELD(p->env, ENV_OFF_FPUS, uint16_t) & ~0x3800) == (status & ~0x3800) && env32(p, ENV_OFF_FPSTT) == 3, "env.fpus, env.fpstt");
    for (int i = 0; i < 8; i++)
        expect(p, FIELD(p->env, ENV_OFF_FPTAGS + i, uint8_t) == (i != 1), "env.fptags");
    for (int i = 0; i < 8; i++) {
        uc_reg_write(p->uc, UC_X86_REG_FP0 + i, &value);
        expect(p, !memcmp(&FIELD(p->env, ENV_OFF_FPREGS + FPREG_STRIDE * i, uint8_t), &value, 10), "env.fpregs");
    }
}

/* How the arithmetic reports: MXCSR and the control word decide how their library rounds. */
static void check_arithmetic(struct probe *p)
{
    static const struct { uint32_t mxcsr; uint16_t control; uint8_t rounding; } modes[] = {
        { 0x1f80, 0x037f, 0 }, { 0x3f80, 0x077f, 1 }, { 0x5f80, 0x0b7f, 2 }, { 0x7f80, 0x0f7f, 3 } };
    for (int i = 0; i < 4; i++) {
        uint32_t mxcsr = modes[i].mxcsr;
        uint16_t control = modes[i].control;
        uc_reg_write(p->uc, UC_X86_REG_MXCSR, &mxcsr);
        uc_reg_write(p->uc, UC_X86_REG_FPCW, &control);
        expect(p, env32(p, ENV_OFF_MXCSR) == mxcsr, "env.mxcsr");
        expect(p, FIELD(p->env, ENV_OFF_SSE_STATUS + STATUS_OFF_ROUNDING, uint8_t) == modes[i].rounding, "env.sse_status");
        expect(p, FIELD(p->env, ENV_OFF_FP_STATUS + STATUS_OFF_ROUNDING, uint8_t) == modes[i].rounding, "env.fp_status");
    }
    const uint64_t *features = &FIELD(p->env, ENV_OFF_FEATURES, uint64_t);
    expect(p, (features[FEATURES_1_EDX] & 0x07808131) == 0x07808131 && (features[FEATURES_1_ECX] & 0x80201) == 0x80201,
           "env.features");                             /* FPU ... SSE2; SSE3, SSSE3, SSE4.1: the engine's Haswell */
}

static void check_execution(struct probe *p)
{
    uc_hook h;
    uc_hook_add(p->uc, &h, UC_HOOK_INSN, on_in, p, 1, 0, UC_X86_INS_IN);
    uc_hook_add(p->uc, &h, UC_HOOK_INTR, on_exception, p, 1, 0);
    uc_hook_add(p->uc, &h, UC_HOOK_EDGE_GENERATED, on_edge, p, 1, 0);
    FIELD(p->uc, UC_OFF_NO_EXIT_REQUEST, uint8_t) = 1;
    uc_err err = uc_emu_start(p->uc, CODE, ~UINT64_C(0), 0, 0);
    expect(p, !err && p->ins == 2 && p->gps == 1 && p->ints == 1 && p->reads == 1 && p->edges == 1, "probe program did not run as expected");
    expect(p, env32(p, ENV_OFF_EIP) == AT_END, "probe program did not reach its end");
    expect(p, FIELD(p->cpu, CPU_OFF_HALTED, uint32_t) == 1, "cpu.halted after HLT");
    expect(p, FIELD(p->uc, UC_OFF_NESTED_LEVEL, int) == 0, "uc.nested_level at rest");
    /* Blocks: sti | in (shadow) | in, mov, mov ds | int | five instructions | incs and hlt.  One
     * prologue call each and none for the memory accesses shows that no_exit_request works. */
    expect(p, p->watch.count == 6, "number of block prologues (uc.no_exit_request or --wrap missing)");
    expect(p, p->watch.instructions >= 12 && !p->watch.translator_differs, "the translator's table of functions");
    void *class = FIELD(p->cpu, CPU_OFF_CLASS, void *);
    expect(p, readable(class, 80) && FIELD(class, CLASS_OFF_TLB_FILL, void *) == (void *)__wrap_x86_cpu_tlb_fill_x86_64 &&
              !FIELD(class, CLASS_OFF_UNALIGNED, void *), "cpu.cc");
    expect(p, FIELD(p->uc, UC_OFF_TCG, TCGContext *) == p->watch.tcg, "uc.tcg_ctx");
    int tlb = ENV_OFF_TLB_TABLES + MMU_KERNEL * TLB_TABLE_STRIDE;
    uint64_t mask = FIELD(p->env, tlb + TLB_TABLE_OFF_MASK, uint64_t);
    char *entry = FIELD(p->env, tlb + TLB_TABLE_OFF_TABLE, char *) + ((uint64_t)CODE / PAGE_BYTES * TLB_ENTRY_BYTES & mask);
    expect(p, readable(entry, TLB_ENTRY_BYTES) && FIELD(entry, TLB_ENTRY_OFF_CODE, uint64_t) == CODE, "env.tlb");
    p->watch.count = 0;
    FIELD(p->cpu, CPU_OFF_CFLAGS_NEXT_TB, uint32_t) = 2;
    err = uc_emu_start(p->uc, AT_INCS, ~UINT64_C(0), 0, 0);
    expect(p, !err && p->watch.count == 2, "cpu.cflags_next_tb");
    if (p->bad || !p->watch.count)
        return;
    const TranslationBlock *tb = tcg_tb_lookup_x86_64(p->watch.tcg, p->watch.return_address[0]);
    expect(p, tb && FIELD(tb, TB_OFF_ICOUNT, uint16_t) == 2, "block limited to two instructions");
}

/* The scratch engine, from opening to closing. */
static void probe_engine(struct probe *p, uint8_t *ram)
{
    uint32_t zero = 0, flags = 2;
    if (uc_open(UC_ARCH_X86, UC_MODE_32, &p->uc)) {
        p->bad = "cannot open the engine";
        return;
    }
    if (uc_ctl_exits_enable(p->uc) || uc_mem_map_ptr(p->uc, 0, RAM_BYTES, UC_PROT_ALL, ram) ||
        uc_mmio_map(p->uc, MMIO, 0x1000, on_mmio, p, NULL, NULL) || uc_reg_write(p->uc, UC_X86_REG_EAX, &zero)) {
        p->bad = "cannot set up the engine";
    } else {
        p->cpu = FIELD(p->uc, UC_OFF_CPU, CPUState *);
        if (!readable((char *)p->cpu + CPU_OFF_UC, 8) || FIELD(p->cpu, CPU_OFF_UC, uc_engine *) != p->uc)
            p->bad = "uc.cpu / cpu.uc";
        else if (!readable(p->env = FIELD(p->cpu, CPU_OFF_ENV, CPUX86State *), 8))
            p->bad = "cpu.env_ptr";
        else
            check_registers(p), check_fpu(p), check_arithmetic(p);
        if (!p->bad) {
            uc_reg_write(p->uc, UC_X86_REG_EFLAGS, &flags);
            check_execution(p);
        }
    }
    uc_close(p->uc);
}

bool layout_probe(char *message, size_t message_bytes)
{
    static bool passed;                                 /* atomic: the engine cannot change while we run */
    struct probe p = { 0 };
    unsigned version = uc_version(NULL, NULL);
    if (__atomic_load_n(&passed, __ATOMIC_RELAXED))
        return true;
    if (version >> 8 != (LAYOUT_VERSION_MAJOR << 16 | LAYOUT_VERSION_MINOR << 8 | LAYOUT_VERSION_PATCH)) {
        snprintf(message, message_bytes, "unsuitable engine: version %u.%u.%u, this core is for 2.1.4", version >> 24,
                 version >> 16 & 255, version >> 8 & 255);
        return false;
    }
    uint8_t *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ram == MAP_FAILED) {
        snprintf(message, message_bytes, "out of memory");
        return false;
    }
    memcpy(ram + CODE, program, sizeof program);
    core *outer = core_current;
    struct probe_watch *outer_watch = probe_current;
    core_current = NULL;
    probe_current = &p.watch;
    probe_engine(&p, ram);
    munmap(ram, RAM_BYTES);
    core_current = outer;
    probe_current = outer_watch;
    if (p.bad) {
        snprintf(message, message_bytes, "unsuitable engine: layout mismatch: %s", p.bad);
        return false;
    }
    __atomic_store_n(&passed, true, __ATOMIC_RELAXED);
    return true;
}
