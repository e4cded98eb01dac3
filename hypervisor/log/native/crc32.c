/* crc32.c - the CRC-32 of ISO 3309, 16 bytes at a time by carry-less multiplication.
 * hypervisor/log/fast-crc32.ts declares the functions and is the only file that loads this module.
 *
 *   available() -> whether this processor can do it
 *   crc32(bytes, crc) -> the CRC of what had `crc`, followed by `bytes`
 *
 * The message is folded 64 bytes at a time into 16, those into 8, and these are reduced by Barrett's method; the last bytes, fewer
 * than 16, go through a table. All numbers are bit-reflected, as the CRC is.
 * Source: Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009), with its constants
 * for 04C11DB7. */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <node_api.h>

#define FOLDED __attribute__((target("pclmul,sse4.1")))

static uint32_t table[256];

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        table[i] = crc;
    }
}

FOLDED static inline __m128i load(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

/* `x` moved on by as many bits as the constants `k` stand for, onto `next`. */
FOLDED static inline __m128i fold(__m128i x, __m128i k, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(x, k, 0x00), high = _mm_clmulepi64_si128(x, k, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* `length` is a multiple of 16, at least 64; `crc` and the result are inverted. */
FOLDED static uint32_t folded(uint32_t crc, const uint8_t *at, size_t length)
{
    const __m128i by64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4), by16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i to64 = _mm_set_epi64x(0, 0x0163cd6124), barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i word = _mm_setr_epi32(-1, 0, -1, 0);
    __m128i a = _mm_xor_si128(load(at), _mm_cvtsi32_si128((int)crc));
    __m128i b = load(at + 16), c = load(at + 32), d = load(at + 48);
    for (at += 64, length -= 64; length >= 64; at += 64, length -= 64) {
        a = fold(a, by64, load(at));
        b = fold(b, by64, load(at + 16));
        c = fold(c, by64, load(at + 32));
        d = fold(d, by64, load(at + 48));
    }
    a = fold(fold(fold(a, by16, b), by16, c), by16, d);
    for (; length >= 16; at += 16, length -= 16)
        a = fold(a, by16, load(at));
    a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by16, 0x10));
    a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, word), to64, 0x00));
    __m128i q = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(a, word), barrett, 0x10), word);
    a = _mm_xor_si128(a, _mm_clmulepi64_si128(q, barrett, 0x00));
    return (uint32_t)_mm_extract_epi32(a, 1);
}

static napi_value crc32(napi_env env, napi_callback_info info)
{
    napi_value v[2], result;
    size_t count = 2, length;
    void *data;
    uint32_t crc;
    napi_typedarray_type type;
    napi_get_cb_info(env, info, &count, v, NULL, NULL);
    if (count != 2 || napi_get_typedarray_info(env, v[0], &type, &length, &data, NULL, NULL) != napi_ok ||
        type != napi_uint8_array || napi_get_value_uint32(env, v[1], &crc) != napi_ok) {
        napi_throw_type_error(env, NULL, "ft86 crc32: wrong arguments");
        return NULL;
    }
    const uint8_t *at = data;
    crc = ~crc;
    if (length >= 64) {
        size_t whole = length & ~(size_t)15;
        crc = folded(crc, at, whole);
        at += whole;
        length -= whole;
    }
    for (; length > 0; length--)
        crc = crc >> 8 ^ table[(crc ^ *at++) & 0xff];
    napi_create_uint32(env, ~crc, &result);
    return result;
}

static napi_value available(napi_env env, napi_callback_info info)
{
    napi_value result;
    (void)info;
    napi_get_boolean(env, __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"), &result);
    return result;
}

NAPI_MODULE_INIT()
{
    napi_value function;
    fill_table();
    napi_create_function(env, "crc32", NAPI_AUTO_LENGTH, crc32, NULL, &function);
    napi_set_named_property(env, exports, "crc32", function);
    napi_create_function(env, "available", NAPI_AUTO_LENGTH, available, NULL, &function);
    napi_set_named_property(env, exports, "available", function);
    return exports;
}
