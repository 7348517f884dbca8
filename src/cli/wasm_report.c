#include "cli/wasm_report.h"

#include "cli/number_text.h"

static uint32_t shown(uint32_t count) {
    return count < WASM_REPORT_MAX_ITEMS ? count : WASM_REPORT_MAX_ITEMS;
}

/* ---- JSON ------------------------------------------------------------------------------ */

static void member_text(json_writer *json, const char *key, module_text text) {
    json_key(json, key);
    json_string_n(json, text.length > 0 ? text.bytes : "", text.length);
}

static void end_list(json_writer *json, const char *left_out_key, uint32_t count) {
    json_end_array(json);
    if (count > shown(count)) {
        json_member_uint(json, left_out_key, count - shown(count));
    }
}

static void write_items(json_writer *json, const module_file *m, const module_item *items,
                        uint32_t count, bool are_imports) {
    json_key(json, are_imports ? "imports" : "exports");
    json_begin_array(json);
    for (uint32_t i = 0; i < shown(count); i++) {
        char type[WASM_REPORT_TEXT_BYTES];
        text_buffer text;
        text_init(&text, type, sizeof type);
        module_type_write(m, items[i].kind, items[i].index, &text);
        json_begin_object(json);
        if (are_imports) {
            member_text(json, "module", items[i].module);
        }
        member_text(json, "name", items[i].name);
        json_member_string(json, "kind", module_kind_name(items[i].kind));
        json_member_string(json, "type", type);
        json_member_uint(json, "index", items[i].index);
        json_end_object(json);
    }
    end_list(json, are_imports ? "imports_left_out" : "exports_left_out", count);
}

static void member_maximum(json_writer *json, const char *key, const module_limits *limits) {
    json_key(json, key);
    if (limits->has_maximum) {
        json_uint(json, limits->maximum);
    } else {
        json_null(json);
    }
}

