#include "engine/inspect.h"

#include "base/utf8.h"

#include <string.h>

typedef struct problem_list {
    tars_error *problems; /* [INSPECT_MAX_PROBLEMS] */
    size_t count;
    size_t left_out;
} problem_list;

/* Keys whose type every reader relies on. */
static const struct {
    const char *name;
    uint8_t type;
    uint8_t element_type; /* of an array */
} well_known_keys[] = {
    {"general.architecture", GGUF_STRING, GGUF_STRING},
    {"general.name", GGUF_STRING, GGUF_STRING},
    {"general.file_type", GGUF_UINT32, GGUF_UINT32},
    {"general.quantization_version", GGUF_UINT32, GGUF_UINT32},
    {"tokenizer.ggml.model", GGUF_STRING, GGUF_STRING},
    {"tokenizer.ggml.pre", GGUF_STRING, GGUF_STRING},
    {"tokenizer.ggml.tokens", GGUF_ARRAY, GGUF_STRING},
    {"tokenizer.ggml.scores", GGUF_ARRAY, GGUF_FLOAT32},
    {"tokenizer.ggml.token_type", GGUF_ARRAY, GGUF_INT32},
    {"tokenizer.ggml.merges", GGUF_ARRAY, GGUF_STRING},
    {"tokenizer.ggml.bos_token_id", GGUF_UINT32, GGUF_UINT32},
    {"tokenizer.ggml.eos_token_id", GGUF_UINT32, GGUF_UINT32},
    {"tokenizer.ggml.unknown_token_id", GGUF_UINT32, GGUF_UINT32},
    {"tokenizer.ggml.padding_token_id", GGUF_UINT32, GGUF_UINT32},
    {"tokenizer.ggml.add_bos_token", GGUF_BOOL, GGUF_BOOL},
    {"tokenizer.ggml.add_eos_token", GGUF_BOOL, GGUF_BOOL},
    {"tokenizer.chat_template", GGUF_STRING, GGUF_STRING},
};

static unsigned long long ull(uint64_t value) {
    return value;
}

static bool keep_problem(void *context, const tars_error *problem) {
    problem_list *list = context;
    if (list->count < INSPECT_MAX_PROBLEMS) {
        list->problems[list->count++] = *problem;
    } else {
        list->left_out++;
    }
    return true;
}

static void check_known_types(const gguf_file *file, problem_list *list) {
    for (size_t i = 0; i < sizeof well_known_keys / sizeof well_known_keys[0]; i++) {
        const gguf_key *key = gguf_find(file, well_known_keys[i].name);
        if (!key || (key->type == well_known_keys[i].type &&
                     key->element_type == well_known_keys[i].element_type)) {
            continue;
        }
        bool array = well_known_keys[i].type == GGUF_ARRAY;
        tars_error problem;
        error_set(&problem, TARS_MALFORMED, "the value is of type %s%s, expected %s%s",
                  key->type == GGUF_ARRAY ? "array of " : "", gguf_type_name(key->element_type),
                  array ? "array of " : "", gguf_type_name(well_known_keys[i].element_type));
        error_where(&problem, "key '%s' at byte %llu", well_known_keys[i].name, ull(key->offset));
        keep_problem(list, &problem);
    }
}

