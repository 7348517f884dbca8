/* Types: of values, functions, tables, memories and globals, read and written as text. */
#include "runtime/module/module_reader.h"

#include "base/utf8.h"

/* ---- reading --------------------------------------------------------------------------- */

enum { CODE_REF_NULL = 0x63, CODE_REF = 0x64, CODE_FUNCTION = 0x60, CODE_STRUCT = 0x5F };
enum { CODE_ARRAY = 0x5E, CODE_SUB = 0x50, CODE_SUB_FINAL = 0x4F, CODE_GROUP = 0x4E };

/* `name` is the type's, `heap` that of what such a reference leads to. */
typedef struct value_row {
    uint8_t code;
    bool is_packed; /* only within structures and arrays */
    const char *name, *heap;
    module_feature feature; /* that brought it; MODULE_FEATURE_COUNT: the first version */
} value_row;

static const value_row value_rows[] = {
    {0x7F, false, "i32", NULL, MODULE_FEATURE_COUNT},
    {0x7E, false, "i64", NULL, MODULE_FEATURE_COUNT},
    {0x7D, false, "f32", NULL, MODULE_FEATURE_COUNT},
    {0x7C, false, "f64", NULL, MODULE_FEATURE_COUNT},
    {0x7B, false, "v128", NULL, MODULE_SIMD},
    {0x78, true, "i8", NULL, MODULE_GC},
    {0x77, true, "i16", NULL, MODULE_GC},
    {0x74, false, "nullexnref", "noexn", MODULE_EXCEPTIONS},
    {0x73, false, "nullfuncref", "nofunc", MODULE_GC},
    {0x72, false, "nullexternref", "noextern", MODULE_GC},
    {0x71, false, "nullref", "none", MODULE_GC},
    {0x70, false, "funcref", "func", MODULE_FEATURE_COUNT}, /* in tables from the beginning */
    {0x6F, false, "externref", "extern", MODULE_REFERENCE_TYPES},
    {0x6E, false, "anyref", "any", MODULE_GC},
    {0x6D, false, "eqref", "eq", MODULE_GC},
    {0x6C, false, "i31ref", "i31", MODULE_GC},
    {0x6B, false, "structref", "struct", MODULE_GC},
    {0x6A, false, "arrayref", "array", MODULE_GC},
    {0x69, false, "exnref", "exn", MODULE_EXCEPTIONS},
};

static const value_row *value_row_of(uint8_t code) {
    for (size_t i = 0; i < sizeof value_rows / sizeof value_rows[0]; i++) {
        if (value_rows[i].code == code) {
            return &value_rows[i];
        }
    }
    return NULL;
}

static void add_row_feature(const value_row *row, uint64_t *features) {
    if (row->feature != MODULE_FEATURE_COUNT) {
        feature_add(features, row->feature);
    }
}

int32_t reader_heap(module_reader *r, uint64_t *features) {
    size_t start = r->position;
    int64_t heap = reader_s33(r, "type of a reference");
    if (!reader_ok(r)) {
        return 0;
    }
    if (heap >= 0 && heap <= INT32_MAX) {
        feature_add(features, MODULE_FUNCTION_REFERENCES);
        return (int32_t)heap;
    }
    const value_row *row = heap < 0 && heap >= -64 ? value_row_of((uint8_t)(heap + 0x80)) : NULL;
    if (!row || !row->heap) {
        reader_fail(r, TARS_MALFORMED, start,
                    "found %lld as what a reference leads to, expected "
                    "the index of a type or one of those that have a "
                    "name",
                    (long long)heap);
        return 0;
    }
    add_row_feature(row, features);
    return (int32_t)heap;
}

static module_value read_value(module_reader *r, bool may_be_packed, uint64_t *features) {
    size_t start = r->position;
    module_value value = {.code = reader_byte(r, "type of a value")};
    if (!reader_ok(r)) {
        return value;
    }
    if (value.code == CODE_REF || value.code == CODE_REF_NULL) {
        feature_add(features, MODULE_FUNCTION_REFERENCES);
        value.heap = reader_heap(r, features);
        return value;
    }
    const value_row *row = value_row_of(value.code);
    if (!row || (row->is_packed && !may_be_packed)) {
        reader_fail(r, TARS_MALFORMED, start,
                    "found 0x%02x as the type of a value, expected 0x7f (i32), 0x7e (i64), "
                    "0x7d (f32), 0x7c (f64), 0x7b (v128) or a reference's",
                    (unsigned)value.code);
        return value;
    }
    add_row_feature(row, features);
    return value;
}

