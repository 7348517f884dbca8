#include "base/json.h"

#include "base/number.h"
#include "base/utf8.h"

#include <string.h>

/* What the parser allocates for a value; the caller sees its first member. */
typedef struct parsed_value {
    json_value value;
    size_t key_offset; /* of the member's name in the text, for messages */
} parsed_value;

/* An array or object that is not closed yet. Frames are kept and used again, so a text costs as
 * many as it is deep. */
typedef struct frame {
    struct frame *outer;
    struct frame *spare; /* the next inner frame, used before and free again */
    json_value *container;
    json_value *last; /* child, or NULL */
} frame;

typedef struct parser {
    const char *text;
    size_t length;
    size_t at;
    size_t max_depth, max_values;
    size_t depth, n_values;
    frame *innermost;
    frame *spare; /* for the first level */
    arena *memory;
    tars_error *err;
} parser;

/* ---- errors ------------------------------------------------------------------------------ */

static tars_status add_position(const parser *p, size_t offset) {
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < offset && i < p->length; i++) {
        if (p->text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)p->text[i] & 0xC0u) != 0x80u) {
            column++; /* characters, not bytes */
        }
    }
    return error_where(p->err, "line %zu, column %zu (byte %zu)", line, column, offset);
}

static tars_status out_of_memory(const parser *p) {
    error_set(p->err, TARS_OUT_OF_MEMORY,
              "the JSON text does not fit the %zu bytes of memory set aside for it",
              p->memory->size_bytes);
    add_position(p, p->at);
    return TARS_OUT_OF_MEMORY;
}

static tars_status malformed(const parser *p, size_t offset, const char *message) {
    error_set(p->err, TARS_MALFORMED, "%s", message);
    add_position(p, offset);
    return TARS_MALFORMED;
}

/* For a character where another was due. */
static tars_status unexpected(const parser *p, const char *expected) {
    if (p->at >= p->length) {
        error_set(p->err, TARS_MALFORMED, "the JSON text ends where %s was expected", expected);
    } else if ((unsigned char)p->text[p->at] >= 0x20 && (unsigned char)p->text[p->at] < 0x7F) {
        error_set(p->err, TARS_MALFORMED, "found '%c' where %s was expected", p->text[p->at],
                  expected);
    } else {
        error_set(p->err, TARS_MALFORMED, "found byte 0x%02x where %s was expected",
                  (unsigned)(unsigned char)p->text[p->at], expected);
    }
    if (p->at == 0 && p->length >= 3 && memcmp(p->text, "\xEF\xBB\xBF", 3) == 0) {
        error_hint(p->err, "save the text as UTF-8 without a byte order mark");
    }
    add_position(p, p->at);
    return TARS_MALFORMED;
}

/* ---- tokens ------------------------------------------------------------------------------ */

static void skip_space(parser *p) {
    while (p->at < p->length && (p->text[p->at] == ' ' || p->text[p->at] == '\t' ||
                                 p->text[p->at] == '\n' || p->text[p->at] == '\r')) {
        p->at++;
    }
}

static bool take(parser *p, char c) {
    if (p->at < p->length && p->text[p->at] == c) {
        p->at++;
        return true;
    }
    return false;
}

