#include "engine/arch/arch.h"

#include "base/text.h"

#include <string.h>

static const arch_family *const families[] = {&arch_llama, &arch_bert};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

tars_status arch_find(const gguf_file *file, const arch_family **out, tars_error *err) {
    gguf_text name = {0};
    tars_status status = gguf_get_text(file, "general.architecture", &name, err);
    if (status != TARS_OK) {
        error_set(err, TARS_MALFORMED, "the file does not say its architecture as a text");
        error_where(err, "general.architecture");
        return TARS_MALFORMED;
    }
    char known[128];
    text_buffer list;
    text_init(&list, known, sizeof known);
    for (size_t i = 0; i < N_FAMILIES; i++) {
        if (gguf_text_equals(name, families[i]->name)) {
            *out = families[i];
            return TARS_OK;
        }
        text_format(&list, "%s%s", i > 0 ? ", " : "", families[i]->name);
    }
    error_set(err, TARS_UNSUPPORTED, "architecture \"%.*s\" is not supported",
              name.length < 60 ? (int)name.length : 60, name.bytes);
    error_where(err, "general.architecture");
    error_hint(err, "supported architectures: %s", known);
    return TARS_UNSUPPORTED;
}

static void full_name(const gguf_file *file, const char *suffix, char *out, size_t size_bytes) {
    gguf_text architecture = {0};
    (void)gguf_get_text(file, "general.architecture", &architecture, NULL);
    text_buffer text;
    text_init(&text, out, size_bytes);
    text_format(&text, "%.*s.%s", (int)architecture.length, architecture.bytes, suffix);
}

tars_status arch_key_u32(const gguf_file *file, const char *suffix, int64_t otherwise, uint32_t low,
                         uint32_t high, uint32_t *out, tars_error *err) {
    char name[96];
    full_name(file, suffix, name, sizeof name);
    uint64_t value = 0;
    const gguf_key *key = gguf_find(file, name);
    if (!key && otherwise >= 0) {
        *out = (uint32_t)otherwise;
        return TARS_OK;
    }
    if (!key || !gguf_key_u64(key, &value)) {
        error_set(err, TARS_MALFORMED, key ? "key %s is no whole number" : "key %s is missing",
                  name);
        error_where(err, "%s", name);
        return TARS_MALFORMED;
    }
    if (value < low || value > high) {
        error_set(err, TARS_MALFORMED, "key %s is %llu; %u to %u are possible", name,
                  (unsigned long long)value, low, high);
        error_where(err, "%s", name);
        return TARS_MALFORMED;
    }
    *out = (uint32_t)value;
    return TARS_OK;
}

tars_status arch_key_f32(const gguf_file *file, const char *suffix, float otherwise, float low,
                         float high, float *out, tars_error *err) {
    char name[96];
    full_name(file, suffix, name, sizeof name);
    double value = 0;
    const gguf_key *key = gguf_find(file, name);
    if (!key && otherwise == otherwise) {
        *out = otherwise;
        return TARS_OK;
    }
    /* the comparison is written so that NaN fails it */
    if (!key || !gguf_key_f64(key, &value) || !(value >= (double)low && value <= (double)high)) {
        error_set(err, TARS_MALFORMED,
                  key ? "key %s is no number in the possible range" : "key %s is missing", name);
        error_where(err, "%s", name);
        return TARS_MALFORMED;
    }
    *out = (float)value;
    return TARS_OK;
}

static tars_status check_no_shards(const gguf_file *file, tars_error *err) {
    uint64_t count = 0;
    const gguf_key *key = gguf_find(file, "split.count");
    if (key && (!gguf_key_u64(key, &count) || count > 1)) {
        error_set(err, TARS_UNSUPPORTED, "the file is one of %llu shards of a model",
                  (unsigned long long)count);
        error_where(err, "split.count");
        error_hint(err, "merge the shards into one file first");
        return TARS_UNSUPPORTED;
    }
    return TARS_OK;
}

