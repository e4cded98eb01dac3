/* layout.h - the few places where ft86 looks inside the engine's private structures.
 *
 * The product links Debian's static libunicorn.a and has no private headers, so every byte offset it
 * relies on stands here, once, for exactly one library version. No other file contains a number that
 * describes the engine's memory layout. layout_probe.c verifies the table at start-up by behaviour; if
 * one entry is wrong the product refuses to start.
 *
 * Source: measured on libunicorn.a 2.1.4 (x86-64 host); register layouts: Intel SDM volume 3. */
#ifndef FT86_LAYOUT_H
#define FT86_LAYOUT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unicorn/unicorn.h>

#define LAYOUT_VERSION_MAJOR 2
#define LAYOUT_VERSION_MINOR 1
#define LAYOUT_VERSION_PATCH 4

enum {
    /* struct uc_struct */
    UC_OFF_CPU = 440,              /* CPUState*; valid after the first register access (lazy start) */
    UC_OFF_TCG = 768,              /* TCGContext*: of the translator */
    UC_OFF_NO_EXIT_REQUEST = 2034, /* bool: true = emit no stop check after memory accesses */
    UC_OFF_JMP_BUFS = 2040,        /* sigjmp_buf[64] */
    UC_OFF_NESTED_LEVEL = 14840,   /* int */
    /* CPUState */
    CPU_OFF_CFLAGS_NEXT_TB = 24,   /* u32; low 15 bits = most instructions of the next block, -1 = unset */
    CPU_OFF_ENV = 296,             /* CPUX86State* */
    CPU_OFF_MEM_IO_PC = 33144,     /* host return address of the access that reached an MMIO callback */
    CPU_OFF_HALTED = 33176,        /* u32 */
    CPU_OFF_EXCEPTION_INDEX = 33184, /* i32 */
    CPU_OFF_UC = 33192,            /* back pointer, used only by the probe */
    CPU_OFF_CLASS = 33200,         /* CPUClass* */
    /* CPUClass */
    CLASS_OFF_UNALIGNED = 24,      /* void (*)(CPUState*, u64 va, int access, int mmu_idx, host pc); none for x86 */
    CLASS_OFF_TLB_FILL = 72,       /* used only by the probe */
    /* TCGContext */
    TCG_OFF_ENV = 904,             /* the value that stands for env in arguments of helpers */
    /* DisasContextBase */
    DISAS_OFF_PC_NEXT = 16,        /* u64 */
    DISAS_OFF_IS_JMP = 24,         /* i32: 0 = the block goes on */
    /* TranslatorOps: pointers before and after that of the function for one instruction */
    TRANSLATOR_OPS_BEFORE = 4,
    TRANSLATOR_OPS_AFTER = 2,
    /* Before CPUX86State: the TLB's tables, one for each of the engine's TLB_TABLES indices */
    ENV_OFF_TLB_TABLES = -64,
    TLB_TABLE_STRIDE = 16,
    TLB_TABLE_OFF_MASK = 0,        /* u64: bytes of the table less one entry's */
    TLB_TABLE_OFF_TABLE = 8,
    TLB_ENTRY_BYTES = 64,          /* all ones: empty */
    TLB_ENTRY_OFF_CODE = 16,       /* u64: address that fetches are compared with; used only by the probe */
    /* CPUX86State ("env") */
    ENV_OFF_REGS = 0,              /* u64[16] */
    ENV_OFF_EIP = 128,
    ENV_OFF_EFLAGS = 136,          /* IF, IOPL, VM ... are always valid; arithmetic flags are lazy */
    ENV_OFF_CC_DST = 144,
    ENV_OFF_CC_SRC = 152,
    ENV_OFF_CC_SRC2 = 160,
    ENV_OFF_CC_OP = 168,
    ENV_OFF_HFLAGS = 176,
    ENV_OFF_HFLAGS2 = 180,
    ENV_OFF_SEGS = 184,            /* ES CS SS DS FS GS, SEG_STRIDE bytes each */
    ENV_OFF_LDT = 328,
    ENV_OFF_TR = 352,
    ENV_OFF_GDT = 376,
    ENV_OFF_IDT = 400,
    ENV_OFF_CR = 424,              /* u64[5] */
    ENV_OFF_A20_MASK = 496,
    ENV_OFF_FPSTT = 604,           /* u32: number of the register that is ST(0) */
    ENV_OFF_FPUS = 608,            /* u16: status word without TOP */
    ENV_OFF_FPUC = 610,            /* u16: control word */
    ENV_OFF_FPTAGS = 612,          /* u8[8]: 1 = empty, 0 = not */
    ENV_OFF_FPREGS = 624,          /* FPREG_STRIDE bytes each: u64 significand, u16 sign and exponent */
    ENV_OFF_FP_STATUS = 776,       /* the softfloat library's status for x87 arithmetic, see STATUS_OFF_... */
    ENV_OFF_SSE_STATUS = 808,      /* ... and for SSE */
    ENV_OFF_MXCSR = 816,
    ENV_OFF_ERROR_CODE = 5384,
    ENV_OFF_EXCEPTION_IS_INT = 5388,
    ENV_OFF_EXCEPTION_NEXT_EIP = 5392,
    ENV_OFF_DR = 5400,             /* u64[8] */
    ENV_OFF_OLD_EXCEPTION = 5496,  /* contributory exception in progress (double-fault rule), -1 none */
    ENV_OFF_FEATURES = 5632,       /* u64[]: what the translator believes the processor to have, see FEATURES_... */
    FPREG_STRIDE = 16,
    ENV_OFF_FPU_OPCODE = 752,      /* u16 each: of the last x87 instruction that was not a control instruction */
    ENV_OFF_FPU_CS = 754,
    ENV_OFF_FPU_DS = 756,
    ENV_OFF_FPU_IP = 760,          /* u64 each */
    ENV_OFF_FPU_DP = 768,
    /* float_status */
    STATUS_OFF_ROUNDING = 1,       /* 0 nearest, 1 down, 2 up, 3 towards zero */
    STATUS_OFF_FLAGS = 2,          /* 1 invalid, 4 division by zero, 8 overflow, 16 underflow, 32 inexact */
    STATUS_OFF_FLUSH_TO_ZERO = 4,
    /* env.features: CPUID leaf and register */
    FEATURES_1_EDX = 0,
    FEATURES_1_ECX = 1,
    FEATURES_7_EBX = 2,
    FEATURES_7_ECX = 3,
    FEATURES_80000001_EDX = 6,
    FEATURES_80000001_ECX = 7,
    /* SegmentCache */
    SEG_STRIDE = 24,
    SEG_OFF_SELECTOR = 0,
    SEG_OFF_BASE = 8,
    SEG_OFF_LIMIT = 16,
    SEG_OFF_FLAGS = 20,
    /* TranslationBlock */
    TB_OFF_PC = 0,
    TB_OFF_FLAGS = 16,             /* u32: env.hflags, and TF, IOPL, RF, VM and AC of env.eflags */
    TB_OFF_SIZE = 20,              /* u16, guest bytes */
    TB_OFF_ICOUNT = 22,            /* u16, guest instructions */
    TB_OFF_TC_PTR = 32,
    TB_OFF_TC_SIZE = 40,
    TB_OFF_PAGE_ADDR = 72,         /* u64[2]: RAM offsets of the one or two pages, -1 = none or not RAM */
};

enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };
#define EFLAGS_TF 0x100u
#define EFLAGS_IF 0x200u
#define EFLAGS_IOPL_SHIFT 12
#define EFLAGS_RF 0x10000u
#define EFLAGS_AC 0x40000u
#define EFLAGS_VM 0x20000u
#define HF_CPL_MASK 3u
#define HF_CS32_MASK 0x10u               /* the code segment's default is 32 bits */
#define HF_SS32_MASK 0x20u               /* the stack pointer has 32 bits */
#define HF_PE_MASK 0x80u                 /* CR0.PE */
#define HF_INHIBIT_IRQ_MASK 8u           /* shadow of STI / MOV SS */
#define HF2_NMI_MASK 4u                  /* of hflags2: NMIs are blocked; the engine's IRET clears it */
#define VECTOR_NMI 2
/* Bits which the engine keeps and never uses, one for each segment register (segments.h). They are part of what a
 * block's translation is found by. */
#define HF_CHECKED_MASK 0xf8000004u
#define HF_CHECKED(segment) ((segment) == SEG_ES ? 4u : 1u << (26 + (segment)))
#define VECTOR_STACK 12
#define VECTOR_PROTECTION 13
#define EXCP_INTERRUPT 0x10000           /* exception_index: leave the loop and come back */
#define CR0_PE 1u
#define CR0_NE 0x20u
#define VECTOR_INVALID_OPCODE 6
#define VECTOR_FLOATING_POINT 16
#define CR0_PG 0x80000000u
#define CC_OP_EFLAGS_VALUE 1u            /* "flags are materialised in cc_src" */
#define ACCESS_LOAD 0
#define ACCESS_STORE 1
#define ACCESS_FETCH 2
#define PROT_R 1
#define PROT_W 2
#define PROT_X 4
#define TLB_TABLES 3
#define MMU_USER 1                       /* the engine's index of the user-mode TLB */
#define MMU_KERNEL 2                     /* ... and of the supervisor TLB (without SMAP) */

