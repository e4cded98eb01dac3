/* atomic_checks.c - the accesses of instructions with LOCK, and of XCHG: each is a store to segment_checks.c.
 *
 * Source: Intel SDM volume 2, LOCK and XCHG. */
#include "segments.h"

#define ATOMIC(name)                                                                                         \
    void __real_tcg_gen_atomic_##name##_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t at, uintptr_t operand, \
                                                   uint64_t mmu, uint32_t memory);                          \
    void __wrap_tcg_gen_atomic_##name##_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t at, uintptr_t operand, \
                                                   uint64_t mmu, uint32_t memory);                          \
    void __wrap_tcg_gen_atomic_##name##_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t at, uintptr_t operand, \
                                                   uint64_t mmu, uint32_t memory)                           \
    {                                                                                                        \
        checks_access(tcg, at, memory, true);                                                                \
        __real_tcg_gen_atomic_##name##_i64_x86_64(tcg, result, at, operand, mmu, memory);                    \
    }
ATOMIC(add_fetch) ATOMIC(and_fetch) ATOMIC(or_fetch) ATOMIC(xor_fetch) ATOMIC(xchg)
ATOMIC(fetch_add) ATOMIC(fetch_and) ATOMIC(fetch_or) ATOMIC(fetch_xor)

void __real_tcg_gen_atomic_cmpxchg_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t at, uintptr_t expected,
                                              uintptr_t operand, uint64_t mmu, uint32_t memory);
void __wrap_tcg_gen_atomic_cmpxchg_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t at, uintptr_t expected,
                                              uintptr_t operand, uint64_t mmu, uint32_t memory);
void __wrap_tcg_gen_atomic_cmpxchg_i64_x86_64(TCGContext *tcg, uintptr_t result, uintptr_t at, uintptr_t expected,
                                              uintptr_t operand, uint64_t mmu, uint32_t memory)
{
    checks_access(tcg, at, memory, true);
    __real_tcg_gen_atomic_cmpxchg_i64_x86_64(tcg, result, at, expected, operand, mmu, memory);
}