static void write_memories(json_writer *json, const module_file *m) {
    json_key(json, "memories");
    json_begin_array(json);
    for (uint32_t i = 0; i < m->n_of[MODULE_MEMORY]; i++) {
        const module_limits *memory = &m->memories[i];
        json_begin_object(json);
        json_member_uint(json, "min_pages", memory->minimum);
        member_maximum(json, "max_pages", memory);
        json_member_uint(json, "page_bytes", 1u << memory->page_shift);
        json_member_bool(json, "shared", memory->is_shared);
        json_member_bool(json, "memory64", memory->is_64);
        json_member_bool(json, "imported", i < m->n_imported_of[MODULE_MEMORY]);
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_tables(json_writer *json, const module_file *m) {
    uint32_t count = m->n_of[MODULE_TABLE];
    json_key(json, "tables");
    json_begin_array(json);
    for (uint32_t i = 0; i < shown(count); i++) {
        const module_table *table = &m->tables[i];
        char type[64];
        text_buffer text;
        text_init(&text, type, sizeof type);
        module_value_write(table->type, &text);
        json_begin_object(json);
        json_member_string(json, "type", type);
        json_member_uint(json, "min", table->limits.minimum);
        member_maximum(json, "max", &table->limits);
        json_member_bool(json, "table64", table->limits.is_64);
        json_member_bool(json, "imported", i < m->n_imported_of[MODULE_TABLE]);
        json_end_object(json);
    }
    end_list(json, "tables_left_out", count);
}

static void member_function(json_writer *json, const char *key, const module_file *m, bool is_there,
                            uint32_t function, uint32_t bytes) {
    json_key(json, key);
    if (!is_there) {
        json_null(json);
        return;
    }
    json_begin_object(json);
    json_member_uint(json, "index", function);
    member_text(json, "name", module_function_name(m, function));
    if (bytes > 0) {
        json_member_uint(json, "bytes", bytes);
    }
    json_end_object(json);
}

static void write_functions(json_writer *json, const module_file *m) {
    uint32_t imported = m->n_imported_of[MODULE_FUNCTION];
    json_member_uint(json, "functions", m->n_of[MODULE_FUNCTION] - imported);
    json_member_uint(json, "imported_functions", imported);
    member_function(json, "largest_function", m, m->largest_body_bytes > 0, m->largest_body,
                    m->largest_body_bytes);
    member_function(json, "start", m, m->has_start, m->start, 0);
    json_member_uint(json, "types", m->n_types);
    json_member_uint(json, "globals", m->n_of[MODULE_GLOBAL]);
    json_member_uint(json, "tags", m->n_of[MODULE_TAG]);
    json_member_uint(json, "element_segments", m->n_element_segments);
    json_member_uint(json, "data_segments", m->n_data_segments);
}

static void write_customs(json_writer *json, const module_file *m) {
    json_key(json, "custom_sections");
    json_begin_array(json);
    for (uint32_t i = 0; i < shown(m->n_customs); i++) {
        json_begin_object(json);
        member_text(json, "name", m->customs[i].name);
        json_member_uint(json, "bytes", m->customs[i].contents.length);
        json_end_object(json);
    }
    end_list(json, "custom_sections_left_out", m->n_customs);
    member_text(json, "module_name", m->own_name);
    json_member_uint(json, "function_names", m->n_function_names);
    json_key(json, "target_features");
    json_begin_array(json);
    for (uint32_t i = 0; i < m->n_target_features; i++) {
        json_begin_object(json);
        member_text(json, "name", m->target_features[i].name);
        json_member_string(json, "use", (char[]){m->target_features[i].prefix, '\0'});
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_features(json_writer *json, const module_file *m, bool complete) {
    json_key(json, "features");
    json_begin_array(json);
    for (int i = 0; i < MODULE_FEATURE_COUNT; i++) {
        if (m->features >> i & 1) {
            json_string(json, module_feature_name((module_feature)i));
        }
    }
    json_end_array(json);
    json_member_bool(json, "features_complete", complete);
}

static void write_problem(json_writer *json, tars_status status, const char *message,
                          const char *where) {
    json_begin_object(json);
    json_member_string(json, "code", tars_status_code(status));
    json_member_string(json, "message", message);
    json_member_string(json, "where", where);
    json_end_object(json);
}

void wasm_report_json(output *out, const wasm_report *report) {
    const module_file *m = report->module;
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    json_member_string(&json, "format", "wasm");
    json_member_uint(&json, "version", 1);
    json_member_uint(&json, "bytes", m->size_bytes);
    json_member_string(&json, "sha256", report->sha256);
    write_items(&json, m, m->imports, m->n_imports, true);
    write_items(&json, m, m->exports, m->n_exports, false);
    write_memories(&json, m);
    write_tables(&json, m);
    write_functions(&json, m);
    write_customs(&json, m);
    write_features(&json, m, m->code_was_walked && !report->failure);
    json_key(&json, "problems");
    json_begin_array(&json);
    if (report->failure) {
        write_problem(&json, report->failure->status, report->failure->message,
                      report->failure->where);
    }
    for (uint32_t i = 0; i < m->n_problems; i++) {
        write_problem(&json, TARS_MALFORMED, m->problems[i].message, m->problems[i].where);
    }
    json_end_array(&json);
    if (m->n_problems_left_out > 0) {
        json_member_uint(&json, "problems_left_out", m->n_problems_left_out);
    }
    json_end_object(&json);
    output_text(out, "\n");
}

/* ---- for people ------------------------------------------------------------------------ */

enum { NAME_BYTES = 160, TYPE_BYTES = 256 };

static void name_of(module_text name, char *out) {
    text_buffer text;
    text_init(&text, out, NAME_BYTES);
    module_text_write(name, &text);
}

static void print_items(output *out, const module_file *m, const module_item *items, uint32_t count,
                        bool are_imports) {
    if (count == 0) {
        return;
    }
    output_format(out, "\n%u %s%s\n", count, are_imports ? "import" : "export",
                  count == 1 ? "" : "s");
    for (uint32_t i = 0; i < shown(count); i++) {
        char module[NAME_BYTES];
        char name[NAME_BYTES];
        char type[TYPE_BYTES];
        text_buffer text;
        name_of(items[i].module, module);
        name_of(items[i].name, name);
        text_init(&text, type, sizeof type);
        module_type_write(m, items[i].kind, items[i].index, &text);
        if (are_imports) {
            output_format(out, "  %-24s %-28s %s\n", module, name, type);
        } else {
            output_format(out, "  %-40s %s\n", name, type);
        }
    }
    if (count > shown(count)) {
        output_format(out, "  and %u more\n", count - shown(count));
    }
}

static void print_function(output *out, const module_file *m, const char *what, uint32_t function,
                           uint32_t bytes) {
    char name[NAME_BYTES];
    name_of(module_function_name(m, function), name);
    output_format(out, "%-18s function %u%s%s", what, function, name[0] ? " " : "", name);
    if (bytes > 0) {
        output_format(out, ", %u bytes", bytes);
    }
    output_text(out, "\n");
}

static void print_numbers(output *out, const module_file *m) {
    uint32_t imported = m->n_imported_of[MODULE_FUNCTION];
    output_format(out, "%-18s %u, and %u imported\n", "functions",
                  m->n_of[MODULE_FUNCTION] - imported, imported);
    if (m->largest_body_bytes > 0) {
        print_function(out, m, "largest", m->largest_body, m->largest_body_bytes);
    }
    if (m->has_start) {
        print_function(out, m, "start", m->start, 0);
    }
    static const module_kind kinds[] = {MODULE_MEMORY, MODULE_TABLE};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (uint32_t i = 0; i < shown(m->n_of[kinds[k]]); i++) {
            char type[TYPE_BYTES];
            text_buffer text;
            text_init(&text, type, sizeof type);
            module_type_write(m, kinds[k], i, &text);
            output_format(out, "%-18s %s%s\n", module_kind_name(kinds[k]),
                          type + (kinds[k] == MODULE_MEMORY ? sizeof "memory" : sizeof "table"),
                          i < m->n_imported_of[kinds[k]] ? ", imported" : "");
        }
    }
    output_format(out, "%-18s %u\n", "globals", m->n_of[MODULE_GLOBAL]);
    output_format(out, "%-18s %u of elements, %u of data\n", "segments", m->n_element_segments,
                  m->n_data_segments);
    if (m->n_of[MODULE_TAG] > 0) {
        output_format(out, "%-18s %u\n", "tags", m->n_of[MODULE_TAG]);
    }
}

static void print_features(output *out, const module_file *m, bool complete) {
    output_format(out, "%-18s%s", "features", m->features == 0 && complete ? " none" : "");
    for (int i = 0; i < MODULE_FEATURE_COUNT; i++) {
        if (m->features >> i & 1) {
            output_format(out, " %s", module_feature_name((module_feature)i));
        }
    }
    output_text(out, complete ? "\n" : " (others: not determined)\n");
    if (m->n_target_features > 0) {
        output_format(out, "%-18s", "compiled with");
        for (uint32_t i = 0; i < m->n_target_features; i++) {
            char name[NAME_BYTES];
            name_of(m->target_features[i].name, name);
            output_format(out, " %c%s", m->target_features[i].prefix, name);
        }
        output_text(out, "\n");
    }
}

static void print_customs(output *out, const module_file *m) {
    if (m->n_customs == 0) {
        return;
    }
    output_format(out, "\n%u custom section%s\n", m->n_customs, m->n_customs == 1 ? "" : "s");
    for (uint32_t i = 0; i < shown(m->n_customs); i++) {
        char name[NAME_BYTES];
        char size[32];
        text_buffer text;
        name_of(m->customs[i].name, name);
        text_init(&text, size, sizeof size);
        number_text_bytes(&text, m->customs[i].contents.length);
        output_format(out, "  %-40s %12s\n", name, size);
    }
    if (m->n_customs > shown(m->n_customs)) {
        output_format(out, "  and %u more\n", m->n_customs - shown(m->n_customs));
    }
}

static void print_problems(output *out, const wasm_report *report) {
    const module_file *m = report->module;
    uint32_t count = m->n_problems + m->n_problems_left_out + (report->failure ? 1 : 0);
    if (count == 0) {
        output_text(out, "\nno problems found\n");
        return;
    }
    output_format(out, "\n%u problem%s\n", count, count == 1 ? "" : "s");
    if (report->failure) {
        output_format(out, "  %s (%s)\n", report->failure->message, report->failure->where);
    }
    for (uint32_t i = 0; i < m->n_problems; i++) {
        output_format(out, "  %s (%s)\n", m->problems[i].message, m->problems[i].where);
    }
    if (m->n_problems_left_out > 0) {
        output_format(out, "  and %u more\n", m->n_problems_left_out);
    }
}

void wasm_report_print(output *out, const wasm_report *report) {
    const module_file *m = report->module;
    char size[32];
    char name[NAME_BYTES];
    text_buffer text;
    text_init(&text, size, sizeof size);
    number_text_bytes(&text, m->size_bytes);
    name_of(m->own_name, name);
    output_format(out, "%s: WebAssembly module%s%s, %s\n", report->name, name[0] ? " " : "", name,
                  size);
    output_format(out, "%-18s %s\n", "sha256", report->sha256);
    print_numbers(out, m);
    print_features(out, m, m->code_was_walked && !report->failure);
    print_items(out, m, m->imports, m->n_imports, true);
    print_items(out, m, m->exports, m->n_exports, false);
    print_customs(out, m);
    print_problems(out, report);
}
