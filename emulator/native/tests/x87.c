/* x87.c - Goal: the FPU's own functions give the same bits on every host, fast enough, and never fall where
 * they should rise. Method:
 *   digests    hashes of 100,000 results of each instruction in all rounding modes, as they once were
 *   host       the same operands on the host's FPU: at most one unit in the last place apart, to nearest
 *   monotonic  neighbours in the argument, across the borders of the tables
 *   speed      nanoseconds for one instruction, printed only
 *
 * usage: x87        The exact values are checked by test/emulator/x87*.test.ts. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "../x87.h"

#define COUNT 100000
#define BIAS 16383

static uint64_t state;
static uint64_t next_random(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = state ^ state >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return x ^ x >> 32;
}

/* Exponents from anywhere to `most`, half of them within 70 of zero, some at the ends. */
static struct x87_float any_number(int most)
{
    uint64_t significand = next_random() | 1ull << 63, kind = next_random();
    unsigned zeros = (unsigned)(kind >> 50 & 63);
    int exponent = kind % 2 ? (int)(next_random() % 140) - 70 : (int)(next_random() % 0x7fff) - BIAS;
    if (kind % 16 == 2)
        significand = 1ull << 63;
    if (exponent > most)
        exponent = most - (int)(next_random() % 66);
    if (kind % 32 == 4)
        return (struct x87_float){ kind % 64 < 32 ? significand >> 1 >> zeros : 0, (uint16_t)(kind >> 40 & 0x8000) };
    if (kind % 64 == 6)
        return (struct x87_float){ kind % 128 < 64 ? significand : 1ull << 63, (uint16_t)(0x7fff | (kind >> 40 & 0x8000)) };
    return (struct x87_float){ significand, (uint16_t)(exponent + BIAS) | (uint16_t)(kind >> 40 & 0x8000) };
}

