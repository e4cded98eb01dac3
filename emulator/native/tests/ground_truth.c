/* ground_truth.c - Goal: what a guest does depends on its state and on the counts at which interrupts come,
 * on nothing else. Method: the same guest and interrupts in many ways of running it, all compared with the
 * reference, which counts with a hook on every instruction: equal count, events, RAM and saved state.
 *
 * usage: ground_truth IMAGE [gap=N] [seed=N] [iterations=N] [irqio] [only=WAY] [until=N] [verbose]
 *   gap=N         an interrupt every 1..N instructions (0: none but those of irqio)
 *   irqio         OUT to any port raises the interrupt line in mid-block
 *   until=N       stop at this count if the guest does not end before
 * IMAGE is flat (loop count passed at 0x91000) or a Multiboot ELF, which gets vector 20h and a toy PC. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../hash.h"
#include "guest_image.h"

#define RAM_BYTES (16u << 20)
#define ITERATIONS_AT 0x91000u
#define NEVER INT64_MAX

struct way {
    const char *name;
    bool reference;
    uint64_t slice, flush_seed, digest_every, save_every, move_every, collect_every;
    uint32_t translation_bytes;
};

static const struct way ways[] = {
    { .name = "reference", .reference = true },
    { .name = "plain" },
    { .name = "slice=1", .slice = 1 },
    { .name = "slice=2", .slice = 2 },
    { .name = "slice=3", .slice = 3 },
    { .name = "slice=4", .slice = 4 },
    { .name = "slice=5", .slice = 5 },
    { .name = "slice=6", .slice = 6 },
    { .name = "slice=7", .slice = 7 },
    { .name = "slice=101", .slice = 101 },
    { .name = "reference slice=13", .reference = true, .slice = 13 },
    { .name = "flush", .flush_seed = 3 },
    { .name = "slice=101 flush", .slice = 101, .flush_seed = 9 },
    { .name = "digest", .digest_every = 1009 },
    { .name = "save", .save_every = 503 },
    { .name = "collect", .collect_every = 701 },
    { .name = "small code buffer", .translation_bytes = 1u << 20 },
    { .name = "move", .move_every = 20011 },
    { .name = "move slice=17 flush", .slice = 17, .flush_seed = 5, .move_every = 200003 },
    { .name = "everything", .slice = 4001, .flush_seed = 77, .digest_every = 5003, .save_every = 3001,
      .collect_every = 7001, .move_every = 300007 },
};

struct scenario {
    struct guest_image image;
    uint64_t gap, seed, until;
    uint32_t iterations;
    bool irq_on_out, verbose;
};

struct result {
    uint64_t exit, count, events, injected, state, fixed;
    uint8_t ram[16];
};

struct run {
    const struct scenario *scenario;
    core *c;
    uint64_t events, random, injected, next_interrupt;
    bool line_up, finished;
    core_config config;
};

static void event(struct run *t, uint64_t a, uint64_t b)
{
    t->events = (t->events ^ a) * 1099511628211u;
    t->events = (t->events ^ b) * 1099511628211u;
    t->events ^= t->events >> 31;
}

static uint32_t next_random(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*s >> 33);
}

static void on_access(core *c, core_access *a, void *opaque)
{
    struct run *t = opaque;
    bool toy = t->scenario->image.elf;
    uint64_t now = core_count(c);
    if (a->kind == CORE_PORT_IN || a->kind == CORE_MEMORY_READ) {
        a->value = toy && a->address == 0x3fd ? 0x60 : (uint32_t)((now + a->address) * 2654435761u);
        event(t, now, a->address | (uint64_t)a->size << 32);
        return;
    }
    event(t, now, a->value ^ (uint64_t)a->address << 32);
    if (toy && a->kind == CORE_PORT_OUT && a->address == 0x3f8 && t->scenario->verbose)
        fputc((int)a->value & 255, stderr);
    if (toy && a->kind == CORE_PORT_OUT && a->address == 0xf4) {
        t->finished = true;
        core_request_exit(c);
    }
    if (t->scenario->irq_on_out && a->kind == CORE_PORT_OUT && !t->line_up) {
        t->line_up = true;
        core_set_irq_pending(c, true);
    }
}

static core *new_core(struct run *t)
{
    char message[200];
    core *c = core_create(&t->config, message, sizeof message);
    if (!c) {
        fprintf(stderr, "%s\n", message);
        exit(1);
    }
    core_set_clock(c, 0, 5, 1300);
    return c;
}

/* Save; with `move` also go on in a new engine. */
static void save(struct run *t, bool move)
{
    size_t bytes = core_state_bytes(t->c), error_at;
    uint8_t *blob = malloc(bytes);
    core_save(t->c, blob);
    if (move) {
        core *next = new_core(t);
        core_ram_write(next, 0, core_ram(t->c), RAM_BYTES);
        const char *wrong = core_restore(next, blob, bytes, &error_at);
        if (wrong) {
            fprintf(stderr, "restore failed: %s at %zu\n", wrong, error_at);
            exit(1);
        }
        core_destroy(t->c);
        t->c = next;
        core_set_irq_pending(next, t->line_up);
    }
    free(blob);
}