/* The tables of one vocabulary are of one length. */
static void check_vocabulary(const gguf_file *file, problem_list *list) {
    static const char *const parallel[] = {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"};
    const gguf_key *tokens = gguf_find(file, "tokenizer.ggml.tokens");
    for (size_t i = 0; i < sizeof parallel / sizeof parallel[0]; i++) {
        const gguf_key *key = gguf_find(file, parallel[i]);
        if (tokens && key && key->type == GGUF_ARRAY && key->count != tokens->count) {
            tars_error problem;
            error_set(&problem, TARS_MALFORMED, "%llu elements for a vocabulary of %llu tokens",
                      ull(key->count), ull(tokens->count));
            error_where(&problem, "key '%s' at byte %llu", parallel[i], ull(key->offset));
            keep_problem(list, &problem);
        }
    }
}

static void check_texts(const gguf_file *file, problem_list *list) {
    for (size_t i = 0; i < file->n_keys; i++) {
        gguf_text text;
        size_t bad = 0;
        const gguf_key *key = &file->keys[i];
        if (gguf_key_text(key, &text) && !utf8_valid(text.bytes, text.length, &bad)) {
            tars_error problem;
            error_set(&problem, TARS_MALFORMED, "the string is not UTF-8 at its byte %zu", bad);
            error_where(&problem, "key '%.*s' at byte %llu",
                        (int)(key->name.length < 64 ? key->name.length : 64), key->name.bytes,
                        ull(key->offset));
            keep_problem(list, &problem);
        }
    }
}

static bool same_name(const gguf_key *a, const gguf_key *b) {
    return a->name.length == b->name.length &&
           (a->name.length == 0 || memcmp(a->name.bytes, b->name.bytes, a->name.length) == 0);
}

/* Marks keys whose name occurred before, so that the JSON has no member twice. */
static bool *find_repeats(const gguf_file *file, arena *memory) {
    bool *repeats = ARENA_ARRAY(memory, bool, file->n_keys);
    for (size_t i = 1; repeats && i < file->n_keys; i++) {
        uint32_t before = file->keys_by_name[i - 1], at = file->keys_by_name[i];
        repeats[at] = same_name(&file->keys[before], &file->keys[at]);
    }
    return repeats;
}

tars_status inspect_source(const byte_source *source, arena *memory, inspect_report *out,
                           tars_error *err) {
    *out = (inspect_report){.format = "unknown", .file_bytes = source->size_bytes};
    error_clear(err);
    problem_list list = {.problems = ARENA_ARRAY(memory, tars_error, INSPECT_MAX_PROBLEMS)};
    out->name_buffer = arena_alloc_raw(memory, GGUF_MAX_KEY_BYTES + 1, 1);
    if (!list.problems || !out->name_buffer) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a report on the file");
    }
    if (safetensors_detect(source)) {
        out->format = "safetensors";
        safetensors_scan(source, memory, keep_problem, &list, &out->safetensors, NULL);
    } else {
        gguf_scan(source, NULL, memory, keep_problem, &list, &out->gguf, NULL);
        const uint8_t *start = out->gguf.header;
        if (out->gguf.header_bytes >= 4 && start && memcmp(start, "GGUF", 4) == 0) {
            out->format = "gguf";
        }
        check_known_types(&out->gguf, &list);
        check_vocabulary(&out->gguf, &list);
        check_texts(&out->gguf, &list);
        out->key_repeats = find_repeats(&out->gguf, memory);
        if (!out->key_repeats) {
            return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a report on the file");
        }
    }
    out->problems = list.problems;
    out->n_problems = list.count;
    out->n_problems_left_out = list.left_out;
    return TARS_OK;
}

static void write_text(json_writer *w, gguf_text text) {
    if (text.length <= INSPECT_MAX_TEXT_BYTES) {
        json_string_n(w, text.bytes, text.length);
        return;
    }
    json_begin_object(w);
    json_member_string(w, "type", "string");
    json_member_uint(w, "bytes", text.length);
    json_end_object(w);
}

static void write_element(const gguf_file *file, const gguf_key *key, uint64_t i, json_writer *w) {
    switch (key->element_type) {
    case GGUF_STRING:
        write_text(w, gguf_element_text(file, key, i));
        break;
    case GGUF_FLOAT32:
        json_float(w, (float)gguf_element_f64(key, i));
        break;
    case GGUF_FLOAT64:
        json_double(w, gguf_element_f64(key, i));
        break;
    case GGUF_BOOL:
        json_bool(w, gguf_element_i64(key, i) != 0);
        break;
    case GGUF_UINT64:
        json_uint(w, (uint64_t)gguf_element_i64(key, i));
        break;
    default:
        json_int(w, gguf_element_i64(key, i));
        break;
    }
}

static void write_array(const gguf_file *file, const gguf_key *key, json_writer *w) {
    if (key->count > INSPECT_MAX_ELEMENTS) {
        json_begin_object(w);
        json_member_string(w, "type", gguf_type_name(key->element_type));
        json_member_uint(w, "count", key->count);
        json_end_object(w);
        return;
    }
    json_begin_array(w);
    for (uint64_t i = 0; i < key->count; i++) {
        write_element(file, key, i, w);
    }
    json_end_array(w);
}

