/* ram.c - guest RAM and ROM: mapping, host writes, dirty pages, digests.
 *
 * The dirty bitmap has one bit per consumer and page. The engine may store to a page without being
 * noticed only while all bits of the page are set; clearing any takes that right away again (an engine
 * TLB flush, which no guest can see). Stores, host writes and the page walker set all bits. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "core_internal.h"
#include "hash.h"

/* Guard pages turn a stray access of ours into a fault instead of silent damage. */
#define GUARD_BYTES 65536u

struct core_ram *ram_map(uint32_t bytes)
{
    struct core_ram *ram = malloc(sizeof *ram);
    size_t size = (size_t)bytes + 2 * GUARD_BYTES;
    if (!ram)
        return NULL;
    ram->mapping = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ram->mapping == MAP_FAILED) {
        free(ram);
        return NULL;
    }
    ram->bytes = (uint8_t *)ram->mapping + GUARD_BYTES;
    ram->size = bytes;
    ram->users = 1;
    ram->page_bytes = calloc(2, bytes >> PAGE_SHIFT);
    if (!ram->page_bytes || mprotect(ram->bytes, bytes, PROT_READ | PROT_WRITE)) {
        munmap(ram->mapping, size);
        free(ram->page_bytes);
        free(ram);
        return NULL;
    }
    return ram;
}

struct core_ram *rom_map(const uint8_t *bytes, uint32_t count)
{
    struct core_ram *rom = ram_map(count);
    if (!rom)
        return NULL;
    memcpy(rom->bytes, bytes, count);
    if (mprotect(rom->bytes, count, PROT_READ)) {
        core_ram_release(rom);
        return NULL;
    }
    return rom;
}

uint8_t *core_ram(core *c) { return c->ram; }
uint32_t core_ram_pages(const core *c) { return c->pages; }
uint8_t *core_page_bytes(core *c) { return c->dirty; }

struct core_ram *core_ram_retain(core *c)
{
    __atomic_add_fetch(&c->ram_mapping->users, 1, __ATOMIC_RELAXED);
    return c->ram_mapping;
}

void core_ram_release(struct core_ram *ram)
{
    if (__atomic_sub_fetch(&ram->users, 1, __ATOMIC_ACQ_REL))
        return;
    munmap(ram->mapping, ram->size + 2 * GUARD_BYTES);
    free(ram->page_bytes);
    free(ram);
}

/* The engine's own number for a page of RAM or ROM. */
uint64_t ram_offset_of_page(const core *c, uint64_t page)
{
    uint64_t address = page << PAGE_SHIFT;
    if (is_rom_page(c, page))
        return c->ram_offset_rom + address - ((UINT64_C(1) << 32) - c->config.rom_bytes);
    if (address < CORE_HOLE_START)
        return c->ram_offset_low + address;
    return address < CORE_HOLE_END ? UINT64_MAX : c->ram_offset_high + address - CORE_HOLE_END;
}

/* The host's address of a byte with that RAM offset of the engine; NULL when it is neither RAM nor ROM. */
const uint8_t *ram_at_offset(const core *c, uint64_t offset)
{
    uint64_t bytes = (uint64_t)c->pages << PAGE_SHIFT;
    if (offset - c->ram_offset_low < CORE_HOLE_START)
        return c->ram + (offset - c->ram_offset_low);
    if (bytes > CORE_HOLE_END && offset - c->ram_offset_high < bytes - CORE_HOLE_END)
        return c->ram + CORE_HOLE_END + (offset - c->ram_offset_high);
    if (offset - c->ram_offset_rom < c->config.rom_bytes)
        return c->rom_mapping->bytes + (offset - c->ram_offset_rom);
    return NULL;
}

/* ---- host writes ---- */

void core_ram_written(core *c, uint32_t address, uint32_t bytes)
{
    core *outer = core_current;
    core_current = c;
    uint64_t end = (uint64_t)address + bytes;
    for (uint64_t page = address >> PAGE_SHIFT; page < c->pages && page << PAGE_SHIFT < end; page++) {
        ram_mark(c, page);
        uint64_t at = ram_offset_of_page(c, page);
        if (!c->code_page[page] || at == UINT64_MAX)
            continue;
        tb_invalidate_phys_range_x86_64(c->uc, at, at + PAGE_BYTES);
        if (c->in_callback) {                /* the rest of the running block may be what was replaced */
            c->boundary_requested = true;
            core_update_watch(c);
        }
    }
    core_current = outer;
}

void core_ram_write(core *c, uint32_t address, const void *data, uint32_t bytes)
{
    memcpy(c->ram + address, data, bytes);
    core_ram_written(c, address, bytes);
}

/* ---- dirty pages ---- */

static void revoke_writes(core *c)
{
    core *outer = core_current;
    core_current = c;
    core_tlb_flush(c);
    core_current = outer;
}

/* The next page from `page` on whose bit is set, or c->pages; long clean stretches go by in words. */
static uint32_t next_dirty(const core *c, uint32_t page, uint8_t bit)
{
    uint64_t bits = bit * UINT64_C(0x0101010101010101), word;
    for (; page < c->pages; page++) {
        while (!(page & 7) && page + 8 <= c->pages) {
            memcpy(&word, c->dirty + page, 8);
            if (word & bits)
                break;
            page += 8;
        }
        if (page < c->pages && (c->dirty[page] & bit))
            break;
    }
    return page;
}

uint32_t core_collect_dirty(core *c, unsigned consumer, uint32_t *pages)
{
    uint8_t bit = (uint8_t)(1u << consumer);
    uint32_t count = 0;
    for (uint32_t page = next_dirty(c, 0, bit); page < c->pages; page = next_dirty(c, page + 1, bit)) {
        pages[count++] = page;
        c->dirty[page] &= (uint8_t)~bit;
    }
    if (count)
        revoke_writes(c);
    return count;
}

uint32_t core_written_pages(const core *c, uint32_t *pages)
{
    uint8_t bit = (uint8_t)(1u << CORE_DIRTY_EVER);
    uint32_t count = 0;
    for (uint32_t page = next_dirty(c, 0, bit); page < c->pages; page = next_dirty(c, page + 1, bit))
        pages[count++] = page;
    return count;
}

void core_ram_digest(core *c, uint8_t digest[16])
{
    bool any = false;
    for (uint32_t page = next_dirty(c, 0, 1); page < c->pages; page = next_dirty(c, page + 1, 1)) {
        c->page_hash[page] = hash_page(c->ram + ((size_t)page << PAGE_SHIFT));
        c->dirty[page] &= (uint8_t)~1u;
        any = true;
    }
    if (any)
        revoke_writes(c);
    hash_combine(c->page_hash, c->pages + rom_pages(c), digest);
}