static void check_digest(core *c, uint8_t digest[16])
{
    uint32_t pages = core_ram_pages(c);
    uint64_t *hashes = malloc(pages * sizeof *hashes);
    uint8_t fresh[16];
    for (uint32_t i = 0; i < pages; i++)
        hashes[i] = hash_page(core_ram(c) + ((size_t)i << 12));
    hash_combine(hashes, pages, fresh);
    free(hashes);
    core_ram_digest(c, digest);
    if (memcmp(fresh, digest, 16)) {
        fprintf(stderr, "the digest of dirty pages differs from that of all pages\n");
        exit(1);
    }
}

static uint64_t due(uint64_t every, uint64_t *next, uint64_t now)
{
    if (!every || now < *next)
        return 0;
    while (*next <= now)
        *next += every;
    return 1;
}

static struct result finish(struct run *t, enum core_exit why)
{
    struct result r = { .exit = why, .count = core_count(t->c), .injected = t->injected };
    core_registers g;
    core_get_registers(t->c, &g);
    for (int i = 0; i < 8; i++)
        event(t, (uint64_t)i, g.gpr[i]);
    event(t, g.eflags, g.eip);
    r.events = t->events;
    size_t bytes = core_state_bytes(t->c);
    uint8_t *blob = malloc(bytes), digest[16];
    core_save(t->c, blob);
    hash_bytes(blob, bytes, digest);
    memcpy(&r.state, digest, 8);
    hash_bytes(blob, 624, digest);
    memcpy(&r.fixed, digest, 8);
    free(blob);
    check_digest(t->c, r.ram);
    return r;
}

static void disturb(struct run *t, uint64_t *flush)
{
    uint32_t what = next_random(flush) % 8;
    if (what == 0)
        core_flush_translations(t->c);
    else if (what < 3)
        core_flush_engine_tlb(t->c);
}