module_value reader_value(module_reader *r, uint64_t *features) {
    return read_value(r, false, features);
}

module_limits reader_limits(module_reader *r, bool is_memory, uint64_t *features) {
    enum { HAS_MAXIMUM = 1, SHARED = 2, IS_64 = 4, PAGE_SIZE = 8 };
    size_t start = r->position;
    uint8_t flags = reader_byte(r, "limits");
    unsigned known = is_memory ? 15 : HAS_MAXIMUM | IS_64;
    if (reader_ok(r) && (flags & ~known)) {
        reader_fail(r, TARS_MALFORMED, start, "found 0x%02x as the kind of limits of a %s",
                    (unsigned)flags, is_memory ? "memory" : "table");
    }
    module_limits limits = {.has_maximum = flags & HAS_MAXIMUM,
                            .is_shared = flags & SHARED,
                            .is_64 = flags & IS_64,
                            .page_shift = 16};
    limits.minimum = limits.is_64 ? reader_u64(r, "minimum") : reader_u32(r, "minimum");
    if (limits.has_maximum) {
        limits.maximum = limits.is_64 ? reader_u64(r, "maximum") : reader_u32(r, "maximum");
    }
    if (flags & PAGE_SIZE) {
        start = r->position;
        uint32_t shift = reader_u32(r, "size of a page");
        if (reader_ok(r) && shift != 0 && shift != 16) {
            reader_fail(r, TARS_MALFORMED, start,
                        "the size of a page is 2 to the power %u, expected 0 or 16", shift);
        }
        limits.page_shift = (uint8_t)(shift & 31);
        feature_add(features, MODULE_CUSTOM_PAGE_SIZES);
    }
    if (limits.is_shared) {
        feature_add(features, MODULE_THREADS);
    }
    if (limits.is_64) {
        feature_add(features, MODULE_MEMORY64);
    }
    return limits;
}

module_table reader_table(module_reader *r, uint64_t *features) {
    module_table table = {.type = reader_value(r, features)};
    table.limits = reader_limits(r, false, features);
    return table;
}

static bool read_mutability(module_reader *r, const char *what) {
    size_t start = r->position;
    uint8_t byte = reader_byte(r, what);
    if (byte > 1) {
        reader_fail(r, TARS_MALFORMED, start,
                    "found 0x%02x for the %s, expected 0x00 (constant) or 0x01 (variable)",
                    (unsigned)byte, what);
    }
    return byte == 1;
}

module_global reader_global(module_reader *r, uint64_t *features) {
    module_global global = {.type = reader_value(r, features)};
    global.is_mutable = read_mutability(r, "mutability of a global");
    return global;
}

static uint32_t read_values(module_reader *r, const char *what, uint64_t *features) {
    uint32_t count = reader_count(r, 1, MODULE_MAX_PARAMETERS, what);
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        (void)reader_value(r, features);
    }
    return count;
}

static void read_function_type(module_reader *r, uint64_t *features) {
    (void)read_values(r, "number of parameters", features);
    if (read_values(r, "number of results", features) > 1) {
        feature_add(features, MODULE_MULTI_VALUE);
    }
}

static void read_fields(module_reader *r, uint32_t count, uint64_t *features) {
    feature_add(features, MODULE_GC);
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        (void)read_value(r, true, features);
        (void)read_mutability(r, "mutability of a field");
    }
}

/* Steps over the types that a type extends. */
static void read_supertypes(module_reader *r, uint64_t *features) {
    feature_add(features, MODULE_GC);
    uint32_t count = reader_count(r, 1, MODULE_MAX_ITEMS, "number of supertypes");
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        (void)reader_u32(r, "index of a supertype");
    }
}

/* One type; *at receives the place of what it is composed of. */
static void read_type(module_reader *r, uint32_t *at, uint64_t *features) {
    size_t start = r->position;
    uint8_t form = reader_byte(r, "form of a type");
    if (form == CODE_SUB || form == CODE_SUB_FINAL) {
        read_supertypes(r, features);
        start = r->position;
        form = reader_byte(r, "form of a type");
    }
    *at = (uint32_t)start;
    if (!reader_ok(r)) {
        return;
    }
    if (form == CODE_FUNCTION) {
        read_function_type(r, features);
    } else if (form == CODE_ARRAY) {
        read_fields(r, 1, features);
    } else if (form == CODE_STRUCT) {
        read_fields(r, reader_count(r, 2, MODULE_MAX_FIELDS, "number of fields"), features);
    } else {
        reader_fail(r, TARS_MALFORMED, start,
                    "found 0x%02x as the form of a type, expected 0x60 (function), 0x5f "
                    "(structure), 0x5e (array), 0x50, 0x4f or 0x4e",
                    (unsigned)form);
    }
}

