/*
 * ledger: numbered, checksummed records on the disk, several requests in flight; says what is durable, and verifies.
 *
 *   record n -> its slot, 16 sectors { magic, slot, n, index | fill ... | crc } -> flush -> "ledger: durable n"
 *   start: read every slot, go on behind the newest record        end: read every slot once more
 *
 * What is said to be durable is on the disk for good: whoever looks there after a crash finds in each slot that record
 * or a newer one, and no sector that is half of two.
 * Shows: requests in flight over a take-over; with race=on also requests that race on the same sectors, a flush behind
 * writes that are not done yet, buffers that change while they are in flight. This machine promises more there than
 * hardware does, and the guest holds it to that: overlapping requests happen in order, data leaves at the doorbell and
 * arrives at an exact instruction.
 * Checks itself: what a read returns is the newest record that was written to the slot before.
 * Options: records=2000 (0: no end), slots=32 (4 with race=on), race=off, errors=off (on: go on after I/O errors and
 * count them), pace=0 (instructions between two requests, in thousands).
 */
#include "console.h"
#include "interrupts.h"
#include "memory.h"
#include "options.h"
#include "port.h"
#include "runtime.h"
#include "virtio-blk.h"

#define MAGIC 0x7264676c
#define SLOT_SECTORS 16u
#define SLOT_BYTES (SLOT_SECTORS * SECTOR_BYTES)
#define SLOTS_MAX 256u
#define IN_FLIGHT 8u
#define FLUSH_TOKEN IN_FLIGHT
#define RECORDS_PER_FLUSH 16u
#define FILL_WORDS 123u
#define UNKNOWN 0xffffffffu
#define NOT_YET 0xa5a5a5a5u

struct sector {
    uint32_t magic, slot, number, index;
    uint32_t fill[FILL_WORDS];
    uint32_t crc;
};

/* A request in flight; `number` is the record that is written, or must be read. */
static struct request {
    bool busy, writes;
    uint32_t slot, number;
    struct sector *buffer;
} requests[IN_FLIGHT];

static uint32_t slots, newest[SLOTS_MAX], last, durable, errors, reads, sum;
static bool race, tolerant, flushing;
static uint32_t flushed_to;
static struct sector *scratch;

static uint32_t slot_of(uint32_t number) { return memory_mix(number) % slots; }

static void fill_record(struct sector *sectors, uint32_t slot, uint32_t number)
{
    for (uint32_t i = 0; i < SLOT_SECTORS; i++) {
        struct sector *sector = sectors + i;
        *sector = (struct sector){ .magic = MAGIC, .slot = slot, .number = number, .index = i };
        for (uint32_t word = 0; word < FILL_WORDS; word++)
            sector->fill[word] = memory_mix(number ^ i << 24 ^ word << 16);
        sector->crc = memory_crc32(0, sector, sizeof *sector - 4);
    }
}

/* The number of the record in all sectors; 0: never written; UNKNOWN: they are of several records. */
static uint32_t record_in(const struct sector *sectors, uint32_t slot)
{
    for (uint32_t i = 0; i < SLOT_SECTORS; i++) {
        const struct sector *sector = sectors + i;
        if (sector->magic == 0 && sector->number == 0)
            continue;
        check(sector->magic == MAGIC && sector->slot == slot && sector->index == i &&
                  sector->crc == memory_crc32(0, sector, sizeof *sector - 4),
              "sector %u of slot %u is none that was ever written", i, slot);
    }
    for (uint32_t i = 1; i < SLOT_SECTORS; i++)
        if (sectors[i].number != sectors[0].number)
            return UNKNOWN;
    return sectors[0].number;
}

static void failed(const char *what, uint32_t number, uint32_t slot)
{
    check(tolerant, "%s %u in slot %u failed", what, number, slot);
    errors++;
    print("ledger: %s %u in slot %u failed\n", what, number, slot);
}

static void finish_request(struct request *request, uint8_t status)
{
    uint32_t slot = request->slot;
    request->busy = false;
    if (request->writes) {
        if (status == DISK_OK)
            return;
        failed("record", request->number, slot);
        newest[slot] = UNKNOWN;
        return;
    }
    if (status != DISK_OK) {
        failed("read of record", request->number, slot);
        return;
    }
    uint32_t number = record_in(request->buffer, slot);
    /* A write that fails after this read was asked for leaves nothing to expect. */
    check(number == request->number || request->number == UNKNOWN || (tolerant && newest[slot] == UNKNOWN),
          "slot %u has record %u, not %u", slot, number, request->number);
    reads++;
    sum = memory_crc32(sum, request->buffer, SLOT_BYTES);
}

