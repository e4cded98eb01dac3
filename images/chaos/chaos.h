/*
 * chaos: what its parts share. Each part tortures one corner of the CPU, compares what the CPU did with what C
 * computed (or with a known constant), and mixes it into one checksum.
 *
 *   main.c        options, the loop           traps.c/.S    catching faults, entering user mode, the IRQ
 *   arithmetic.c  ALU, shifts, flags          decimal.c     BCD, multiply, divide
 *   bits.c        bit operations, atomics     control.c/.S  loops, calls, stack frames, segments
 *   strings.c     REP in all forms            modify.c/.S   self-modifying code
 *   faults.c/.S   every fault with its code   paging.c      mappings, A and D bits, restarts after #PF
 *   privilege.c/.S rings, gates, I/O bitmap, virtual 8086
 *   fpu.c         x87                         simd.c        MMX, SSE, SSE2
 *
 * Invariant: nothing here depends on when interrupts come; so the checksum is a function of iterations and seed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "interrupts.h"
#include "runtime.h"

/* EFLAGS bits. */
#define CF 0x001u
#define PF 0x004u
#define AF 0x010u
#define ZF 0x040u
#define SF 0x080u
#define IF 0x200u
#define DF 0x400u
#define OF 0x800u
#define ARITHMETIC_FLAGS (CF | PF | AF | ZF | SF | OF)
#define FLAGS_BASE (IF | 0x2u) /* what POPF gets besides the flags under test */

/* The next number of the seeded generator (xorshift32). */
uint32_t chaos_random(void);

/* A random number with interesting ones (0, 1, -1, extremes) more often than chance would have it. */
uint32_t chaos_operand(void);

/* A pointer to this address, about which the compiler shall assume nothing. */
static inline uint8_t *chaos_pointer(uint32_t address)
{
    __asm__("" : "+r"(address));
    return (uint8_t *)address;
}

/* Stop unless equal; mix the value into the checksum. */
void chaos_equal(const char *what, uint32_t actual, uint32_t expected);

/* Stop unless the bytes are equal; mix them in. */
void chaos_equal_bytes(const char *what, const void *actual, const void *expected, uint32_t bytes);

/* The parts. Each does one iteration's share. */
void chaos_arithmetic(void);
void chaos_decimal(void);
void chaos_bits(void);
void chaos_control(void);
void chaos_strings(void);
void chaos_modify(void);
void chaos_faults(void);
void chaos_paging(void);
void chaos_privilege(void);
void chaos_fpu(void);
void chaos_simd(void);

/* ---- traps.c ---- */

#define TRAP_NONE 0x100u      /* the code returned by itself */
#define TRAP_USER_EXIT 0x81u  /* INT 81h: user code has finished, EAX is its result */
#define TRAP_USER_CALL 0x80u  /* INT 80h: the kernel answers EAX = EAX * 3 + EBX and goes back */
#define TRAP_SYSTEM_ONLY 0x82u /* a gate that user code may not use */

/* State at the trap that trap_catch caught. */
extern struct interrupt_frame trap_last;
extern uint32_t trap_address; /* CR2 */

/* Call code(argument); if it traps, come back with the vector, else with TRAP_NONE. Does not nest. */
uint32_t trap_catch(void (*code)(uint32_t), uint32_t argument);

/* The same, in ring 3, on the user stack, with this EFLAGS. The code ends with INT 81h or a fault. */
uint32_t trap_catch_user(const void *code, uint32_t argument, uint32_t eflags);

/* A look at each exception before it is caught: true means handled, go back to where it happened. */
extern bool (*trap_hook)(struct interrupt_frame *frame);

/* Interrupts so far; never part of the checksum. */
extern volatile uint32_t trap_interrupts;

void trap_start(void);

/* ---- paging.c ---- */

/* 64 pages of virtual memory, each mapped to any frame: neighbours here are no neighbours in RAM. */
#define WINDOW 0x40000000u
#define WINDOW_PAGES 64u
#define WINDOW_FRAMES 64u
#define PAGE_PRESENT 0x001u
#define PAGE_WRITE 0x002u
#define PAGE_USER 0x004u
#define PAGE_ACCESSED 0x020u
#define PAGE_DIRTY 0x040u
#define PAGE_LARGE 0x080u
#define PAGE_ALL (PAGE_PRESENT | PAGE_WRITE | PAGE_USER)
#define LARGE_ALIAS 0x80000000u /* the first 4 MiB again, as one large page */

/* Paging on: low RAM as it is, the window, the alias. */
void paging_start(void);

/* Map a window page to a frame (flags 0: to nothing) and forget the old translation. */
void window_map(uint32_t page, uint32_t frame, uint32_t flags);

/* The page table entry, and the frame's bytes through the identity mapping. */
volatile uint32_t *window_entry(uint32_t page);
uint8_t *window_frame(uint32_t frame);
static inline uint8_t *window_page(uint32_t page) { return chaos_pointer(WINDOW + page * 4096); }

/* Map all pages, shuffled by an odd multiplier so that neighbours lie apart, writable and open to user code. */
void window_reset(void);
