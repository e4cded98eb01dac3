/*
 * Descriptor tables, interrupt dispatch and the interrupt controllers.
 *
 *   CPU -> entry-interrupt.S -> interrupt_dispatch -> handler of the vector
 *                                               \-> handlers of the IRQ line, then end-of-interrupt
 *
 * Device handlers run before the EOI: a level-triggered line must be low again by then.
 *
 * Source: Intel SDM volume 3A, chapters 3 (segments), 6 (interrupts), 7.2 (task state segment);
 * Intel 8259A data sheet (initialization command words 1 to 4, operation control words 1 to 3).
 */
#include "interrupts.h"
#include "console.h"
#include "port.h"
#include "runtime.h"

#define PIC_MASTER 0x20 /* command; data is the next port */
#define PIC_SLAVE 0xa0
#define PIC_ICW1_EDGE_CASCADE_ICW4 0x11
#define PIC_ICW4_8086 0x01
#define PIC_EOI 0x20
#define PIC_READ_ISR 0x0b
#define PIC_CASCADE_LINE 2
#define SPURIOUS_LINE_MASK 7 /* lines 7 and 15 */

#define ACCESS_CODE 0x9a
#define ACCESS_DATA 0x92
#define ACCESS_USER 0x60
#define ACCESS_TSS 0x89
#define FLAGS_4G 0xc
#define GATE_INTERRUPT 0x8e00u
#define HANDLERS_PER_LINE 4

