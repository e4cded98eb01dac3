/* addon_state.c - registers, saved state, RAM and digests for JavaScript. */
#include <stdlib.h>
#include <string.h>
#include "addon.h"

/* ---- registers: core_registers as its 50 words ---- */

#define REGISTER_WORDS (sizeof(core_registers) / sizeof(uint32_t))

static napi_value get_registers(napi_env env, napi_callback_info info)
{
    struct arguments a;
    napi_value buffer, array;
    void *data;
    if (!addon_arguments(env, info, 1, &a))
        return NULL;
    napi_create_arraybuffer(env, sizeof(core_registers), &data, &buffer);
    core_get_registers(a.handle->c, data);
    napi_create_typedarray(env, napi_uint32_array, REGISTER_WORDS, buffer, 0, &array);
    return array;
}

static napi_value set_registers(napi_env env, napi_callback_info info)
{
    struct arguments a;
    napi_typedarray_type type;
    size_t length;
    void *data;
    if (!addon_arguments_stopped(env, info, 2, &a))
        return NULL;
    if (napi_get_typedarray_info(env, a.value[1], &type, &length, &data, NULL, NULL) != napi_ok ||
        type != napi_uint32_array || length != REGISTER_WORDS) {
        napi_throw_type_error(env, NULL, "ft86 core: wrong arguments");
        return NULL;
    }
    core_registers r;
    memcpy(&r, data, sizeof r);
    core_set_registers(a.handle->c, &r);
    return addon_undefined(env);
}

static napi_value reset(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments_stopped(env, info, 1, &a))
        return NULL;
    core_reset(a.handle->c);
    return addon_undefined(env);
}

/* ---- saved state ---- */

static napi_value save_state(napi_env env, napi_callback_info info)
{
    struct arguments a;
    napi_value buffer;
    void *data;
    if (!addon_arguments_stopped(env, info, 1, &a))
        return NULL;
    size_t bytes = core_state_bytes(a.handle->c);
    uint8_t *blob = malloc(bytes);
    if (!blob) {
        napi_throw_error(env, NULL, "ft86 core: out of memory");
        return NULL;
    }
    core_save(a.handle->c, blob);
    napi_create_buffer_copy(env, bytes, blob, &data, &buffer);
    free(blob);
    return buffer;
}

/* Returns undefined, or [what is wrong, byte offset]. */
static napi_value restore_state(napi_env env, napi_callback_info info)
{
    struct arguments a;
    napi_typedarray_type type;
    size_t length, offset = 0;
    void *data;
    if (!addon_arguments_stopped(env, info, 2, &a))
        return NULL;
    if (napi_get_typedarray_info(env, a.value[1], &type, &length, &data, NULL, NULL) != napi_ok ||
        type != napi_uint8_array) {
        napi_throw_type_error(env, NULL, "ft86 core: wrong arguments");
        return NULL;
    }
    uint8_t *blob = malloc(length + 1);        /* aligned, and nobody else's */
    if (!blob) {
        napi_throw_error(env, NULL, "ft86 core: out of memory");
        return NULL;
    }
    memcpy(blob, data, length);
    const char *wrong = core_restore(a.handle->c, blob, length, &offset);
    free(blob);
    if (!wrong)
        return addon_undefined(env);
    napi_value array, word, number;
    napi_create_array_with_length(env, 2, &array);
    napi_create_string_utf8(env, wrong, NAPI_AUTO_LENGTH, &word);
    napi_create_int64(env, (int64_t)offset, &number);
    napi_set_element(env, array, 0, word);
    napi_set_element(env, array, 1, number);
    return array;
}

/* ---- RAM ---- */

static void release_ram(napi_env env, void *data, void *hint)
{
    (void)env, (void)data;
    core_ram_release(hint);
}

/* Memory of the core as a Buffer without a copy. It stays valid when the vcpu is disposed of first. */
static napi_value memory_view(napi_env env, core *c, uint8_t *memory, size_t bytes)
{
    napi_value buffer;
    struct core_ram *ram = core_ram_retain(c);
    if (napi_create_external_buffer(env, bytes, memory, release_ram, ram, &buffer) != napi_ok) {
        core_ram_release(ram);
        napi_throw_error(env, NULL, "ft86 core: this JavaScript engine cannot map guest RAM");
        return NULL;
    }
    return buffer;
}

/* All of RAM. */
static napi_value ram_view(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments(env, info, 1, &a))
        return NULL;
    core *c = a.handle->c;
    return memory_view(env, c, core_ram(c), (size_t)core_ram_pages(c) * 4096);
}

/* The bytes of core_page_bytes(). */
static napi_value page_bytes(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments(env, info, 1, &a))
        return NULL;
    core *c = a.handle->c;
    return memory_view(env, c, core_page_bytes(c), 2 * (size_t)core_ram_pages(c));
}

