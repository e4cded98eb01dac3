/* hostile.c - Goal: no saved state, however damaged, harms the host. Method: states of the two test guests
 * with random bytes changed (and all lengths around) are either refused or run for a while; meant to be
 * run under the sanitizers as well. Prints the seed; a failure is a crash.
 *
 * usage: hostile IMAGE ROUNDS [SEED] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest_image.h"

#define RAM_BYTES (16u << 20)

static uint32_t next_random(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*s >> 33);
}

static void on_access(core *c, core_access *a, void *opaque)
{
    (void)c, (void)opaque;
    a->value = a->address * 2654435761u;
}

static core *new_core(const core_config *config)
{
    char message[200];
    core *c = core_create(config, message, sizeof message);
    if (!c) {
        fprintf(stderr, "%s\n", message);
        exit(1);
    }
    return c;
}

static void damage(uint8_t *blob, size_t bytes, uint64_t *seed)
{
    uint32_t changes = 1 + next_random(seed) % 4;
    for (uint32_t i = 0; i < changes; i++) {
        size_t at = next_random(seed) % 3 ? 16 + next_random(seed) % 592 : next_random(seed) % bytes;
        blob[at] = (uint8_t)(next_random(seed) & 1 ? next_random(seed) : blob[at] ^ 1u << next_random(seed) % 8);
    }
}

int main(int argc, char **argv)
{
    struct guest_image image;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    int rounds = argc > 2 ? atoi(argv[2]) : 0, refused = 0, ended = 0;
    uint32_t iterations = 50;
    core_config config = { .ram_bytes = RAM_BYTES, .access = on_access, .translation_bytes = 8u << 20 };
    if (argc < 3 || !guest_image_read(argv[1], &image))
        return fprintf(stderr, "usage: hostile IMAGE ROUNDS [SEED]\n"), 1;
    printf("%s: seed %lu\n", argv[1], seed);
    core *c = new_core(&config);
    guest_image_load(&image, c, RAM_BYTES);
    core_ram_write(c, 0x91000, &iterations, 4);
    core_run(c, 40000);
    size_t bytes = core_state_bytes(c), at;
    uint8_t *good = malloc(bytes), *bad = malloc(bytes), *ram = malloc(RAM_BYTES);
    core_save(c, good);
    memcpy(ram, core_ram(c), RAM_BYTES);
    for (size_t cut = 0; cut < bytes; cut++)
        if (!core_restore(c, good, cut, &at))
            return printf("a state cut to %zu bytes was accepted\n", cut), 1;
    for (int i = 0; i < rounds; i++) {
        memcpy(bad, good, bytes);
        damage(bad, bytes, &seed);
        if (i % 16 == 0)
            core_ram_write(c, 0, ram, RAM_BYTES);
        if (core_restore(c, bad, bytes, &at)) {
            refused++;
            continue;
        }
        core_inject(c, (uint8_t)next_random(&seed));
        enum core_exit why = core_run(c, core_count(c) + 3000);
        if (why == CORE_EXIT_ERROR)
            return printf("engine error: %s\n", core_error(c)), 1;
        ended += why != CORE_EXIT_TARGET;
        uint8_t *now = malloc(core_state_bytes(c));     /* whatever it is now, it can be saved */
        core_save(c, now);
        free(now);
    }
    printf("%s: %d damaged states, %d refused, %d ended early, no harm\n", argv[1], rounds, refused, ended);
    core_destroy(c);
    return 0;
}
