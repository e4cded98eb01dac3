/*
 * What kv's files expect of the guest's runtime, as host code: failing, checksums, and a disk with a write cache
 * that can lose its power.
 */
#pragma once

#include <setjmp.h>
#include <stdint.h>
#include "virtio-blk.h"

#define DISK_SECTORS 2048u

/* What survives a power cut. */
extern uint8_t disk_durable[DISK_SECTORS][SECTOR_BYTES];

/* When set, fail() jumps there with its code + 1 instead of ending the program. */
extern jmp_buf *failure_expected;

/* The seed of this run, for messages; and its random numbers. */
extern uint64_t random_seed;
void random_start(uint64_t seed);
uint32_t random_below(uint32_t limit);

/* The power goes: of what was not flushed, each sector is kept, lost or torn at random. */
void disk_power_cut(void);
