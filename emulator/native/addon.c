/* addon.c - the core as functions for JavaScript: life cycle, running, callbacks. emulator/native-addon.ts
 * declares them and is the only file that loads this module.
 *
 *   run() -> core_run() -> engine -> on_access() -> JavaScript callback
 *
 * The engine leaves instructions by longjmp. That never crosses a JavaScript frame: a callback has
 * returned, and its handle scope is closed, before the core may jump. What a callback throws is kept,
 * further accesses of the instruction read open bus, the run ends and run() throws it again.
 *
 * No state is global, so the module works in several threads (worker_threads) at once. */
#include <stdlib.h>
#include <string.h>
#include "addon.h"
#include "hash.h"

#ifndef FT86_ENGINE_VERSION
#error "the Makefile names the engine"
#endif

/* ---- callbacks ---- */

static void keep_error(struct handle *h, napi_env env)
{
    napi_value error;
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (pending) {
        napi_get_and_clear_last_exception(env, &error);
    } else {
        napi_value text;
        napi_create_string_utf8(env, "a bus callback did not return a number", NAPI_AUTO_LENGTH, &text);
        napi_create_type_error(env, NULL, text, &error);
    }
    napi_create_reference(env, error, 1, &h->error);
    core_request_exit(h->c);
}

static void on_access(core *c, core_access *a, void *opaque)
{
    struct handle *h = opaque;
    napi_env env = h->env;
    napi_handle_scope scope;
    napi_value function, receiver, result, argv[3];
    bool is_read = a->kind == CORE_PORT_IN || a->kind == CORE_MEMORY_READ;
    (void)c;
    if (h->error)
        return;
    napi_open_handle_scope(env, &scope);
    napi_get_reference_value(env, h->callbacks[a->kind], &function);
    napi_get_undefined(env, &receiver);
    napi_create_uint32(env, a->address, &argv[0]);
    napi_create_uint32(env, a->size, &argv[1]);
    napi_create_uint32(env, a->value, &argv[2]);
    napi_status status = napi_call_function(env, receiver, function, is_read ? 2 : 3, argv, &result);
    if (status == napi_ok && is_read)
        status = napi_get_value_uint32(env, result, &a->value);
    if (status != napi_ok)
        keep_error(h, env);
    napi_close_handle_scope(env, scope);
}

/* ---- life cycle ---- */

static void dispose_handle(struct handle *h)
{
    core_destroy(h->c);
    h->c = NULL;
    free(h->pages);
    h->pages = NULL;
    for (int i = 0; i < CALLBACKS; i++)
        if (h->callbacks[i])
            napi_delete_reference(h->env, h->callbacks[i]);
    memset(h->callbacks, 0, sizeof h->callbacks);
}

static void finalize_handle(napi_env env, void *data, void *hint)
{
    (void)env, (void)hint;
    dispose_handle(data);
    free(data);
}

static bool read_cpuid(napi_env env, napi_value array, core_config *config)
{
    size_t length;
    void *data;
    if (!addon_array(env, array, napi_uint32_array, &data, &length) || length % 5 || length / 5 > CORE_CPUID_ROWS_MAX)
        return false;
    memcpy(config->cpuid, data, length * sizeof(uint32_t));
    config->cpuid_rows = (uint32_t)(length / 5);
    return true;
}

static bool read_rom(napi_env env, napi_value array, core_config *config)
{
    size_t length;
    if (!addon_array(env, array, napi_uint8_array, &config->rom, &length) || length % 4096 || length > CORE_ROM_BYTES_MAX)
        return false;
    config->rom_bytes = (uint32_t)length;
    return true;
}

/* create(ramBytes, cpuid, translationBytes, countByInstruction, portIn, portOut, memoryRead, memoryWrite, rom) */
static napi_value create(napi_env env, napi_callback_info info)
{
    size_t count = ARGUMENTS_MAX;
    napi_value v[ARGUMENTS_MAX], external;
    core_config config = { .access = on_access };
    char message[256];
    napi_get_cb_info(env, info, &count, v, NULL, NULL);
    if (count != 9 || !read_cpuid(env, v[1], &config) || !read_rom(env, v[8], &config)) {
        napi_throw_type_error(env, NULL, "ft86 core: wrong arguments");
        return NULL;
    }
    config.ram_bytes = addon_u32(env, v[0]);
    config.translation_bytes = addon_u32(env, v[2]);
    config.count_by_instruction = addon_bool(env, v[3]);
    if (config.ram_bytes % 4096 || config.ram_bytes < 4u << 20 || config.ram_bytes > 3u << 30) {
        napi_throw_range_error(env, NULL, "ft86 core: RAM must be a multiple of 4096 from 4 MiB to 3 GiB");
        return NULL;
    }
    struct handle *h = calloc(1, sizeof *h);
    if (!h) {
        napi_throw_error(env, NULL, "ft86 core: out of memory");
        return NULL;
    }
    h->env = env;
    config.opaque = h;
    h->c = core_create(&config, message, sizeof message);
    h->pages = h->c ? malloc(core_ram_pages(h->c) * sizeof *h->pages) : NULL;
    bool ok = h->pages != NULL;
    for (int i = 0; ok && i < CALLBACKS; i++)
        ok = napi_create_reference(env, v[4 + i], 1, &h->callbacks[i]) == napi_ok;
    if (!ok || napi_create_external(env, h, finalize_handle, NULL, &external) != napi_ok) {
        napi_throw_error(env, NULL, h->c ? "ft86 core: out of memory" : message);
        dispose_handle(h);
        free(h);
        return NULL;
    }
    return external;
}