tars_status arch_describe(const arch_family *family, const gguf_file *file, model_hparams *out,
                          tars_error *err) {
    memset(out, 0, sizeof *out);
    memcpy(out->architecture, family->name, strlen(family->name));
    out->rope_magnitude = 1.0f;
    tars_status status = check_no_shards(file, err);
    const gguf_key *tokens = NULL;
    if (status == TARS_OK) {
        status = gguf_get_array(file, "tokenizer.ggml.tokens", GGUF_STRING, &tokens, err);
    }
    if (status != TARS_OK) {
        return status == TARS_NOT_FOUND
                   ? error_set(err, TARS_MALFORMED, "the file has no tokenizer.ggml.tokens")
                   : status;
    }
    if (tokens->count == 0 || tokens->count > MODEL_MAX_VOCAB) {
        error_set(err, TARS_MALFORMED, "a vocabulary of %llu tokens; 1 to %u are possible",
                  (unsigned long long)tokens->count, (unsigned)MODEL_MAX_VOCAB);
        error_where(err, "tokenizer.ggml.tokens");
        return TARS_MALFORMED;
    }
    out->n_vocab = (uint32_t)tokens->count;
    return family->describe(file, out, err);
}

static uint64_t dim_value(const model_hparams *p, arch_dim dim) {
    uint64_t values[DIM_COUNT] = {[DIM_ONE] = 1,
                                  [DIM_EMBD] = p->n_embd,
                                  [DIM_VOCAB] = p->n_vocab,
                                  [DIM_FF] = p->n_ff,
                                  [DIM_Q] = (uint64_t)p->n_heads * p->head_dim_k,
                                  [DIM_K] = (uint64_t)p->n_kv_heads * p->head_dim_k,
                                  [DIM_V] = (uint64_t)p->n_kv_heads * p->head_dim_v,
                                  [DIM_O] = (uint64_t)p->n_heads * p->head_dim_v,
                                  [DIM_CONTEXT] = p->context_length,
                                  [DIM_TOKEN_TYPES] = p->n_token_types,
                                  [DIM_ROPE_HALF] = p->rope_dim / 2};
    return values[dim];
}

/* Matches "blk.%.x" against a name; *layer gets the number. No leading zeros, at most 4 digits. */
static bool rule_matches(const char *rule, gguf_text name, uint32_t *layer) {
    size_t i = 0;
    for (; *rule; rule++) {
        if (*rule != '%') {
            if (i >= name.length || name.bytes[i] != *rule) {
                return false;
            }
            i++;
            continue;
        }
        size_t digits = 0;
        *layer = 0;
        while (i < name.length && digits < 5 && name.bytes[i] >= '0' && name.bytes[i] <= '9') {
            *layer = *layer * 10 + (uint32_t)(name.bytes[i++] - '0');
            digits++;
        }
        if (digits == 0 || digits > 4 || (digits > 1 && name.bytes[i - digits] == '0')) {
            return false;
        }
    }
    return i == name.length;
}

static tars_status check_shape(const tensor_rule *rule, const gguf_tensor *t,
                               const model_hparams *p, tars_error *err) {
    uint64_t columns = dim_value(p, rule->columns);
    uint64_t rows = dim_value(p, rule->rows);
    if (t->dims[0] != columns || t->dims[1] != rows || t->dims[2] != 1 || t->dims[3] != 1) {
        error_set(err, TARS_MALFORMED,
                  "tensor %.*s is %llu x %llu x %llu x %llu where %llu x %llu is needed",
                  (int)t->name.length, t->name.bytes, (unsigned long long)t->dims[0],
                  (unsigned long long)t->dims[1], (unsigned long long)t->dims[2],
                  (unsigned long long)t->dims[3], (unsigned long long)columns,
                  (unsigned long long)rows);
        error_where(err, "%.*s at offset %llu", (int)t->name.length, t->name.bytes,
                    (unsigned long long)t->info_offset);
        return TARS_MALFORMED;
    }
    const tensor_type_info *info = tensor_type_get(t->type);
    bool is_vector = rule->rows == DIM_ONE;
    if (!info->computable || (is_vector && info->block_size != 1)) {
        error_set(err, TARS_UNSUPPORTED, "tensor %.*s has type %s, which cannot be computed%s",
                  (int)t->name.length, t->name.bytes, info->name, is_vector ? " as a vector" : "");
        error_where(err, "%.*s at offset %llu", (int)t->name.length, t->name.bytes,
                    (unsigned long long)t->info_offset);
        error_hint(err, "supported types: F32 F16 BF16 Q4_0 Q4_1 Q8_0 Q4_K Q6_K");
        return TARS_UNSUPPORTED;
    }
    return TARS_OK;
}

