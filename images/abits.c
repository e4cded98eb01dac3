/*
 * abits: a memory manager's nightmare. Touches data, code and stack pages at random, harvests the accessed and dirty
 * bits of their page table entries into a hash, and clears them, mostly WITHOUT telling the TLB.
 *
 *   touch some pages (load, store, call, push) -> every so often: hash all A and D bits, clear some -> ...
 *
 * Without INVLPG it depends on the TLB's warmth whether the next touch sets A again. So the hash shows whether both
 * replicas (and runs with other slices, digests, checkpoints) have the same TLB at the same instruction. It need not
 * be the same on another machine, or under other interrupt timing.
 * Checks itself: after INVLPG, a touch must set A, and a store D.
 * Options: rounds=100000, hz=1000 (19 to 20000), seed=1.
 * Source: Intel SDM volume 3A, sections 4.8 (accessed and dirty flags), 4.10.4 (invalidation).
 */
#include "console.h"
#include "memory.h"
#include "options.h"
#include "runtime.h"
#include "timer-chip.h"

#define WINDOW 0x40000000u
#define DATA_PAGES 512u /* twice the entries of a small software TLB */
#define CODE_PAGES 16u
#define STACK_PAGES 8u
#define WINDOW_PAGES (DATA_PAGES + CODE_PAGES + STACK_PAGES)
#define IDENTITY_TABLES 4u
#define TOUCHES_PER_ROUND 24u
#define HARVEST_EVERY 8u
#define PAGE_PRESENT_WRITE 0x3u
#define PAGE_ACCESSED 0x20u
#define PAGE_DIRTY 0x40u
#define CR0_PG_WP 0x80010000u

static uint32_t *directory;
static volatile uint32_t *identity, *window;
static volatile uint32_t hash = 0x811c9dc5u; /* in RAM, so that a digest of RAM sees it at once */
static uint32_t random_state;

static uint32_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static volatile uint8_t *window_page(uint32_t page)
{
    uint32_t address = WINDOW + page * PAGE_BYTES;
    __asm__("" : "+r"(address));
    return (volatile uint8_t *)address;
}

static void invalidate(uint32_t page) { __asm__ volatile("invlpg (%0)" : : "r"(window_page(page)) : "memory"); }

static void paging_start(void)
{
    static const uint8_t function[] = { 0xff, 0x04, 0x24, 0x58, 0x50, 0xb8, 0, 0, 0, 0, 0xff, 0x0c, 0x24, 0xc3 };
    /* incl (%esp); pop %eax; push %eax; mov $page, %eax; decl (%esp); ret */
    uint32_t cr0;
    directory = memory_pages(1);
    identity = memory_pages(IDENTITY_TABLES);
    window = memory_pages(1);
    uint8_t *frames = memory_pages(WINDOW_PAGES);
    for (uint32_t i = 0; i < IDENTITY_TABLES * 1024; i++)
        identity[i] = i * PAGE_BYTES | PAGE_PRESENT_WRITE;
    for (uint32_t i = 0; i < IDENTITY_TABLES; i++)
        directory[i] = ((uint32_t)identity + i * PAGE_BYTES) | PAGE_PRESENT_WRITE;
    for (uint32_t page = 0; page < WINDOW_PAGES; page++)
        window[page] = ((uint32_t)frames + page * PAGE_BYTES) | PAGE_PRESENT_WRITE;
    directory[WINDOW >> 22] = (uint32_t)window | PAGE_PRESENT_WRITE;
    for (uint32_t page = 0; page < CODE_PAGES; page++) {
        uint8_t *code = frames + (DATA_PAGES + page) * PAGE_BYTES + page * 32;
        memcpy(code, function, sizeof function);
        code[6] = (uint8_t)(page + 1);
    }
    __asm__ volatile("mov %0, %%cr3" : : "r"(directory) : "memory");
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0; jmp 1f; 1:" : : "r"(cr0 | CR0_PG_WP) : "memory");
}

