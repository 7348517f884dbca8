/* The packed model: the file the engine runs from. Written once at import as a stream (header,
 * table of contents, tensors, digests), deterministic to the byte, mapped read-only ever after.
 *
 *   0         pack_header (PACK_HEADER_BYTES, digest of itself and the table of contents inside)
 *   4096      table of contents: pack_section[], then the sections, each 64-byte aligned
 *   data      tensors from a 2 MiB boundary, each from a 4096-byte boundary (those that are only
 *             kept for export: 64-byte, so that many small ones do not blow the file up)
 *   trailer   pack_trailer, then one SHA-256 a tensor
 *
 * Matrices are stored in groups of 16 rows (the last padded with zeros), so that one vector lane
 * is one row; the columns are cut into segments of 256. Layout of a group, segment by segment
 * (nb = blocks of 32 in the segment, 8 but for the last; everything 64-byte aligned):
 *
 *   F32        w[k][16]
 *   F16, BF16  w[k][16]                                              (16-bit)
 *   Q8_0       d[nb][16] f16, pad to 64; q[nb][8][16][4] i8          (k = 4j + i)
 *   Q4_0       d[nb][16] f16, pad to 64; n[nb][4][16][4] u8          (low nibble k = 4j + i,
 *                                                                     high nibble k = 16 + 4j + i)
 *   Q4_1       d[nb][16], m[nb][16] f16, pad to 64; n as Q4_0
 *   Q4_K       d[16], dmin[16] f16; sc[8][16] u8; m[4][16][2] u8; n[8][4][16][4] as Q4_0
 *   Q6_K       d[16] f16, pad to 64; sc[16][16] i8; n[8][4][16][4] low four bits as Q4_0;
 *              h[16][16][4] u8 high two bits: k = 16v + 4i + b in bits 2i, 2i+1 of h[v][row][b]
 *
 * Vectors (norms, biases) are stored as plain f32.
 *
 * Ownership: a pack_view borrows the mapped bytes; a writer borrows arena, source and sink. */
#ifndef ENGINE_PACK_H
#define ENGINE_PACK_H

#include "base/arena.h"
#include "base/sha256.h"
#include "engine/hparams.h"
#include "engine/source.h"
#include "engine/tensor_type.h"

#include <stdbool.h>

enum {
    PACK_VERSION = 1,
    ARITHMETIC_VERSION = 1,
    PACK_GROUP_ROWS = 16,
    PACK_SEGMENT = 256,
    PACK_HEADER_BYTES = 4096,
    PACK_PAGE_BYTES = 4096,
    PACK_DATA_ALIGNMENT = 2 << 20,
    PACK_NAME_BYTES = 64,
    PACK_MAX_TENSORS = 1 << 20
};

typedef enum pack_section_kind {
    PACK_HPARAMS = 1,       /* model_hparams */
    PACK_TENSORS = 2,       /* pack_tensor[n_tensors] */
    PACK_TOKENIZER = 3,     /* blob of tokenizer.h */
    PACK_ROPE = 4,          /* double[rope_dim / 2] inverse frequencies, scaling applied */
    PACK_CHAT_TEMPLATE = 5, /* text, no NUL */
    PACK_GGUF_HEADER = 6,   /* the source's bytes before its tensor data, for export */
    PACK_SECTION_KINDS
} pack_section_kind;

typedef struct pack_section {
    uint32_t kind;
    uint32_t reserved;
    uint64_t offset; /* from the file's start */
    uint64_t size_bytes;
} pack_section;

typedef enum pack_layout {
    PACK_LAYOUT_VECTOR = 1, /* f32[n_columns] */
    PACK_LAYOUT_GROUPS = 2, /* groups of 16 rows as above */
    PACK_LAYOUT_PLAIN = 3   /* the source's bytes (tensors the engine does not read) */
} pack_layout;

/* What a tensor is for. Those with a layer number carry it in pack_tensor.layer. */
typedef enum tensor_role {
    ROLE_OTHER = 0, /* kept for export only */
    ROLE_TOKEN_EMBD,
    ROLE_POSITION_EMBD,
    ROLE_TOKEN_TYPES,
    ROLE_EMBD_NORM,
    ROLE_EMBD_NORM_BIAS,
    ROLE_OUTPUT_NORM,
    ROLE_OUTPUT_NORM_BIAS,
    ROLE_OUTPUT,
    ROLE_ROPE_FACTORS,
    ROLE_ATTN_NORM,
    ROLE_ATTN_Q,
    ROLE_ATTN_K,
    ROLE_ATTN_V,
    ROLE_ATTN_OUTPUT,
    ROLE_ATTN_Q_BIAS,
    ROLE_ATTN_K_BIAS,
    ROLE_ATTN_V_BIAS,
    ROLE_ATTN_OUTPUT_BIAS,
    ROLE_ATTN_OUTPUT_NORM,
    ROLE_ATTN_OUTPUT_NORM_BIAS,
    ROLE_FFN_NORM,
    ROLE_FFN_GATE,
    ROLE_FFN_UP,
    ROLE_FFN_DOWN,
    ROLE_FFN_GATE_BIAS,
    ROLE_FFN_UP_BIAS,
    ROLE_FFN_DOWN_BIAS,
    ROLE_LAYER_OUTPUT_NORM,
    ROLE_LAYER_OUTPUT_NORM_BIAS,
    ROLE_FFN_ROUTER,
    ROLE_FFN_GATE_EXPERTS,
    ROLE_FFN_UP_EXPERTS,
    ROLE_FFN_DOWN_EXPERTS,
    ROLE_COUNT
} tensor_role;

