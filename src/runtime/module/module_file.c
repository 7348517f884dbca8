#include "runtime/module/module_reader.h"

#include <string.h>

enum { HEADER_BYTES = MODULE_HEADER_BYTES, SECTION_CUSTOM = 0 };
enum { MEMORY_MULTIPLE = 20, MEMORY_FIXED_BYTES = 64 << 10, MEMORY_MOST_BYTES = 256 << 20 };

size_t module_file_arena_bytes(size_t size_bytes) {
    size_t most = MEMORY_MOST_BYTES; /* what MODULE_MAX_ITEMS of everything take */
    size_t scaled = size_bytes < most / MEMORY_MULTIPLE ? size_bytes * MEMORY_MULTIPLE : most;
    return scaled + MEMORY_FIXED_BYTES;
}

static void no_memory(module_reader *r, const char *what) {
    reader_fail(r, TARS_OUT_OF_MEMORY, r->position, "no memory for the %s of a module", what);
}

/* ---- entries: what can be imported or defined ------------------------------------------- */

/* With `keep` the entry is put at the end of its kind's table. */
static void read_function(module_reader *r, module_file *m, bool keep) {
    uint32_t type = reader_function_type(r, m);
    if (keep) {
        m->functions[m->n_of[MODULE_FUNCTION]] = type;
    }
}

static void read_table(module_reader *r, module_file *m, bool keep) {
    module_table table = reader_table(r, &m->features);
    if (keep) {
        m->tables[m->n_of[MODULE_TABLE]] = table;
    }
}

static void read_memory(module_reader *r, module_file *m, bool keep) {
    module_limits memory = reader_limits(r, true, &m->features);
    if (keep) {
        m->memories[m->n_of[MODULE_MEMORY]] = memory;
    }
}

static void read_global(module_reader *r, module_file *m, bool keep) {
    module_global global = reader_global(r, &m->features);
    if (keep) {
        m->globals[m->n_of[MODULE_GLOBAL]] = global;
    }
}

static void read_tag(module_reader *r, module_file *m, bool keep) {
    size_t start = r->position;
    uint8_t attribute = reader_byte(r, "attribute of a tag");
    if (attribute != 0) {
        reader_fail(r, TARS_MALFORMED, start,
                    "found 0x%02x as the attribute of a tag, expected "
                    "0x00 (exception)",
                    (unsigned)attribute);
    }
    feature_add(&m->features, MODULE_EXCEPTIONS);
    uint32_t type = reader_function_type(r, m);
    if (keep) {
        m->tags[m->n_of[MODULE_TAG]] = type;
    }
}

typedef struct kind_row {
    void (*read)(module_reader *r, module_file *m, bool keep);
    uint32_t most;
    size_t entry_bytes;
    const char *count; /* for messages */
    size_t least_bytes;
} kind_row;

static const kind_row kinds[MODULE_KIND_COUNT] = {
    [MODULE_FUNCTION] = {read_function, MODULE_MAX_ITEMS, sizeof(uint32_t), "number of functions",
                         1},
    [MODULE_TABLE] = {read_table, MODULE_MAX_TABLES, sizeof(module_table), "number of tables", 3},
    [MODULE_MEMORY] = {read_memory, MODULE_MAX_MEMORIES, sizeof(module_limits),
                       "number of memories", 2},
    [MODULE_GLOBAL] = {read_global, MODULE_MAX_ITEMS, sizeof(module_global), "number of globals",
                       3},
    [MODULE_TAG] = {read_tag, MODULE_MAX_ITEMS, sizeof(uint32_t), "number of tags", 2},
};

static const void *entries_of(const module_file *m, module_kind kind) {
    const void *const tables[MODULE_KIND_COUNT] = {m->functions, m->tables, m->memories, m->globals,
                                                   m->tags};
    return tables[kind];
}

