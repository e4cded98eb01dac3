/* tap.c - a TAP interface of Linux as functions for JavaScript. tools/switch/tap-device.ts declares them and is the
 * only file that loads this module.
 *
 *   open(name, onReadable) -> handle      or a negative errno
 *   read(handle, buffer) -> bytes         or a negative errno; never waits
 *   write(handle, frame) -> bytes         or a negative errno; never waits
 *   close(handle)
 *
 * onReadable is called from the event loop while frames wait. What it throws is an uncaught exception.
 *
 * Invariants: after close() nothing is called; a closed handle answers -EBADF.
 * Source: Linux Documentation/networking/tuntap.rst. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <node_api.h>
#include "addon.h"
#include "watch.h"

static void finalize(napi_env env, void *data, void *hint)
{
    (void)env, (void)hint;
    watch_close(data);
    free(data);
}

/* A file descriptor, or a negative errno. */
static int open_interface(const char *name)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    memcpy(request.ifr_name, name, strlen(name) + 1); /* the caller checked its length */
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        return addon_give_up(fd);
    return fd;
}

static napi_value tap_open(napi_env env, napi_callback_info info)
{
    napi_value v[2], external;
    size_t count = 2, length = 0;
    char name[IFNAMSIZ + 1];
    napi_valuetype type = napi_undefined;
    napi_get_cb_info(env, info, &count, v, NULL, NULL);
    if (count != 2 || napi_get_value_string_utf8(env, v[0], name, sizeof name, &length) != napi_ok ||
        length == 0 || length >= IFNAMSIZ || napi_typeof(env, v[1], &type) != napi_ok || type != napi_function) {
        napi_throw_type_error(env, NULL, "ft86 tap: wrong arguments");
        return NULL;
    }
    struct watch *t = calloc(1, sizeof *t);
    if (!t)
        return addon_number(env, -ENOMEM);
    *t = (struct watch){ .env = env, .fd = open_interface(name) };
    int status = t->fd < 0 ? t->fd : watch_start(t, v[1]);
    if (status >= 0 && napi_create_external(env, t, finalize, NULL, &external) == napi_ok)
        return external;
    finalize(env, t, NULL);
    return addon_number(env, status < 0 ? status : -ENOMEM);
}

static struct watch *arguments(napi_env env, napi_callback_info info, void **data, size_t *length)
{
    napi_value v[2];
    size_t count = 2;
    struct watch *t;
    napi_typedarray_type type;
    napi_valuetype handle = napi_undefined;
    napi_get_cb_info(env, info, &count, v, NULL, NULL);
    if (count != (data ? 2 : 1) || napi_typeof(env, v[0], &handle) != napi_ok || handle != napi_external ||
        napi_get_value_external(env, v[0], (void **)&t) != napi_ok ||
        (data && (napi_get_typedarray_info(env, v[1], &type, length, data, NULL, NULL) != napi_ok ||
                  type != napi_uint8_array))) {
        napi_throw_type_error(env, NULL, "ft86 tap: wrong arguments");
        return NULL;
    }
    return t;
}

/* One frame from or to the interface. */
static napi_value transfer(napi_env env, napi_callback_info info, bool out)
{
    void *data;
    size_t length;
    struct watch *t = arguments(env, info, &data, &length);
    if (!t)
        return NULL;
    ssize_t n = out ? write(t->fd, data, length) : read(t->fd, data, length);
    return addon_number(env, n < 0 ? -errno : n);
}

static napi_value tap_read(napi_env env, napi_callback_info info) { return transfer(env, info, false); }
static napi_value tap_write(napi_env env, napi_callback_info info) { return transfer(env, info, true); }

static napi_value tap_close(napi_env env, napi_callback_info info)
{
    struct watch *t = arguments(env, info, NULL, NULL);
    if (t)
        watch_close(t);
    return NULL;
}

NAPI_MODULE_INIT()
{
    static const struct addon_function functions[] = {
        { "open", tap_open }, { "read", tap_read }, { "write", tap_write }, { "close", tap_close }
    };
    return addon_exports(env, exports, functions, sizeof functions / sizeof functions[0]);
}