static napi_value dispose(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments_stopped(env, info, 1, &a))
        return NULL;
    dispose_handle(a.handle);
    return addon_undefined(env);
}

/* ---- running ---- */

static napi_value run(napi_env env, napi_callback_info info)
{
    struct arguments a;
    napi_value result, error;
    if (!addon_arguments_stopped(env, info, 2, &a))
        return NULL;
    struct handle *h = a.handle;
    h->running = true;
    enum core_exit why = core_run(h->c, (uint64_t)addon_i64(env, a.value[1]));
    h->running = false;
    if (h->error) {
        napi_get_reference_value(env, h->error, &error);
        napi_delete_reference(env, h->error);
        h->error = NULL;
        napi_throw(env, error);
        return NULL;
    }
    if (why == CORE_EXIT_ERROR) {
        napi_throw_error(env, NULL, core_error(h->c));
        return NULL;
    }
    napi_create_uint32(env, why, &result);
    return result;
}

static napi_value icount(napi_env env, napi_callback_info info)
{
    struct arguments a;
    napi_value v;
    if (!addon_arguments(env, info, 1, &a))
        return NULL;
    napi_create_int64(env, (int64_t)core_count(a.handle->c), &v);
    return v;
}

static napi_value set_irq_pending(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments(env, info, 2, &a))
        return NULL;
    core_set_irq_pending(a.handle->c, addon_bool(env, a.value[1]));
    return addon_undefined(env);
}

static napi_value raise_nmi(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments(env, info, 1, &a))
        return NULL;
    core_raise_nmi(a.handle->c);
    return addon_undefined(env);
}

static napi_value lower_target(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments(env, info, 2, &a))
        return NULL;
    core_lower_target(a.handle->c, (uint64_t)addon_i64(env, a.value[1]));
    return addon_undefined(env);
}

static napi_value request_exit(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments(env, info, 1, &a))
        return NULL;
    core_request_exit(a.handle->c);
    return addon_undefined(env);
}

static napi_value inject(napi_env env, napi_callback_info info)
{
    struct arguments a;
    napi_value v;
    if (!addon_arguments_stopped(env, info, 2, &a))
        return NULL;
    struct handle *h = a.handle;
    h->running = true;                         /* a stack in device memory calls back */
    bool ok = core_inject(h->c, (uint8_t)addon_u32(env, a.value[1]));
    h->running = false;
    napi_get_boolean(env, ok, &v);
    return v;
}

#define FLAG_GETTER(name, expression)                                  \
    static napi_value name(napi_env env, napi_callback_info info)      \
    {                                                                  \
        struct arguments a;                                            \
        napi_value v;                                                  \
        if (!addon_arguments(env, info, 1, &a))                        \
            return NULL;                                               \
        napi_get_boolean(env, expression(a.handle->c), &v);            \
        return v;                                                      \
    }
FLAG_GETTER(irq_window, core_irq_window)
FLAG_GETTER(halted, core_halted)

static napi_value set_clock(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments(env, info, 4, &a))
        return NULL;
    core_set_clock(a.handle->c, (uint64_t)addon_i64(env, a.value[1]), (uint64_t)addon_i64(env, a.value[2]),
                   (uint64_t)addon_i64(env, a.value[3]));
    return addon_undefined(env);
}

static napi_value set_a20(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments(env, info, 2, &a))
        return NULL;
    core_set_a20(a.handle->c, addon_bool(env, a.value[1]));
    return addon_undefined(env);
}

static napi_value hash(napi_env env, napi_callback_info info)
{
    size_t count = 1, length;
    napi_value v, result;
    napi_typedarray_type type;
    void *data, *digest;
    napi_get_cb_info(env, info, &count, &v, NULL, NULL);
    if (count != 1 || napi_get_typedarray_info(env, v, &type, &length, &data, NULL, NULL) != napi_ok ||
        type != napi_uint8_array) {
        napi_throw_type_error(env, NULL, "ft86 core: hashBytes wants a Uint8Array");
        return NULL;
    }
    napi_create_buffer(env, 16, &digest, &result);
    hash_bytes(data, length, digest);
    return result;
}

#define FUNCTION(name, function) { name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL }

NAPI_MODULE_INIT()
{
    static const napi_property_descriptor functions[] = {
        FUNCTION("create", create), FUNCTION("dispose", dispose), FUNCTION("run", run), FUNCTION("icount", icount),
        FUNCTION("setIrqPending", set_irq_pending), FUNCTION("raiseNmi", raise_nmi), FUNCTION("lowerTarget", lower_target),
        FUNCTION("requestExit", request_exit), FUNCTION("inject", inject), FUNCTION("irqWindow", irq_window),
        FUNCTION("halted", halted), FUNCTION("setClock", set_clock), FUNCTION("setA20", set_a20),
        FUNCTION("hashBytes", hash),
    };
    napi_value version;
    napi_create_string_utf8(env, FT86_ENGINE_VERSION, NAPI_AUTO_LENGTH, &version);
    napi_set_named_property(env, exports, "engineVersion", version);
    napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
    napi_define_properties(env, exports, addon_state_function_count, addon_state_functions);
    return exports;
}