/* Room for `more` entries behind those there are. */
static bool extend(module_reader *r, module_file *m, arena *memory, module_kind kind,
                   uint32_t more) {
    size_t entry = kinds[kind].entry_bytes;
    size_t n = (size_t)m->n_of[kind] + more; /* both are at most MODULE_MAX_ITEMS */
    void *fresh = arena_alloc_raw(memory, n * entry, _Alignof(uint64_t));
    if (!fresh) {
        no_memory(r, kinds[kind].count);
        return false;
    }
    if (m->n_of[kind] > 0) {
        memcpy(fresh, entries_of(m, kind), m->n_of[kind] * entry);
    }
    m->functions = kind == MODULE_FUNCTION ? fresh : m->functions;
    m->tables = kind == MODULE_TABLE ? fresh : m->tables;
    m->memories = kind == MODULE_MEMORY ? fresh : m->memories;
    m->globals = kind == MODULE_GLOBAL ? fresh : m->globals;
    m->tags = kind == MODULE_TAG ? fresh : m->tags;
    return true;
}

static module_kind read_kind(module_reader *r) {
    size_t start = r->position;
    uint8_t kind = reader_byte(r, "kind of an import or export");
    if (kind >= MODULE_KIND_COUNT) {
        reader_fail(r, TARS_MALFORMED, start,
                    "found 0x%02x as a kind, expected 0 (function), 1 (table), 2 (memory), 3 "
                    "(global) or 4 (tag)",
                    (unsigned)kind);
    }
    return reader_ok(r) ? (module_kind)kind : MODULE_FUNCTION;
}

/* One import; `item` NULL: only counted into n_of. */
static void read_import(module_reader *r, module_file *m, module_item *item,
                        uint32_t n_of[MODULE_KIND_COUNT]) {
    size_t start = r->position;
    module_item own = {.module = reader_name(r, "name of a module")};
    own.name = reader_name(r, "name of an import");
    own.kind = read_kind(r);
    own.index = n_of[own.kind];
    if (own.index == kinds[own.kind].most) {
        reader_fail(r, TARS_LIMIT, start, "the %s exceeds %u", kinds[own.kind].count,
                    (unsigned)kinds[own.kind].most);
    }
    kinds[own.kind].read(r, m, item && reader_ok(r));
    if (reader_ok(r)) {
        n_of[own.kind]++;
        if (own.kind == MODULE_GLOBAL && item && m->globals[own.index].is_mutable) {
            feature_add(&m->features, MODULE_MUTABLE_GLOBALS);
        }
        if (item) {
            *item = own;
        }
    }
}

static void read_imports(module_reader *r, module_file *m, arena *memory) {
    uint32_t count = reader_count(r, 4, MODULE_MAX_ITEMS, "number of imports");
    uint32_t n_of[MODULE_KIND_COUNT] = {0};
    size_t start = r->position;
    for (uint32_t i = 0; i < count && reader_ok(r); i++) { /* tells how many of each kind */
        read_import(r, m, NULL, n_of);
    }
    for (int kind = 0; kind < MODULE_KIND_COUNT && reader_ok(r); kind++) {
        (void)extend(r, m, memory, (module_kind)kind, n_of[kind]);
    }
    m->imports = arena_alloc_raw(memory, count * sizeof *m->imports, _Alignof(module_item));
    if (!m->imports) {
        no_memory(r, "imports");
        return;
    }
    if (reader_ok(r)) {
        r->position = start;
    }
    while (m->n_imports < count && reader_ok(r)) {
        read_import(r, m, &m->imports[m->n_imports], m->n_of);
        m->n_imports += reader_ok(r);
    }
    memcpy(m->n_imported_of, m->n_of, sizeof m->n_imported_of);
}

/* The whole of a section that defines entries of one kind; `finish` reads what follows each. */
static void read_entries(module_reader *r, module_file *m, arena *memory, module_kind kind,
                         void (*before)(module_reader *r, module_file *m, bool *has_value),
                         bool has_value) {
    const kind_row *row = &kinds[kind];
    uint32_t most = row->most - m->n_of[kind];
    uint32_t count = reader_count(r, row->least_bytes, most, row->count);
    if (!reader_ok(r) || !extend(r, m, memory, kind, count)) {
        return;
    }
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        bool value = has_value;
        if (before) {
            before(r, m, &value);
        }
        row->read(r, m, reader_ok(r));
        if (value) {
            reader_constant(r, &m->features);
        }
        m->n_of[kind] += reader_ok(r);
    }
}

