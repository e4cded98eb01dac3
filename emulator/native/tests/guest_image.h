/* guest_image.h - test guests: flat images at 1 MiB, or Multiboot ELF files (Multiboot 0.6.96, section 3). */
#ifndef FT86_GUEST_IMAGE_H
#define FT86_GUEST_IMAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../core.h"

struct guest_image {
    uint8_t *bytes;
    size_t size;
    bool elf;
};

bool guest_image_read(const char *path, struct guest_image *image);
/* Copy the image into RAM and set the registers to its entry: flat 32-bit protected mode, paging off. */
bool guest_image_load(const struct guest_image *image, core *c, uint32_t ram_bytes);
#endif
