/* host_refused.c - host services whose answers differ between hosts, so that no guest may see one.
 *
 * The engine's calls of them arrive here (interpose.h) and end the process: two replicas with different
 * bits would be worse. Nothing here can be reached by a guest:
 *   sin cos sincos tan atan2 log pow   only from FPU instructions that x87_stack.c has replaced
 *   fma fmaf                           from fused operations, which the guest's processor does not have
 *   sqrtf                              for negative arguments, which its caller has sorted out before
 *   cpu_get_tsc                        from RDTSC and RDTSCP, which events.c has replaced
 *   qemu_guest_getrandom               from RDRAND, replaced in events.c
 * The C math library is not linked at all; tests/check.sh makes sure of that. The host's clock is
 * replaced in tlb.c; the engine's other calls of clock_gettime, getenv, sysconf, getpid are outside the
 * path of a guest (timer thread, errors of register accesses by name, cache sizes, seeds of RDRAND). */
#include <stdio.h>
#include <stdlib.h>

#define REFUSED(name)                                                                                        \
    _Noreturn void __wrap_##name(void);                                                                      \
    void __wrap_##name(void)                                                                                 \
    {                                                                                                        \
        fputs("ft86: the engine asked the host: " #name "()\n", stderr);                                     \
        abort();                                                                                             \
    }
REFUSED(sin)
REFUSED(cos)
REFUSED(sincos)
REFUSED(tan)
REFUSED(atan2)
REFUSED(log)
REFUSED(pow)
REFUSED(fma)
REFUSED(fmaf)
REFUSED(sqrtf)
REFUSED(cpu_get_tsc_x86_64)
REFUSED(qemu_guest_getrandom)