struct table_pointer {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

extern const uint8_t interrupt_entries[256][16];
extern uint8_t stack_top[];
void segments_load(void);
void interrupt_dispatch(struct interrupt_frame *frame);

struct task_state interrupts_tss;

static uint32_t gdt[GDT_ENTRIES][2] __attribute__((aligned(4096)));
static uint32_t idt[256][2] __attribute__((aligned(8)));
static uint8_t trap_stack[8192] __attribute__((aligned(16)));
static interrupt_handler handlers[256];
static struct {
    irq_handler handler;
    void *context;
} irq_handlers[IRQ_LINES][HANDLERS_PER_LINE];
static uint32_t irq_counts[IRQ_LINES];

static const char *const exception_names[VECTOR_EXCEPTIONS] = {
    "#DE divide error",  "#DB debug",           "NMI",           "#BP breakpoint",
    "#OF overflow",      "#BR bound range",     "#UD undefined", "#NM no FPU",
    "#DF double fault",  "coprocessor overrun", "#TS bad TSS",   "#NP segment not present",
    "#SS stack segment", "#GP protection",      "#PF page fault", "reserved",
    "#MF FPU error",     "#AC alignment",       "#MC machine check", "#XM SIMD error",
};

void segment_set_raw(uint32_t selector, uint32_t low, uint32_t high)
{
    gdt[selector >> 3][0] = low;
    gdt[selector >> 3][1] = high;
}

void segment_set(uint32_t selector, uint32_t base, uint32_t limit, uint8_t access, uint8_t flags)
{
    segment_set_raw(selector, (limit & 0xffff) | base << 16,
                    (base >> 16 & 0xff) | (uint32_t)access << 8 | (limit & 0xf0000) | (uint32_t)flags << 20 |
                        (base & 0xff000000u));
}

static void tables_start(void)
{
    segment_set(SELECTOR_CODE, 0, 0xfffff, ACCESS_CODE, FLAGS_4G);
    segment_set(SELECTOR_DATA, 0, 0xfffff, ACCESS_DATA, FLAGS_4G);
    segment_set(SELECTOR_USER_CODE, 0, 0xfffff, ACCESS_CODE | ACCESS_USER, FLAGS_4G);
    segment_set(SELECTOR_USER_DATA, 0, 0xfffff, ACCESS_DATA | ACCESS_USER, FLAGS_4G);
    segment_set(SELECTOR_TSS, (uint32_t)&interrupts_tss, sizeof interrupts_tss - 1, ACCESS_TSS, 0);
    interrupts_tss.esp0 = (uint32_t)(trap_stack + sizeof trap_stack);
    interrupts_tss.ss0 = SELECTOR_DATA;
    interrupts_tss.bitmap_offset = __builtin_offsetof(struct task_state, bitmap);
    for (uint32_t i = 0; i < sizeof interrupts_tss.bitmap; i++)
        interrupts_tss.bitmap[i] = 0xff; /* a set bit refuses the port */
    for (uint32_t vector = 0; vector < 256; vector++) {
        uint32_t entry = (uint32_t)interrupt_entries[vector];
        idt[vector][0] = (uint32_t)SELECTOR_CODE << 16 | (entry & 0xffff);
        idt[vector][1] = (entry & 0xffff0000u) | GATE_INTERRUPT;
    }
    struct table_pointer gdt_pointer = { sizeof gdt - 1, (uint32_t)gdt };
    struct table_pointer idt_pointer = { sizeof idt - 1, (uint32_t)idt };
    __asm__ volatile("lgdt %0; lidt %1" : : "m"(gdt_pointer), "m"(idt_pointer) : "memory");
    segments_load();
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
}

static void pic_start(void)
{
    out8(PIC_MASTER, PIC_ICW1_EDGE_CASCADE_ICW4);
    out8(PIC_SLAVE, PIC_ICW1_EDGE_CASCADE_ICW4);
    out8(PIC_MASTER + 1, VECTOR_IRQ0);
    out8(PIC_SLAVE + 1, VECTOR_IRQ0 + 8);
    out8(PIC_MASTER + 1, 1 << PIC_CASCADE_LINE);
    out8(PIC_SLAVE + 1, PIC_CASCADE_LINE);
    out8(PIC_MASTER + 1, PIC_ICW4_8086);
    out8(PIC_SLAVE + 1, PIC_ICW4_8086);
    out8(PIC_MASTER + 1, 0xff);
    out8(PIC_SLAVE + 1, 0xff);
}

void interrupts_start(void)
{
    tables_start();
    pic_start();
}

void interrupt_handle(uint32_t vector, interrupt_handler handler) { handlers[vector] = handler; }

void interrupt_allow(uint32_t vector, uint32_t privilege)
{
    idt[vector][1] = (idt[vector][1] & ~0x6000u) | privilege << 13;
}

static void unmask(uint32_t line)
{
    uint16_t port = line < 8 ? PIC_MASTER + 1 : PIC_SLAVE + 1;
    out8(port, in8(port) & (uint8_t)~(1u << (line & 7)));
}

void irq_handle(uint32_t line, irq_handler handler, void *context)
{
    uint32_t slot = 0;
    while (slot < HANDLERS_PER_LINE && irq_handlers[line][slot].handler != 0)
        slot++;
    check(line < IRQ_LINES && slot < HANDLERS_PER_LINE, "no room for a handler of IRQ %u", line);
    irq_handlers[line][slot].context = context;
    irq_handlers[line][slot].handler = handler;
    if (line >= 8)
        unmask(PIC_CASCADE_LINE);
    unmask(line);
}

uint32_t irq_count(uint32_t line) { return *(volatile uint32_t *)&irq_counts[line]; }

static void report_exception(const struct interrupt_frame *frame)
{
    uint32_t fault_address;
    const char *name = frame->vector < VECTOR_EXCEPTIONS ? exception_names[frame->vector] : 0;
    __asm__ volatile("mov %%cr2, %0" : "=r"(fault_address));
    print("%s: exception %u (%s) error 0x%x at %x:%08x eflags %08x cr2 %08x\n", guest_name, frame->vector,
          name != 0 ? name : "no handler", frame->error, frame->cs & 0xffff, frame->eip, frame->eflags, fault_address);
    print("  eax %08x ebx %08x ecx %08x edx %08x esi %08x edi %08x ebp %08x\n", frame->eax, frame->ebx, frame->ecx,
          frame->edx, frame->esi, frame->edi, frame->ebp);
    finish(EXIT_EXCEPTION);
}

/* A line that drops before it is acknowledged shows as line 7 of its chip, without a bit in the in-service register. */
static bool is_spurious(uint32_t line)
{
    if ((line & SPURIOUS_LINE_MASK) != SPURIOUS_LINE_MASK)
        return false;
    uint16_t chip = line < 8 ? PIC_MASTER : PIC_SLAVE;
    out8(chip, PIC_READ_ISR);
    if (in8(chip) & 0x80)
        return false;
    if (line >= 8)
        out8(PIC_MASTER, PIC_EOI); /* the cascade line really was in service */
    return true;
}

static void dispatch_irq(uint32_t line)
{
    if (is_spurious(line))
        return;
    irq_counts[line]++;
    for (uint32_t i = 0; i < HANDLERS_PER_LINE && irq_handlers[line][i].handler != 0; i++)
        irq_handlers[line][i].handler(irq_handlers[line][i].context);
    if (line >= 8)
        out8(PIC_SLAVE, PIC_EOI);
    out8(PIC_MASTER, PIC_EOI);
}

void interrupt_dispatch(struct interrupt_frame *frame)
{
    uint32_t vector = frame->vector;
    if (handlers[vector] != 0)
        handlers[vector](frame);
    else if (vector - VECTOR_IRQ0 < IRQ_LINES)
        dispatch_irq(vector - VECTOR_IRQ0);
    else
        report_exception(frame);
}
