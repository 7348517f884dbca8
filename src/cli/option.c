#include "cli/option.h"

#include "base/nearest.h"
#include "base/number.h"
#include "base/text.h"

#include <assert.h>
#include <string.h>

bool option_read_uint64(const char *text, uint64_t *out) {
    uint64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool read_int64(const char *text, int64_t *out) {
    bool negative = *text == '-';
    uint64_t magnitude = 0;
    if (!option_read_uint64(text + (negative ? 1 : 0), &magnitude) || magnitude > INT64_MAX) {
        return false;
    }
    *out = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

bool option_read_double(const char *text, double *out) {
    char number[64];
    text_buffer copy;
    text_init(&copy, number, sizeof number);
    const char *digits = *text == '-' ? text + 1 : text;
    text_format(&copy, "%s%s%s", digits != text ? "-" : "", *digits == '.' ? "0" : "", digits);
    size_t length = copy.length;
    return !copy.truncated && length > 0 && number_scan(number, length, NULL) == length &&
           number_to_double(number, length, out);
}

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

static const unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1000},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {"KiB", 1ull << 10},
    {"Ki", 1ull << 10},
    {"MiB", 1ull << 20},
    {"Mi", 1ull << 20},
    {"GiB", 1ull << 30},
    {"Gi", 1ull << 30},
    {"TiB", 1ull << 40},
    {"Ti", 1ull << 40},
};
static const unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};

/* A number, whole or with a fraction, and a unit of the table, without a space between. */
static bool read_quantity(const char *text, const unit *units, size_t n_units, uint64_t *out) {
    size_t digits = strspn(text, "0123456789.");
    char number[32];
    if (digits == 0 || digits >= sizeof number) {
        return false;
    }
    memcpy(number, text, digits);
    number[digits] = '\0';
    for (size_t i = 0; i < n_units; i++) {
        if (strcmp(units[i].name, text + digits) != 0) {
            continue;
        }
        uint64_t whole = 0;
        double fraction = 0;
        if (option_read_uint64(number, &whole)) {
            *out = whole * units[i].factor;
            return whole <= UINT64_MAX / units[i].factor;
        }
        if (!option_read_double(number, &fraction) ||
            fraction * (double)units[i].factor >= 9007199254740992.0) {
            return false;
        }
        *out = (uint64_t)(fraction * (double)units[i].factor);
        return true;
    }
    return false;
}

bool option_read_size(const char *text, uint64_t *bytes) {
    return read_quantity(text, size_units, sizeof size_units / sizeof size_units[0], bytes);
}

bool option_read_duration(const char *text, uint64_t *milliseconds) {
    return read_quantity(text, duration_units, sizeof duration_units / sizeof duration_units[0],
                         milliseconds);
}

static void append_double(text_buffer *text, double value) {
    char number[NUMBER_MAX_BYTES];
    number_from_double(value, number);
    text_append_string(text, number);
}

/* "a whole number from 1 to 1024". Integers up to 2^53 print exactly. */
static void describe_range(const option *row, text_buffer *text) {
    if (row->maximum < row->minimum || (row->minimum == 0 && row->maximum == 0)) {
        return;
    }
    text_append_string(text, " from ");
    append_double(text, row->minimum);
    text_append_string(text, " to ");
    append_double(text, row->maximum);
}

static tars_status refuse(const option *row, const char *found, const char *expected,
                          tars_error *err) {
    char range[96];
    text_buffer text;
    text_init(&text, range, sizeof range);
    describe_range(row, &text);
    error_set(err, TARS_USAGE, "option --%s needs %s%s, found \"%.80s\"", row->name, expected,
              range, found);
    error_where(err, "--%s", row->name);
    return TARS_USAGE;
}

static bool in_range(const option *row, double value) {
    bool unlimited = row->minimum == 0 && row->maximum == 0;
    return unlimited || (value >= row->minimum && value <= row->maximum);
}

static tars_status parse_flag(const option *row, const char *text, void *place, tars_error *err) {
    if (text) {
        error_set(err, TARS_USAGE, "option --%s takes no value, found \"%.80s\"", row->name, text);
        error_where(err, "--%s", row->name);
        return TARS_USAGE;
    }
    *(bool *)place = true;
    return TARS_OK;
}

static tars_status parse_int(const option *row, const char *text, void *place, tars_error *err) {
    int64_t value = 0;
    if (!read_int64(text, &value) || !in_range(row, (double)value)) {
        return refuse(row, text, "a whole number", err);
    }
    *(int64_t *)place = value;
    return TARS_OK;
}