/* The four hexadecimal digits at `at`; false when they are not there. */
static bool read_hex4(const parser *p, size_t at, uint32_t *out) {
    if (p->length - at < 4) {
        return false;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = p->text[at + i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16) {
            return false;
        }
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

/* \uXXXX, or a pair of them; `at` is behind the first 'u'. */
static tars_status read_unicode_escape(parser *p, uint32_t *code_point) {
    size_t start = p->at - 2;
    if (!read_hex4(p, p->at, code_point)) {
        return malformed(p, start, "\\u must be followed by four hexadecimal digits");
    }
    p->at += 4;
    if (*code_point < 0xD800u || *code_point > 0xDFFFu) {
        return TARS_OK;
    }
    uint32_t low;
    if (*code_point >= 0xDC00u || p->length - p->at < 6 || p->text[p->at] != '\\' ||
        p->text[p->at + 1] != 'u' || !read_hex4(p, p->at + 2, &low) || low < 0xDC00u ||
        low > 0xDFFFu) {
        return malformed(p, start,
                         "half of a surrogate pair stands alone; \\uD800 to \\uDBFF must "
                         "be followed by \\uDC00 to \\uDFFF");
    }
    p->at += 6;
    *code_point = 0x10000u + ((*code_point - 0xD800u) << 10) + (low - 0xDC00u);
    return TARS_OK;
}

/* The escape behind a backslash; writes its character and advances *out. */
static tars_status read_escape(parser *p, char **out) {
    static const char short_forms[128] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                          ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    unsigned char c = (unsigned char)p->text[p->at]; /* there is one: the closing quote at least */
    p->at++;
    if (c == 'u') {
        uint32_t code_point;
        tars_status status = read_unicode_escape(p, &code_point);
        if (status == TARS_OK) {
            *out += utf8_encode(code_point, *out);
        }
        return status;
    }
    if (c >= 128 || short_forms[c] == 0) {
        return malformed(p, p->at - 2,
                         "unknown escape in a string; after a backslash only "
                         "\" \\ / b f n r t and u are allowed");
    }
    *(*out)++ = short_forms[c];
    return TARS_OK;
}

/* Offset of the quote that closes the string whose first byte is at `at`, or the text's length. */
static size_t find_closing_quote(const parser *p) {
    size_t i = p->at;
    while (i < p->length && p->text[i] != '"') {
        i += p->text[i] == '\\' ? 2 : 1;
    }
    return i < p->length ? i : p->length;
}

/* Copies characters up to the next backslash or to `end`, checking them. */
static tars_status copy_plain(parser *p, size_t end, char **out) {
    while (p->at < end && p->text[p->at] != '\\') {
        unsigned char c = (unsigned char)p->text[p->at];
        if (c < 0x20) {
            error_set(p->err, TARS_MALFORMED,
                      "control character 0x%02x in a string must be written as \\u%04x",
                      (unsigned)c, (unsigned)c);
            add_position(p, p->at);
            return TARS_MALFORMED;
        }
        uint32_t code_point;
        size_t n = c < 0x80 ? 1 : utf8_decode(p->text + p->at, end - p->at, &code_point);
        if (n == 0) {
            error_set(p->err, TARS_MALFORMED, "byte 0x%02x in a string is not valid UTF-8",
                      (unsigned)c);
            add_position(p, p->at);
            return TARS_MALFORMED;
        }
        memcpy(*out, p->text + p->at, n);
        *out += n;
        p->at += n;
    }
    return TARS_OK;
}

/* Reads the string whose opening quote was taken. */
static tars_status read_string(parser *p, const char **string, size_t *length) {
    size_t start = p->at - 1;
    size_t end = find_closing_quote(p);
    if (end == p->length) {
        return malformed(p, start, "the string that begins here is not closed by a quote");
    }
    size_t mark = arena_mark(p->memory);
    char *bytes = arena_alloc_raw(p->memory, end - p->at + 1, 1); /* no escape grows */
    if (!bytes) {
        return out_of_memory(p);
    }
    char *out = bytes;
    while (p->at < end) {
        tars_status status = copy_plain(p, end, &out);
        if (status == TARS_OK && p->at < end) {
            p->at++;
            status = read_escape(p, &out);
        }
        if (status != TARS_OK) {
            return status;
        }
    }
    p->at = end + 1;
    *out = '\0';
    *string = bytes;
    *length = (size_t)(out - bytes);
    arena_reset(p->memory, mark + *length + 1);
    return TARS_OK;
}

static tars_status read_number(parser *p, json_value *value) {
    const char *text = p->text + p->at;
    bool integer_form;
    size_t length = number_scan(text, p->length - p->at, &integer_form);
    if (length == 0) {
        p->at++; /* behind the minus */
        return unexpected(p, "a digit");
    }
    value->type = JSON_NUMBER;
    if (!number_to_double(text, length, &value->number)) {
        return malformed(p, p->at,
                         "the number is beyond the largest double, 1.7976931348623157e308");
    }
    value->is_integer = integer_form && number_to_int64(text, length, &value->integer);
    p->at += length;
    /* "01", "1." and "1e" scan as a shorter number: name the real mistake */
    if (p->at < p->length && (text[length] == '.' || text[length] == 'e' || text[length] == 'E')) {
        p->at++;
        return unexpected(p, "a digit");
    }
    if (p->at < p->length && text[length] >= '0' && text[length] <= '9') {
        return malformed(p, p->at - length, "a number must not begin with a superfluous zero");
    }
    return TARS_OK;
}

static tars_status read_word(parser *p, json_value *value) {
    static const struct {
        const char *word;
        size_t length;
        json_type type;
        bool boolean;
    } words[] = {{"true", 4, JSON_BOOL, true},
                 {"false", 5, JSON_BOOL, false},
                 {"null", 4, JSON_NULL, false}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (p->length - p->at >= words[i].length &&
            memcmp(p->text + p->at, words[i].word, words[i].length) == 0) {
            value->type = words[i].type;
            value->boolean = words[i].boolean;
            p->at += words[i].length;
            return TARS_OK;
        }
    }
    return unexpected(p, "a value");
}

/* ---- keys that occur twice --------------------------------------------------------------- */

enum { FEW_KEYS = 8 }; /* up to here every pair is compared, beyond the keys are sorted */

typedef struct key_entry {
    uint64_t hash;
    const parsed_value *member;
} key_entry;

static uint64_t hash_key(const char *bytes, size_t length) {
    uint64_t hash = UINT64_C(0xCBF29CE484222325) ^ length; /* FNV-1a */
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001B3);
    }
    return hash;
}