#define FIELD(base, off, type) (*(type *)((char *)(base) + (off)))

typedef struct CPUState CPUState;        /* opaque engine types */
typedef struct CPUX86State CPUX86State;
typedef struct TranslationBlock TranslationBlock;
typedef struct TCGContext TCGContext;

/* Engine functions (global symbols of the static library) that ft86 calls. The _x86_64 suffix is the
 * archive's own way of keeping several targets apart. */
void do_interrupt_x86_hardirq_x86_64(CPUX86State *env, int vector, int is_hw);
void x86_cpu_do_interrupt_x86_64(CPUState *cpu);
void x86_cpu_set_a20_x86_64(CPUState *cpu, int on);
void cpu_loop_exit_x86_64(CPUState *cpu) __attribute__((noreturn));
void cpu_loop_exit_restore_x86_64(CPUState *cpu, uintptr_t host_pc) __attribute__((noreturn));
uint32_t cpu_cc_compute_all_x86_64(CPUX86State *env, int op);
bool cpu_restore_state_x86_64(CPUState *cpu, uintptr_t host_pc, bool will_exit);
void tb_invalidate_phys_range_x86_64(uc_engine *uc, uint64_t ram_start, uint64_t ram_end);
uint64_t qemu_ram_addr_from_host_x86_64(uc_engine *uc, void *host);
TranslationBlock *tcg_tb_lookup_x86_64(TCGContext *tcg, uintptr_t host_pc);
void helper_check_iob_x86_64(CPUX86State *env, uint32_t port);
void helper_check_iow_x86_64(CPUX86State *env, uint32_t port);
void helper_check_iol_x86_64(CPUX86State *env, uint32_t port);
uint64_t helper_inb_x86_64(CPUX86State *env, uint32_t port);
void helper_set_dr_x86_64(CPUX86State *env, int reg, uint64_t value);
void raise_exception_ra_x86_64(CPUX86State *env, int vector, uintptr_t host_pc) __attribute__((noreturn));
void raise_exception_err_ra_x86_64(CPUX86State *env, int vector, int error_code, uintptr_t host_pc)
    __attribute__((noreturn));
uint32_t cpu_ldub_data_ra_x86_64(CPUX86State *env, uint64_t va, uintptr_t host_pc);
uint32_t cpu_lduw_data_ra_x86_64(CPUX86State *env, uint64_t va, uintptr_t host_pc);
uint64_t cpu_ldq_data_ra_x86_64(CPUX86State *env, uint64_t va, uintptr_t host_pc);
void cpu_stb_data_ra_x86_64(CPUX86State *env, uint64_t va, uint32_t value, uintptr_t host_pc);
void cpu_stw_data_ra_x86_64(CPUX86State *env, uint64_t va, uint32_t value, uintptr_t host_pc);
void cpu_stl_data_ra_x86_64(CPUX86State *env, uint64_t va, uint32_t value, uintptr_t host_pc);
void cpu_stq_data_ra_x86_64(CPUX86State *env, uint64_t va, uint64_t value, uintptr_t host_pc);
uint32_t cpu_ldl_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, int mmu_idx, uintptr_t host_pc);
uint32_t cpu_lduw_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, int mmu_idx, uintptr_t host_pc);
void cpu_stl_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, uint32_t value, int mmu_idx, uintptr_t host_pc);
void cpu_stw_mmuidx_ra_x86_64(CPUX86State *env, uint64_t va, uint32_t value, int mmu_idx, uintptr_t host_pc);
void *probe_access_x86_64(CPUX86State *env, uint64_t va, int size, int access, int mmu_idx, uintptr_t host_pc);
void cpu_x86_update_cr0_x86_64(CPUX86State *env, uint32_t value);

/* Check the linked engine against the table above. False: it does not fit, and `message` names the first
 * mismatch. Done once per process. */
bool layout_probe(char *message, size_t message_bytes);
#endif