static tars_status parse_uint64(const option *row, const char *text, void *place, tars_error *err) {
    option_uint64 *out = place;
    if (!option_read_uint64(text, &out->value)) {
        return refuse(row, text, "a whole number from 0 to 18446744073709551615", err);
    }
    out->given = true;
    return TARS_OK;
}

static tars_status parse_float(const option *row, const char *text, void *place, tars_error *err) {
    double value = 0;
    if (!option_read_double(text, &value) || !in_range(row, value)) {
        return refuse(row, text, "a number", err);
    }
    *(double *)place = value;
    return TARS_OK;
}

static tars_status parse_size(const option *row, const char *text, void *place, tars_error *err) {
    if (!option_read_size(text, place)) {
        return refuse(row, text, "a size such as 64MiB or 8GB", err);
    }
    uint64_t bytes;
    memcpy(&bytes, place, sizeof bytes);
    if ((double)bytes < row->minimum) {
        return refuse(row, text, "a size above 0", err);
    }
    return TARS_OK;
}

static tars_status parse_duration(const option *row, const char *text, void *place,
                                  tars_error *err) {
    if (!option_read_duration(text, place)) {
        return refuse(row, text, "a duration such as 250ms or 30s", err);
    }
    return TARS_OK;
}

static tars_status check_choice(const option *row, const char *text, tars_error *err) {
    char all[200];
    text_buffer list;
    text_init(&list, all, sizeof all);
    nearest_search search;
    nearest_init(&search, text);
    for (size_t i = 0; row->choices[i]; i++) {
        if (strcmp(row->choices[i], text) == 0) {
            return TARS_OK;
        }
        nearest_offer(&search, row->choices[i]);
        text_format(&list, "%s%s", i > 0 ? ", " : "", row->choices[i]);
    }
    error_set(err, TARS_USAGE, "option --%s has no choice \"%.80s\": expected one of %s", row->name,
              text, all);
    if (nearest_result(&search)) {
        error_hint(err, "did you mean \"%s\"?", nearest_result(&search));
    }
    error_where(err, "--%s", row->name);
    return TARS_USAGE;
}

static tars_status parse_text(const option *row, const char *text, void *place, tars_error *err) {
    if (row->type == OPTION_ENUM && !row->is_open && check_choice(row, text, err) != TARS_OK) {
        return TARS_USAGE;
    }
    if (row->type != OPTION_TEXT && *text == '\0') {
        return refuse(row, text, "a name that is not empty", err);
    }
    if (!row->repeated) {
        *(const char **)place = text;
        return TARS_OK;
    }
    option_list *list = place;
    if (list->count == OPTION_LIST_MAX) {
        error_set(err, TARS_USAGE, "option --%s is given more than %d times", row->name,
                  (int)OPTION_LIST_MAX);
        error_where(err, "--%s", row->name);
        return TARS_USAGE;
    }
    list->items[list->count++] = text;
    return TARS_OK;
}

typedef tars_status (*parse_function)(const option *row, const char *text, void *place,
                                      tars_error *err);
static const parse_function parsers[] = {
    [OPTION_FLAG] = parse_flag,   [OPTION_INT] = parse_int,    [OPTION_UINT64] = parse_uint64,
    [OPTION_FLOAT] = parse_float, [OPTION_SIZE] = parse_size,  [OPTION_DURATION] = parse_duration,
    [OPTION_TEXT] = parse_text,   [OPTION_ENUM] = parse_text,  [OPTION_FILE] = parse_text,
    [OPTION_FOLDER] = parse_text, [OPTION_MODEL] = parse_text,
};

tars_status option_parse(const option *row, const char *text, void *values, tars_error *err) {
    assert(text || row->type == OPTION_FLAG);
    return parsers[row->type](row, text, (char *)values + row->offset, err);
}

void option_set_defaults(const option_set *set, void *values) {
    for (size_t i = 0; i < set->count; i++) {
        if (set->rows[i].default_text) {
            tars_status status =
                option_parse(&set->rows[i], set->rows[i].default_text, values, NULL);
            assert(status == TARS_OK); /* a default that its own row refuses */
            (void)status;
        }
    }
}

const option *option_find(const option_set *set, const char *name, size_t length) {
    for (size_t i = 0; i < set->count; i++) {
        if (strlen(set->rows[i].name) == length && memcmp(set->rows[i].name, name, length) == 0) {
            return &set->rows[i];
        }
    }
    return NULL;
}

const option *option_find_letter(const option_set *set, char letter) {
    for (size_t i = 0; i < set->count; i++) {
        if (set->rows[i].letter == letter && letter != '\0') {
            return &set->rows[i];
        }
    }
    return NULL;
}