static int compare_keys(const json_value *a, const json_value *b) {
    if (a->key_length != b->key_length) {
        return a->key_length < b->key_length ? -1 : 1;
    }
    return memcmp(a->key, b->key, a->key_length);
}

/* By hash, so that most comparisons are of one word; equal hashes by the bytes, so that keys made
 * to collide cost no more than n log n comparisons. */
static bool comes_before(const key_entry *a, const key_entry *b) {
    if (a->hash != b->hash) {
        return a->hash < b->hash;
    }
    return compare_keys(&a->member->value, &b->member->value) < 0;
}

/* Bottom-up merge sort, stable. Returns the array that holds the result, entries or scratch. */
static key_entry *sort_keys(key_entry *entries, key_entry *scratch, size_t count) {
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = count - start > width ? start + width : count;
            size_t end = count - start > 2 * width ? start + 2 * width : count;
            size_t a = start;
            size_t b = middle;
            for (size_t i = start; i < end; i++) {
                bool from_b = a == middle || (b < end && comes_before(&entries[b], &entries[a]));
                scratch[i] = entries[from_b ? b++ : a++];
            }
        }
        key_entry *sorted = scratch;
        scratch = entries;
        entries = sorted;
    }
    return entries;
}

static tars_status duplicate(const parser *p, const json_value *key) {
    const parsed_value *member = (const parsed_value *)(const void *)key;
    error_set(p->err, TARS_MALFORMED, "the key \"%.*s\" occurs twice in one object",
              (int)(key->key_length < 100 ? key->key_length : 100), key->key);
    error_hint(p->err, "remove or rename one of the two");
    add_position(p, member->key_offset);
    return TARS_MALFORMED;
}

static tars_status check_few_keys(const parser *p, const json_value *object) {
    for (const json_value *a = object->first; a; a = a->next) {
        for (const json_value *b = a->next; b; b = b->next) {
            if (compare_keys(a, b) == 0) {
                return duplicate(p, b);
            }
        }
    }
    return TARS_OK;
}

static tars_status check_keys(const parser *p, const json_value *object) {
    if (object->count <= FEW_KEYS) {
        return check_few_keys(p, object);
    }
    size_t count = object->count;
    size_t mark = arena_mark(p->memory);
    key_entry *entries = ARENA_ARRAY(p->memory, key_entry, count);
    key_entry *scratch = entries ? ARENA_ARRAY(p->memory, key_entry, count) : NULL;
    if (!scratch) {
        return out_of_memory(p);
    }
    size_t n = 0;
    for (const json_value *member = object->first; member; member = member->next) {
        entries[n++] = (key_entry){.hash = hash_key(member->key, member->key_length),
                                   .member = (const parsed_value *)(const void *)member};
    }
    entries = sort_keys(entries, scratch, count);
    tars_status status = TARS_OK;
    for (size_t i = 1; i < count && status == TARS_OK; i++) {
        if (entries[i - 1].hash == entries[i].hash &&
            compare_keys(&entries[i - 1].member->value, &entries[i].member->value) == 0) {
            status = duplicate(p, &entries[i].member->value);
        }
    }
    arena_reset(p->memory, mark);
    return status;
}

/* ---- structure --------------------------------------------------------------------------- */

static tars_status open_container(parser *p, json_value *value) {
    value->type = p->text[p->at] == '{' ? JSON_OBJECT : JSON_ARRAY;
    if (p->depth == p->max_depth) {
        error_set(p->err, TARS_LIMIT, "the JSON text is nested deeper than %zu levels",
                  p->max_depth);
        add_position(p, p->at);
        return TARS_LIMIT;
    }
    frame *inner = p->innermost ? p->innermost->spare : p->spare;
    if (!inner) {
        inner = ARENA_NEW(p->memory, frame);
        if (!inner) {
            return out_of_memory(p);
        }
        *(p->innermost ? &p->innermost->spare : &p->spare) = inner;
    }
    inner->outer = p->innermost;
    inner->container = value;
    inner->last = NULL;
    p->innermost = inner;
    p->depth++;
    p->at++;
    return TARS_OK;
}

