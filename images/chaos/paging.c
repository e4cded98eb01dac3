/*
 * Page tables, and what must happen when they change: new mappings after INVLPG and after a CR3 load, aliases,
 * accessed and dirty bits, and instructions that are restarted after a page fault in their middle.
 *
 *   0         8 MiB as it is      0x40000000  window, 64 pages onto shuffled frames      0x80000000  4 MiB alias
 *
 * Source: Intel SDM volume 3A, sections 4.3 (32-bit paging), 4.8 (accessed and dirty flags), 4.10 (invalidation).
 */
#include "chaos.h"
#include "memory.h"

#define IDENTITY_TABLES 2u
#define SHUFFLE 29u /* odd, so that page -> frame is one to one */
#define CR0_PG 0x80000000u

static uint32_t directory[1024] __attribute__((aligned(4096)));
static uint32_t identity[IDENTITY_TABLES][1024] __attribute__((aligned(4096)));
static volatile uint32_t window_table[1024] __attribute__((aligned(4096)));
static uint8_t frames[WINDOW_FRAMES][4096] __attribute__((aligned(4096)));
static uint32_t repaired_page, repairs;

static inline void invalidate(const void *address) { __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory"); }

static inline void load_cr3(void) { __asm__ volatile("mov %0, %%cr3" : : "r"(directory) : "memory"); }

volatile uint32_t *window_entry(uint32_t page) { return &window_table[page]; }

uint8_t *window_frame(uint32_t frame) { return frames[frame]; }

void window_map(uint32_t page, uint32_t frame, uint32_t flags)
{
    window_table[page] = (uint32_t)frames[frame] | flags;
    invalidate(window_page(page));
}

void window_reset(void)
{
    for (uint32_t page = 0; page < WINDOW_PAGES; page++)
        window_map(page, page * SHUFFLE % WINDOW_FRAMES, PAGE_ALL);
}

void paging_start(void)
{
    uint32_t cr0;
    for (uint32_t i = 0; i < IDENTITY_TABLES * 1024; i++)
        identity[i / 1024][i % 1024] = i * 4096 | PAGE_ALL;
    for (uint32_t i = 0; i < IDENTITY_TABLES; i++)
        directory[i] = (uint32_t)identity[i] | PAGE_ALL;
    directory[WINDOW >> 22] = (uint32_t)window_table | PAGE_ALL;
    directory[LARGE_ALIAS >> 22] = PAGE_ALL | PAGE_LARGE;
    load_cr3();
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0; jmp 1f; 1:" : : "r"(cr0 | CR0_PG) : "memory");
    window_reset();
}

static void mappings(void)
{
    volatile uint32_t *word = (volatile uint32_t *)(window_page(3) + 0x120);
    uint32_t first = chaos_random(), second = chaos_random();
    *(volatile uint32_t *)(window_frame(5) + 0x120) = first;
    *(volatile uint32_t *)(window_frame(6) + 0x120) = second;
    window_map(3, 5, PAGE_ALL);
    chaos_equal("a mapped page", *word, first);
    window_map(3, 6, PAGE_ALL);
    chaos_equal("a page mapped anew with INVLPG", *word, second);
    *window_entry(3) = (uint32_t)window_frame(5) | PAGE_ALL;
    load_cr3();
    chaos_equal("a page mapped anew with a CR3 load", *word, first);
    *word = second ^ first;
    chaos_equal("a store through the window", *(volatile uint32_t *)(window_frame(5) + 0x120), first ^ second);
    volatile uint32_t *alias = (volatile uint32_t *)(LARGE_ALIAS + (uint32_t)window_frame(5) + 0x120);
    chaos_equal("the large page", *alias, first ^ second);
    *alias = first;
    chaos_equal("a store through the large page", *word, first);
}

static void accessed_and_dirty(void)
{
    volatile uint32_t *word = (volatile uint32_t *)(window_page(7) + 4 * (chaos_random() % 1024));
    window_map(7, 9, PAGE_ALL);
    chaos_equal("A and D of a fresh entry", *window_entry(7) & (PAGE_ACCESSED | PAGE_DIRTY), 0);
    (void)*word;
    chaos_equal("A after a load", *window_entry(7) & (PAGE_ACCESSED | PAGE_DIRTY), PAGE_ACCESSED);
    *word = 1;
    chaos_equal("D after a store", *window_entry(7) & (PAGE_ACCESSED | PAGE_DIRTY), PAGE_ACCESSED | PAGE_DIRTY);
    window_map(7, 9, PAGE_ALL);
    *word = 2;
    chaos_equal("A and D after a store", *window_entry(7) & (PAGE_ACCESSED | PAGE_DIRTY), PAGE_ACCESSED | PAGE_DIRTY);
}

/* The hook: make the missing page present, whatever the instruction was, and let it run again. */
static bool repair(struct interrupt_frame *frame)
{
    if (frame->vector != VECTOR_PF || trap_address - WINDOW >= WINDOW_PAGES * 4096)
        return false;
    repaired_page = (trap_address - WINDOW) / 4096;
    repairs++;
    *window_entry(repaired_page) |= PAGE_ALL;
    invalidate((const void *)trap_address);
    return true;
}

/* A REP MOVSB that meets a missing page, first as its source, then as its destination. */
static void restart_copy(void)
{
    uint32_t bytes = 200 + chaos_random() % 5000, offset = chaos_random() % 4000;
    uint8_t *from = window_page(16) + offset, *to = window_page(24) + chaos_random() % 4000;
    for (uint32_t i = 0; i < bytes; i++)
        from[i] = (uint8_t)chaos_random();
    uint32_t missing = ((uint32_t)from + bytes - 1 - WINDOW) / 4096;
    window_map(missing, missing * SHUFFLE % WINDOW_FRAMES, 0);
    uint32_t missing_to = ((uint32_t)to + bytes - 1 - WINDOW) / 4096;
    window_map(missing_to, missing_to * SHUFFLE % WINDOW_FRAMES, PAGE_PRESENT | PAGE_USER);
    repairs = 0;
    trap_hook = repair;
    memcpy(to, from, bytes);
    trap_hook = 0;
    chaos_equal("page faults of one copy", repairs, 2);
    chaos_equal_bytes("a copy that was interrupted by faults", to, from, bytes);
}

/* Loads, stores and read-modify-writes across a border whose second page is missing: all or nothing. */
static void restart_crossing(void)
{
    uint8_t *border = window_page(33);
    uint32_t before = 1 + chaos_random() % 3, value = chaos_random(), result;
    uint32_t *word = (uint32_t *)(border - before);
    repairs = 0;
    trap_hook = repair;
    window_map(33, 33 * SHUFFLE % WINDOW_FRAMES, 0);
    *(volatile uint32_t *)word = value;
    window_map(33, 33 * SHUFFLE % WINDOW_FRAMES, 0);
    result = *(volatile uint32_t *)word;
    chaos_equal("a crossing store and load", result, value);
    window_map(33, 33 * SHUFFLE % WINDOW_FRAMES, 0);
    __asm__ volatile("addl %1, %0" : "+m"(*word) : "r"(value) : "cc");
    window_map(33, 33 * SHUFFLE % WINDOW_FRAMES, PAGE_PRESENT);
    result = value;
    __asm__ volatile("lock xaddl %0, %1" : "+r"(result), "+m"(*word) : : "cc");
    chaos_equal("XADD across a border: what was there", result, value * 2);
    chaos_equal("XADD across a border: the sum", *(volatile uint32_t *)word, value * 3);
    window_map(33, 33 * SHUFFLE % WINDOW_FRAMES, 0);
    __asm__ volatile("pushl %0; popl %0" : "+m"(*word));
    trap_hook = 0;
    chaos_equal("page faults at a border", repairs, 5);
    chaos_equal("the word at the border", *(volatile uint32_t *)word, value * 3);
}

void chaos_paging(void)
{
    window_reset();
    for (uint32_t i = 0; i < 4; i++) {
        mappings();
        accessed_and_dirty();
        restart_copy();
        restart_crossing();
        window_reset();
    }
}
