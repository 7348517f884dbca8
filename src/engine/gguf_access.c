#include "engine/gguf.h"

#include "engine/gguf_bytes.h"

#include <assert.h>
#include <string.h>

static const char *const gguf_type_names[GGUF_VALUE_TYPES] = {
    [GGUF_UINT8] = "uint8",     [GGUF_INT8] = "int8",     [GGUF_UINT16] = "uint16",
    [GGUF_INT16] = "int16",     [GGUF_UINT32] = "uint32", [GGUF_INT32] = "int32",
    [GGUF_FLOAT32] = "float32", [GGUF_BOOL] = "bool",     [GGUF_STRING] = "string",
    [GGUF_ARRAY] = "array",     [GGUF_UINT64] = "uint64", [GGUF_INT64] = "int64",
    [GGUF_FLOAT64] = "float64",
};

const char *gguf_type_name(uint32_t type) {
    return type < GGUF_VALUE_TYPES ? gguf_type_names[type] : "unknown";
}

bool gguf_text_equals(gguf_text text, const char *string) {
    size_t length = strlen(string);
    return text.length == length && (length == 0 || memcmp(text.bytes, string, length) == 0);
}

/* Order of `text` against prefix ‖ string. */
static int compare_joined(gguf_text text, gguf_text prefix, const char *string) {
    size_t head = text.length < prefix.length ? text.length : prefix.length;
    int order = head > 0 ? memcmp(text.bytes, prefix.bytes, head) : 0;
    if (order != 0 || head < prefix.length) {
        return order != 0 ? order : -1;
    }
    size_t left = text.length - head, length = strlen(string);
    size_t tail = left < length ? left : length;
    order = tail > 0 ? memcmp(text.bytes + head, string, tail) : 0;
    return order != 0 ? order : (left > length) - (left < length);
}

