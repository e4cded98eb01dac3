/* speed.c - MIPS of one guest loop.  usage: speed IMAGE ITERATIONS [slice] [random]
 * The variant built with FT86_UNCOUNTED shows what the same core would do without counting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "guest_image.h"

#define RAM_BYTES (16u << 20)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    struct guest_image image;
    char message[200];
    core_config config = { .ram_bytes = RAM_BYTES };
    if (argc < 3 || !guest_image_read(argv[1], &image))
        return fprintf(stderr, "usage: speed IMAGE ITERATIONS [slice] [random]\n"), 1;
    uint32_t parameters[2] = { (uint32_t)strtoul(argv[2], NULL, 0), argc > 4 };
    uint64_t slice = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
    core *c = core_create(&config, message, sizeof message);
    if (!c)
        return fprintf(stderr, "%s\n", message), 1;
    guest_image_load(&image, c, RAM_BYTES);
    core_ram_write(c, 0x91000, parameters, sizeof parameters);
    enum core_exit why;
    double seconds = now();
    do
        why = core_run(c, slice ? core_count(c) + slice : INT64_MAX);
    while (why == CORE_EXIT_TARGET);
    seconds = now() - seconds;
    double instructions = parameters[0] * (parameters[1] ? 7.0 : 17.5);
    printf("%.1f MIPS, %.1f ns per iteration, count %lu\n", instructions / seconds / 1e6,
           seconds * 1e9 / parameters[0], core_count(c));
    core_destroy(c);
    return why != CORE_EXIT_HALTED;
}
