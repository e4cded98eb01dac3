/* host_state.c - Goal: rounding mode, flush-to-zero and denormals-are-zero of the host's SSE unit do not show in
 * a guest, and the host gets its own settings back. Method: a guest that divides, multiplies and makes
 * denormals, under each setting of the host; its results must be the known ones.
 *
 * usage: host_state */
#include <stdio.h>
#include <string.h>
#include <xmmintrin.h>
#include "../core.h"

#define RAM_BYTES (4u << 20)
#define CODE 0x1000u
#define DATA 0x6000u
#define CR4_OSFXSR 0x200u
#define MXCSR_DAZ 0x40u
#define MXCSR_ROUND 0x6000u
#define MXCSR_FTZ 0x8000u

/* x = 1, y = 3 (floats), d = 2^-126 at DATA + 0, 4, 8; the first division sets the inexact flag, after which
 * the engine uses the host's unit. */
static const uint8_t program[] = {
    0xf3, 0x0f, 0x10, 0x05, 0x00, 0x60, 0x00, 0x00, /* movss xmm0, [6000h]                       */
    0xf3, 0x0f, 0x10, 0x0d, 0x04, 0x60, 0x00, 0x00, /* movss xmm1, [6004h]                       */
    0xf3, 0x0f, 0x5e, 0xc1,                         /* divss xmm0, xmm1                          */
    0xf3, 0x0f, 0x5e, 0xc1,                         /* divss xmm0, xmm1   on the host's unit     */
    0xf3, 0x0f, 0x11, 0x05, 0x20, 0x60, 0x00, 0x00, /* movss [6020h], xmm0                       */
    0xf3, 0x0f, 0x59, 0xc0,                         /* mulss xmm0, xmm0                          */
    0xf3, 0x0f, 0x11, 0x05, 0x24, 0x60, 0x00, 0x00, /* movss [6024h], xmm0                       */
    0xf3, 0x0f, 0x10, 0x15, 0x08, 0x60, 0x00, 0x00, /* movss xmm2, [6008h]                       */
    0xf3, 0x0f, 0x5e, 0xd1,                         /* divss xmm2, xmm1   a denormal             */
    0xf3, 0x0f, 0x58, 0xd2,                         /* addss xmm2, xmm2                          */
    0xf3, 0x0f, 0x11, 0x15, 0x28, 0x60, 0x00, 0x00, /* movss [6028h], xmm2                       */
    0xf4,                                           /* hlt                                       */
};
static const float operands[3] = { 1.0f, 3.0f, 0x1p-126f };
static const uint32_t expected[3] = { 0x3de38e39, 0x3c4a4588, 0x00555556 };

static int run_under(unsigned mxcsr)
{
    char message[200];
    core_config config = { .ram_bytes = RAM_BYTES };
    core_registers r;
    core *c = core_create(&config, message, sizeof message);
    if (!c)
        return fprintf(stderr, "%s\n", message), 1;
    core_ram_write(c, CODE, program, sizeof program);
    core_ram_write(c, DATA, operands, sizeof operands);
    core_get_registers(c, &r);
    r.cr0 = 0x11;
    r.cr4 = CR4_OSFXSR;
    r.eip = CODE;
    for (int i = 0; i < 6; i++)
        r.seg[i] = (core_segment){ i == 1 ? 8 : 16, 0, 0xffffffff, i == 1 ? 0xcf9b00 : 0xcf9300 };
    core_set_registers(c, &r);
    unsigned before = _mm_getcsr();
    _mm_setcsr(mxcsr);
    enum core_exit why = core_run(c, 1000);
    unsigned after = _mm_getcsr() & ~0x3fu;
    _mm_setcsr(before);
    int bad = why != CORE_EXIT_HALTED || after != mxcsr;
    uint32_t results[3];
    memcpy(results, core_ram(c) + DATA + 0x20, sizeof results);
    bad |= memcmp(results, expected, sizeof results) != 0;
    if (bad)
        printf("host_state: exit %d, MXCSR %x -> %x, results %08x %08x %08x\n", why, mxcsr, after, results[0], results[1], results[2]);
    core_destroy(c);
    return bad;
}

int main(void)
{
    int bad = 0;
    for (unsigned rounding = 0; rounding <= MXCSR_ROUND; rounding += 0x2000)
        for (int flush = 0; flush < 2; flush++)
            bad += run_under(0x1f80u | rounding | (flush ? MXCSR_DAZ | MXCSR_FTZ : 0));
    return bad != 0;
}
