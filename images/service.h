/*
 * The request and reply format that `counter` and `kv` speak over UDP. All numbers are big-endian. A request's data
 * are its key and its value, a reply's data its value.
 *
 *   request  0 magic u32  4 client u32  8 sequence u32  12 op u8      13 key bytes u8  14 value bytes u16  16 data
 *   reply    0 magic u32  4 client u32  8 sequence u32  12 status u8  13 zero u8       14 value bytes u16  16 data
 *
 * A client numbers its requests 1, 2, 3, ... and sends one at a time; a request that brings no reply is sent again
 * with the same number. The service keeps each client's last reply: the same number again is answered with it and
 * not applied a second time; a lower number is answered `stale`. Number 0 with op 0 is a greeting: answered `ok`,
 * nothing is stored. A malformed request is answered `bad request` and does not use up its number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SERVICE_MAGIC 0x66743836u /* "ft86" */
#define SERVICE_HEADER_BYTES 16
#define SERVICE_KEY_BYTES_MAX 32
#define SERVICE_VALUE_BYTES_MAX 64
#define SERVICE_OP_HELLO 0

enum service_status {
    SERVICE_OK = 0,
    SERVICE_NOT_FOUND = 1,
    SERVICE_BAD_REQUEST = 2,
    SERVICE_FULL = 3,
    SERVICE_STALE = 4,
};

struct service_request {
    uint32_t client;
    uint32_t sequence;
    uint8_t op;
    uint8_t key_bytes;
    uint16_t value_bytes;
    const uint8_t *key;
    const uint8_t *value;
};

struct service_reply {
    uint8_t status;
    uint8_t value_bytes;
    uint8_t value[SERVICE_VALUE_BYTES_MAX];
};

enum service_parse {
    SERVICE_PARSED,
    SERVICE_MALFORMED, /* a header of ours, with lengths that do not fit: worth an answer */
    SERVICE_FOREIGN,   /* not for us: drop */
};

/* Take a datagram apart; the request points into it. Client and sequence are set unless it is foreign. */
enum service_parse service_decode(const uint8_t *payload, uint32_t bytes, struct service_request *request);

/* Write a reply into `out` (SERVICE_HEADER_BYTES + SERVICE_VALUE_BYTES_MAX bytes). Returns its length. */
uint32_t service_encode(uint8_t *out, uint32_t client, uint32_t sequence, const struct service_reply *reply);
