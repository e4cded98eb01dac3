/* udp.c - UDP sockets whose datagrams cross into JavaScript and the kernel many at a time. tools/udp/udp-socket.ts declares
 * the functions and is the only file that loads this module.
 *
 *   open(ip, port, receiveBufferBytes, onReadable) -> handle   or a negative errno
 *   port(handle) -> number                                    the one it is bound to
 *   receive(handle, buffer, table) -> messages                 or a negative errno; never waits
 *   send(handle, buffer, table, first, end) -> datagrams       or a negative errno; never waits
 *   close(handle)
 *
 *            to send                                  to receive
 * buffer     slots of SLOT_BYTES, a datagram each     slots of ARRIVAL_BYTES: a datagram, or several that came together
 * table      three numbers of 32 bits for each slot: bytes, the other side's IPv4 address and its port
 *            -                                        and a fourth: bytes of each datagram but a shorter last one
 *
 * onReadable is called from the event loop while datagrams wait. What it throws is an uncaught exception.
 *
 * Invariants: nothing is read or written outside buffer and table; after close() nothing is called; a closed handle
 * answers -EBADF. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <node_api.h>
#include "addon.h"
#include "batch.h"
#include "watch.h"

struct batch_shape {
    size_t slot_bytes, slots_max, row;
};
static const struct batch_shape departures = { SLOT_BYTES, SLOTS_MAX, ROW };
static const struct batch_shape arrivals = { ARRIVAL_BYTES, ARRIVALS_MAX, ARRIVAL_ROW };

struct udp {
    struct watch watch;
    bool unsegmented; /* the system does not cut messages into datagrams */
};

static void finalize(napi_env env, void *data, void *hint)
{
    struct udp *u = data;
    (void)env, (void)hint;
    watch_close(&u->watch);
    free(u);
}

static napi_value wrong(napi_env env)
{
    napi_throw_type_error(env, NULL, "ft86 udp: wrong arguments");
    return NULL;
}

/* A file descriptor, or a negative errno. */
static int open_socket(uint32_t ip, uint32_t port, uint32_t receive_buffer)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(ip) } };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if ((receive_buffer && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer)) ||
        bind(fd, (struct sockaddr *)&address, sizeof address))
        return addon_give_up(fd);
    receive_together(fd);
    return fd;
}

static napi_value udp_open(napi_env env, napi_callback_info info)
{
    napi_value v[4], external;
    size_t count = 4;
    uint32_t ip, port, receive_buffer;
    napi_valuetype type = napi_undefined;
    napi_get_cb_info(env, info, &count, v, NULL, NULL);
    if (count != 4 || napi_get_value_uint32(env, v[0], &ip) != napi_ok ||
        napi_get_value_uint32(env, v[1], &port) != napi_ok || port > 0xffff ||
        napi_get_value_uint32(env, v[2], &receive_buffer) != napi_ok || receive_buffer > INT32_MAX ||
        napi_typeof(env, v[3], &type) != napi_ok || type != napi_function)
        return wrong(env);
    struct udp *u = calloc(1, sizeof *u);
    if (!u)
        return addon_number(env, -ENOMEM);
    int fd = open_socket(ip, port, receive_buffer);
    u->watch = (struct watch){ .env = env, .fd = fd };
    int status = fd < 0 ? fd : watch_start(&u->watch, v[3]);
    if (status >= 0 && napi_create_external(env, u, finalize, NULL, &external) == napi_ok)
        return external;
    finalize(env, u, NULL);
    return addon_number(env, status < 0 ? status : -ENOMEM);
}

static struct udp *socket_of(napi_env env, napi_value value)
{
    struct udp *u;
    napi_valuetype type = napi_undefined;
    if (napi_typeof(env, value, &type) != napi_ok || type != napi_external ||
        napi_get_value_external(env, value, (void **)&u) != napi_ok)
        return NULL;
    return u;
}

/* The handle, and the batch behind it: as many slots as buffer, table and the shape of both allow. */
static struct udp *batch_of(napi_env env, const napi_value *v, const struct batch_shape *shape, struct batch *batch)
{
    size_t length, numbers;
    napi_typedarray_type bytes_type, table_type;
    void *bytes, *table;
    struct udp *u = socket_of(env, v[0]);
    if (!u || napi_get_typedarray_info(env, v[1], &bytes_type, &length, &bytes, NULL, NULL) != napi_ok ||
        napi_get_typedarray_info(env, v[2], &table_type, &numbers, &table, NULL, NULL) != napi_ok ||
        bytes_type != napi_uint8_array || table_type != napi_uint32_array)
        return NULL;
    *batch = (struct batch){ bytes, table, length / shape->slot_bytes };
    if (batch->slots > numbers / shape->row)
        batch->slots = numbers / shape->row;
    if (batch->slots > shape->slots_max)
        batch->slots = shape->slots_max;
    return u;
}

static napi_value udp_receive(napi_env env, napi_callback_info info)
{
    napi_value v[3];
    size_t count = 3;
    struct batch batch;
    napi_get_cb_info(env, info, &count, v, NULL, NULL);
    struct udp *u = count == 3 ? batch_of(env, v, &arrivals, &batch) : NULL;
    return u ? addon_number(env, receive_batch(u->watch.fd, &batch)) : wrong(env);
}

static napi_value udp_send(napi_env env, napi_callback_info info)
{
    napi_value v[5];
    size_t count = 5;
    uint32_t first, end;
    struct batch batch;
    napi_get_cb_info(env, info, &count, v, NULL, NULL);
    struct udp *u = count == 5 ? batch_of(env, v, &departures, &batch) : NULL;
    if (!u || napi_get_value_uint32(env, v[3], &first) != napi_ok ||
        napi_get_value_uint32(env, v[4], &end) != napi_ok || end > batch.slots || first >= end)
        return wrong(env);
    for (uint32_t i = first; i < end; i++)
        if (batch.table[ROW * i] > SLOT_BYTES || batch.table[ROW * i + 2] > 0xffff)
            return wrong(env);
    return addon_number(env, send_batch(u->watch.fd, &u->unsegmented, &batch, first, end));
}

static napi_value udp_port(napi_env env, napi_callback_info info)
{
    napi_value v[1];
    size_t count = 1;
    struct sockaddr_in address = { 0 };
    socklen_t length = sizeof address;
    napi_get_cb_info(env, info, &count, v, NULL, NULL);
    struct udp *u = count == 1 ? socket_of(env, v[0]) : NULL;
    if (!u)
        return wrong(env);
    int status = getsockname(u->watch.fd, (struct sockaddr *)&address, &length);
    return addon_number(env, status < 0 ? -errno : ntohs(address.sin_port));
}

static napi_value udp_close(napi_env env, napi_callback_info info)
{
    napi_value v[1];
    size_t count = 1;
    napi_get_cb_info(env, info, &count, v, NULL, NULL);
    struct udp *u = count == 1 ? socket_of(env, v[0]) : NULL;
    if (!u)
        return wrong(env);
    watch_close(&u->watch);
    return NULL;
}

NAPI_MODULE_INIT()
{
    static const struct addon_function functions[] = {
        { "open", udp_open }, { "port", udp_port }, { "receive", udp_receive }, { "send", udp_send }, { "close", udp_close }
    };
    return addon_exports(env, exports, functions, sizeof functions / sizeof functions[0]);
}
