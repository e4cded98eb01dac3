/*
 * What `kv` knows: keys with their values, and each client's last reply. Plain tables, no input or output.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "service.h"

#define KV_KEYS_MAX 1024u
#define KV_CLIENTS_MAX 256u
#define KV_OP_PUT 1
#define KV_OP_GET 2
#define KV_OP_DELETE 3
#define KV_OP_ADD 4

struct kv_key {
    uint8_t key_bytes; /* 0: the slot is free */
    uint8_t value_bytes;
    uint8_t key[SERVICE_KEY_BYTES_MAX];
    uint8_t value[SERVICE_VALUE_BYTES_MAX];
};

struct kv_client {
    uint32_t id;
    uint32_t sequence;
    uint64_t ticket; /* the commit that makes the reply durable; see kv-journal.h */
    struct service_reply reply;
};

struct kv_store {
    uint32_t key_count, client_count;
    struct kv_key keys[KV_KEYS_MAX];
    struct kv_client clients[KV_CLIENTS_MAX];
};

/* What a request did, so that it can be written down: the client's new reply and the key's new state. */
struct kv_change {
    struct kv_client *client;
    const struct kv_key *key; /* null: no key was set */
    bool deleted;             /* the request's key was deleted */
};

extern struct kv_store kv_store;

/* Is this a request that can be applied: a known op, a sequence number, a key, a value that fits the op? */
bool kv_is_well_formed(const struct service_request *request);

/* The client's entry, or a new one, or null when the table is full. */
struct kv_client *kv_find_client(uint32_t id);

/* Apply a well-formed request and set the client's sequence and reply. */
struct kv_change kv_apply(const struct service_request *request, struct kv_client *client);

/* Set or delete a key (recovery). Setting returns null when the table is full. */
struct kv_key *kv_set(const uint8_t *key, uint32_t key_bytes, const uint8_t *value, uint32_t value_bytes);
bool kv_delete(const uint8_t *key, uint32_t key_bytes);
