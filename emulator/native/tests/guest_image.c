/* guest_image.c - loads a test guest; see guest_image.h. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest_image.h"

#define FLAT_BASE 0x100000u
#define BOOT_MAGIC 0x2badb002u
#define BOOT_INFO 0x9000u

bool guest_image_read(const char *path, struct guest_image *image)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    fseek(f, 0, SEEK_END);
    image->size = (size_t)ftell(f);
    rewind(f);
    image->bytes = malloc(image->size + 1);
    bool ok = image->bytes && fread(image->bytes, 1, image->size, f) == image->size;
    fclose(f);
    image->elf = ok && image->size > sizeof(Elf32_Ehdr) && !memcmp(image->bytes, ELFMAG, SELFMAG);
    return ok;
}

static bool load_elf(const struct guest_image *image, core *c, uint32_t ram_bytes, uint32_t *entry)
{
    const Elf32_Ehdr *header = (const void *)image->bytes;
    for (int i = 0; i < header->e_phnum; i++) {
        size_t at = header->e_phoff + (size_t)i * header->e_phentsize;
        Elf32_Phdr p;
        if (at + sizeof p > image->size)
            return false;
        memcpy(&p, image->bytes + at, sizeof p);
        if (p.p_type != PT_LOAD)
            continue;
        if ((uint64_t)p.p_paddr + p.p_memsz > ram_bytes || (uint64_t)p.p_offset + p.p_filesz > image->size)
            return false;
        core_ram_write(c, p.p_paddr, image->bytes + p.p_offset, p.p_filesz);
    }
    *entry = header->e_entry;
    return true;
}

bool guest_image_load(const struct guest_image *image, core *c, uint32_t ram_bytes)
{
    core_registers r;
    core_get_registers(c, &r);
    r.cr0 = 0x11;
    r.eip = FLAT_BASE;
    r.gpr[4] = 0x8000;
    for (int i = 0; i < 6; i++)
        r.seg[i] = (core_segment){ i == 1 ? 8 : 16, 0, 0xffffffff, i == 1 ? 0xcf9b00 : 0xcf9300 };
    if (image->elf) {
        uint32_t info[3] = { 1, 639, ram_bytes / 1024 - 1024 };     /* flags: memory sizes in KiB */
        if (!load_elf(image, c, ram_bytes, &r.eip))
            return false;
        core_ram_write(c, BOOT_INFO, info, sizeof info);
        r.gpr[0] = BOOT_MAGIC;
        r.gpr[3] = BOOT_INFO;
    } else {
        core_ram_write(c, FLAT_BASE, image->bytes, (uint32_t)image->size);
    }
    core_set_registers(c, &r);
    return true;
}
