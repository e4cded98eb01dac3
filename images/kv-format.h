/*
 * The bytes of kv's disk. Numbers are little-endian, as the CPU has them.
 *
 *   record (512)  0 magic   4 crc of what follows   8 generation  12 index  16 client  20 sequence
 *                24 status 25 reply bytes  26 key bytes  27 value bytes  28 effect  29 zero
 *                32 reply (64)  96 key (32)  128 value (64)  192 zero
 *   slot          0 magic   4 crc of what follows, to the end of the keys   8 generation  12 clients  16 keys
 *                20 zero  512 clients (76 bytes each), then keys (98 bytes each)
 */
#pragma once

#include "kv-journal.h"

#define KV_RECORD_MAGIC 0x31526b76u /* "vkR1" */
#define KV_SLOT_MAGIC 0x31436b76u   /* "vkC1" */

enum kv_effect { KV_EFFECT_NONE = 0, KV_EFFECT_SET = 1, KV_EFFECT_DELETE = 2 };

struct kv_record {
    uint32_t magic, crc;
    uint32_t generation, index;
    uint32_t client, sequence;
    uint8_t status, reply_bytes, key_bytes, value_bytes;
    uint8_t effect, zero[3];
    uint8_t reply[SERVICE_VALUE_BYTES_MAX];
    uint8_t key[SERVICE_KEY_BYTES_MAX];
    uint8_t value[SERVICE_VALUE_BYTES_MAX];
    uint8_t rest[512 - 192];
};

struct kv_slot {
    uint32_t magic, crc;
    uint32_t generation, clients, keys;
    uint8_t zero[512 - 20];
    uint8_t body[(JOURNAL_SLOT_SECTORS - 1) * 512];
};

enum kv_slot_kind {
    KV_SLOT_BLANK,   /* never written */
    KV_SLOT_WHOLE,
    KV_SLOT_DAMAGED, /* ours, but the checksum is wrong */
    KV_SLOT_FOREIGN, /* somebody else's data */
};

/* Fill in everything but generation, index and checksum; then those. */
void kv_record_encode(struct kv_record *record, const struct kv_change *change, const struct service_request *request);
void kv_record_seal(struct kv_record *record, uint32_t generation, uint32_t index);

/* Right magic, right checksum, lengths within their limits. */
bool kv_record_is_whole(const struct kv_record *record);

/* Put a whole record into kv_store. False when a table is full. */
bool kv_record_apply(const struct kv_record *record);

/* Write kv_store into the slot. Returns the number of sectors in use. */
uint32_t kv_slot_encode(struct kv_slot *slot, uint32_t generation);

/* What is in this slot? Sets the generation of a whole one. */
enum kv_slot_kind kv_slot_examine(const struct kv_slot *slot, uint32_t *generation);

/* Load a whole slot into the empty kv_store. */
void kv_slot_apply(const struct kv_slot *slot);