typedef struct pack_tensor {
    char name[PACK_NAME_BYTES]; /* as in the source, NUL-terminated */
    uint32_t role;              /* tensor_role */
    uint32_t layer;             /* 0 for tensors without one */
    uint32_t type;              /* tensor_type in the source */
    uint32_t layout;            /* pack_layout */
    uint32_t n_dims;
    uint32_t n_experts;   /* matrices in a stack, 1 otherwise */
    uint64_t dims[4];     /* as in the source, dims[0] = columns */
    uint64_t n_columns;   /* K */
    uint64_t n_rows;      /* rows of one matrix */
    uint64_t group_bytes; /* of one group of 16 rows; 0 for vectors */
    uint64_t offset;      /* in this file */
    uint64_t size_bytes;
    uint64_t source_offset; /* within the source's tensor data */
    uint64_t source_bytes;
} pack_tensor;

typedef struct pack_header {
    char magic[8]; /* "TARSPACK" */
    uint32_t version;
    uint32_t arithmetic_version;
    uint64_t file_bytes;
    uint64_t toc_offset;
    uint64_t toc_bytes;
    uint64_t data_offset;
    uint64_t data_bytes;
    uint64_t trailer_offset;
    uint64_t trailer_bytes;
    uint32_t n_sections;
    uint32_t n_tensors;
    /* SHA-256 of the header with this field zero, followed by the table of contents */
    uint8_t header_sha256[SHA256_DIGEST_BYTES];
} pack_header;

typedef struct pack_trailer {
    char magic[8]; /* "TARSDIGS" */
    uint32_t n_tensors;
    uint32_t reserved;
    uint64_t source_bytes;
    uint8_t source_sha256[SHA256_DIGEST_BYTES]; /* of the file that was imported */
} pack_trailer;

typedef struct pack_bytes {
    const uint8_t *bytes;
    size_t size_bytes;
} pack_bytes;

typedef struct pack_view {
    const uint8_t *base;
    size_t size_bytes;
    const pack_header *header;
    const model_hparams *hparams;
    const pack_tensor *tensors; /* [n_tensors] */
    uint32_t n_tensors;
    const pack_trailer *trailer;
    const uint8_t *tensor_digests; /* [n_tensors][32] */
    pack_bytes sections[PACK_SECTION_KINDS];
} pack_view;

/* Checks magic, versions, the header's digest and every offset; touches no tensor. `base` must
 * be 64-byte aligned. CORRUPT or UNSUPPORTED say what is wrong. */
tars_status pack_open(const void *base, size_t size_bytes, pack_view *out, tars_error *err);
/* The same but for the header's digest, for a guest whose host has opened the model: megabytes of
 * tables need not be hashed in every instance. */
tars_status pack_open_again(const void *base, size_t size_bytes, pack_view *out, tars_error *err);
/* The tensor with that role and layer, or NULL. */
const pack_tensor *pack_find(const pack_view *view, tensor_role role, uint32_t layer);
/* Recomputes one tensor's digest; CORRUPT when it differs. */
tars_status pack_verify_tensor(const pack_view *view, uint32_t index, tars_error *err);

/* Bytes of one group of 16 rows of a matrix with n_columns columns; false when the type has no
 * group layout, n_columns is no multiple of the block, or it overflows. */
bool pack_group_bytes(uint32_t type, uint64_t n_columns, uint64_t *out);
/* Where segment s of a group starts, in bytes from the group's start. */
size_t pack_segment_offset(uint32_t type, size_t segment);
/* Packs up to 16 source rows (n_rows of row_bytes each, GGUF layout, one after another) into one
 * group; missing rows become zero. */
void pack_group(uint32_t type, const uint8_t *rows, size_t row_bytes, size_t n_rows,
                size_t n_columns, uint8_t *group);
/* The inverse, for export. */
void unpack_group(uint32_t type, const uint8_t *group, size_t n_rows, size_t n_columns,
                  uint8_t *rows, size_t row_bytes);
/* True when every weight of the 16 rows is finite. */
bool pack_group_finite(uint32_t type, const uint8_t *group, size_t n_columns);
/* Widens one row of a group to f32 (arithmetic.md rule 11). out[n_columns] */
void pack_row(uint32_t type, const uint8_t *group, size_t row, size_t n_columns, float *out);

#endif
