/*
 * bench-ide: programmed I/O from the first IDE drive, 256 words a sector by REP INSW.
 *
 *   pio-read   n commands of 128 sectors each, the same ones again and again: 32,768 words a command
 *
 * Shows: the cost of port I/O, which is what disks cost while firmware and boot loaders read them. Runs unchanged under
 * `qemu-system-i386 -kernel` with an IDE disk. Checks itself: the sum over every command must be that of the first.
 * Options: n=200. Needs an IDE drive of 64 KiB.
 * Source: ATA/ATAPI-6 (T13 1410D), sections 8.34 (READ SECTOR(S)) and 9.5 (PIO data-in).
 */
#include "bench.h"
#include "console.h"
#include "memory.h"
#include "options.h"
#include "port.h"
#include "runtime.h"

#define IDE_BASE 0x1f0
#define IDE_DATA (IDE_BASE + 0)
#define IDE_COUNT (IDE_BASE + 2)
#define IDE_LBA_LOW (IDE_BASE + 3)
#define IDE_LBA_MID (IDE_BASE + 4)
#define IDE_LBA_HIGH (IDE_BASE + 5)
#define IDE_DEVICE (IDE_BASE + 6)
#define IDE_STATUS (IDE_BASE + 7)
#define IDE_CONTROL 0x3f6

#define STATUS_ERR 0x01
#define STATUS_DRQ 0x08
#define STATUS_DRDY 0x40
#define STATUS_BSY 0x80
#define CONTROL_NIEN 0x02
#define DEVICE_LBA 0xe0
#define CMD_READ_SECTORS 0x20

#define SECTORS 128u
#define SECTOR_WORDS 256u

static void wait_for(uint8_t wanted)
{
    uint8_t status;
    do
        status = in8(IDE_STATUS);
    while ((status & STATUS_BSY) || !(status & (wanted | STATUS_ERR)));
    check(!(status & STATUS_ERR), "the drive reports an error, status %02x", status);
}

static void read_words(uint16_t *to, uint32_t words)
{
    __asm__ volatile("rep insw" : "+D"(to), "+c"(words) : "d"((uint16_t)IDE_DATA) : "memory");
}

static void read_sectors(uint16_t *to)
{
    out8(IDE_DEVICE, DEVICE_LBA);
    out8(IDE_COUNT, SECTORS);
    out8(IDE_LBA_LOW, 0);
    out8(IDE_LBA_MID, 0);
    out8(IDE_LBA_HIGH, 0);
    out8(IDE_STATUS, CMD_READ_SECTORS);
    for (uint32_t sector = 0; sector < SECTORS; sector++) {
        wait_for(STATUS_DRQ);
        read_words(to + sector * SECTOR_WORDS, SECTOR_WORDS);
    }
}

static uint32_t sum_of(const uint16_t *words)
{
    uint32_t sum = 1;
    for (uint32_t i = 0; i < SECTORS * SECTOR_WORDS; i++)
        sum = (sum << 5 | sum >> 27) + words[i];
    return sum;
}

int guest_main(void)
{
    uint32_t n = option_number("n", 200, 1, 1000000);
    uint16_t *buffer = memory_pages(SECTORS * SECTOR_WORDS * 2 / PAGE_BYTES);
    out8(IDE_CONTROL, CONTROL_NIEN);
    out8(IDE_DEVICE, DEVICE_LBA);
    check(in8(IDE_STATUS) & STATUS_DRDY, "there is no IDE drive");
    read_sectors(buffer);
    uint32_t sum = sum_of(buffer);
    bench_begin("pio-read");
    for (uint32_t i = 0; i < n; i++)
        read_sectors(buffer);
    bench_end("pio-read");
    check(sum_of(buffer) == sum, "other data came from the same sectors");
    print("bench-ide: n=%u words %u checksum %08x\n", n, n * SECTORS * SECTOR_WORDS, sum);
    return EXIT_OK;
}