static struct result run(const struct scenario *s, const struct way *w)
{
    struct run t = { .scenario = s, .events = 1469598103934665603u, .random = s->seed };
    uint64_t slice_at = w->slice, digest_at = w->digest_every, save_at = w->save_every, move_at = w->move_every;
    uint64_t collect_at = w->collect_every, flush = w->flush_seed;
    uint8_t digest[16];
    static uint32_t pages[RAM_BYTES >> 12];
    t.config = (core_config){ .ram_bytes = RAM_BYTES, .opaque = &t, .access = on_access,
                              .count_by_instruction = w->reference, .translation_bytes = w->translation_bytes };
    t.c = new_core(&t);
    if (!guest_image_load(&s->image, t.c, RAM_BYTES))
        exit(1);
    if (!s->image.elf)
        core_ram_write(t.c, ITERATIONS_AT, &s->iterations, 4);
    t.next_interrupt = s->gap ? next_random(&t.random) % s->gap + 3000 : NEVER;
    enum core_exit why = CORE_EXIT_TARGET;
    while (!t.finished && core_count(t.c) < s->until) {
        uint64_t now = core_count(t.c), limit = s->until;
        if (now >= t.next_interrupt && !t.line_up) {
            t.line_up = true;
            core_set_irq_pending(t.c, true);
        }
        due(w->slice, &slice_at, now);
        if (due(w->move_every, &move_at, now))
            save(&t, true);
        if (due(w->save_every, &save_at, now))
            save(&t, false);
        if (due(w->digest_every, &digest_at, now))
            core_ram_digest(t.c, digest);
        if (due(w->collect_every, &collect_at, now))
            core_collect_dirty(t.c, 1 + next_random(&flush) % 7, pages);
        if (w->flush_seed)
            disturb(&t, &flush);
        uint64_t stops[] = { t.line_up ? limit : t.next_interrupt, w->slice ? slice_at : limit, w->move_every ? move_at : limit,
                             w->save_every ? save_at : limit, w->digest_every ? digest_at : limit,
                             w->collect_every ? collect_at : limit };
        for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
            limit = stops[i] < limit ? stops[i] : limit;
        why = core_run(t.c, limit);
        if (why == CORE_EXIT_IRQ_WINDOW) {
            core_registers r;
            core_get_registers(t.c, &r);
            event(&t, core_count(t.c), r.eip);
            core_inject(t.c, s->image.elf ? 0x20 : 0x50);
            core_set_irq_pending(t.c, t.line_up = false);
            t.injected++;
            t.next_interrupt = s->gap ? core_count(t.c) + 1 + next_random(&t.random) % s->gap : NEVER;
        } else if (why == CORE_EXIT_HALTED && s->image.elf && t.next_interrupt != NEVER) {
            t.next_interrupt = core_count(t.c);    /* an idle guest gets its interrupt at once */
            if (!core_irq_window(t.c))
                break;
        } else if (why != CORE_EXIT_TARGET && why != CORE_EXIT_REQUESTED) {
            break;
        }
    }
    if (why == CORE_EXIT_ERROR)
        fprintf(stderr, "%s: %s\n", w->name, core_error(t.c));
    struct result r = finish(&t, why);
    const core_stats *k = core_statistics(t.c);
    if (s->verbose)
        fprintf(stderr, "# %-22s starts=%lu tails=%lu misses=%lu proofs=%lu smc=%lu fetch=%lu io=%lu fills=%lu walks=%lu "
                "fetchfills=%lu touches=%lu splits=%lu stale=%lu archflush=%lu pf=%lu\n", w->name, k->starts, k->tails,
                k->slot_misses, k->revalidations, k->smc_restarts, k->fetch_retries, k->io_retries, k->fills, k->walks,
                k->fetch_fills, k->touches, k->page_splits, k->touch_restarts, k->arch_flushes, k->exceptions[14]);
    core_destroy(t.c);
    return r;
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    size_t n = strlen(name);
    for (int i = 2; i < argc; i++)
        if (!strncmp(argv[i], name, n) && (!argv[i][n] || argv[i][n] == '='))
            return argv[i][n] ? strtoull(argv[i] + n + 1, NULL, 0) : 1;
    return otherwise;
}

int main(int argc, char **argv)
{
    struct scenario s = { .gap = option(argc, argv, "gap", 300), .seed = option(argc, argv, "seed", 1),
                          .until = option(argc, argv, "until", NEVER),
                          .iterations = (uint32_t)option(argc, argv, "iterations", 50),
                          .irq_on_out = option(argc, argv, "irqio", 0), .verbose = option(argc, argv, "verbose", 0) };
    const char *only = NULL;
    for (int i = 2; i < argc; i++)
        if (!strncmp(argv[i], "only=", 5))
            only = argv[i] + 5;
    if (argc < 2 || !guest_image_read(argv[1], &s.image))
        return fprintf(stderr, "usage: ground_truth IMAGE [options]\n"), 1;
    struct result first = { 0 };
    int failures = 0, runs = 0;
    uint64_t interrupts = 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (only && i && strcmp(ways[i].name, only))
            continue;
        struct result r = run(&s, &ways[i]);
        runs++, interrupts += r.injected;
        if (i == 0)
            first = r;
        if (memcmp(&r, &first, sizeof r)) {
            failures++;
            printf("DIFFERS %-20s exit %lu/%lu count %lu/%lu injected %lu/%lu events %s registers %s tlb %s ram %s\n",
                   ways[i].name, r.exit, first.exit, r.count, first.count, r.injected, first.injected,
                   r.events == first.events ? "equal" : "DIFFER", r.fixed == first.fixed ? "equal" : "DIFFER",
                   r.state == first.state ? "equal" : "DIFFER", memcmp(r.ram, first.ram, 16) ? "DIFFERS" : "equal");
        }
    }
    printf("%s: exit %lu, %lu instructions, %d ways, %lu interrupts, %d differ\n", argv[1], first.exit, first.count, runs,
           interrupts, failures);
    return failures != 0 || first.exit == CORE_EXIT_ERROR || first.exit == CORE_EXIT_TRIPLE_FAULT;
}
