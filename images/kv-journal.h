/*
 * kv's data on disk: two checkpoint slots and a log of one-sector records.
 *
 *   sector    0  slot 0     header sector, clients, keys
 *           240  slot 1
 *           480  log        one record a sector: a client's sequence and reply, and the key it changed, together
 *          2048  end
 *
 * Invariants:
 * 1. A sector holds one whole change, and its checksum covers it: a change is on disk entirely or not at all.
 * 2. A record counts only if its checksum is right, its generation is that of the newest whole checkpoint, and all
 *    records before it count. What was written but never acknowledged can be lost, but never comes back later,
 *    because every start begins a new generation.
 * 3. The slot that is overwritten is always the older one, and no record of the new generation is written before
 *    the new checkpoint is durable.
 * 4. `committed` passes a ticket only after write and flush of everything up to it have finished.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kv-store.h"

#define JOURNAL_SLOT_SECTORS 240u
#define JOURNAL_LOG_START (2 * JOURNAL_SLOT_SECTORS)
#define JOURNAL_SECTORS 2048u
#define JOURNAL_LOG_RECORDS (JOURNAL_SECTORS - JOURNAL_LOG_START)
#define JOURNAL_BATCH_MAX 64u

/* Read what is on disk into the empty kv_store (a blank disk is formatted), then start a new generation. Stops the
 * guest when the disk is too small, holds something else, or is damaged. */
void journal_open(void);

/* May a change be appended now? Ask before applying a request. */
bool journal_has_room(void);

/* Write a change down in the batch that is being collected. */
void journal_append(const struct kv_change *change, const struct service_request *request);

/* The commit after which everything applied so far is durable. */
uint64_t journal_ticket(void);

/* Commits up to this one (tickets count upwards from 1) are durable. */
uint64_t journal_committed(void);

/* Take finished disk requests and start the next commit. True when anything moved. */
bool journal_step(void);

/* Checkpoints written since the start. */
uint32_t journal_checkpoints(void);