/* ramWritten(handle, address, bytes): the range is inside RAM, the caller has checked. */
static napi_value ram_written(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments(env, info, 3, &a))
        return NULL;
    core_ram_written(a.handle->c, addon_u32(env, a.value[1]), addon_u32(env, a.value[2]));
    return addon_undefined(env);
}

static napi_value ram_digest(napi_env env, napi_callback_info info)
{
    struct arguments a;
    napi_value buffer;
    void *data;
    if (!addon_arguments_stopped(env, info, 1, &a))
        return NULL;
    napi_create_buffer(env, 16, &data, &buffer);
    core_ram_digest(a.handle->c, data);
    return buffer;
}

/* A Uint32Array of the first `count` of the handle's pages. */
static napi_value page_numbers(napi_env env, const struct handle *handle, uint32_t count)
{
    napi_value buffer, array;
    void *data;
    napi_create_arraybuffer(env, count * sizeof(uint32_t), &data, &buffer);
    if (count)
        memcpy(data, handle->pages, count * sizeof(uint32_t));
    napi_create_typedarray(env, napi_uint32_array, count, buffer, 0, &array);
    return array;
}

static napi_value collect_dirty(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments_stopped(env, info, 2, &a))
        return NULL;
    uint32_t consumer = addon_u32(env, a.value[1]);
    if (consumer == 0 || consumer >= CORE_DIRTY_EVER) {
        napi_throw_range_error(env, NULL, "ft86 core: dirty page consumers are 1 to 6; 0 is the digest");
        return NULL;
    }
    return page_numbers(env, a.handle, core_collect_dirty(a.handle->c, consumer, a.handle->pages));
}

static napi_value written_pages(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments_stopped(env, info, 1, &a))
        return NULL;
    return page_numbers(env, a.handle, core_written_pages(a.handle->c, a.handle->pages));
}

/* ---- tests and statistics ---- */

static napi_value flush_translations(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments_stopped(env, info, 1, &a))
        return NULL;
    core_flush_translations(a.handle->c);
    return addon_undefined(env);
}

static napi_value flush_tlb(napi_env env, napi_callback_info info)
{
    struct arguments a;
    if (!addon_arguments_stopped(env, info, 1, &a))
        return NULL;
    core_flush_engine_tlb(a.handle->c);
    return addon_undefined(env);
}

static napi_value stats(napi_env env, napi_callback_info info)
{
    static const struct { const char *name; size_t offset; } fields[] = {
        { "engineStarts", offsetof(core_stats, starts) },
        { "tailBlocks", offsetof(core_stats, tails) },
        { "blockLookups", offsetof(core_stats, slot_misses) },
        { "blockRevalidations", offsetof(core_stats, revalidations) },
        { "selfModifications", offsetof(core_stats, smc_restarts) },
        { "fetchRetries", offsetof(core_stats, fetch_retries) },
        { "accessRetries", offsetof(core_stats, io_retries) },
        { "tlbFills", offsetof(core_stats, fills) },
        { "dataWalks", offsetof(core_stats, walks) },
        { "fetchFills", offsetof(core_stats, fetch_fills) },
        { "executionWalks", offsetof(core_stats, touches) },
        { "pageSplits", offsetof(core_stats, page_splits) },
        { "staleFetches", offsetof(core_stats, touch_restarts) },
        { "guestTlbFlushes", offsetof(core_stats, arch_flushes) },
        { "codePageFlushes", offsetof(core_stats, code_page_flushes) },
        { "growthFlushes", offsetof(core_stats, growth_flushes) },
    };
    struct arguments a;
    napi_value object, v;
    if (!addon_arguments(env, info, 1, &a))
        return NULL;
    const core_stats *s = core_statistics(a.handle->c);
    uint64_t exceptions = 0;
    for (int i = 0; i < 256; i++)
        exceptions += s->exceptions[i];
    napi_create_object(env, &object);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        napi_create_int64(env, (int64_t)*(const uint64_t *)((const char *)s + fields[i].offset), &v);
        napi_set_named_property(env, object, fields[i].name, v);
    }
    napi_create_int64(env, (int64_t)exceptions, &v);
    napi_set_named_property(env, object, "exceptions", v);
    return object;
}

#define FUNCTION(name, function) { name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL }

const napi_property_descriptor addon_state_functions[] = {
    FUNCTION("getRegisters", get_registers), FUNCTION("setRegisters", set_registers), FUNCTION("reset", reset),
    FUNCTION("saveState", save_state), FUNCTION("restoreState", restore_state), FUNCTION("ramView", ram_view),
    FUNCTION("pageBytes", page_bytes),
    FUNCTION("ramWritten", ram_written), FUNCTION("ramDigest", ram_digest), FUNCTION("collectDirty", collect_dirty),
    FUNCTION("writtenPages", written_pages),
    FUNCTION("flushTranslations", flush_translations), FUNCTION("flushTlb", flush_tlb), FUNCTION("stats", stats),
};
const size_t addon_state_function_count = sizeof addon_state_functions / sizeof *addon_state_functions;
