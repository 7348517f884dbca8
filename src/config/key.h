/* The table of keys: a row validates a value, gives its default, and writes `config show`,
 * `config schema` and the reference. Ownership: rows are constant data. */
#ifndef CONFIG_KEY_H
#define CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum config_type {
    CONFIG_TYPE_MAP, /* its keys are rows below it */
    CONFIG_TYPE_BOOL,
    CONFIG_TYPE_INT,
    CONFIG_TYPE_FLOAT,
    CONFIG_TYPE_STRING,
    CONFIG_TYPE_ENUM,        /* one of choices */
    CONFIG_TYPE_SIZE,        /* kept in bytes */
    CONFIG_TYPE_DURATION,    /* kept in milliseconds */
    CONFIG_TYPE_CPU,         /* kept in thousandths of a core */
    CONFIG_TYPE_ID,          /* [a-z0-9][a-z0-9-]{0,62} */
    CONFIG_TYPE_CAPABILITY,  /* [a-z][a-z0-9_]{0,62}; hyphens become underscores */
    CONFIG_TYPE_DIGEST,      /* 64 hex digits, kept in lower case */
    CONFIG_TYPE_DATE,        /* 2025-01-31 */
    CONFIG_TYPE_CRON,        /* five fields */
    CONFIG_TYPE_SECRET_FILE, /* a path that no group and no other may read */
    CONFIG_TYPE_FREE,        /* anything; its contents are handed on as they are */
    CONFIG_TYPE_COUNT
} config_type;

enum {
    CONFIG_KEY_REQUIRED = 1, /* wherever the map around it is present */
    CONFIG_KEY_RESTART = 2,  /* a change needs a restart */
    CONFIG_KEY_UNIQUE = 4,   /* a list without repetitions */
    CONFIG_KEY_LIST = 8      /* a list of values of the type */
};

typedef struct config_key {
    /* Names with points between; "*" stands for any name of a map, "[]" for each item of a list:
     * "deployment.models.*.path", "deployment.alerts[].name". Maps without facts of their own need
     * no row. */
    const char *path;
    config_type type;
    unsigned flags;
    const char *standard;       /* the default, as an environment variable would say it; or NULL */
    const char *text;           /* what it is for; half a sentence */
    const char *const *choices; /* ENUM: NULL-terminated. MAP named "*": the permitted names */
    double minimum, maximum;    /* in kept units; both 0: no limits */
    int64_t unit;               /* of a plain number, in kept units; 0: what the name's end says
                                   (_mb, _seconds …), else bytes, and no plain duration */
} config_key;

typedef struct config_key_table {
    const config_key *rows;
    size_t count;
} config_key_table;

#define CONFIG_KEY_TABLE(ROWS) {.rows = (ROWS), .count = sizeof(ROWS) / sizeof((ROWS)[0])}

extern const config_key_table config_keys_agents, config_keys_deployment, config_keys_targets,
    config_keys_tree, config_keys_organization;

/* Choices that several tables share. */
extern const char *const config_platforms[], *const config_targets[], *const config_runtimes[],
                                                                          *const config_profiles[];
/* All calls of WASI preview 1. */
extern const char *const config_wasi_calls[];

#endif
