/*
 * disk: writes a pattern to the whole disk by DMA, flushes, reads it back and compares every byte.
 *
 *   pass p: for each request size: write sectors (scattered, unaligned buffers) ... flush ... read back, verify
 *   then:   code loaded by DMA into a page that already ran must be the code that runs next
 *   then:   requests beyond the end and of unknown kinds must fail and change nothing
 *
 * Shows: DMA in and out, completion interrupts at an exact instruction, stale translations after DMA.
 * Options: sectors=2048 (at most; 0: the whole disk), passes=2. Needs a disk of at least 64 sectors.
 */
#include "console.h"
#include "memory.h"
#include "options.h"
#include "runtime.h"
#include "virtio-blk.h"

#define SECTORS_LEAST 64u
#define REQUEST_SECTORS_MAX 64u
#define BUFFER_BYTES (REQUEST_SECTORS_MAX * SECTOR_BYTES)
#define SLACK_BYTES PAGE_BYTES
#define WORDS_PER_SECTOR (SECTOR_BYTES / 4)
#define OP_UNKNOWN 0x7777

static uint8_t arena[BUFFER_BYTES + 2 * SLACK_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint8_t code_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static uint32_t pattern(uint32_t pass, uint32_t sector, uint32_t word)
{
    return memory_mix(pass << 24 ^ sector * WORDS_PER_SECTOR ^ word ^ 0x66743836u);
}

static void must_succeed(uint32_t operation, uint32_t sector, const struct virtio_buffer *buffers, uint32_t count)
{
    uint8_t status = disk_do(operation, sector, buffers, count);
    check(status == DISK_OK, "operation %u at sector %u failed with status %u", operation, sector, status);
}

/* Cut `bytes` at `from` into up to DISK_SEGMENTS_MAX pieces of sector multiples and odd sizes. Returns the count. */
static uint32_t scatter(struct virtio_buffer *buffers, uint8_t *from, uint32_t bytes, uint32_t seed)
{
    uint32_t count = 0;
    while (bytes > 0) {
        uint32_t piece = 1 + memory_mix(seed + count) % SECTOR_BYTES;
        if (piece > bytes || count == DISK_SEGMENTS_MAX - 1)
            piece = bytes;
        buffers[count++] = (struct virtio_buffer){ from, piece };
        from += piece;
        bytes -= piece;
    }
    return count;
}

/* How many sectors the request at this position has, and where its buffer starts: any size, any alignment. */
static uint32_t request_shape(uint32_t pass, uint32_t sector, uint32_t end, uint8_t **buffer)
{
    uint32_t random = memory_mix(sector ^ pass << 16);
    uint32_t count = 1 + random % REQUEST_SECTORS_MAX;
    *buffer = arena + SLACK_BYTES / 2 + (random >> 8) % 1024;
    return count < end - sector ? count : end - sector;
}

static void write_pass(uint32_t pass, uint32_t end)
{
    struct virtio_buffer buffers[DISK_SEGMENTS_MAX];
    uint8_t *buffer;
    for (uint32_t sector = 0, count; sector < end; sector += count) {
        count = request_shape(pass, sector, end, &buffer);
        for (uint32_t i = 0; i < count * WORDS_PER_SECTOR; i++) {
            uint32_t word = pattern(pass, sector + i / WORDS_PER_SECTOR, i % WORDS_PER_SECTOR);
            memcpy(buffer + i * 4, &word, 4);
        }
        must_succeed(DISK_WRITE, sector, buffers, scatter(buffers, buffer, count * SECTOR_BYTES, sector));
    }
}

static uint32_t verify_pass(uint32_t pass, uint32_t end)
{
    struct virtio_buffer buffers[DISK_SEGMENTS_MAX];
    uint32_t sum = 0;
    uint8_t *buffer;
    for (uint32_t sector = 0, count; sector < end; sector += count) {
        count = request_shape(~pass, sector, end, &buffer); /* other sizes than the writes had */
        uint32_t bytes = count * SECTOR_BYTES;
        memset(arena, 0xa5, sizeof arena);
        must_succeed(DISK_READ, sector, buffers, scatter(buffers, buffer, bytes, sector + pass));
        check(buffer[-1] == 0xa5 && buffer[bytes] == 0xa5, "a read wrote outside its buffer at sector %u", sector);
        for (uint32_t i = 0; i < count * WORDS_PER_SECTOR; i++) {
            uint32_t word, wanted = pattern(pass, sector + i / WORDS_PER_SECTOR, i % WORDS_PER_SECTOR);
            memcpy(&word, buffer + i * 4, 4);
            check(word == wanted, "sector %u word %u is %08x, not %08x", sector + i / WORDS_PER_SECTOR,
                  i % WORDS_PER_SECTOR, word, wanted);
        }
        sum = memory_crc32(sum, buffer, bytes);
    }
    return sum;
}

/* Write "mov $value, %eax; ret" to a sector, read it over the code that ran before, and run it. */
static void run_code_from_disk(uint32_t sector)
{
    struct virtio_buffer code = { code_page, SECTOR_BYTES }, image = { arena, SECTOR_BYTES };
    for (uint32_t round = 0; round < 16; round++) {
        uint32_t value = memory_mix(round), result;
        arena[0] = 0xb8;
        memcpy(arena + 1, &value, 4);
        arena[5] = 0xc3;
        must_succeed(DISK_WRITE, sector, &image, 1);
        must_succeed(DISK_READ, sector, &code, 1);
        __asm__ volatile("call *%1" : "=a"(result) : "r"(code_page) : "memory", "cc");
        check(result == value, "code loaded by DMA in round %u is stale: %08x, not %08x", round, result, value);
    }
}

static void refuse_bad_requests(uint64_t sectors)
{
    struct virtio_buffer two = { arena, 2 * SECTOR_BYTES };
    uint8_t status = disk_do(DISK_WRITE, sectors - 1, &two, 1);
    check(status == DISK_IO_ERROR, "a write over the end was answered %u", status);
    status = disk_do(DISK_READ, sectors, &two, 1);
    check(status == DISK_IO_ERROR, "a read behind the end was answered %u", status);
    status = disk_do(DISK_READ, ~0ull, &two, 1);
    check(status == DISK_IO_ERROR, "a read of the last possible sector was answered %u", status);
    status = disk_do(OP_UNKNOWN, 0, &two, 1);
    check(status == DISK_UNSUPPORTED, "an unknown operation was answered %u", status);
}

int guest_main(void)
{
    uint32_t wanted = option_number("sectors", 2048, 0, 0xffffff);
    uint32_t passes = option_number("passes", 2, 1, 255), sum = 0;
    if (!disk_open())
        fail(EXIT_NEEDS, "this machine has no virtio disk");
    uint64_t sectors = disk_sectors();
    if (sectors < SECTORS_LEAST)
        fail(EXIT_NEEDS, "the disk has %llu sectors, %u are needed", sectors, SECTORS_LEAST);
    uint32_t end = wanted == 0 || wanted > sectors ? (uint32_t)sectors : wanted;
    print("disk: %llu sectors%s, testing %u\n", sectors, disk_has_cache() ? " with a write cache" : "", end);
    for (uint32_t pass = 0; pass < passes; pass++) {
        write_pass(pass, end);
        if (disk_has_cache())
            must_succeed(DISK_FLUSH, 0, 0, 0);
        sum = verify_pass(pass, end);
        print("disk: pass %u verified, checksum %08x\n", pass + 1, sum);
    }
    refuse_bad_requests(sectors);
    check(verify_pass(passes - 1, end) == sum, "a refused request changed the disk");
    run_code_from_disk(end - 1);
    print("disk: ok, %u sectors written and read back %u times\n", end, passes);
    return EXIT_OK;
}