/* ---- sections -------------------------------------------------------------------------- */

static void read_types(module_reader *r, module_file *m, arena *memory) {
    reader_type_section(r, m, memory);
}

static void read_functions(module_reader *r, module_file *m, arena *memory) {
    read_entries(r, m, memory, MODULE_FUNCTION, NULL, false);
}

/* A table with a first value has a mark before it. */
static void read_table_mark(module_reader *r, module_file *m, bool *has_value) {
    enum { MARK = 0x40 };
    if (reader_left(r) > 0 && r->bytes[r->position] == MARK) {
        size_t start = r->position++;
        uint8_t reserved = reader_byte(r, "mark of a table");
        if (reserved != 0) {
            reader_fail(r, TARS_MALFORMED, start + 1,
                        "found 0x%02x in the mark of a table, "
                        "expected 0x00",
                        (unsigned)reserved);
        }
        feature_add(&m->features, MODULE_FUNCTION_REFERENCES);
        *has_value = true;
    }
}

static void read_tables(module_reader *r, module_file *m, arena *memory) {
    read_entries(r, m, memory, MODULE_TABLE, read_table_mark, false);
}

static void read_memories(module_reader *r, module_file *m, arena *memory) {
    read_entries(r, m, memory, MODULE_MEMORY, NULL, false);
}

static void read_tags(module_reader *r, module_file *m, arena *memory) {
    read_entries(r, m, memory, MODULE_TAG, NULL, false);
}

static void read_globals(module_reader *r, module_file *m, arena *memory) {
    read_entries(r, m, memory, MODULE_GLOBAL, NULL, true);
}

static void read_exports(module_reader *r, module_file *m, arena *memory) {
    uint32_t count = reader_count(r, 3, MODULE_MAX_ITEMS, "number of exports");
    m->exports = arena_alloc_raw(memory, count * sizeof *m->exports, _Alignof(module_item));
    if (!m->exports) {
        no_memory(r, "exports");
        return;
    }
    while (m->n_exports < count && reader_ok(r)) {
        module_item item = {.module = {"", 0}, .name = reader_name(r, "name of an export")};
        item.kind = read_kind(r);
        item.index = reader_index(r, m->n_of[item.kind], module_kind_name(item.kind));
        if (!reader_ok(r)) {
            return;
        }
        if (item.kind == MODULE_GLOBAL && m->globals[item.index].is_mutable) {
            feature_add(&m->features, MODULE_MUTABLE_GLOBALS);
        }
        m->exports[m->n_exports++] = item;
    }
}

static void read_start(module_reader *r, module_file *m, arena *memory) {
    (void)memory;
    m->start = reader_index(r, m->n_of[MODULE_FUNCTION], "function");
    m->has_start = reader_ok(r);
}

/* A segment's flags: 1: not put into place at the start; 2: a table is named, or, with 1, it is
 * only declared; 4: expressions and not functions. */
static void read_element_segment(module_reader *r, module_file *m) {
    enum { NOT_ACTIVE = 1, EXPLICIT = 2, EXPRESSIONS = 4, MOST = 7 };
    size_t start = r->position;
    uint32_t flags = reader_u32(r, "kind of a segment");
    if (flags > MOST) {
        reader_fail(r, TARS_MALFORMED, start, "found %u as the kind of a segment, expected 0 to 7",
                    flags);
    }
    if (flags & NOT_ACTIVE) {
        feature_add(&m->features, MODULE_BULK_MEMORY);
    } else {
        if (flags & EXPLICIT) {
            (void)reader_index(r, m->n_of[MODULE_TABLE], "table");
        }
        reader_constant(r, &m->features);
    }
    if (flags & (NOT_ACTIVE | EXPLICIT)) {
        start = r->position;
        if (flags & EXPRESSIONS) {
            (void)reader_value(r, &m->features);
        } else if (reader_byte(r, "kind of elements") != 0) {
            reader_fail(r, TARS_MALFORMED, start,
                        "found 0x%02x as the kind of elements, expected "
                        "0x00 (functions)",
                        (unsigned)r->bytes[start]);
        }
    }
    uint32_t count = reader_count(r, 1, UINT32_MAX, "number of elements");
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        if (flags & EXPRESSIONS) {
            reader_constant(r, &m->features);
        } else {
            (void)reader_index(r, m->n_of[MODULE_FUNCTION], "function");
        }
    }
}

