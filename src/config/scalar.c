#include "config/scalar.h"

#include "base/nearest.h"
#include "base/number.h"
#include "config/quantity.h"

#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
enum { WORD_MAX_BYTES = 63, DIGEST_DIGITS = 64 };

typedef struct scalar_input {
    const schema_node *schema;
    const char *text;
    pool *memory;
} scalar_input;

/* False when the text is not of the type. */
typedef bool (*scalar_reader)(const scalar_input *in, config_value *out);

static bool read_bool(const scalar_input *in, config_value *out) {
    static const char *const yes[] = {"true", "True", "TRUE"};
    static const char *const no[] = {"false", "False", "FALSE"};
    out->kind = CONFIG_BOOL;
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(in->text, yes[i]) == 0 || strcmp(in->text, no[i]) == 0) {
            out->boolean = strcmp(in->text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool read_int(const scalar_input *in, config_value *out) {
    out->kind = CONFIG_INT;
    return quantity_read_int(in->text, &out->integer);
}

static bool read_float(const scalar_input *in, config_value *out) {
    out->kind = CONFIG_FLOAT;
    return quantity_read_double(in->text, &out->number);
}

static bool read_size(const scalar_input *in, config_value *out) {
    out->kind = CONFIG_INT;
    return quantity_read_size(in->text, schema_unit(in->schema), &out->integer);
}

static bool read_duration(const scalar_input *in, config_value *out) {
    out->kind = CONFIG_INT;
    return quantity_read_duration(in->text, schema_unit(in->schema), &out->integer);
}

static bool read_cpu(const scalar_input *in, config_value *out) {
    out->kind = CONFIG_INT;
    return quantity_read_cpu(in->text, &out->integer);
}

static bool keep_text(const scalar_input *in, config_value *out) {
    out->kind = CONFIG_TEXT;
    out->text = in->text;
    return true;
}

/* A word whose first character is of one set and whose others are of another. */
static bool is_word(const char *text, const char *first, const char *others) {
    size_t length = strlen(text);
    return length > 0 && length <= WORD_MAX_BYTES && strchr(first, text[0]) &&
           strspn(text, others) == length;
}

static bool read_id(const scalar_input *in, config_value *out) {
    return is_word(in->text, LOWER DIGITS, LOWER DIGITS "-") && keep_text(in, out);
}

static bool read_capability(const scalar_input *in, config_value *out) {
    if (!is_word(in->text, LOWER, LOWER DIGITS "_-")) {
        return false;
    }
    char *copy = pool_text(in->memory, in->text, strlen(in->text));
    for (char *c = copy; c && *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    out->kind = CONFIG_TEXT;
    out->text = copy ? copy : in->text;
    return true;
}

static bool read_digest(const scalar_input *in, config_value *out) {
    if (strlen(in->text) != DIGEST_DIGITS ||
        strspn(in->text, DIGITS "abcdefABCDEF") != DIGEST_DIGITS) {
        return false;
    }
    char *copy = pool_text(in->memory, in->text, DIGEST_DIGITS);
    for (char *c = copy; c && *c != '\0'; c++) {
        *c = (char)(*c >= 'A' && *c <= 'F' ? *c + ('a' - 'A') : *c);
    }
    out->kind = CONFIG_TEXT;
    out->text = copy ? copy : in->text;
    return true;
}

static bool read_date(const scalar_input *in, config_value *out) {
    static const char form[] = "0000-00-00";
    const char *t = in->text;
    if (strlen(t) != sizeof form - 1) {
        return false;
    }
    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == '-' ? t[i] != '-' : t[i] < '0' || t[i] > '9') {
            return false;
        }
    }
    int month = (t[5] - '0') * 10 + t[6] - '0';
    int day = (t[8] - '0') * 10 + t[9] - '0';
    return month >= 1 && month <= 12 && day >= 1 && day <= 31 && keep_text(in, out);
}

static bool read_cron(const scalar_input *in, config_value *out) {
    size_t fields = 0;
    for (const char *t = in->text + strspn(in->text, " "); *t != '\0'; fields++) {
        size_t length = strspn(t, DIGITS "*/,-");
        if (length == 0 || (t[length] != ' ' && t[length] != '\0')) {
            return false;
        }
        t += length;
        t += strspn(t, " ");
    }
    return fields == 5 && keep_text(in, out);
}

static bool read_path(const scalar_input *in, config_value *out) {
    return in->text[0] != '\0' && keep_text(in, out);
}

/* Texts may be written without quotes whatever they look like; of the others a quoted one is
 * refused, since it says that no number is meant. */
typedef struct type_row {
    scalar_reader read;
    const char *expected;
    bool may_be_quoted;
} type_row;

static const type_row types[CONFIG_TYPE_COUNT] = {
    [CONFIG_TYPE_MAP] = {NULL, "a map", false},
    [CONFIG_TYPE_BOOL] = {read_bool, "true or false", false},
    [CONFIG_TYPE_INT] = {read_int, "a whole number", false},
    [CONFIG_TYPE_FLOAT] = {read_float, "a number", false},
    [CONFIG_TYPE_STRING] = {keep_text, "a text", true},
    [CONFIG_TYPE_ENUM] = {keep_text, "one word", true},
    [CONFIG_TYPE_SIZE] = {read_size, "a size such as 64MiB or 8GB", true},
    [CONFIG_TYPE_DURATION] = {read_duration, "a duration such as 250ms, 30s or 5m", true},
    [CONFIG_TYPE_CPU] = {read_cpu, "a share of the CPU such as 500m, 0.5 or \"4 cores\"", true},
    [CONFIG_TYPE_ID] = {read_id, "an id of a-z, 0-9 and - (at most 63 bytes)", true},
    [CONFIG_TYPE_CAPABILITY] = {read_capability,
                                "a capability of a-z, 0-9 and _ that begins with a letter (at most "
                                "63 bytes)",
                                true},
    [CONFIG_TYPE_DIGEST] = {read_digest, "a SHA-256 of 64 hex digits", true},
    [CONFIG_TYPE_DATE] = {read_date, "a date such as 2025-01-31", true},
    [CONFIG_TYPE_CRON] = {read_cron, "five fields of cron such as \"0 2 * * *\"", true},
    [CONFIG_TYPE_SECRET_FILE] = {read_path, "the path of a file", true},
    [CONFIG_TYPE_FREE] = {NULL, "anything", true},
};

static void write_limit(const config_key *row, double limit, text_buffer *out) {
    char number[NUMBER_MAX_BYTES];
    if (row->type == CONFIG_TYPE_SIZE) {
        quantity_write_size(out, (int64_t)limit);
    } else if (row->type == CONFIG_TYPE_DURATION) {
        quantity_write_duration(out, (int64_t)limit);
    } else if (row->type == CONFIG_TYPE_CPU) {
        quantity_write_cpu(out, (int64_t)limit);
    } else {
        number_from_double(limit, number);
        text_append_string(out, number);
    }
}

static bool has_limits(const config_key *row) {
    return row->minimum != 0 || row->maximum != 0;
}

void scalar_expected(const schema_node *schema, text_buffer *out) {
    const config_key *row = schema->row;
    text_append_string(out, row->flags & CONFIG_KEY_LIST && row->type == CONFIG_TYPE_FREE
                                ? "a value"
                                : types[row->type].expected);
    if (has_limits(row)) {
        text_append_string(out, " from ");
        write_limit(row, row->minimum, out);
        text_append_string(out, " to ");
        write_limit(row, row->maximum, out);
    }
}

bool scalar_choice(const char *const *choices, const char *word, text_buffer *why) {
    nearest_search search;
    nearest_init(&search, word);
    text_append_string(why, "expected one of ");
    for (size_t i = 0; choices[i]; i++) {
        if (strcmp(choices[i], word) == 0) {
            return true;
        }
        nearest_offer(&search, choices[i]);
        text_format(why, "%s%s", i > 0 ? ", " : "", choices[i]);
    }
    text_format(why, "; found \"%.80s\"", word);
    if (nearest_result(&search)) {
        text_format(why, ", did you mean \"%s\"?", nearest_result(&search));
    }
    return false;
}

static bool in_limits(const config_key *row, const config_value *value) {
    double number = value->kind == CONFIG_FLOAT ? value->number : (double)value->integer;
    return !has_limits(row) || (number >= row->minimum && number <= row->maximum);
}

const char *scalar_read(const schema_node *schema, const char *text, bool plain, pool *memory,
                        config_value *out, text_buffer *why) {
    const config_key *row = schema->row;
    if (row->type == CONFIG_TYPE_FREE) {
        scalar_guess(text, plain, out);
        return NULL;
    }
    const type_row *type = &types[row->type];
    scalar_input in = {schema, text, memory};
    bool quoted = !plain && !type->may_be_quoted;
    bool good = !quoted && type->read(&in, out);
    if (!good || !in_limits(row, out)) {
        text_append_string(why, "expected ");
        scalar_expected(schema, why);
        text_format(why, ", found \"%.80s\"%s", text, quoted ? "; write it without quotes" : "");
        bool no_unit = row->type == CONFIG_TYPE_DURATION && text[0] != '\0' &&
                       strspn(text, DIGITS) == strlen(text);
        text_append_string(why, !good && no_unit ? "; add a unit" : "");
        return good ? "C0107" : "C0106";
    }
    if (row->choices && row->type == CONFIG_TYPE_ENUM && !scalar_choice(row->choices, text, why)) {
        return "C0107";
    }
    if (out->kind == CONFIG_INT) {
        out->number = (double)out->integer;
    }
    return NULL;
}

void scalar_guess(const char *text, bool plain, config_value *out) {
    scalar_input in = {NULL, text, NULL};
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; plain && i < sizeof nulls / sizeof nulls[0]; i++) {
        if (strcmp(nulls[i], text) == 0) {
            out->kind = CONFIG_NULL;
            return;
        }
    }
    if (plain && read_int(&in, out)) {
        out->number = (double)out->integer;
    } else if (!plain || (!read_float(&in, out) && !read_bool(&in, out))) {
        keep_text(&in, out);
    }
}