static void call_page(uint32_t page)
{
    uint32_t result;
    volatile uint8_t *code = window_page(DATA_PAGES + page) + page * 32;
    __asm__ volatile("call *%1" : "=a"(result) : "r"(code) : "memory", "cc");
    check(result == page + 1, "code page %u answered %u", page, result);
}

/* Push and pop with the stack in the window; interrupts may come while it is there. */
static void use_stack(uint32_t page, uint32_t value)
{
    uint32_t top = (uint32_t)window_page(DATA_PAGES + CODE_PAGES + page) + PAGE_BYTES, popped;
    __asm__ volatile("mov %%esp, %%esi; mov %1, %%esp; push %2; push %%esi; pop %%esi; pop %0; mov %%esi, %%esp"
                     : "=&r"(popped)
                     : "r"(top), "r"(value)
                     : "esi", "memory");
    check(popped == value, "the stack in page %u returned %x", page, popped);
}

static void touch(void)
{
    uint32_t random = random_number(), page = (random >> 8) % DATA_PAGES, offset = random >> 20;
    volatile uint8_t *byte = window_page(page) + (offset & (PAGE_BYTES - 1));
    switch (random & 7) {
    case 0:
        call_page((random >> 8) % CODE_PAGES);
        break;
    case 1:
        use_stack((random >> 8) % STACK_PAGES, random);
        break;
    case 2:
    case 3:
        *byte = (uint8_t)(*byte + 1);
        break;
    default:
        hash = hash + *byte;
    }
}

/* Mix in the bits of `count` entries, and clear them where the random number says so. */
static void harvest(volatile uint32_t *entries, uint32_t count, uint32_t clear)
{
    uint32_t sum = hash;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits = entries[i] & (PAGE_ACCESSED | PAGE_DIRTY);
        sum = (sum ^ bits) * 16777619u;
        sum ^= sum >> 13;
        if (bits & clear)
            entries[i] &= ~clear;
    }
    hash = sum;
}

/* One page the proper way: clear, INVLPG, touch. */
static void verify_with_invlpg(void)
{
    uint32_t page = random_number() % DATA_PAGES;
    window[page] &= ~(PAGE_ACCESSED | PAGE_DIRTY);
    invalidate(page);
    volatile uint8_t *byte = window_page(page);
    (void)*byte;
    check((window[page] & (PAGE_ACCESSED | PAGE_DIRTY)) == PAGE_ACCESSED, "a load left %x", window[page]);
    *byte = (uint8_t)(*byte + 1);
    check((~window[page] & (PAGE_ACCESSED | PAGE_DIRTY)) == 0, "a store left %x", window[page]);
}

int guest_main(void)
{
    uint32_t rounds = option_number("rounds", 100000, 1, 0xffffffffu), image_pages = (4u << 20) / PAGE_BYTES;
    uint32_t hz = option_number("hz", 1000, TIMER_HZ_LOWEST, 20000);
    random_state = option_number("seed", 1, 1, 0xffffffffu);
    print("abits: %u rounds, %u Hz\n", rounds, hz);
    paging_start();
    timer_start(hz);
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < TOUCHES_PER_ROUND; i++)
            touch();
        uint32_t random = random_number();
        if (random % HARVEST_EVERY == 0)
            harvest(window, WINDOW_PAGES, random & 0x100 ? PAGE_ACCESSED : PAGE_ACCESSED | PAGE_DIRTY);
        else if (random % (HARVEST_EVERY * 8) == 1)
            harvest(identity, image_pages, PAGE_ACCESSED); /* the guest's own code, stack, tables */
        if (random >> 16 == 0)
            __asm__ volatile("mov %0, %%cr3" : : "r"(directory) : "memory");
        verify_with_invlpg();
    }
    print("abits: ok hash %08x\n", hash);
    return EXIT_OK;
}