static void read_elements(module_reader *r, module_file *m, arena *memory) {
    (void)memory;
    uint32_t count = reader_count(r, 2, MODULE_MAX_SEGMENTS, "number of segments");
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        read_element_segment(r, m);
    }
    m->n_element_segments = count;
}

static void read_data_count(module_reader *r, module_file *m, arena *memory) {
    (void)memory;
    m->n_data_segments = reader_u32(r, "number of data segments");
    m->has_data_count = true;
    feature_add(&m->features, MODULE_BULK_MEMORY);
}

/* Steps over the declarations of a body's variables. */
static void read_locals(module_reader *r, module_file *m) {
    uint32_t groups = reader_count(r, 2, UINT32_MAX, "number of groups of variables");
    uint64_t n_locals = 0;
    for (uint32_t i = 0; i < groups && reader_ok(r); i++) {
        size_t start = r->position;
        n_locals += reader_u32(r, "number of variables");
        if (n_locals > UINT32_MAX) {
            reader_fail(r, TARS_MALFORMED, start, "a body has %llu variables, expected at most %u",
                        (unsigned long long)n_locals, UINT32_MAX);
        }
        (void)reader_value(r, &m->features);
    }
}

static void read_body(module_reader *r, module_file *m, uint32_t function) {
    enum { END = 0x0B };
    size_t start = r->position;
    uint32_t size = reader_u32(r, "size of a body");
    if (reader_ok(r) && (size > reader_left(r) || size < 2)) {
        reader_fail(r, TARS_MALFORMED, start,
                    "the body of function %u has %u bytes, and %zu follow: expected 2 or more",
                    function, size, reader_left(r));
    }
    if (!reader_ok(r)) {
        return;
    }
    size_t section_end = r->end;
    size_t end = r->position + size;
    r->end = end;
    read_locals(r, m);
    if (reader_ok(r) && r->bytes[end - 1] != END) {
        reader_fail(r, TARS_MALFORMED, end - 1,
                    "the body of function %u ends with 0x%02x, expected 0x0b (end)", function,
                    (unsigned)r->bytes[end - 1]);
    }
    if (reader_ok(r)) {
        module_reader walk = {
            .bytes = r->bytes, .position = r->position, .end = end, .part = r->part};
        m->code_was_walked = reader_walk(&walk, &m->features) && m->code_was_walked;
        if (size > m->largest_body_bytes) {
            m->largest_body_bytes = size;
            m->largest_body = function;
        }
        r->position = end;
    }
    r->end = section_end;
}

static void read_code(module_reader *r, module_file *m, arena *memory) {
    (void)memory;
    size_t start = r->position;
    uint32_t n_own = m->n_of[MODULE_FUNCTION] - m->n_imported_of[MODULE_FUNCTION];
    uint32_t count = reader_count(r, 3, MODULE_MAX_ITEMS, "number of bodies");
    if (reader_ok(r) && count != n_own) {
        reader_fail(r, TARS_MALFORMED, start, "found %u bodies for %u functions", count, n_own);
    }
    m->code_section = reader_ok(r) ? (uint32_t)r->position : 0;
    m->code_bytes = reader_ok(r) ? (uint32_t)reader_left(r) : 0;
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        read_body(r, m, m->n_imported_of[MODULE_FUNCTION] + i);
    }
}

