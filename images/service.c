/* The encoding of service.h, both directions; no state. */
#include "service.h"
#include "network.h"

enum service_parse service_decode(const uint8_t *payload, uint32_t bytes, struct service_request *request)
{
    if (bytes < SERVICE_HEADER_BYTES || load_be32(payload) != SERVICE_MAGIC)
        return SERVICE_FOREIGN;
    request->client = load_be32(payload + 4);
    request->sequence = load_be32(payload + 8);
    request->op = payload[12];
    request->key_bytes = payload[13];
    request->value_bytes = load_be16(payload + 14);
    request->key = payload + SERVICE_HEADER_BYTES;
    request->value = request->key + request->key_bytes;
    if (request->key_bytes > SERVICE_KEY_BYTES_MAX || request->value_bytes > SERVICE_VALUE_BYTES_MAX)
        return SERVICE_MALFORMED;
    if (bytes != SERVICE_HEADER_BYTES + (uint32_t)request->key_bytes + request->value_bytes)
        return SERVICE_MALFORMED;
    return SERVICE_PARSED;
}

uint32_t service_encode(uint8_t *out, uint32_t client, uint32_t sequence, const struct service_reply *reply)
{
    store_be32(out, SERVICE_MAGIC);
    store_be32(out + 4, client);
    store_be32(out + 8, sequence);
    out[12] = reply->status;
    out[13] = 0;
    store_be16(out + 14, reply->value_bytes);
    for (uint32_t i = 0; i < reply->value_bytes; i++)
        out[SERVICE_HEADER_BYTES + i] = reply->value[i];
    return SERVICE_HEADER_BYTES + reply->value_bytes;
}
