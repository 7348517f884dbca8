/* Custom sections that this reader knows: names and the compiler's features. No engine needs them,
 * so that what is wrong in them is told and the module is not refused. */
#include "runtime/module/module_reader.h"

#include <string.h>

enum { MAX_TARGET_FEATURES = 1000, SUBSECTION_MODULE = 0, SUBSECTION_FUNCTIONS = 1 };

static void keep_problem(module_file *m, const tars_error *err) {
    if (m->n_problems == MODULE_MAX_PROBLEMS) {
        m->n_problems_left_out++;
        return;
    }
    module_problem *problem = &m->problems[m->n_problems++];
    text_buffer text;
    text_init(&text, problem->message, sizeof problem->message);
    text_append_string(&text, err->message);
    text_init(&text, problem->where, sizeof problem->where);
    text_append_string(&text, err->where);
}

static bool has_name(const module_custom *custom, const char *name) {
    size_t length = strlen(name);
    return custom->name.length == length && memcmp(custom->name.bytes, name, length) == 0;
}

/* The map of functions' names: indices that grow, each with a name. */
static void read_function_names(module_reader *r, module_file *m) {
    size_t begin = r->position;
    uint32_t count = reader_count(r, 2, MODULE_MAX_ITEMS, "number of functions' names");
    uint32_t next = 0;
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        size_t start = r->position;
        uint32_t index = reader_index(r, m->n_of[MODULE_FUNCTION], "function");
        if (reader_ok(r) && index < next) {
            reader_fail(r, TARS_MALFORMED, start,
                        "found the name of function %u where that of %u or a later one is expected",
                        index, next);
        }
        next = index + 1;
        (void)reader_name(r, "name of a function");
    }
    if (reader_ok(r) && r->position != r->end) {
        reader_fail(r, TARS_MALFORMED, r->position, "%zu bytes follow the last function's name",
                    reader_left(r));
    }
    if (reader_ok(r)) {
        m->n_function_names = count;
        m->function_names =
            (module_text){(const char *)r->bytes + begin, (uint32_t)(r->position - begin)};
    }
}

static void read_names(module_reader *r, module_file *m) {
    size_t end = r->end;
    while (reader_ok(r) && r->position < end) {
        uint8_t id = reader_byte(r, "kind of a subsection");
        size_t start = r->position;
        uint32_t size = reader_u32(r, "size of a subsection");
        if (reader_ok(r) && size > end - r->position) {
            reader_fail(r, TARS_MALFORMED, start, "a subsection has %u bytes, but only %zu follow",
                        size, end - r->position);
        }
        if (!reader_ok(r)) {
            return;
        }
        size_t next = r->position + size;
        r->end = next;
        if (id == SUBSECTION_MODULE) {
            m->own_name = reader_name(r, "name of the module");
        } else if (id == SUBSECTION_FUNCTIONS && m->n_function_names == 0) {
            read_function_names(r, m);
        }
        r->position = next; /* locals, labels, types …: not shown */
        r->end = end;
    }
}

static void read_target_features(module_reader *r, module_file *m, arena *memory) {
    uint32_t count = reader_count(r, 2, MAX_TARGET_FEATURES, "number of target features");
    m->target_features = ARENA_ARRAY(memory, module_target_feature, count);
    if (!m->target_features) {
        reader_fail(r, TARS_OUT_OF_MEMORY, r->position, "no memory for %u target features", count);
        return;
    }
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        size_t start = r->position;
        uint8_t prefix = reader_byte(r, "prefix of a target feature");
        if (reader_ok(r) && prefix != '+' && prefix != '-' && prefix != '=') {
            reader_fail(r, TARS_MALFORMED, start,
                        "found 0x%02x before a target feature, expected '+', '-' or '='",
                        (unsigned)prefix);
        }
        module_text name = reader_name(r, "name of a target feature");
        if (reader_ok(r)) {
            m->target_features[m->n_target_features++] =
                (module_target_feature){name, (char)prefix};
        }
    }
}

void module_read_customs(module_file *m, arena *memory) {
    bool has_names = false;
    bool has_features = false;
    for (uint32_t i = 0; i < m->n_customs; i++) {
        const module_custom *custom = &m->customs[i];
        bool is_names = !has_names && has_name(custom, "name");
        bool is_features = !has_features && has_name(custom, "target_features");
        if (!is_names && !is_features) {
            continue;
        }
        tars_error err = {0};
        size_t begin = (size_t)((const uint8_t *)custom->contents.bytes - m->bytes);
        module_reader r = {.bytes = m->bytes,
                           .position = begin,
                           .end = begin + custom->contents.length,
                           .part = is_names ? "name section" : "target_features section",
                           .err = &err};
        if (is_names) {
            has_names = true;
            read_names(&r, m);
        } else {
            has_features = true;
            read_target_features(&r, m, memory);
        }
        if (!reader_ok(&r)) {
            keep_problem(m, &err);
        }
    }
}

module_text module_function_name(const module_file *m, uint32_t function) {
    module_text none = {"", 0};
    if (m->n_function_names == 0) {
        return none;
    }
    size_t begin = (size_t)((const uint8_t *)m->function_names.bytes - m->bytes);
    module_reader r = {.bytes = m->bytes,
                       .position = begin,
                       .end = begin + m->function_names.length,
                       .part = "name section"};
    (void)reader_u32(&r, "count");
    for (uint32_t i = 0; i < m->n_function_names; i++) {
        uint32_t index = reader_u32(&r, "index");
        module_text name = reader_name(&r, "name");
        if (index >= function) {
            return index == function ? name : none;
        }
    }
    return none;
}
