#include "config/quantity.h"

#include "base/number.h"

#include <string.h>

typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

/* Lower-case m and g are those of Docker. The first that divides a value exactly is the one it is
 * written with. */
static const unit size_units[] = {
    {"TiB", 1ll << 40}, {"TB", 1000000000000}, {"GiB", 1ll << 30},   {"GB", 1000000000},
    {"MiB", 1ll << 20}, {"MB", 1000000},       {"KiB", 1ll << 10},   {"kB", 1000},
    {"B", 1},           {"KB", 1000},          {"Ti", 1ll << 40},    {"Gi", 1ll << 30},
    {"Mi", 1ll << 20},  {"Ki", 1ll << 10},     {"T", 1000000000000}, {"G", 1000000000},
    {"M", 1000000},     {"k", 1000},           {"g", 1ll << 30},     {"m", 1ll << 20},
    {NULL, 0},
};
static const unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

bool quantity_read_int(const char *text, int64_t *out) {
    size_t length = strlen(text);
    bool is_integer = false;
    return length > 0 && number_scan(text, length, &is_integer) == length && is_integer &&
           number_to_int64(text, length, out);
}

bool quantity_read_double(const char *text, double *out) {
    size_t length = strlen(text);
    double value = 0;
    if (length == 0 || number_scan(text, length, NULL) != length ||
        !number_to_double(text, length, &value)) {
        return false;
    }
    *out = value;
    return true;
}

/* `number` times `factor`, to the nearest below for a fraction; never negative. */
static bool scale(const char *number, size_t length, int64_t factor, int64_t *out) {
    char digits[40];
    if (length == 0 || length >= sizeof digits || number[0] == '-' || factor == 0) {
        return false;
    }
    memcpy(digits, number, length);
    digits[length] = '\0';
    int64_t whole = 0;
    if (quantity_read_int(digits, &whole)) {
        return !__builtin_mul_overflow(whole, factor, out);
    }
    double value = 0;
    if (!quantity_read_double(digits, &value) || value * (double)factor >= 9007199254740992.0) {
        return false;
    }
    *out = (int64_t)(value * (double)factor + 1e-6); /* 0.1 * 1000 is 100, not 99.99… */
    return true;
}

static bool read_with(const char *text, const unit *units, int64_t plain_unit, int64_t *out) {
    size_t digits = strspn(text, "0123456789.");
    if (text[digits] == '\0') {
        return scale(text, digits, plain_unit, out);
    }
    const char *name = text + digits + strspn(text + digits, " ");
    for (const unit *u = units; u->name; u++) {
        if (strcmp(u->name, name) == 0) {
            return scale(text, digits, u->factor, out);
        }
    }
    return false;
}

bool quantity_read_size(const char *text, int64_t unit_bytes, int64_t *bytes) {
    return read_with(text, size_units, unit_bytes, bytes);
}

bool quantity_read_duration(const char *text, int64_t unit_ms, int64_t *milliseconds) {
    return read_with(text, duration_units, unit_ms, milliseconds);
}

bool quantity_read_cpu(const char *text, int64_t *millicores) {
    static const unit cpu_units[] = {{"m", 1}, {"cores", 1000}, {"core", 1000}, {NULL, 0}};
    return read_with(text, cpu_units, 1000, millicores);
}

static void write_with(text_buffer *out, const unit *units, int64_t value) {
    const unit *last = units;
    for (const unit *u = units; u->name; u++) {
        last = u;
        if (value % u->factor == 0 && (value != 0 || u->factor == 1)) {
            break;
        }
    }
    text_format(out, "%lld%s", (long long)(value / last->factor), last->name);
}

void quantity_write_size(text_buffer *out, int64_t bytes) {
    write_with(out, size_units, bytes);
}

void quantity_write_duration(text_buffer *out, int64_t milliseconds) {
    write_with(out, duration_units, milliseconds);
}

void quantity_write_cpu(text_buffer *out, int64_t millicores) {
    text_format(out, "%lldm", (long long)millicores);
}