static void read_data(module_reader *r, module_file *m, arena *memory) {
    enum { NOT_ACTIVE = 1, EXPLICIT = 2 };
    (void)memory;
    size_t section = r->position;
    uint32_t count = reader_count(r, 2, MODULE_MAX_SEGMENTS, "number of segments");
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        size_t start = r->position;
        uint32_t flags = reader_u32(r, "kind of a segment");
        if (flags > EXPLICIT) {
            reader_fail(r, TARS_MALFORMED, start,
                        "found %u as the kind of a segment, expected 0 to 2", flags);
        }
        if (flags == EXPLICIT) {
            (void)reader_index(r, m->n_of[MODULE_MEMORY], "memory");
        }
        if (flags == NOT_ACTIVE) {
            feature_add(&m->features, MODULE_BULK_MEMORY);
        } else {
            reader_constant(r, &m->features);
        }
        uint32_t length = reader_u32(r, "length of a segment");
        reader_skip(r, length, "contents of a segment");
    }
    if (reader_ok(r) && m->has_data_count && count != m->n_data_segments) {
        reader_fail(r, TARS_MALFORMED, section, "found %u data segments, but %u are announced",
                    count, m->n_data_segments);
    }
    m->n_data_segments = count;
    m->has_data = true;
}

typedef struct section_row {
    const char *name;
    void (*read)(module_reader *r, module_file *m, arena *memory);
    uint8_t order; /* in a file; ids are not all in it */
} section_row;

static const section_row sections[] = {
    [1] = {"type section", read_types, 1},
    [2] = {"import section", read_imports, 2},
    [3] = {"function section", read_functions, 3},
    [4] = {"table section", read_tables, 4},
    [5] = {"memory section", read_memories, 5},
    [6] = {"global section", read_globals, 7},
    [7] = {"export section", read_exports, 8},
    [8] = {"start section", read_start, 9},
    [9] = {"element section", read_elements, 10},
    [10] = {"code section", read_code, 12},
    [11] = {"data section", read_data, 13},
    [12] = {"data count section", read_data_count, 11},
    [13] = {"tag section", read_tags, 6},
};
enum { N_SECTIONS = sizeof sections / sizeof sections[0] };

/* Takes the section's name; what it holds is looked at when all is read. */
static void keep_custom(module_reader *r, module_file *m) {
    module_text name = reader_name(r, "name of a custom section");
    if (reader_ok(r)) {
        m->customs[m->n_customs++] =
            (module_custom){name, {(const char *)r->bytes + r->position, (uint32_t)reader_left(r)}};
        r->position = r->end;
    }
}

static void read_contents(module_reader *r, module_file *m, arena *memory, uint8_t id) {
    if (id == SECTION_CUSTOM) {
        keep_custom(r, m);
        return;
    }
    sections[id].read(r, m, memory);
    if (reader_ok(r) && r->position != r->end) {
        reader_fail(r, TARS_MALFORMED, r->position,
                    "the %s goes on for %zu bytes behind its last item", r->part, reader_left(r));
    }
}

/* One section. `last` is the id of the one before it that was not custom, or 0. */
static void read_section(module_reader *r, module_file *m, arena *memory, uint8_t *last) {
    size_t start = r->position;
    r->part = "head of a section";
    uint8_t id = reader_byte(r, "section");
    if (id >= N_SECTIONS) {
        reader_fail(r, TARS_MALFORMED, start, "found a section of kind %u, expected 0 to %d",
                    (unsigned)id, N_SECTIONS - 1);
        return;
    }
    r->part = id == SECTION_CUSTOM ? "custom section" : sections[id].name;
    if (id != SECTION_CUSTOM && *last == id) {
        reader_fail(r, TARS_MALFORMED, start, "found a second %s", r->part);
    } else if (id != SECTION_CUSTOM && sections[id].order < sections[*last].order) {
        reader_fail(r, TARS_MALFORMED, start, "found the %s behind the %s, expected it before",
                    r->part, sections[*last].name);
    }
    size_t size_at = r->position;
    uint32_t size = reader_u32(r, "size");
    if (reader_ok(r) && size > reader_left(r)) {
        reader_fail(r, TARS_MALFORMED, size_at, "the %s has %u bytes, but only %zu follow", r->part,
                    size, reader_left(r));
    }
    if (!reader_ok(r)) {
        return;
    }
    *last = id == SECTION_CUSTOM ? *last : id;
    size_t file_end = r->end;
    r->end = r->position + size;
    read_contents(r, m, memory, id);
    r->end = file_end;
}

