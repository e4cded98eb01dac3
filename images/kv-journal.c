/*
 * Group commit: changes collect in the open batch while the batch before it is on its way to the disk.
 *
 *   append -> open batch -> (nothing in flight) seal -> WRITE -> FLUSH -> committed
 *                                             \-> log full: checkpoint of everything -> WRITE -> FLUSH -> committed
 *
 * The layout of the bytes is in kv-format.h.
 */
#include "kv-journal.h"
#include "kv-format.h"
#include "memory.h"
#include "runtime.h"
#include "virtio-blk.h"

#define RECOVERY_GENERATION_FIRST 1u

enum flight { NOTHING, WRITING, FLUSHING };

static struct kv_record batches[2][JOURNAL_BATCH_MAX] __attribute__((aligned(PAGE_BYTES)));
static struct kv_slot slot __attribute__((aligned(PAGE_BYTES)));
static uint32_t open_batch;      /* which of the two collects */
static uint32_t open_count;
static uint64_t open_ticket;     /* what the open batch will be committed as */
static uint64_t committed;
static uint32_t generation, log_next, checkpoints;
static enum flight flight;

static void must_finish(uint8_t status, const char *what)
{
    check(status == DISK_OK, "the disk failed a %s with status %u", what, status);
}

static void do_now(uint32_t operation, uint32_t sector, void *bytes, uint32_t sectors)
{
    struct virtio_buffer buffer = { bytes, sectors * SECTOR_BYTES };
    must_finish(disk_do(operation, sector, &buffer, 1), operation == DISK_READ ? "read" : "write");
    if (operation == DISK_WRITE && disk_has_cache())
        must_finish(disk_do(DISK_FLUSH, 0, 0, 0), "flush");
}

static void checkpoint_now(void)
{
    generation++;
    uint32_t sectors = kv_slot_encode(&slot, generation);
    do_now(DISK_WRITE, generation % 2 * JOURNAL_SLOT_SECTORS, &slot, sectors);
    log_next = 0;
}

/* Apply the records of this generation, in order, up to the first that does not count. */
static void replay_log(void)
{
    for (uint32_t index = 0; index < JOURNAL_LOG_RECORDS;) {
        uint32_t left = JOURNAL_LOG_RECORDS - index, count = left < JOURNAL_BATCH_MAX ? left : JOURNAL_BATCH_MAX;
        do_now(DISK_READ, JOURNAL_LOG_START + index, batches[0], count);
        for (uint32_t i = 0; i < count; i++, index++) {
            if (!kv_record_is_whole(&batches[0][i]) || batches[0][i].generation != generation ||
                batches[0][i].index != index)
                return;
            check(kv_record_apply(&batches[0][i]), "the log holds more than fits");
        }
    }
}

/* A damaged newest slot may only be one that was being written: then no record of its generation exists. */
static void refuse_lost_checkpoint(void)
{
    do_now(DISK_READ, JOURNAL_LOG_START, batches[0], 1);
    if (kv_record_is_whole(&batches[0][0]) && batches[0][0].generation > generation)
        fail(EXIT_CHECK, "the newest checkpoint is damaged; the disk is left as it is");
}

static void format(void)
{
    memset(batches[0], 0, SECTOR_BYTES);
    do_now(DISK_WRITE, JOURNAL_LOG_START, batches[0], 1); /* no record of an earlier life */
    generation = RECOVERY_GENERATION_FIRST - 1;
    checkpoint_now();
}

void journal_open(void)
{
    enum kv_slot_kind kinds[2];
    uint32_t generations[2] = { 0, 0 };
    open_batch = open_count = checkpoints = 0;
    open_ticket = 1;
    committed = 0;
    flight = NOTHING;
    if (!disk_open())
        fail(EXIT_NEEDS, "this machine has no virtio disk");
    if (disk_sectors() < JOURNAL_SECTORS)
        fail(EXIT_NEEDS, "the disk has %llu sectors, %u are needed", (unsigned long long)disk_sectors(),
             JOURNAL_SECTORS);
    for (uint32_t i = 0; i < 2; i++) {
        do_now(DISK_READ, i * JOURNAL_SLOT_SECTORS, &slot, JOURNAL_SLOT_SECTORS);
        kinds[i] = kv_slot_examine(&slot, &generations[i]);
        if (kinds[i] == KV_SLOT_FOREIGN)
            fail(EXIT_NEEDS, "the disk holds something else; it is left as it is");
    }
    if (kinds[0] == KV_SLOT_WHOLE || kinds[1] == KV_SLOT_WHOLE) {
        uint32_t newest = generations[1] > generations[0] ? 1 : 0;
        generation = generations[newest];
        if (kinds[1 - newest] == KV_SLOT_DAMAGED)
            refuse_lost_checkpoint();
        do_now(DISK_READ, newest * JOURNAL_SLOT_SECTORS, &slot, JOURNAL_SLOT_SECTORS);
        kv_slot_apply(&slot);
        replay_log();
    } else if (kinds[0] == KV_SLOT_BLANK) {
        format(); /* the other slot is blank, or its very first write was cut off */
    } else {
        fail(EXIT_CHECK, "both checkpoints are damaged; the disk is left as it is");
    }
    checkpoint_now();
}

bool journal_has_room(void) { return open_count < JOURNAL_BATCH_MAX; }

void journal_append(const struct kv_change *change, const struct service_request *request)
{
    kv_record_encode(&batches[open_batch][open_count++], change, request);
}

uint64_t journal_ticket(void)
{
    if (open_count > 0)
        return open_ticket;
    return open_ticket - 1; /* in flight, or committed already */
}

uint64_t journal_committed(void) { return committed; }

uint32_t journal_checkpoints(void) { return checkpoints; }

static void start_commit(void)
{
    struct virtio_buffer buffer;
    uint32_t sector;
    if (log_next + open_count > JOURNAL_LOG_RECORDS) {
        generation++;
        checkpoints++;
        sector = generation % 2 * JOURNAL_SLOT_SECTORS;
        buffer = (struct virtio_buffer){ &slot, kv_slot_encode(&slot, generation) * SECTOR_BYTES };
        log_next = 0;
    } else {
        struct kv_record *batch = batches[open_batch];
        for (uint32_t i = 0; i < open_count; i++)
            kv_record_seal(&batch[i], generation, log_next + i);
        sector = JOURNAL_LOG_START + log_next;
        buffer = (struct virtio_buffer){ batch, open_count * SECTOR_BYTES };
        log_next += open_count;
    }
    check(disk_submit(DISK_WRITE, sector, &buffer, 1, WRITING), "no room for a disk request");
    flight = WRITING;
    open_batch = 1 - open_batch;
    open_count = 0;
    open_ticket++;
}

bool journal_step(void)
{
    uint32_t token;
    uint8_t status;
    bool moved = false;
    while (flight != NOTHING && disk_take(&token, &status)) {
        moved = true;
        must_finish(status, flight == WRITING ? "write" : "flush");
        if (flight == WRITING && disk_has_cache()) {
            check(disk_submit(DISK_FLUSH, 0, 0, 0, FLUSHING), "no room for a disk request");
            flight = FLUSHING;
        } else {
            flight = NOTHING;
            committed = open_ticket - 1;
        }
    }
    if (flight == NOTHING && open_count > 0) {
        start_commit();
        moved = true;
    }
    return moved;
}
