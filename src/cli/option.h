/* Options as tables: a row parses, validates, documents and completes one option. A verb keeps the
 * values in a struct of its own; a row says where in it. Sets of rows (how a model runs, how it
 * samples) are shared between verbs. Ownership: parsed texts point into argv. */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum option_type {
    OPTION_FLAG,     /* bool */
    OPTION_INT,      /* int64_t, within minimum … maximum */
    OPTION_UINT64,   /* option_uint64 */
    OPTION_FLOAT,    /* double, within minimum … maximum */
    OPTION_SIZE,     /* uint64_t, bytes: 4096, 64MiB, 512MB, 8Gi */
    OPTION_DURATION, /* uint64_t, milliseconds: 250ms, 30s, 5m, 2h, 1d */
    OPTION_TEXT,     /* const char * */
    OPTION_ENUM,     /* const char *, one of choices */
    OPTION_FILE,     /* const char *, a path */
    OPTION_FOLDER,   /* const char *, a path */
    OPTION_MODEL     /* const char *, a name in the store or a path */
} option_type;

typedef struct option_uint64 {
    uint64_t value;
    bool given;
} option_uint64;

/* Value of a repeated option: OPTION_TEXT, OPTION_ENUM, OPTION_FILE or OPTION_MODEL only. */
enum { OPTION_LIST_MAX = 64 };
typedef struct option_list {
    const char *items[OPTION_LIST_MAX];
    size_t count;
} option_list;

typedef struct option {
    const char *name;           /* without dashes */
    size_t offset;              /* of the value in the verb's struct (in the set's part of it) */
    const char *value_name;     /* "N", "FILE"; NULL for flags */
    const char *help;           /* one sentence part, no full stop */
    const char *default_text;   /* parsed like a given value; NULL: zero, false, NULL */
    const char *const *choices; /* OPTION_ENUM: NULL-terminated */
    double minimum, maximum;    /* OPTION_INT, OPTION_FLOAT; OPTION_SIZE, whose minimum is 0 or 1 */
    option_type type;
    char letter; /* short form, or 0 */
    bool repeated;
    bool is_open; /* OPTION_ENUM: takes other words than its choices too; the verb judges them */
    bool hidden;  /* parsed, not documented */
} option;

typedef struct option_set {
    const char *title; /* heading in help */
    const option *rows;
    size_t count;
} option_set;

#define OPTION_SET(TITLE, ROWS)                                                                    \
    {.title = (TITLE), .rows = (ROWS), .count = sizeof(ROWS) / sizeof((ROWS)[0])}

/* Writes every default into the values. */
void option_set_defaults(const option_set *set, void *values);
/* Parses `text` (NULL for a flag) into the row's place in `values`. USAGE says what was found and
 * what is allowed; for a choice the nearest one. */
tars_status option_parse(const option *row, const char *text, void *values, tars_error *err);
/* The row named by the `length` bytes at `name`, or NULL. */
const option *option_find(const option_set *set, const char *name, size_t length);
const option *option_find_letter(const option_set *set, char letter);

/* The pieces, for other texts of the same form. */
bool option_read_uint64(const char *text, uint64_t *out);
bool option_read_double(const char *text, double *out);
bool option_read_size(const char *text, uint64_t *bytes);
bool option_read_duration(const char *text, uint64_t *milliseconds);

#endif
