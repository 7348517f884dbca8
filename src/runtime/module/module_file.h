/* A bounded reader of WebAssembly's binary format: what a module says about itself, however hostile
 * its bytes. It does not validate code, which stranger_validate (runtime/wasm/stranger.h) does.
 *
 * Ownership: the bytes and the arena are the caller's and outlive the module_file, whose texts and
 * tables lie in them. Nothing else is allocated; the time is linear in the number of bytes. */
#ifndef RUNTIME_MODULE_MODULE_FILE_H
#define RUNTIME_MODULE_MODULE_FILE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most bytes of a file, and most of what one module may declare: the limits of the specification's
 * interface for JavaScript, which are Wasmtime's too. */
enum {
    MODULE_HEADER_BYTES = 8,
    MODULE_MAX_BYTES = 64 << 20,
    MODULE_MAX_ITEMS = 1000000, /* of types, imports, exports, functions, globals, tags */
    MODULE_MAX_TABLES = 100000,
    MODULE_MAX_MEMORIES = 100,
    MODULE_MAX_SEGMENTS = 10000000,
    MODULE_MAX_PARAMETERS = 1000, /* of a function, and as many results */
    MODULE_MAX_FIELDS = 10000,    /* of a structure */
    MODULE_MAX_PROBLEMS = 16
};

typedef enum module_kind { /* the order is that of the format */
                           MODULE_FUNCTION,
                           MODULE_TABLE,
                           MODULE_MEMORY,
                           MODULE_GLOBAL,
                           MODULE_TAG,
                           MODULE_KIND_COUNT
} module_kind;

/* Bytes of the file; UTF-8 where they are a name. No NUL follows. */
typedef struct module_text {
    const char *bytes;
    uint32_t length;
} module_text;

/* An import or an export. `index` counts within its kind, imports first. */
typedef struct module_item {
    module_text module; /* of an import */
    module_text name;
    uint32_t index;
    module_kind kind;
} module_item;

/* A type of values: the byte that stands for it, and for references (0x63, 0x64) what they lead
 * to: the index of a type, or a negative number of the format. */
typedef struct module_value {
    int32_t heap;
    uint8_t code;
} module_value;

typedef struct module_limits {
    uint64_t minimum, maximum;
    bool has_maximum, is_shared, is_64;
    uint8_t page_shift; /* of a memory: its page has 2 to this power bytes */
} module_limits;

typedef struct module_table {
    module_limits limits; /* elements */
    module_value type;
} module_table;

typedef struct module_global {
    module_value type;
    bool is_mutable;
} module_global;

/* Bits of module_file.features. The names are the proposals'. */
typedef enum module_feature {
    MODULE_MUTABLE_GLOBALS,
    MODULE_SIGN_EXTENSION,
    MODULE_SATURATING,
    MODULE_MULTI_VALUE,
    MODULE_REFERENCE_TYPES,
    MODULE_BULK_MEMORY,
    MODULE_SIMD,
    MODULE_RELAXED_SIMD,
    MODULE_THREADS,
    MODULE_TAIL_CALL,
    MODULE_EXCEPTIONS,
    MODULE_LEGACY_EXCEPTIONS,
    MODULE_EXTENDED_CONST,
    MODULE_MULTI_MEMORY,
    MODULE_MEMORY64,
    MODULE_FUNCTION_REFERENCES,
    MODULE_GC,
    MODULE_CUSTOM_PAGE_SIZES,
    MODULE_WIDE_ARITHMETIC,
    MODULE_FEATURE_COUNT
} module_feature;

typedef struct module_custom {
    module_text name;
    module_text contents; /* not checked */
} module_custom;

/* A row of the section target_features: what the compiler says it used. */
typedef struct module_target_feature {
    module_text name;
    char prefix; /* '+': used, '-': must not be, '=': required */
} module_target_feature;

/* What is wrong in a part that no engine needs. */
typedef struct module_problem {
    char message[160];
    char where[96];
} module_problem;

typedef struct module_file {
    const uint8_t *bytes;
    size_t size_bytes;

    module_item *imports, *exports;
    uint32_t n_imports, n_exports;
    uint32_t n_of[MODULE_KIND_COUNT];          /* imported and own */
    uint32_t n_imported_of[MODULE_KIND_COUNT]; /* the first of them */
    uint32_t *types;                           /* offset of each */
    uint32_t n_types;
    uint32_t *functions, *tags; /* the index of each one's type */
    module_table *tables;
    module_limits *memories; /* pages */
    module_global *globals;

    bool has_start;
    uint32_t start;
    bool has_data_count, has_data;
    uint32_t n_element_segments, n_data_segments;
    uint32_t largest_body_bytes, largest_body; /* the function's index; valid when bytes > 0 */

    module_custom *customs;
    uint32_t n_customs;
    module_text own_name;       /* of the section name; empty: it has none */
    module_text function_names; /* as they lie there, checked */
    uint32_t n_function_names;
    module_target_feature *target_features;
    uint32_t n_target_features;

    uint64_t features;    /* bit 1 << module_feature: seen in sections or code */
    bool code_was_walked; /* else code holds what this version does not know: there may be more */
    uint32_t code_section, code_bytes; /* place of the bodies; 0: none */

    module_problem problems[MODULE_MAX_PROBLEMS];
    uint32_t n_problems, n_problems_left_out;
} module_file;

/* The size of the arena that module_file_read needs for so many bytes. Most stays untouched. */
size_t module_file_arena_bytes(size_t size_bytes);

/* Whether the first bytes are those of a module: MALFORMED with what the file looks like, or
 * UNSUPPORTED for a component and for later versions. */
tars_status module_file_detect(const uint8_t *bytes, size_t size_bytes, tars_error *err);

/* Reads all sections. MALFORMED says at which byte of which section, what was found and what was
 * expected; LIMIT when more is declared than any engine takes. After a failure *out holds what
 * stood before it, and may be shown. */
tars_status module_file_read(const uint8_t *bytes, size_t size_bytes, arena *memory,
                             module_file *out, tars_error *err);

/* The type of the index-th of a kind, as "func (i32, i64) -> i32", "memory 1..16 pages",
 * "table 0.. funcref", "global mut i32", "tag (i32)". What does not fit ends with "…". */
void module_type_write(const module_file *m, module_kind kind, uint32_t index, text_buffer *text);
/* "i32", "(ref null 3)". */
void module_value_write(module_value value, text_buffer *text);
/* A name of the file without anything that could drive a terminal or hide its order: such
 * characters are written as \u{…}. What does not fit ends with "…". */
void module_text_write(module_text name, text_buffer *text);
/* The function's name of the name section, with length 0 when it has none. Takes time linear in
 * the names. */
module_text module_function_name(const module_file *m, uint32_t function);
/* The function whose body holds the byte of the file; false: none does. */
bool module_function_at(const module_file *m, uint64_t offset, uint32_t *function);

/* "function", "table", "memory", "global", "tag". */
const char *module_kind_name(module_kind kind);
/* "simd", "bulk-memory" … */
const char *module_feature_name(module_feature feature);

#endif
