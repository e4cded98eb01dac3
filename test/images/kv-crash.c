/*
 * Goal: whatever a power cut leaves on the disk, kv comes back with every acknowledged operation, each applied once.
 * Method: kv's own store, journal and format run here as host code on a simulated disk with a write cache. At a
 * random moment the power goes: of the writes that were not flushed, each sector is kept, lost or torn at random.
 * The journal is opened again, and the tables must equal the model after some number of changes between the last
 * acknowledged and the last applied one. Many seeds, many cuts each. Also: a foreign disk and damage are refused.
 *
 * usage: kv-crash FIRST-SEED SEEDS      exit status 0 and a summary line when all held
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host-disk.h"
#include "kv-format.h"
#include "kv-journal.h"
#include "network.h"
#include "runtime.h"

#define HISTORY_MAX 4000
#define CUTS_PER_SEED 12
#define CLIENTS 20
#define KEYS 60

/* ---- the model: the list of changes, replayed into simple tables ---- */

struct change {
    uint8_t op, key, value[8], value_bytes;
    uint32_t client, sequence;
};
struct model {
    bool there[KEYS];
    uint8_t value[KEYS][8], value_bytes[KEYS];
    uint32_t sequence[CLIENTS];
    uint8_t status[CLIENTS];
};
static struct change history[HISTORY_MAX];
static uint64_t tickets[HISTORY_MAX];
static uint32_t history_count;

static void model_apply(struct model *model, const struct change *change)
{
    uint32_t key = change->key;
    model->sequence[change->client] = change->sequence;
    model->status[change->client] = SERVICE_OK;
    if (change->op == KV_OP_DELETE) {
        if (!model->there[key])
            model->status[change->client] = SERVICE_NOT_FOUND;
        model->there[key] = false;
    } else if (change->op == KV_OP_PUT) {
        model->there[key] = true;
        model->value_bytes[key] = change->value_bytes;
        memcpy(model->value[key], change->value, change->value_bytes);
    } else {
        if (model->there[key] && model->value_bytes[key] != 8) {
            model->status[change->client] = SERVICE_BAD_REQUEST;
            return;
        }
        store_be64(model->value[key],
                   (model->there[key] ? load_be64(model->value[key]) : 0) + load_be32(change->value));
        model->there[key] = true;
        model->value_bytes[key] = 8;
    }
}

static bool equals_store(const struct model *model)
{
    uint32_t keys = 0;
    for (uint32_t i = 0; i < KV_KEYS_MAX; i++) {
        const struct kv_key *entry = &kv_store.keys[i];
        if (entry->key_bytes == 0)
            continue;
        uint32_t key = entry->key[1];
        keys++;
        if (!model->there[key] || model->value_bytes[key] != entry->value_bytes ||
            memcmp(model->value[key], entry->value, entry->value_bytes) != 0)
            return false;
    }
    for (uint32_t key = 0; key < KEYS; key++)
        keys -= model->there[key];
    if (keys != 0)
        return false;
    for (uint32_t client = 0; client < CLIENTS; client++) {
        const struct kv_client *entry = NULL;
        for (uint32_t i = 0; i < kv_store.client_count; i++)
            if (kv_store.clients[i].id == client)
                entry = &kv_store.clients[i];
        if ((entry != NULL ? entry->sequence : 0) != model->sequence[client])
            return false;
        if (entry != NULL && entry->reply.status != model->status[client])
            return false;
    }
    return true;
}

/* After a restart: which prefix of the history is this? Cut the history there. */
static void settle(uint32_t acknowledged)
{
    static struct model model;
    memset(&model, 0, sizeof model);
    for (uint32_t count = 0;; count++) {
        if (count >= acknowledged && equals_store(&model)) {
            history_count = count;
            return;
        }
        check(count < history_count, "%u acknowledged, %u applied, and the disk holds neither nor anything between",
              acknowledged, history_count);
        model_apply(&model, &history[count]);
    }
}

static void change_something(void)
{
    static uint32_t sequences[CLIENTS];
    struct change *change = &history[history_count];
    uint8_t key[3] = { 'k', (uint8_t)random_below(KEYS), 'x' };
    uint32_t kind = random_below(10);
    change->op = kind < 3 ? KV_OP_PUT : kind < 9 ? KV_OP_ADD : KV_OP_DELETE;
    change->key = key[1];
    change->client = random_below(CLIENTS);
    uint8_t put_bytes = (uint8_t)(random_below(2) * 4 + 4);
    change->value_bytes = change->op == KV_OP_ADD ? 4 : change->op == KV_OP_PUT ? put_bytes : 0;
    for (int i = 0; i < 8; i++)
        change->value[i] = (uint8_t)random_below(256);
    struct kv_client *client = kv_find_client(change->client);
    sequences[change->client] = client->sequence;
    change->sequence = sequences[change->client] + 1;
    struct service_request request = { change->client, change->sequence,    change->op, sizeof key,
                                       change->value_bytes, key, change->value };
    struct kv_change done = kv_apply(&request, client);
    journal_append(&done, &request);
    tickets[history_count++] = journal_ticket();
}

/* journal.c keeps its state in statics; a restart means the values they start with. */

static void life(uint32_t steps)
{
    uint32_t durable_changes = history_count;
    memset(&kv_store, 0, sizeof kv_store);
    journal_open();
    settle(durable_changes);
    uint32_t base = history_count;
    for (uint32_t i = 0; i < steps && history_count < HISTORY_MAX; i++) {
        if (journal_has_room() && random_below(3) != 0)
            change_something();
        if (random_below(2))
            journal_step();
    }
    uint32_t acknowledged = base;
    while (acknowledged < history_count && tickets[acknowledged] <= journal_committed())
        acknowledged++;
    disk_power_cut();
    memset(&kv_store, 0, sizeof kv_store);
    journal_open();
    settle(acknowledged);
    disk_power_cut();
}

static int refusal(void)
{
    jmp_buf back;
    failure_expected = &back;
    int code = setjmp(back);
    if (code == 0) {
        memset(&kv_store, 0, sizeof kv_store);
        journal_open();
    }
    failure_expected = NULL;
    return code - 1;
}

static void damage_is_refused(void)
{
    static uint8_t before[DISK_SECTORS][SECTOR_BYTES];
    for (uint32_t slot = 0; slot < 2; slot++)
        disk_durable[slot * JOURNAL_SLOT_SECTORS][100 + slot] ^= 1;
    memcpy(before, disk_durable, sizeof disk_durable);
    check(refusal() == EXIT_CHECK && memcmp(before, disk_durable, sizeof disk_durable) == 0, "damage was not refused");
    memset(disk_durable, 'x', sizeof disk_durable);
    memcpy(before, disk_durable, sizeof disk_durable);
    bool untouched = refusal() == EXIT_NEEDS && memcmp(before, disk_durable, sizeof disk_durable) == 0;
    check(untouched, "a foreign disk was not refused");
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
    uint64_t changes = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        random_start(seed);
        memset(disk_durable, 0, sizeof disk_durable);
        history_count = 0;
        for (uint32_t cut = 0; cut < CUTS_PER_SEED; cut++)
            life(random_below(cut % 3 == 0 ? 20 : 1500));
        changes += history_count;
        damage_is_refused();
    }
    printf("kv-crash: ok, %llu seeds, %llu power cuts, %llu changes\n", (unsigned long long)seeds,
           (unsigned long long)(seeds * CUTS_PER_SEED * 2), (unsigned long long)changes);
    return 0;
}
