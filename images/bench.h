/* What the CPU benchmarks share: the loop (bench-loop.S), its model in C, and the marks that a timer outside
 * waits for. */
#pragma once

#include <stdint.h>

#define BENCH_TABLE_WORDS 4096u /* 16 KiB */
#define BENCH_N_MOST 2000000000u

uint32_t bench_loop(uint32_t n, uint32_t *table);

/* The same, in C. */
uint32_t bench_model(uint32_t n, uint32_t *table);

/* Compare loop and model for some small n; stops the guest when they differ. */
void bench_verify(void);

/* Print "NAME: begin WHAT" or "NAME: end WHAT": what lies between two marks is what is measured. */
void bench_begin(const char *what);
void bench_end(const char *what);