static void write_value(const gguf_file *file, const gguf_key *key, json_writer *w) {
    uint64_t u;
    int64_t i;
    double f;
    bool b;
    gguf_text text;
    if (key->type == GGUF_ARRAY) {
        write_array(file, key, w);
    } else if (gguf_key_text(key, &text)) {
        write_text(w, text);
    } else if (gguf_key_bool(key, &b)) {
        json_bool(w, b);
    } else if (gguf_key_i64(key, &i)) {
        json_int(w, i);
    } else if (gguf_key_u64(key, &u)) {
        json_uint(w, u);
    } else if (gguf_key_f64(key, &f)) {
        if (key->type == GGUF_FLOAT32) {
            json_float(w, (float)f);
        } else {
            json_double(w, f);
        }
    }
}

static void write_gguf_metadata(const inspect_report *report, json_writer *w) {
    const gguf_file *file = &report->gguf;
    for (size_t i = 0; i < file->n_keys; i++) {
        if (!report->key_repeats[i]) {
            gguf_text name = file->keys[i].name;
            if (name.length > 0) {
                memcpy(report->name_buffer, name.bytes, name.length);
            }
            report->name_buffer[name.length] = '\0';
            json_key(w, report->name_buffer);
            write_value(file, &file->keys[i], w);
        }
    }
}

static void write_tensor(json_writer *w, gguf_text name, const char *type, const uint64_t *dims,
                         uint32_t n_dims, uint64_t size_bytes) {
    json_begin_object(w);
    json_key(w, "name");
    json_string_n(w, name.bytes, name.length);
    json_member_string(w, "type", type ? type : "unknown");
    json_key(w, "shape");
    json_begin_array(w);
    for (uint32_t d = 0; d < n_dims; d++) {
        json_uint(w, dims[d]);
    }
    json_end_array(w);
    json_member_uint(w, "bytes", size_bytes);
    json_end_object(w);
}

static void write_problem(json_writer *w, const tars_error *problem) {
    json_begin_object(w);
    json_member_string(w, "code", tars_status_code(problem->status));
    json_member_string(w, "message", problem->message);
    json_member_string(w, "where", problem->where);
    json_member_string(w, "hint", problem->hint);
    json_end_object(w);
}

void inspect_write_json(const inspect_report *report, json_writer *w) {
    json_begin_object(w);
    json_member_string(w, "format", report->format);
    json_key(w, "version");
    if (strcmp(report->format, "gguf") == 0) {
        json_uint(w, report->gguf.version);
    } else {
        json_null(w);
    }
    json_member_uint(w, "file_bytes", report->file_bytes);
    json_key(w, "metadata");
    json_begin_object(w);
    write_gguf_metadata(report, w);
    const json_value *extra = report->safetensors.metadata;
    for (const json_value *m = extra && extra->type == JSON_OBJECT ? extra->first : NULL; m;
         m = m->next) {
        if (m->type == JSON_STRING) {
            json_key(w, m->key);
            write_text(w, (gguf_text){m->string, m->string_length});
        }
    }
    json_end_object(w);
    json_key(w, "tensors");
    json_begin_array(w);
    for (size_t i = 0; i < report->gguf.n_tensors; i++) {
        const gguf_tensor *t = &report->gguf.tensors[i];
        write_tensor(w, t->name, tensor_type_get(t->type)->name, t->dims, t->n_dims, t->size_bytes);
    }
    for (size_t i = 0; i < report->safetensors.n_tensors; i++) {
        const safetensors_tensor *t = &report->safetensors.tensors[i];
        write_tensor(w, t->name, t->dtype, t->dims, t->n_dims, t->size_bytes);
    }
    json_end_array(w);
    json_key(w, "problems");
    json_begin_array(w);
    for (size_t i = 0; i < report->n_problems; i++) {
        write_problem(w, &report->problems[i]);
    }
    json_end_array(w);
    json_member_uint(w, "problems_left_out", report->n_problems_left_out);
    json_end_object(w);
}