/* Take what has finished. A read's buffer that was looked at before and is in flight after must be untouched. */
static void take_finished(void)
{
    uint32_t token, seen[IN_FLIGHT];
    uint8_t status;
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        seen[i] = requests[i].busy ? *(volatile uint32_t *)&requests[i].buffer[SLOT_SECTORS - 1].crc : 0;
    while (disk_take(&token, &status)) {
        if (token == FLUSH_TOKEN) {
            flushing = false;
            if (status == DISK_OK) {
                durable = flushed_to;
                print("ledger: durable %u\n", durable);
            } else
                failed("flush of record", flushed_to, 0);
        } else
            finish_request(requests + token, status);
    }
    if (!race)
        return;
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        check(!requests[i].busy || requests[i].writes || seen[i] == NOT_YET, "a read in flight showed its data");
}

static void wait_for_one(void)
{
    interrupts_disable();
    if (disk_has_finished())
        interrupts_enable();
    else
        interrupts_wait();
    take_finished();
}

static bool in_flight(void)
{
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        if (requests[i].busy)
            return true;
    return flushing;
}

static bool slot_in_use(uint32_t slot)
{
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        if (requests[i].busy && requests[i].slot == slot)
            return true;
    return false;
}

static struct request *free_request(void)
{
    for (;;) {
        for (uint32_t i = 0; i < IN_FLIGHT; i++)
            if (!requests[i].busy)
                return requests + i;
        wait_for_one();
    }
}

static void start(uint32_t operation, uint32_t slot, uint32_t number)
{
    while (!race && slot_in_use(slot))
        wait_for_one();
    struct request *request = free_request();
    struct virtio_buffer buffer = { request->buffer, SLOT_BYTES };
    *request = (struct request){ true, operation == DISK_WRITE, slot, number, request->buffer };
    if (request->writes) {
        fill_record(request->buffer, slot, number);
        newest[slot] = number;
    } else
        memset(request->buffer, (uint8_t)NOT_YET, SLOT_BYTES);
    check(disk_submit(operation, slot * SLOT_SECTORS, &buffer, 1, (uint32_t)(request - requests)), "no room");
    /* What leaves is what was there at the doorbell. */
    if (race && request->writes)
        memset(request->buffer, 0xee, SLOT_BYTES);
}

static void flush(void)
{
    while (flushing || (!race && in_flight()))
        wait_for_one();
    if (!disk_has_cache())
        return;
    flushed_to = last;
    flushing = true;
    check(disk_submit(DISK_FLUSH, 0, 0, 0, FLUSH_TOKEN), "no room for a flush");
}

static void drain(void)
{
    while (in_flight())
        wait_for_one();
}

/* Read every slot. Returns how many have sectors of several records: a crash cut a write short. */
static uint32_t look_at_all(bool verify)
{
    uint32_t torn = 0;
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct virtio_buffer buffer = { scratch, SLOT_BYTES };
        uint8_t status = disk_do(DISK_READ, slot * SLOT_SECTORS, &buffer, 1);
        if (status != DISK_OK) {
            failed("last read of record", newest[slot], slot);
            continue;
        }
        uint32_t number = record_in(scratch, slot);
        if (verify)
            check(number == newest[slot] || newest[slot] == UNKNOWN, "slot %u has record %u at the end, not %u", slot, number,
                  newest[slot]);
        newest[slot] = number;
        torn += number == UNKNOWN;
        for (uint32_t i = 0; i < SLOT_SECTORS; i++)
            if (scratch[i].number > last)
                last = scratch[i].number;
    }
    return torn;
}

int guest_main(void)
{
    race = option_switch("race", false);
    tolerant = option_switch("errors", false);
    slots = option_number("slots", race ? 4 : 32, 1, SLOTS_MAX);
    uint32_t records = option_number("records", 2000, 0, 0x7fffffff), pace = option_number("pace", 0, 0, 1000000);
    if (!disk_open())
        fail(EXIT_NEEDS, "this machine has no virtio disk");
    if (disk_sectors() < slots * SLOT_SECTORS)
        fail(EXIT_NEEDS, "the disk has %llu sectors, %u are needed", disk_sectors(), slots * SLOT_SECTORS);
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        requests[i].buffer = memory_pages(SLOT_BYTES / PAGE_BYTES);
    scratch = memory_pages(SLOT_BYTES / PAGE_BYTES);
    uint32_t torn = look_at_all(false), first = last;
    print("ledger: %u slots, newest record %u, %u cut short\n", slots, last, torn);
    for (uint32_t step = 1; records == 0 || last - first < records; step++) {
        for (uint32_t i = 0; i < pace * 333; i++)
            __asm__ volatile("");
        uint32_t random = memory_mix(step);
        if (random % 4 == 0) {
            uint32_t slot = (random >> 8) % slots;
            start(DISK_READ, slot, newest[slot]);
        } else {
            last++;
            start(DISK_WRITE, slot_of(last), last);
            if (last % RECORDS_PER_FLUSH == 0)
                flush();
        }
        take_finished();
    }
    drain();
    flush();
    drain();
    look_at_all(true);
    print("ledger: ok, %u records, %u reads, %u errors, checksum %08x\n", last - first, reads, errors, sum);
    return EXIT_OK;
}
