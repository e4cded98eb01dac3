/* cached-read.c - read what the host's page cache holds of a file, and never wait for a device.
 * hypervisor/backend/cached-read.ts declares the function and is the only file that loads this module.
 *
 *   read(fd, buffer, offset) -> bytes from the start of the buffer that were there, or a negative errno
 *
 * Invariant: nothing is written outside the buffer; the file's own offset does not move.
 * Source: Linux preadv2(2), RWF_NOWAIT. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/uio.h>
#include <node_api.h>

static napi_value cached_read(napi_env env, napi_callback_info info)
{
    napi_value v[3], result;
    size_t count = 3, length;
    void *data;
    int32_t fd;
    int64_t offset;
    napi_typedarray_type type;
    napi_get_cb_info(env, info, &count, v, NULL, NULL);
    if (count != 3 || napi_get_value_int32(env, v[0], &fd) != napi_ok ||
        napi_get_typedarray_info(env, v[1], &type, &length, &data, NULL, NULL) != napi_ok || type != napi_uint8_array ||
        napi_get_value_int64(env, v[2], &offset) != napi_ok) {
        napi_throw_type_error(env, NULL, "ft86 cached-read: wrong arguments");
        return NULL;
    }
    struct iovec part = { data, length };
    ssize_t bytes = preadv2(fd, &part, 1, offset, RWF_NOWAIT);
    napi_create_int64(env, bytes < 0 ? -errno : bytes, &result);
    return result;
}

NAPI_MODULE_INIT()
{
    napi_value function;
    napi_create_function(env, "read", NAPI_AUTO_LENGTH, cached_read, NULL, &function);
    napi_set_named_property(env, exports, "read", function);
    return exports;
}