struct function {
    const char *name;
    x87_unary *unary;
    x87_binary *binary;
    int most;                            /* largest exponent of ST(0) with a defined result */
    int host_most;                       /* ... on any host, too */
    uint64_t digest;
};
static const struct function functions[] = {
    { "fsin", x87_fsin, NULL, 20000, -1, 0x7bcf0c3bc79d4d74 },
    { "fcos", x87_fcos, NULL, 20000, -1, 0x29c1b4785ae6e9bb },
    { "fsincos", x87_fsincos, NULL, 20000, -1, 0x2f88b04887362d05 },
    { "fptan", x87_fptan, NULL, 20000, -1, 0xaf6ed3d3d4fb8eaa },
    { "fpatan", NULL, x87_fpatan, 20000, 20000, 0xc0603e5fa85f72a0 },
    { "f2xm1", x87_f2xm1, NULL, -1, -1, 0xb199c4dd4d4381a9 },
    { "fyl2x", NULL, x87_fyl2x, 20000, 20000, 0x15a5beb100e724c3 },
    { "fyl2xp1", NULL, x87_fyl2xp1, -3, -3, 0x2d6b4bc0d9974e14 },
    { "fprem", NULL, x87_fprem, 20000, 20000, 0xd1c96cc3fd4697bd },
    { "fprem1", NULL, x87_fprem1, 20000, 20000, 0xe6c8422b2a6980d6 },
    { "fxtract", x87_fxtract, NULL, 20000, 20000, 0x4e86572f2738e2bf },
    { "fscale", NULL, x87_fscale, 20000, 20000, 0xb7b739f01044291a },
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

static struct x87_result apply(const struct function *f, unsigned control, struct x87_float x, struct x87_float y)
{
    struct x87_result r = { 0 };
    if (f->unary)
        f->unary(control, x, &r);
    else
        f->binary(control, x, y, &r);
    return r;
}

static uint64_t hash(uint64_t h, uint64_t v)
{
    for (int i = 0; i < 64; i += 8)
        h = (h ^ (v >> i & 255)) * 0x100000001b3u;
    return h;
}

static int check_digests(void)
{
    int bad = 0;
    for (size_t i = 0; i < FUNCTIONS; i++) {
        uint64_t h = 0xcbf29ce484222325u;
        state = 86;
        for (int n = 0; n < COUNT; n++) {
            struct x87_float x = any_number(functions[i].most), y = any_number(20000);
            struct x87_result r = apply(&functions[i], 0x33f | (unsigned)(n & 3) << X87_ROUND_SHIFT, x, y);
            h = hash(hash(hash(h, r.value.significand), r.value.sign_exponent), r.status);
            h = hash(hash(h, r.pushed.significand), r.pushed.sign_exponent);
        }
        if (h == functions[i].digest)
            continue;
        printf("x87: %s: digest %016" PRIx64 ", expected %016" PRIx64 "\n", functions[i].name, h, functions[i].digest);
        bad++;
    }
    return bad;
}

/* ---- the host's FPU, which is within one unit of the truth, like ours ---- */

union host_float { long double value; struct x87_float bits; };

static long double host_value(struct x87_float x)
{
    union host_float h = { .bits = x };
    return h.value;
}

static struct x87_float on_host(const char *name, struct x87_float x, struct x87_float y)
{
    union host_float h = { .value = 0 };
    long double a = host_value(x), b = host_value(y), pushed;
#define IS(text) (strcmp(name, text) == 0)
    if (IS("fsin")) __asm__("fsin" : "=t"(h.value) : "0"(a));
    if (IS("fcos")) __asm__("fcos" : "=t"(h.value) : "0"(a));
    if (IS("fsincos")) __asm__("fsincos" : "=t"(pushed), "=u"(h.value) : "0"(a));
    if (IS("fptan")) __asm__("fptan" : "=t"(pushed), "=u"(h.value) : "0"(a));
    if (IS("fpatan")) __asm__("fpatan" : "=t"(h.value) : "0"(a), "u"(b) : "st(1)");
    if (IS("f2xm1")) __asm__("f2xm1" : "=t"(h.value) : "0"(a));
    if (IS("fyl2x")) __asm__("fyl2x" : "=t"(h.value) : "0"(a), "u"(b) : "st(1)");
    if (IS("fyl2xp1")) __asm__("fyl2xp1" : "=t"(h.value) : "0"(a), "u"(b) : "st(1)");
    if (IS("fprem")) __asm__("fprem" : "=t"(h.value) : "0"(a), "u"(b));
    if (IS("fprem1")) __asm__("fprem1" : "=t"(h.value) : "0"(a), "u"(b));
    if (IS("fxtract")) __asm__("fxtract" : "=t"(pushed), "=u"(h.value) : "0"(a));
    if (IS("fscale")) __asm__("fscale" : "=t"(h.value) : "0"(a), "u"(b));
    return h.bits;
}

/* A position on the line of all numbers: neighbours are one apart. */
static __int128 position(struct x87_float x)
{
    __int128 size = (__int128)(x.sign_exponent & 0x7fff) << 63 | (x.significand & ~(1ull << 63));
    return x.sign_exponent & 0x8000 ? -size : size;
}

static int check_host(void)
{
    int bad = 0;
    for (size_t i = 0; i < FUNCTIONS; i++) {
        const struct function *f = &functions[i];
        bool exact = f->binary == x87_fprem || f->binary == x87_fprem1 || f->binary == x87_fscale || f->unary == x87_fxtract;
        state = 87;
        for (int n = 0; n < COUNT && bad < 10; n++) {
            struct x87_float x = any_number(f->host_most), y = any_number(20000);
            struct x87_result r = apply(f, 0x37f, x, y);
            bool nan = (r.value.sign_exponent & 0x7fff) == 0x7fff && r.value.significand << 1;
            bool partial = exact && (r.status & X87_C2);     /* processors may take other steps */
            if (nan || partial || (r.status & X87_C2))
                continue;
            struct x87_float h = on_host(f->name, x, y);
            __int128 apart = position(h) - position(r.value);
            if (apart >= -!exact && apart <= !exact)
                continue;
            printf("x87: %s of %04x:%016" PRIx64 ", %04x:%016" PRIx64 ": host %04x:%016" PRIx64 ", ours %04x:%016" PRIx64 "\n",
                   f->name, x.sign_exponent, x.significand, y.sign_exponent, y.significand, h.sign_exponent, h.significand,
                   r.value.sign_exponent, r.value.significand);
            bad++;
        }
    }
    return bad;
}

/* ---- monotonic in each direction of rounding, near every border between two table entries ---- */

static int check_rising(const struct function *f, struct x87_float y, uint16_t exponent, bool falls)
{
    int bad = 0;
    for (uint64_t border = 0; border < 64; border++)
        for (unsigned control = 0x33f; control <= 0xf3f; control += 1u << X87_ROUND_SHIFT) {
            struct x87_float x = { (1ull << 63) + (border << 57) + (border & 1 ? (1ull << 56) : 0), exponent };
            __int128 before = position(apply(f, control, x, y).value);
            for (int step = 0; step < 32; step++) {
                x.significand++;
                __int128 now = position(apply(f, control, x, y).value);
                bad += falls ? now > before : now < before;
                before = now;
            }
        }
    if (bad)
        printf("x87: %s is not monotonic at exponent %04x\n", f->name, exponent);
    return bad;
}

static int check_monotonic(void)
{
    static const struct x87_float one = { 1ull << 63, BIAS };
    int bad = 0;
    for (int e = -8; e <= 8; e++) {
        uint16_t exponent = (uint16_t)(BIAS + e);
        bad += check_rising(&functions[4], one, exponent, true);           /* atan(1/x) falls */
        bad += check_rising(&functions[6], one, exponent, false);
        if (e < -1) {
            bad += check_rising(&functions[0], one, exponent, false);
            bad += check_rising(&functions[1], one, exponent, true);
            bad += check_rising(&functions[3], one, exponent, false);
        }
        if (e < 0)
            bad += check_rising(&functions[5], one, exponent, false);
        if (e < -2)
            bad += check_rising(&functions[7], one, exponent, false);
    }
    return bad;
}

static void print_speed(void)
{
    static struct x87_float x[1024], y[1024];
    for (size_t i = 0; i < FUNCTIONS; i++) {
        struct timespec before, after;
        int most = functions[i].most > 20 ? 20 : functions[i].most;
        for (int n = 0; n < 1024; n++) {
            do
                x[n] = any_number(most);
            while ((x[n].sign_exponent & 0x7fff) < BIAS - 40 || x[n].sign_exponent > BIAS + 40);
            y[n] = (struct x87_float){ next_random() | 1ull << 63, (uint16_t)(BIAS + next_random() % 20) };
        }
        clock_gettime(CLOCK_MONOTONIC, &before);
        for (int n = 0; n < COUNT; n++)
            apply(&functions[i], 0x37f, x[n & 1023], y[n & 1023]);
        clock_gettime(CLOCK_MONOTONIC, &after);
        double ns = (double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec);
        printf("%s %.0f%s", functions[i].name, ns / COUNT, i + 1 < FUNCTIONS ? ", " : " ns\n");
    }
}

int main(void)
{
    int bad = check_digests() + check_host() + check_monotonic();
    print_speed();
    return bad != 0;
}
