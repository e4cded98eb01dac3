/* addon.h - what an addon's functions return, and how a module shows them. */
#pragma once
#include <errno.h>
#include <unistd.h>
#include <node_api.h>

struct addon_function {
    const char *name;
    napi_callback function;
};

static inline napi_value addon_number(napi_env env, int64_t n)
{
    napi_value v;
    napi_create_int64(env, n, &v);
    return v;
}

/* Close a descriptor that could not be made ready. The negative errno of what failed. */
static inline int addon_give_up(int fd)
{
    int error = errno;
    close(fd);
    return -error;
}

static inline napi_value addon_exports(napi_env env, napi_value exports, const struct addon_function *functions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        napi_value f;
        napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &f);
        napi_set_named_property(env, exports, functions[i].name, f);
    }
    return exports;
}
