/* decode.h - an instruction's prefixes, opcode and ModRM byte: as much as translate.c has to know. */
#ifndef FT86_DECODE_H
#define FT86_DECODE_H
#include <stdbool.h>
#include <stdint.h>

#define OPCODE_TWO_BYTES 0x100u          /* an opcode 0F xx is 1xxh here */

/* Which of the manual's columns an SSE opcode is taken from: F3 and F2 win over 66. */
enum decode_column { COLUMN_NONE, COLUMN_66, COLUMN_F3, COLUMN_F2 };

struct decoded {
    uint64_t pc;                         /* of its first byte */
    uint32_t length;                     /* bytes looked at */
    uint16_t opcode;
    uint8_t modrm;                       /* valid with has_modrm */
    bool has_modrm;                      /* only for opcodes of which somebody asks */
    enum decode_column column;
    uint32_t prefixes;                   /* number of prefix bytes */
    bool data_prefix;                    /* 66 is among them */
    bool address_prefix;                 /* 67 is */
    int8_t segment;                      /* number of the segment register that the last such prefix names, or -1 */
    bool lock;
    uint32_t lock_at;                    /* offset of the last LOCK prefix */
};

static inline bool decoded_is_register(const struct decoded *d) { return d->modrm >= 0xc0; }
static inline unsigned decoded_digit(const struct decoded *d) { return d->modrm >> 3 & 7; }

/* Bytes of the instruction at `pc` come from `fetch`, each at most once and in order. False: longer than any is. */
bool decode(struct decoded *d, uint64_t pc, uint8_t (*fetch)(void *opaque, uint64_t at), void *opaque);

/* Whether the instruction at `pc` must find flags computed (translate.c), or might: fetches only from the page of the byte before it. */
bool decode_wants_flags(uint64_t pc, uint8_t (*fetch)(void *opaque, uint64_t at), void *opaque);

/* Whether it is RCL or RCR of memory; fetches its ModRM byte where it is needed to tell. */
bool decoded_is_rotation_of_memory(const struct decoded *d, uint8_t (*fetch)(void *opaque, uint64_t at), void *opaque);

/* Which of the instructions that need it CPUID offers. */
struct decode_features { bool sse3, sse4a, avx, syscall, sysenter, amd_3dnow; };

/* Whether a processor with these features has no such instruction, although the engine executes it. */
bool decoded_is_undefined(const struct decoded *d, const struct decode_features *has);

/* Whether its memory operand has 16 bytes and must be aligned. */
bool decoded_is_aligned(const struct decoded *d);

/* Whether its memory operand has 8 bytes, of which the engine reads 16. */
bool decoded_is_half(const struct decoded *d);

/* Whether it loads 16 bytes from anywhere into an XMM register. */
bool decoded_is_whole_load(const struct decoded *d);

/* Whether 66 would change its meaning, but does not count because F3 or F2 is there, too. */
bool decoded_ignores_data_prefix(const struct decoded *d);

/* Whether it has an MMX operand and its other one in memory. */
bool decoded_is_mmx_memory(const struct decoded *d);
#endif