/* Where the layer's number goes in a rule's name, or NULL. */
static const char *layer_mark(const char *name) {
    while (*name && *name != '%') {
        name++;
    }
    return *name ? name : NULL;
}

static tars_status require_all(const arch_family *family, const gguf_file *file,
                               const model_hparams *p, tars_error *err) {
    for (size_t i = 0; i < family->n_tensors; i++) {
        const tensor_rule *rule = &family->tensors[i];
        const char *mark = layer_mark(rule->name);
        uint32_t count = mark ? p->n_layers : 1;
        for (uint32_t layer = 0; rule->is_required && layer < count; layer++) {
            char name[96];
            text_buffer text;
            text_init(&text, name, sizeof name);
            if (mark) {
                text_format(&text, "%.*s%u%s", (int)(mark - rule->name), rule->name, layer,
                            mark + 1);
            } else {
                text_append_string(&text, rule->name);
            }
            if (!gguf_find_tensor(file, name)) {
                error_set(err, TARS_MALFORMED, "tensor %s is missing", name);
                error_where(err, "%u layers of architecture %s", p->n_layers, family->name);
                return TARS_MALFORMED;
            }
        }
    }
    return TARS_OK;
}

/* The type that holds most elements of matrices. */
static void count_types(const gguf_file *file, const uint32_t *roles, model_hparams *p) {
    uint64_t elements[64] = {0};
    for (size_t i = 0; i < file->n_tensors; i++) {
        const gguf_tensor *t = &file->tensors[i];
        uint64_t n = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
        p->n_parameters += n; /* the reader bounded each product by the file's size */
        bool is_layer_matrix = t->dims[1] > 1 && roles[i] != ROLE_TOKEN_EMBD;
        elements[t->type % 64] += is_layer_matrix ? n : 0;
    }
    for (uint32_t type = 0; type < 64; type++) {
        if (elements[type] > elements[p->main_type]) {
            p->main_type = type;
        }
    }
}

tars_status arch_assign(const arch_family *family, const gguf_file *file, model_hparams *p,
                        uint32_t *roles, uint32_t *layers, tars_error *err) {
    p->tied_output = 1;
    for (size_t i = 0; i < file->n_tensors; i++) {
        const gguf_tensor *t = &file->tensors[i];
        roles[i] = ROLE_OTHER;
        layers[i] = 0;
        for (size_t j = 0; j < family->n_tensors; j++) {
            const tensor_rule *rule = &family->tensors[j];
            uint32_t layer = 0;
            if (!rule_matches(rule->name, t->name, &layer) || layer >= p->n_layers) {
                continue;
            }
            tars_status status = check_shape(rule, t, p, err);
            if (status != TARS_OK) {
                return status;
            }
            roles[i] = rule->role;
            layers[i] = layer;
            if (rule->role == ROLE_OUTPUT) {
                p->tied_output = 0;
            }
            break;
        }
    }
    tars_status status = require_all(family, file, p, err);
    if (status == TARS_OK) {
        count_types(file, roles, p);
    }
    return status;
}

bool arch_role_is_vector(const arch_family *family, tensor_role role) {
    for (size_t i = 0; i < family->n_tensors; i++) {
        if (family->tensors[i].role == role) {
            return family->tensors[i].rows == DIM_ONE;
        }
    }
    return true;
}
