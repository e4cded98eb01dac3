/*
 * Segments, interrupt descriptor table and the 8259 pair. The PIC is remapped to vectors 0x20 to 0x2f, all lines
 * masked until a handler is added. An exception without a handler is reported on the console and stops the guest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum selector {
    SELECTOR_CODE = 0x08,
    SELECTOR_DATA = 0x10,
    SELECTOR_USER_CODE = 0x18 | 3,
    SELECTOR_USER_DATA = 0x20 | 3,
    SELECTOR_TSS = 0x28,
    SELECTOR_FREE = 0x30, /* the first one a guest may use with segment_set() */
};

enum vector {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_BP = 3,
    VECTOR_OF = 4,
    VECTOR_BR = 5,
    VECTOR_UD = 6,
    VECTOR_NM = 7,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_MF = 16,
    VECTOR_EXCEPTIONS = 32,
    VECTOR_IRQ0 = 0x20,
};

#define GDT_ENTRIES 32
#define IRQ_LINES 16

/* What entry-interrupt.S leaves on the stack. esp and ss are there only when the CPL changed; the last four only
 * when virtual-8086 code was interrupted. */
struct interrupt_frame {
    uint32_t gs, fs, es, ds;
    uint32_t edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
    uint32_t vector, error;
    uint32_t eip, cs, eflags;
    uint32_t esp, ss;
    uint32_t v86_es, v86_ds, v86_fs, v86_gs;
};

/* 104 bytes of the 32-bit task state segment, then the I/O permission bitmap for ports 0 to 0x3ff and its end byte. */
struct task_state {
    uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    uint32_t registers[8];
    uint32_t es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, bitmap_offset;
    uint8_t bitmap[129];
} __attribute__((packed));

typedef void (*interrupt_handler)(struct interrupt_frame *frame);
typedef void (*irq_handler)(void *context);

extern struct task_state interrupts_tss;

void interrupts_start(void);

/* Set the handler of an exception or a software interrupt (not of an IRQ). Null: report and stop. */
void interrupt_handle(uint32_t vector, interrupt_handler handler);

/* Let code of this privilege level (0 to 3) reach a vector with INT n. */
void interrupt_allow(uint32_t vector, uint32_t privilege);

/* Add a handler to an IRQ line (lines are shared: all handlers of a line run) and unmask the line. */
void irq_handle(uint32_t line, irq_handler handler, void *context);

/* How many interrupts this line has delivered. */
uint32_t irq_count(uint32_t line);

/* Write a segment descriptor: `access` is byte 5 (present, DPL, type), `flags` the upper half of byte 6 (G, D/B). */
void segment_set(uint32_t selector, uint32_t base, uint32_t limit, uint8_t access, uint8_t flags);

/* Write two raw words of a descriptor (gates). */
void segment_set_raw(uint32_t selector, uint32_t low, uint32_t high);