void reader_type_section(module_reader *r, module_file *m, arena *memory) {
    size_t most = reader_left(r) / 2; /* two bytes at least: a structure of nothing */
    most = most < MODULE_MAX_ITEMS ? most : MODULE_MAX_ITEMS;
    m->types = arena_alloc_raw(memory, most * sizeof *m->types, _Alignof(uint32_t));
    uint32_t count = reader_count(r, 2, MODULE_MAX_ITEMS, "number of types");
    for (uint32_t i = 0; m->types && i < count && reader_ok(r); i++) {
        uint32_t group = 1;
        if (reader_left(r) > 0 && r->bytes[r->position] == CODE_GROUP) {
            r->position++;
            group = reader_count(r, 2, MODULE_MAX_ITEMS, "number of types of a group");
            feature_add(&m->features, MODULE_GC);
        }
        for (uint32_t j = 0; j < group && reader_ok(r); j++) {
            if (m->n_types == most) {
                reader_fail(r, TARS_LIMIT, r->position, "more than %zu types", most);
                return;
            }
            read_type(r, &m->types[m->n_types], &m->features);
            m->n_types += reader_ok(r);
        }
    }
    if (!m->types) {
        reader_fail(r, TARS_OUT_OF_MEMORY, r->position, "no memory for %u types", count);
    }
}

uint32_t reader_function_type(module_reader *r, const module_file *m) {
    size_t start = r->position;
    uint32_t index = reader_index(r, m->n_types, "type");
    if (reader_ok(r) && m->bytes[m->types[index]] != CODE_FUNCTION) {
        reader_fail(r, TARS_MALFORMED, start, "type %u is no function's", index);
    }
    return reader_ok(r) ? index : 0;
}

/* ---- text ------------------------------------------------------------------------------ */

static void write_heap(int32_t heap, text_buffer *text) {
    const value_row *row = heap < 0 ? value_row_of((uint8_t)(heap + 0x80)) : NULL;
    if (row && row->heap) {
        text_append_string(text, row->heap);
    } else {
        text_format(text, "%d", (int)heap);
    }
}

void module_value_write(module_value value, text_buffer *text) {
    const value_row *row = value_row_of(value.code);
    if (row) {
        text_append_string(text, row->name);
        return;
    }
    text_append_string(text, value.code == CODE_REF ? "(ref " : "(ref null ");
    write_heap(value.heap, text);
    text_append_string(text, ")");
}

/* "(i32, i64)"; of results, one stands alone and none is left out. */
static void write_values(module_reader *r, bool are_results, text_buffer *text) {
    uint64_t ignored = 0;
    uint32_t count = reader_count(r, 1, MODULE_MAX_PARAMETERS, "number of values");
    bool bare = are_results && count == 1;
    if (are_results && count == 0) {
        return;
    }
    text_append_string(text, are_results ? " -> " : "");
    text_append_string(text, bare ? "" : "(");
    for (uint32_t i = 0; i < count && reader_ok(r) && !text->truncated; i++) {
        text_append_string(text, i > 0 ? ", " : "");
        module_value_write(reader_value(r, &ignored), text);
    }
    text_append_string(text, bare ? "" : ")");
}

static module_reader type_reader(const module_file *m, uint32_t type) {
    return (module_reader){.bytes = m->bytes,
                           .position = m->types[type] + 1,
                           .end = m->size_bytes,
                           .part = "type section"};
}

static void write_function(const module_file *m, uint32_t index, text_buffer *text) {
    module_reader r = type_reader(m, m->functions[index]);
    text_append_string(text, "func ");
    write_values(&r, false, text);
    write_values(&r, true, text);
}

static void write_limits(const module_limits *limits, text_buffer *text) {
    text_format(text, "%llu..", (unsigned long long)limits->minimum);
    if (limits->has_maximum) {
        text_format(text, "%llu", (unsigned long long)limits->maximum);
    }
}