static const gguf_key *find_joined(const gguf_file *file, gguf_text prefix, const char *string) {
    size_t low = 0, high = file->n_keys;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const gguf_key *key = &file->keys[file->keys_by_name[middle]];
        int order = compare_joined(key->name, prefix, string);
        if (order == 0) {
            return key;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

const gguf_key *gguf_find(const gguf_file *file, const char *name) {
    return find_joined(file, (gguf_text){NULL, 0}, name);
}

const gguf_key *gguf_find_for_architecture(const gguf_file *file, const char *suffix) {
    gguf_text architecture;
    if (!gguf_key_text(gguf_find(file, "general.architecture"), &architecture)) {
        return NULL;
    }
    /* "ARCHITECTURE." needs no copy: compare the name, then a suffix that starts with the dot */
    char dotted[128] = ".";
    size_t length = strlen(suffix);
    if (length + 2 > sizeof dotted) {
        return NULL;
    }
    memcpy(dotted + 1, suffix, length + 1);
    return find_joined(file, architecture, dotted);
}

const gguf_tensor *gguf_find_tensor(const gguf_file *file, const char *name) {
    size_t low = 0, high = file->n_tensors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const gguf_tensor *tensor = &file->tensors[file->tensors_by_name[middle]];
        int order = compare_joined(tensor->name, (gguf_text){NULL, 0}, name);
        if (order == 0) {
            return tensor;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

static bool type_is_integer(uint32_t type) {
    return type <= GGUF_INT32 || type == GGUF_UINT64 || type == GGUF_INT64;
}

/* The bits of an integer, sign-extended to 64; *negative says whether the value is below 0. */
static uint64_t read_integer(uint32_t type, const uint8_t *p, bool *negative) {
    uint64_t bits = 0;
    bool is_signed = false;
    switch (type) {
    case GGUF_UINT8:
    case GGUF_BOOL:
        bits = p[0];
        break;
    case GGUF_INT8:
        bits = (uint64_t)(int64_t)(int8_t)p[0];
        is_signed = true;
        break;
    case GGUF_UINT16:
        bits = gguf_read_u16(p);
        break;
    case GGUF_INT16:
        bits = (uint64_t)(int64_t)(int16_t)gguf_read_u16(p);
        is_signed = true;
        break;
    case GGUF_UINT32:
        bits = gguf_read_u32(p);
        break;
    case GGUF_INT32:
        bits = (uint64_t)(int64_t)(int32_t)gguf_read_u32(p);
        is_signed = true;
        break;
    default:
        bits = gguf_read_u64(p);
        is_signed = type == GGUF_INT64;
        break;
    }
    *negative = is_signed && (bits >> 63) != 0;
    return bits;
}

static double read_float(uint32_t type, const uint8_t *p) {
    if (type == GGUF_FLOAT32) {
        uint32_t bits = gguf_read_u32(p);
        float value;
        memcpy(&value, &bits, sizeof value);
        return (double)value;
    }
    uint64_t bits = gguf_read_u64(p);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool gguf_key_u64(const gguf_key *key, uint64_t *out) {
    bool negative = false;
    if (!key || !type_is_integer(key->type)) {
        return false;
    }
    uint64_t bits = read_integer(key->type, key->value, &negative);
    if (negative) {
        return false;
    }
    *out = bits;
    return true;
}

bool gguf_key_i64(const gguf_key *key, int64_t *out) {
    bool negative = false;
    if (!key || !type_is_integer(key->type)) {
        return false;
    }
    uint64_t bits = read_integer(key->type, key->value, &negative);
    if (!negative && bits > INT64_MAX) {
        return false;
    }
    *out = (int64_t)bits;
    return true;
}

bool gguf_key_f64(const gguf_key *key, double *out) {
    if (!key || (key->type != GGUF_FLOAT32 && key->type != GGUF_FLOAT64)) {
        return false;
    }
    *out = read_float(key->type, key->value);
    return true;
}

bool gguf_key_bool(const gguf_key *key, bool *out) {
    if (!key || key->type != GGUF_BOOL) {
        return false;
    }
    *out = key->value[0] != 0;
    return true;
}

bool gguf_key_text(const gguf_key *key, gguf_text *out) {
    if (!key || key->type != GGUF_STRING) {
        return false;
    }
    *out = (gguf_text){(const char *)key->value + 8, (size_t)gguf_read_u64(key->value)};
    return true;
}

static tars_status no_key(const char *name, tars_error *err) {
    error_set(err, TARS_NOT_FOUND, "the file has no key '%s'", name);
    error_where(err, "key '%s'", name);
    return TARS_NOT_FOUND;
}

static tars_status wrong_key(const gguf_key *key, const char *name, const char *expected,
                             tars_error *err) {
    bool array = key->type == GGUF_ARRAY;
    bool negative = false;
    if (type_is_integer(key->type)) {
        uint64_t bits = read_integer(key->type, key->value, &negative);
        error_set(err, TARS_MALFORMED, "the key '%s' is %s%llu (%s), expected %s", name,
                  negative ? "-" : "", (unsigned long long)(negative ? 0 - bits : bits),
                  gguf_type_name(key->type), expected);
    } else {
        error_set(err, TARS_MALFORMED, "the key '%s' is of type %s%s, expected %s", name,
                  array ? "array of " : "", gguf_type_name(key->element_type), expected);
    }
    error_where(err, "key '%s' at byte %llu", name, (unsigned long long)key->offset);
    return TARS_MALFORMED;
}

tars_status gguf_get_u64(const gguf_file *file, const char *name, uint64_t *out, tars_error *err) {
    const gguf_key *key = gguf_find(file, name);
    if (!key) {
        return no_key(name, err);
    }
    return gguf_key_u64(key, out) ? TARS_OK
                                  : wrong_key(key, name, "an integer that is not negative", err);
}

tars_status gguf_get_u32(const gguf_file *file, const char *name, uint32_t *out, tars_error *err) {
    const gguf_key *key = gguf_find(file, name);
    uint64_t value;
    if (!key) {
        return no_key(name, err);
    }
    if (!gguf_key_u64(key, &value) || value > UINT32_MAX) {
        return wrong_key(key, name, "an integer from 0 to 4294967295", err);
    }
    *out = (uint32_t)value;
    return TARS_OK;
}

tars_status gguf_get_i64(const gguf_file *file, const char *name, int64_t *out, tars_error *err) {
    const gguf_key *key = gguf_find(file, name);
    if (!key) {
        return no_key(name, err);
    }
    return gguf_key_i64(key, out) ? TARS_OK : wrong_key(key, name, "an integer of 64 bits", err);
}

tars_status gguf_get_f64(const gguf_file *file, const char *name, double *out, tars_error *err) {
    const gguf_key *key = gguf_find(file, name);
    if (!key) {
        return no_key(name, err);
    }
    return gguf_key_f64(key, out) ? TARS_OK : wrong_key(key, name, "a float", err);
}

tars_status gguf_get_f32(const gguf_file *file, const char *name, float *out, tars_error *err) {
    double value = 0;
    tars_status status = gguf_get_f64(file, name, &value, err);
    if (status == TARS_OK) {
        *out = (float)value;
    }
    return status;
}

tars_status gguf_get_bool(const gguf_file *file, const char *name, bool *out, tars_error *err) {
    const gguf_key *key = gguf_find(file, name);
    if (!key) {
        return no_key(name, err);
    }
    return gguf_key_bool(key, out) ? TARS_OK : wrong_key(key, name, "a bool", err);
}

tars_status gguf_get_text(const gguf_file *file, const char *name, gguf_text *out,
                          tars_error *err) {
    const gguf_key *key = gguf_find(file, name);
    if (!key) {
        return no_key(name, err);
    }
    return gguf_key_text(key, out) ? TARS_OK : wrong_key(key, name, "a string", err);
}

tars_status gguf_get_array(const gguf_file *file, const char *name, uint32_t element_type,
                           const gguf_key **out, tars_error *err) {
    const gguf_key *key = gguf_find(file, name);
    *out = NULL;
    if (!key) {
        return no_key(name, err);
    }
    bool any_integer = element_type == GGUF_VALUE_TYPES;
    bool fits =
        any_integer ? type_is_integer(key->element_type) : key->element_type == element_type;
    if (key->type != GGUF_ARRAY || !fits) {
        char expected[48] = "an array of ";
        const char *of = any_integer ? "integers" : gguf_type_name(element_type);
        memcpy(expected + strlen(expected), of, strlen(of) + 1); /* names have at most 8 bytes */
        return wrong_key(key, name, expected, err);
    }
    *out = key;
    return TARS_OK;
}

gguf_text gguf_element_text(const gguf_file *file, const gguf_key *key, uint64_t i) {
    assert(key->type == GGUF_ARRAY && key->element_type == GGUF_STRING && i < key->count);
    const uint8_t *at = file->header + key->strings[i];
    return (gguf_text){(const char *)at + 8, (size_t)gguf_read_u64(at)};
}

int64_t gguf_element_i64(const gguf_key *key, uint64_t i) {
    static const uint8_t size[GGUF_VALUE_TYPES] = {1, 1, 2, 2, 4, 4, 0, 1, 0, 0, 8, 8, 0};
    bool negative;
    assert(key->type == GGUF_ARRAY && size[key->element_type] > 0 && i < key->count);
    return (int64_t)read_integer(key->element_type, key->value + i * size[key->element_type],
                                 &negative);
}

double gguf_element_f64(const gguf_key *key, uint64_t i) {
    bool single = key->element_type == GGUF_FLOAT32;
    assert(key->type == GGUF_ARRAY && i < key->count &&
           (single || key->element_type == GGUF_FLOAT64));
    return read_float(key->element_type, key->value + i * (single ? 4 : 8));
}
