/* Port input and output, and the few privileged instructions that C has no word for. */
#pragma once

#include <stdint.h>

static inline void out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out16(uint16_t port, uint16_t value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out32(uint16_t port, uint32_t value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void interrupts_enable(void) { __asm__ volatile("sti" : : : "memory"); }
static inline void interrupts_disable(void) { __asm__ volatile("cli" : : : "memory"); }

/* Sleep until an interrupt has been handled. Call with interrupts disabled, after the last look at what is waited
 * for: STI takes effect only after HLT has begun, so no wake-up is lost. Returns with interrupts enabled. */
static inline void interrupts_wait(void) { __asm__ volatile("sti; hlt" : : : "memory"); }

/* Keep the compiler from moving memory accesses across this point; x86 itself keeps stores in order. */
static inline void memory_barrier(void) { __asm__ volatile("" : : : "memory"); }