/* How many custom sections there are, as far as the heads of the sections can be read. */
static uint32_t count_customs(const uint8_t *bytes, size_t size_bytes) {
    module_reader r = {.bytes = bytes, .position = HEADER_BYTES, .end = size_bytes, .part = ""};
    uint32_t count = 0;
    while (reader_ok(&r) && reader_left(&r) > 0) {
        count += reader_byte(&r, "section") == SECTION_CUSTOM;
        reader_skip(&r, reader_u32(&r, "size"), "contents");
    }
    return count;
}

/* What only the whole tells. */
static void check_whole(module_reader *r, module_file *m) {
    if (m->n_of[MODULE_MEMORY] > 1) {
        feature_add(&m->features, MODULE_MULTI_MEMORY);
    }
    if (m->n_of[MODULE_TABLE] > 1) {
        feature_add(&m->features, MODULE_REFERENCE_TYPES);
    }
    uint32_t n_own = m->n_of[MODULE_FUNCTION] - m->n_imported_of[MODULE_FUNCTION];
    r->part = "end of the file";
    if (n_own > 0 && m->code_section == 0) {
        reader_fail(r, TARS_MALFORMED, r->end, "found no code section for %u functions", n_own);
    }
    if (m->n_data_segments > 0 && !m->has_data) {
        reader_fail(r, TARS_MALFORMED, r->end, "found no data section for %u announced segments",
                    m->n_data_segments);
    }
}

tars_status module_file_read(const uint8_t *bytes, size_t size_bytes, arena *memory,
                             module_file *out, tars_error *err) {
    tars_error own;
    *out = (module_file){.bytes = bytes, .size_bytes = size_bytes, .code_was_walked = true};
    module_reader r = {.bytes = bytes,
                       .position = HEADER_BYTES,
                       .end = size_bytes,
                       .part = "head of the file",
                       .err = err ? err : &own};
    tars_status status = module_file_detect(bytes, size_bytes, r.err);
    if (status != TARS_OK) {
        return status;
    }
    uint32_t n_customs = count_customs(bytes, size_bytes);
    if (n_customs > MODULE_MAX_ITEMS) {
        reader_fail(&r, TARS_LIMIT, HEADER_BYTES, "%u custom sections, at most %d are possible",
                    n_customs, MODULE_MAX_ITEMS);
        return r.status;
    }
    out->customs = ARENA_ARRAY(memory, module_custom, n_customs);
    if (!out->customs) {
        no_memory(&r, "custom sections");
    }
    uint8_t last = SECTION_CUSTOM;
    while (reader_ok(&r) && reader_left(&r) > 0) {
        read_section(&r, out, memory, &last);
    }
    if (reader_ok(&r)) {
        check_whole(&r, out);
    }
    if (reader_ok(&r)) { /* they are about a whole module */
        module_read_customs(out, memory);
    }
    return r.status;
}

bool module_function_at(const module_file *m, uint64_t offset, uint32_t *function) {
    if (m->code_section == 0 || offset < m->code_section ||
        offset - m->code_section >= m->code_bytes) {
        return false;
    }
    module_reader r = {.bytes = m->bytes,
                       .position = m->code_section,
                       .end = m->code_section + m->code_bytes,
                       .part = ""};
    uint32_t n = m->n_imported_of[MODULE_FUNCTION];
    for (; n < m->n_of[MODULE_FUNCTION] && reader_ok(&r); n++) {
        reader_skip(&r, reader_u32(&r, "size"), "body");
        if (offset < r.position) {
            *function = n;
            return reader_ok(&r);
        }
    }
    return false;
}
