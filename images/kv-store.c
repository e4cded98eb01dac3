/* The tables of kv-store.h. A key is looked for from the place its hash names, round to that place again: found at
 * once when it is there, and nothing has to be tidied up when a key is deleted. */
#include "kv-store.h"
#include "memory.h"
#include "network.h"

#define NUMBER_BYTES 8
#define OPERAND_BYTES 4

struct kv_store kv_store;

bool kv_is_well_formed(const struct service_request *request)
{
    if (request->sequence == 0 || request->key_bytes == 0)
        return false;
    switch (request->op) {
    case KV_OP_PUT:
        return true;
    case KV_OP_GET:
    case KV_OP_DELETE:
        return request->value_bytes == 0;
    case KV_OP_ADD:
        return request->value_bytes == OPERAND_BYTES;
    default:
        return false;
    }
}

struct kv_client *kv_find_client(uint32_t id)
{
    for (uint32_t i = 0; i < kv_store.client_count; i++)
        if (kv_store.clients[i].id == id)
            return &kv_store.clients[i];
    if (kv_store.client_count == KV_CLIENTS_MAX)
        return 0;
    struct kv_client *client = &kv_store.clients[kv_store.client_count++];
    memset(client, 0, sizeof *client);
    client->id = id;
    return client;
}

static uint32_t hash(const uint8_t *key, uint32_t key_bytes)
{
    uint32_t value = key_bytes;
    for (uint32_t i = 0; i < key_bytes; i++)
        value = memory_mix(value ^ key[i]);
    return value;
}

static struct kv_key *find_key(const uint8_t *key, uint32_t key_bytes)
{
    uint32_t start = hash(key, key_bytes);
    for (uint32_t i = 0; i < KV_KEYS_MAX; i++) {
        struct kv_key *entry = &kv_store.keys[(start + i) % KV_KEYS_MAX];
        if (entry->key_bytes == key_bytes && entry->key[0] == key[0] && memcmp(entry->key, key, key_bytes) == 0)
            return entry;
    }
    return 0;
}

static struct kv_key *find_free_key(const uint8_t *key, uint32_t key_bytes)
{
    uint32_t start = hash(key, key_bytes);
    for (uint32_t i = 0; i < KV_KEYS_MAX; i++) {
        struct kv_key *entry = &kv_store.keys[(start + i) % KV_KEYS_MAX];
        if (entry->key_bytes == 0)
            return entry;
    }
    return 0;
}

struct kv_key *kv_set(const uint8_t *key, uint32_t key_bytes, const uint8_t *value, uint32_t value_bytes)
{
    struct kv_key *entry = find_key(key, key_bytes);
    if (entry == 0) {
        entry = find_free_key(key, key_bytes);
        if (entry == 0)
            return 0;
        kv_store.key_count++;
        entry->key_bytes = (uint8_t)key_bytes;
        memcpy(entry->key, key, key_bytes);
    }
    entry->value_bytes = (uint8_t)value_bytes;
    memcpy(entry->value, value, value_bytes);
    return entry;
}

bool kv_delete(const uint8_t *key, uint32_t key_bytes)
{
    struct kv_key *entry = find_key(key, key_bytes);
    if (entry == 0)
        return false;
    entry->key_bytes = 0;
    kv_store.key_count--;
    return true;
}

static void reply_value(struct service_reply *reply, const uint8_t *value, uint32_t bytes)
{
    reply->value_bytes = (uint8_t)bytes;
    memcpy(reply->value, value, bytes);
}

static struct kv_key *put(const struct service_request *request, struct service_reply *reply)
{
    struct kv_key *key = kv_set(request->key, request->key_bytes, request->value, request->value_bytes);
    if (key == 0)
        reply->status = SERVICE_FULL;
    return key;
}

/* A missing key counts as zero; a value that is no number is left alone. */
static struct kv_key *add(const struct service_request *request, struct service_reply *reply)
{
    uint8_t sum[NUMBER_BYTES];
    struct kv_key *key = find_key(request->key, request->key_bytes);
    if (key != 0 && key->value_bytes != NUMBER_BYTES) {
        reply->status = SERVICE_BAD_REQUEST;
        return 0;
    }
    store_be64(sum, (key != 0 ? load_be64(key->value) : 0) + load_be32(request->value));
    key = kv_set(request->key, request->key_bytes, sum, NUMBER_BYTES);
    if (key == 0)
        reply->status = SERVICE_FULL;
    else
        reply_value(reply, sum, NUMBER_BYTES);
    return key;
}

struct kv_change kv_apply(const struct service_request *request, struct kv_client *client)
{
    struct kv_change change = { .client = client };
    struct service_reply *reply = &client->reply;
    client->sequence = request->sequence;
    reply->status = SERVICE_OK;
    reply->value_bytes = 0;
    if (request->op == KV_OP_PUT) {
        change.key = put(request, reply);
    } else if (request->op == KV_OP_ADD) {
        change.key = add(request, reply);
    } else if (request->op == KV_OP_DELETE) {
        change.deleted = kv_delete(request->key, request->key_bytes);
        if (!change.deleted)
            reply->status = SERVICE_NOT_FOUND;
    } else {
        const struct kv_key *key = find_key(request->key, request->key_bytes);
        if (key != 0)
            reply_value(reply, key->value, key->value_bytes);
        else
            reply->status = SERVICE_NOT_FOUND;
    }
    return change;
}
