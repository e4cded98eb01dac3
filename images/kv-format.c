/* Encoding and decoding of kv-format.h. */
#include "kv-format.h"
#include "memory.h"

#define RECORD_BYTES 512u
#define HEADER_BYTES 512u
#define CHECKED_FROM 8u /* behind magic and crc */
#define CLIENT_BYTES (4 + 4 + 4 + SERVICE_VALUE_BYTES_MAX)
#define KEY_BYTES (2 + SERVICE_KEY_BYTES_MAX + SERVICE_VALUE_BYTES_MAX)

_Static_assert(sizeof(struct kv_record) == RECORD_BYTES, "a record is one sector");
_Static_assert(sizeof(struct kv_slot) == JOURNAL_SLOT_SECTORS * 512, "a slot fills its sectors");
_Static_assert(KV_CLIENTS_MAX * CLIENT_BYTES + KV_KEYS_MAX * KEY_BYTES <= (JOURNAL_SLOT_SECTORS - 1) * 512,
               "full tables fit into a slot");

static uint32_t record_crc(const struct kv_record *record)
{
    return memory_crc32(0, (const uint8_t *)record + CHECKED_FROM, RECORD_BYTES - CHECKED_FROM);
}

void kv_record_encode(struct kv_record *record, const struct kv_change *change, const struct service_request *request)
{
    const struct service_reply *reply = &change->client->reply;
    memset(record, 0, sizeof *record);
    record->magic = KV_RECORD_MAGIC;
    record->client = change->client->id;
    record->sequence = change->client->sequence;
    record->status = reply->status;
    record->reply_bytes = reply->value_bytes;
    memcpy(record->reply, reply->value, reply->value_bytes);
    record->effect = change->key != 0 ? KV_EFFECT_SET : change->deleted ? KV_EFFECT_DELETE : KV_EFFECT_NONE;
    record->key_bytes = request->key_bytes;
    memcpy(record->key, request->key, request->key_bytes);
    if (change->key != 0) {
        record->value_bytes = change->key->value_bytes;
        memcpy(record->value, change->key->value, change->key->value_bytes);
    }
}

void kv_record_seal(struct kv_record *record, uint32_t generation, uint32_t index)
{
    record->generation = generation;
    record->index = index;
    record->crc = record_crc(record);
}

bool kv_record_is_whole(const struct kv_record *record)
{
    bool fits = record->reply_bytes <= SERVICE_VALUE_BYTES_MAX && record->key_bytes <= SERVICE_KEY_BYTES_MAX &&
                record->key_bytes > 0 && record->value_bytes <= SERVICE_VALUE_BYTES_MAX;
    return record->magic == KV_RECORD_MAGIC && fits && record->crc == record_crc(record);
}

bool kv_record_apply(const struct kv_record *record)
{
    struct kv_client *client = kv_find_client(record->client);
    if (client == 0)
        return false;
    client->sequence = record->sequence;
    client->reply.status = record->status;
    client->reply.value_bytes = record->reply_bytes;
    memcpy(client->reply.value, record->reply, record->reply_bytes);
    if (record->effect == KV_EFFECT_SET)
        return kv_set(record->key, record->key_bytes, record->value, record->value_bytes) != 0;
    if (record->effect == KV_EFFECT_DELETE)
        kv_delete(record->key, record->key_bytes);
    return true;
}

static uint8_t *put_client(uint8_t *at, const struct kv_client *client)
{
    memset(at, 0, CLIENT_BYTES);
    memcpy(at, &client->id, 4);
    memcpy(at + 4, &client->sequence, 4);
    at[8] = client->reply.status;
    at[9] = client->reply.value_bytes;
    memcpy(at + 12, client->reply.value, client->reply.value_bytes);
    return at + CLIENT_BYTES;
}

static uint8_t *put_key(uint8_t *at, const struct kv_key *key)
{
    memset(at, 0, KEY_BYTES);
    at[0] = key->key_bytes;
    at[1] = key->value_bytes;
    memcpy(at + 2, key->key, key->key_bytes);
    memcpy(at + 2 + SERVICE_KEY_BYTES_MAX, key->value, key->value_bytes);
    return at + KEY_BYTES;
}

static uint32_t body_bytes(const struct kv_slot *slot)
{
    return slot->clients * (uint32_t)CLIENT_BYTES + slot->keys * (uint32_t)KEY_BYTES;
}

static uint32_t slot_crc(const struct kv_slot *slot)
{
    return memory_crc32(0, (const uint8_t *)slot + CHECKED_FROM, HEADER_BYTES - CHECKED_FROM + body_bytes(slot));
}

uint32_t kv_slot_encode(struct kv_slot *slot, uint32_t generation)
{
    uint8_t *at = slot->body;
    memset(slot, 0, HEADER_BYTES);
    slot->magic = KV_SLOT_MAGIC;
    slot->generation = generation;
    slot->clients = kv_store.client_count;
    slot->keys = kv_store.key_count;
    for (uint32_t i = 0; i < kv_store.client_count; i++)
        at = put_client(at, &kv_store.clients[i]);
    for (uint32_t i = 0; i < KV_KEYS_MAX; i++)
        if (kv_store.keys[i].key_bytes != 0)
            at = put_key(at, &kv_store.keys[i]);
    slot->crc = slot_crc(slot);
    return (HEADER_BYTES + body_bytes(slot) + 511) / 512;
}

enum kv_slot_kind kv_slot_examine(const struct kv_slot *slot, uint32_t *generation)
{
    const uint8_t *byte = (const uint8_t *)slot;
    uint32_t used = 0;
    while (used < HEADER_BYTES && byte[used] == 0)
        used++;
    if (used == HEADER_BYTES)
        return KV_SLOT_BLANK;
    if (slot->magic != KV_SLOT_MAGIC)
        return KV_SLOT_FOREIGN;
    if (slot->clients > KV_CLIENTS_MAX || slot->keys > KV_KEYS_MAX || slot->crc != slot_crc(slot))
        return KV_SLOT_DAMAGED;
    *generation = slot->generation;
    return KV_SLOT_WHOLE;
}

void kv_slot_apply(const struct kv_slot *slot)
{
    const uint8_t *at = slot->body;
    for (uint32_t i = 0; i < slot->clients; i++, at += CLIENT_BYTES) {
        uint32_t id;
        memcpy(&id, at, 4);
        struct kv_client *client = kv_find_client(id);
        memcpy(&client->sequence, at + 4, 4);
        client->reply.status = at[8];
        client->reply.value_bytes = at[9];
        memcpy(client->reply.value, at + 12, at[9]);
    }
    for (uint32_t i = 0; i < slot->keys; i++, at += KEY_BYTES)
        kv_set(at + 2, at[0], at + 2 + SERVICE_KEY_BYTES_MAX, at[1]);
}
