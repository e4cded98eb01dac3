/*
 * bench-disk: random reads of 4 KiB from the first virtio disk, several in flight all the time.
 *
 *   random-read   n reads, `depth` in flight; each completion is an interrupt or shares one, each answer a new request
 *
 * Shows: what a disk request costs, in time and in log bytes. Runs unchanged under `qemu-system-i386 -kernel` with a virtio disk.
 * Checks itself: every block is read once more at the end, and must be what it was.
 * Options: n=20000, depth=8, seed=1. Needs a disk of at least 64 KiB.
 */
#include "bench.h"
#include "console.h"
#include "memory.h"
#include "options.h"
#include "port.h"
#include "runtime.h"
#include "virtio-blk.h"

#define BLOCK_BYTES 4096u
#define BLOCK_SECTORS (BLOCK_BYTES / SECTOR_BYTES)
#define BLOCKS_LEAST 16u
#define BLOCKS_CHECKED 256u

static struct {
    uint8_t *buffer;
    uint32_t block;
} requests[DISK_REQUESTS_MAX];

static uint32_t blocks, seed, crcs[BLOCKS_CHECKED];

static void submit(uint32_t token, uint32_t number)
{
    uint32_t block = memory_mix(number ^ seed << 20) % blocks;
    struct virtio_buffer buffer = { requests[token].buffer, BLOCK_BYTES };
    requests[token].block = block;
    check(disk_submit(DISK_READ, (uint64_t)block * BLOCK_SECTORS, &buffer, 1, token), "no room for a request");
}

/* One word of each block that was read, so that the order of completions does not show. */
static uint32_t take(uint32_t *token)
{
    uint8_t status;
    while (!disk_take(token, &status)) {
        interrupts_disable();
        if (!disk_has_finished())
            interrupts_wait();
        interrupts_enable();
    }
    check(status == DISK_OK, "block %u cannot be read", requests[*token].block);
    return *(uint32_t *)requests[*token].buffer;
}

static uint32_t crc_of(uint32_t block)
{
    struct virtio_buffer buffer = { requests[0].buffer, BLOCK_BYTES };
    check(disk_do(DISK_READ, (uint64_t)block * BLOCK_SECTORS, &buffer, 1) == DISK_OK, "block %u cannot be read", block);
    return memory_crc32(0, requests[0].buffer, BLOCK_BYTES);
}

int guest_main(void)
{
    uint32_t n = option_number("n", 20000, 1, 100000000), depth = option_number("depth", 8, 1, DISK_REQUESTS_MAX);
    uint32_t token, sum = 0, submitted = 0;
    seed = option_number("seed", 1, 0, 0xffff);
    if (!disk_open())
        fail(EXIT_NEEDS, "this machine has no virtio disk");
    uint64_t whole = disk_sectors() / BLOCK_SECTORS;
    blocks = whole > 0x1000000 ? 0x1000000 : (uint32_t)whole;
    if (blocks < BLOCKS_LEAST)
        fail(EXIT_NEEDS, "the disk has %u blocks, %u are needed", blocks, BLOCKS_LEAST);
    for (uint32_t i = 0; i < DISK_REQUESTS_MAX; i++)
        requests[i].buffer = memory_pages(1);
    uint32_t checked = blocks < BLOCKS_CHECKED ? blocks : BLOCKS_CHECKED;
    for (uint32_t i = 0; i < checked; i++)
        crcs[i] = crc_of(i);
    bench_begin("random-read");
    for (; submitted < depth && submitted < n; submitted++)
        submit(submitted, submitted);
    for (uint32_t done = 0; done < n; done++) {
        sum += take(&token);
        if (submitted < n)
            submit(token, submitted++);
    }
    bench_end("random-read");
    for (uint32_t i = 0; i < checked; i++)
        check(crc_of(i) == crcs[i], "block %u is not what it was", i);
    print("bench-disk: n=%u depth=%u sum %08x\n", n, depth, sum);
    return EXIT_OK;
}
