/* addon_arguments.c - values from JavaScript, checked. */
#include "addon.h"

bool addon_arguments(napi_env env, napi_callback_info info, size_t expected, struct arguments *a)
{
    a->count = ARGUMENTS_MAX;
    a->handle = NULL;
    napi_valuetype type;
    if (napi_get_cb_info(env, info, &a->count, a->value, NULL, NULL) != napi_ok || a->count != expected ||
        napi_typeof(env, a->value[0], &type) != napi_ok || type != napi_external ||
        napi_get_value_external(env, a->value[0], (void **)&a->handle) != napi_ok) {
        napi_throw_type_error(env, NULL, "ft86 core: wrong arguments");
        return false;
    }
    if (!a->handle->c) {
        napi_throw_error(env, NULL, "ft86 core: the vcpu was disposed of");
        return false;
    }
    return true;
}

bool addon_arguments_stopped(napi_env env, napi_callback_info info, size_t expected, struct arguments *a)
{
    if (!addon_arguments(env, info, expected, a))
        return false;
    if (a->handle->running) {
        napi_throw_error(env, NULL, "ft86 core: not allowed inside a bus callback");
        return false;
    }
    return true;
}

uint32_t addon_u32(napi_env env, napi_value v)
{
    uint32_t n = 0;
    napi_get_value_uint32(env, v, &n);
    return n;
}

int64_t addon_i64(napi_env env, napi_value v)
{
    int64_t n = 0;
    napi_get_value_int64(env, v, &n);
    return n;
}

bool addon_bool(napi_env env, napi_value v)
{
    bool b = false;
    napi_get_value_bool(env, v, &b);
    return b;
}

napi_value addon_undefined(napi_env env)
{
    napi_value v;
    napi_get_undefined(env, &v);
    return v;
}

bool addon_array(napi_env env, napi_value v, napi_typedarray_type wanted, void *data, size_t *length)
{
    napi_typedarray_type type;
    return napi_get_typedarray_info(env, v, &type, length, data, NULL, NULL) == napi_ok && type == wanted;
}