static tars_status close_container(parser *p) {
    const json_value *container = p->innermost->container;
    p->innermost = p->innermost->outer;
    p->depth--;
    return container->type == JSON_OBJECT ? check_keys(p, container) : TARS_OK;
}

/* The member's name and its colon. */
static tars_status read_key(parser *p, parsed_value *member) {
    skip_space(p);
    member->key_offset = p->at;
    if (!take(p, '"')) {
        return unexpected(p, "a key in quotes");
    }
    tars_status status = read_string(p, &member->value.key, &member->value.key_length);
    if (status != TARS_OK) {
        return status;
    }
    skip_space(p);
    return take(p, ':') ? TARS_OK : unexpected(p, "':'");
}

static tars_status read_value(parser *p, json_value *value) {
    skip_space(p);
    char c = p->at < p->length ? p->text[p->at] : '\0';
    if (c == '{' || c == '[') {
        return open_container(p, value);
    }
    if (c == '"') {
        p->at++;
        value->type = JSON_STRING;
        return read_string(p, &value->string, &value->string_length);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return read_number(p, value);
    }
    return read_word(p, value);
}

/* One value with its key, linked into the open container. */
static tars_status read_item(parser *p, json_value **root) {
    if (p->max_values != 0 && p->n_values == p->max_values) {
        error_set(p->err, TARS_LIMIT, "the JSON text holds more than %zu values", p->max_values);
        add_position(p, p->at);
        return TARS_LIMIT;
    }
    p->n_values++;
    parsed_value *item = ARENA_NEW(p->memory, parsed_value);
    if (!item) {
        return out_of_memory(p);
    }
    frame *parent = p->innermost;
    if (!parent) {
        *root = &item->value;
    } else {
        if (parent->container->type == JSON_OBJECT) {
            tars_status status = read_key(p, item);
            if (status != TARS_OK) {
                return status;
            }
        }
        *(parent->last ? &parent->last->next : &parent->container->first) = &item->value;
        parent->last = &item->value;
        parent->container->count++;
    }
    return read_value(p, &item->value);
}

/* After a value: closes what ends here. *due: another item follows. */
static tars_status after_item(parser *p, bool *due) {
    while (p->innermost) {
        bool is_object = p->innermost->container->type == JSON_OBJECT;
        bool empty = p->innermost->last == NULL;
        skip_space(p);
        if (take(p, is_object ? '}' : ']')) {
            tars_status status = close_container(p);
            if (status != TARS_OK) {
                return status;
            }
            continue;
        }
        *due = true;
        return empty || take(p, ',') ? TARS_OK
                                     : unexpected(p, is_object ? "',' or '}'" : "',' or ']'");
    }
    *due = false;
    return TARS_OK;
}

tars_status json_parse(const char *text, size_t length, const json_limits *limits, arena *memory,
                       json_value **out, tars_error *err) {
    parser p = {.text = text,
                .length = length,
                .max_depth = limits && limits->max_depth != 0 ? limits->max_depth : 64,
                .max_values = limits ? limits->max_values : 0,
                .memory = memory,
                .err = err};
    size_t mark = arena_mark(memory);
    json_value *root = NULL;
    *out = NULL;
    tars_status status;
    bool due;
    do {
        status = read_item(&p, &root);
        if (status == TARS_OK) {
            status = after_item(&p, &due);
        }
    } while (status == TARS_OK && due);
    if (status == TARS_OK) {
        skip_space(&p);
        if (p.at < length) {
            status = unexpected(&p, "the end of the JSON text");
        }
    }
    if (status != TARS_OK) {
        arena_reset(memory, mark);
        return status;
    }
    *out = root;
    return TARS_OK;
}

/* ---- access ------------------------------------------------------------------------------ */

const json_value *json_member(const json_value *object, const char *key) {
    if (!object || object->type != JSON_OBJECT) {
        return NULL;
    }
    size_t length = strlen(key);
    for (const json_value *member = object->first; member; member = member->next) {
        if (member->key_length == length && memcmp(member->key, key, length) == 0) {
            return member;
        }
    }
    return NULL;
}

const char *json_string_or(const json_value *value, const char *otherwise) {
    return value && value->type == JSON_STRING ? value->string : otherwise;
}

int64_t json_integer_or(const json_value *value, int64_t otherwise) {
    return value && value->type == JSON_NUMBER && value->is_integer ? value->integer : otherwise;
}

double json_number_or(const json_value *value, double otherwise) {
    return value && value->type == JSON_NUMBER ? value->number : otherwise;
}

bool json_bool_or(const json_value *value, bool otherwise) {
    return value && value->type == JSON_BOOL ? value->boolean : otherwise;
}