static void write_table(const module_file *m, uint32_t index, text_buffer *text) {
    const module_table *table = &m->tables[index];
    text_append_string(text, table->limits.is_64 ? "table i64 " : "table ");
    write_limits(&table->limits, text);
    text_append_char(text, ' ');
    module_value_write(table->type, text);
}

static void write_memory(const module_file *m, uint32_t index, text_buffer *text) {
    const module_limits *memory = &m->memories[index];
    text_append_string(text, memory->is_64 ? "memory i64 " : "memory ");
    write_limits(memory, text);
    text_append_string(text, " pages");
    if (memory->page_shift != 16) {
        text_format(text, " of %u bytes", 1u << memory->page_shift);
    }
    text_append_string(text, memory->is_shared ? " shared" : "");
}

static void write_global(const module_file *m, uint32_t index, text_buffer *text) {
    text_append_string(text, m->globals[index].is_mutable ? "global mut " : "global ");
    module_value_write(m->globals[index].type, text);
}

static void write_tag(const module_file *m, uint32_t index, text_buffer *text) {
    module_reader r = type_reader(m, m->tags[index]);
    text_append_string(text, "tag ");
    write_values(&r, false, text);
}

/* Marks a text that did not fit. */
static void end_cut(text_buffer *text) {
    static const char mark[] = "…";
    if (!text->truncated || text->capacity < 2 * sizeof mark) {
        return;
    }
    size_t room = text->capacity - sizeof mark;
    size_t length = text->length < room ? text->length : room;
    text->length = utf8_complete_length(text->data, length);
    text->data[text->length] = '\0';
    text_append_string(text, mark);
}

void module_type_write(const module_file *m, module_kind kind, uint32_t index, text_buffer *text) {
    static void (*const writers[MODULE_KIND_COUNT])(const module_file *m, uint32_t index,
                                                    text_buffer *text) = {
        [MODULE_FUNCTION] = write_function, [MODULE_TABLE] = write_table,
        [MODULE_MEMORY] = write_memory,     [MODULE_GLOBAL] = write_global,
        [MODULE_TAG] = write_tag,
    };
    if (kind < MODULE_KIND_COUNT && index < m->n_of[kind]) {
        writers[kind](m, index, text);
    }
    end_cut(text);
}

void module_text_write(module_text name, text_buffer *text) {
    for (uint32_t i = 0; i < name.length && !text->truncated;) {
        uint32_t c = 0;
        size_t n = utf8_decode(name.bytes + i, name.length - i, &c);
        if (n == 0 || utf8_is_hidden(c)) {
            text_format(text, "\\u{%x}", n == 0 ? (unsigned)(uint8_t)name.bytes[i] : (unsigned)c);
        } else {
            text_append(text, name.bytes + i, n);
        }
        i += n == 0 ? 1 : (uint32_t)n;
    }
    end_cut(text);
}

const char *module_kind_name(module_kind kind) {
    static const char *const names[MODULE_KIND_COUNT] = {"function", "table", "memory", "global",
                                                         "tag"};
    return kind < MODULE_KIND_COUNT ? names[kind] : "?";
}

const char *module_feature_name(module_feature feature) {
    static const char *const names[MODULE_FEATURE_COUNT] = {
        [MODULE_MUTABLE_GLOBALS] = "mutable-globals",
        [MODULE_SIGN_EXTENSION] = "sign-extension",
        [MODULE_SATURATING] = "nontrapping-float-to-int",
        [MODULE_MULTI_VALUE] = "multi-value",
        [MODULE_REFERENCE_TYPES] = "reference-types",
        [MODULE_BULK_MEMORY] = "bulk-memory",
        [MODULE_SIMD] = "simd",
        [MODULE_RELAXED_SIMD] = "relaxed-simd",
        [MODULE_THREADS] = "threads",
        [MODULE_TAIL_CALL] = "tail-call",
        [MODULE_EXCEPTIONS] = "exceptions",
        [MODULE_LEGACY_EXCEPTIONS] = "legacy-exceptions",
        [MODULE_EXTENDED_CONST] = "extended-const",
        [MODULE_MULTI_MEMORY] = "multi-memory",
        [MODULE_MEMORY64] = "memory64",
        [MODULE_FUNCTION_REFERENCES] = "function-references",
        [MODULE_GC] = "gc",
        [MODULE_CUSTOM_PAGE_SIZES] = "custom-page-sizes",
        [MODULE_WIDE_ARITHMETIC] = "wide-arithmetic",
    };
    return feature < MODULE_FEATURE_COUNT ? names[feature] : "?";
}
