/* addon.h - what the parts of the N-API addon share. */
#ifndef FT86_ADDON_H
#define FT86_ADDON_H
#include <node_api.h>
#include "core.h"

/* Order of the callbacks handed to create(); the same as enum core_access_kind. */
enum { CALLBACK_PORT_IN, CALLBACK_PORT_OUT, CALLBACK_MEMORY_READ, CALLBACK_MEMORY_WRITE, CALLBACKS };

/* One vcpu as JavaScript holds it. */
struct handle {
    core *c;                    /* NULL once disposed */
    napi_env env;
    napi_ref callbacks[CALLBACKS];
    napi_ref error;             /* what a callback threw; run() throws it again */
    bool running;
    uint32_t *pages;            /* room for core_collect_dirty() */
};

#define ARGUMENTS_MAX 9
struct arguments { napi_value value[ARGUMENTS_MAX]; size_t count; struct handle *handle; };

/* addon_arguments.c. Read a call's arguments; the first is a handle. False: an exception is pending. */
bool addon_arguments(napi_env env, napi_callback_info info, size_t expected, struct arguments *a);
/* As above, and refuse while run() is active: for functions that are not legal inside callbacks. */
bool addon_arguments_stopped(napi_env env, napi_callback_info info, size_t expected, struct arguments *a);
uint32_t addon_u32(napi_env env, napi_value v);
int64_t addon_i64(napi_env env, napi_value v);
bool addon_bool(napi_env env, napi_value v);
napi_value addon_undefined(napi_env env);
/* The elements of a typed array of that type, of which there are *length; `data` points to a pointer. */
bool addon_array(napi_env env, napi_value v, napi_typedarray_type wanted, void *data, size_t *length);

/* addon_state.c */
extern const napi_property_descriptor addon_state_functions[];
extern const size_t addon_state_function_count;
#endif
