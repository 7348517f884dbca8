/* A cursor over a module's bytes that cannot leave them, shared by what reads parts of a module.
 * The first failure is kept and everything read after it is 0, so that a caller may read several
 * things and ask once; loops must ask.
 *
 * Ownership: the caller's plain memory; bytes and error are borrowed. */
#ifndef RUNTIME_MODULE_MODULE_READER_H
#define RUNTIME_MODULE_MODULE_READER_H

#include "runtime/module/module_file.h"

typedef struct module_reader {
    const uint8_t *bytes; /* of the whole file */
    size_t position;
    size_t end;       /* of the part that is read: a section, a body */
    const char *part; /* "the import section", for messages */
    tars_status status;
    tars_error *err;
} module_reader;

/* Keeps the failure, at a byte of the part. Does nothing after a first one. */
void reader_fail(module_reader *r, tars_status status, size_t offset, const char *format, ...)
    BASE_PRINTF(4, 5);

static inline bool reader_ok(const module_reader *r) {
    return r->status == TARS_OK;
}
static inline size_t reader_left(const module_reader *r) {
    return r->end - r->position;
}

uint8_t reader_byte(module_reader *r, const char *what);
/* LEB128, at most ceil(N / 7) bytes whose unused bits are zero, or the sign's. */
uint32_t reader_u32(module_reader *r, const char *what);
uint64_t reader_u64(module_reader *r, const char *what);
int64_t reader_s33(module_reader *r, const char *what);
int64_t reader_s64(module_reader *r, const char *what);
int32_t reader_s32(module_reader *r, const char *what);
/* Steps over bytes. */
void reader_skip(module_reader *r, size_t length, const char *what);
/* A number of things of at least so many bytes each: MALFORMED when the part is too short for
 * them, LIMIT above `most`. */
uint32_t reader_count(module_reader *r, size_t least_bytes, uint32_t most, const char *what);
/* A length and as many bytes of UTF-8. */
module_text reader_name(module_reader *r, const char *what);
/* An index below `count`; a failure names `what` as in "function 7, but there are only 3". */
uint32_t reader_index(module_reader *r, uint32_t count, const char *what);

/* ---- types (module_types.c) -------------------------------------------------------------- */

/* Values that are no types of the file, for reading without a module at hand. */
module_value reader_value(module_reader *r, uint64_t *features);
/* What a reference leads to: an index or a negative number of the format. */
int32_t reader_heap(module_reader *r, uint64_t *features);
module_limits reader_limits(module_reader *r, bool is_memory, uint64_t *features);
module_table reader_table(module_reader *r, uint64_t *features);
module_global reader_global(module_reader *r, uint64_t *features);
void reader_type_section(module_reader *r, module_file *m, arena *memory);
/* An index of a type that is a function's. */
uint32_t reader_function_type(module_reader *r, const module_file *m);

/* ---- instructions (module_code.c) -------------------------------------------------------- */

/* Steps over a constant expression, its end included. */
void reader_constant(module_reader *r, uint64_t *features);
/* Walks the instructions up to the reader's end. False at one that is not known or is cut: then
 * nothing is said about what follows. */
bool reader_walk(module_reader *r, uint64_t *features);

static inline void feature_add(uint64_t *features, module_feature feature) {
    *features |= UINT64_C(1) << feature;
}

/* ---- custom sections (module_custom.c) --------------------------------------------------- */

/* Reads the sections name and target_features; what is wrong there is a problem of *m. */
void module_read_customs(module_file *m, arena *memory);

#endif
