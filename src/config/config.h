/* The configuration of an installation: YAML files, environment and command line in layers, checked
 * against the table of keys (key.h), as one typed tree.
 *
 * Ownership: config_load allocates, config_destroy frees; values and texts got from a config live
 * as long as it does and never change, so any number of threads may read it. The list of
 * diagnostics is the caller's (diagnostics.h). What the options point to must live until the load
 * returns, except `environment` and `settings`, whose texts the config copies. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/error.h"
#include "base/json.h"
#include "config/diagnostics.h"
#include "config/key.h"

/* Later ones win. */
typedef enum config_layer {
    CONFIG_LAYER_DEFAULT,
    CONFIG_LAYER_PLATFORM,
    CONFIG_LAYER_FOLDER,      /* DIR/deployment.config.yaml and its three neighbours */
    CONFIG_LAYER_DROP_IN,     /* DIR/deployment.config.d/NAME.yaml */
    CONFIG_LAYER_ENVIRONMENT, /* DIR/environments/production/NAME.yaml */
    CONFIG_LAYER_USER,        /* the same four names in the user's own folder */
    CONFIG_LAYER_VARIABLE,    /* TARS__DEPLOYMENT__… and the short forms */
    CONFIG_LAYER_SETTING,     /* --set path=value */
    CONFIG_LAYER_COUNT
} config_layer;

typedef struct config_origin {
    config_layer layer;
    config_place place; /* file is "default" or "platform linux" for the first two layers */
} config_origin;

typedef enum config_kind {
    CONFIG_NULL, /* only inside free values */
    CONFIG_BOOL,
    CONFIG_INT, /* also sizes in bytes, durations in milliseconds, CPU in thousandths */
    CONFIG_FLOAT,
    CONFIG_TEXT,
    CONFIG_LIST,
    CONFIG_MAP
} config_kind;

typedef struct config_value {
    config_kind kind;
    const char *name;      /* in a map, in snake_case; NULL in a list and at the root */
    const config_key *row; /* NULL for maps without a row and inside free values */
    bool boolean;
    int64_t integer;
    double number; /* of an INT too */
    const char *text;
    size_t count;
    struct config_value *first, *last, *next;
    config_origin origin;
    bool replaces; /* layers only: the key had a ! at its end */
} config_value;

typedef struct config config;

typedef struct config_options {
    const char *folder;             /* NULL: TARS_CONFIG_DIR, else the platform's */
    const char *const *environment; /* "NAME=value", NULL at the end; NULL itself: none */
    const char *const *settings;    /* "path=value" */
    size_t n_settings;
    const char *text; /* instead of all files: one document with any of the four root keys */
    size_t text_length;
    bool insecure; /* the start of a server without keys beyond loopback was asked for */
} config_options;

/* Reads all layers. MALFORMED when anything is wrong: err names the first error and their number,
 * `problems` holds all of them, and *out is NULL. With TARS_OK there may be warnings. A folder
 * that was named and is not there is NOT_FOUND; without the platform's folder all is default. */
tars_status config_load(const config_options *options, config_diagnostics *problems, config **out,
                        tars_error *err);
void config_destroy(config *c);

/* The value at a path such as "deployment.wasm.limits.memory" (a name with points stands in double
 * quotes), or NULL when nothing is set and there is no default. */
const config_value *config_get(const config *c, const char *path);
/* The member of a map, or NULL (also when `map` is NULL or no map). */
const config_value *config_member(const config_value *map, const char *name);
/* Typed access with a default of the caller's for what is not set; sizes are bytes, durations
 * milliseconds, shares of a CPU thousandths of a core. */
bool config_bool_or(const config *c, const char *path, bool otherwise);
int64_t config_int_or(const config *c, const char *path, int64_t otherwise);
double config_float_or(const config *c, const char *path, double otherwise);
const char *config_text_or(const config *c, const char *path, const char *otherwise);

const config_value *config_root(const config *c);
/* The folder that was read ("" when there is none) and the files, in the order of reading. */
const char *config_folder(const config *c);
size_t config_file_count(const config *c);
const char *config_file(const config *c, size_t index);

/* "default", "platform linux", "/etc/tars/deployment.config.yaml:3:5", "TARS_LOG_LEVEL". */
void config_origin_write(const config_origin *origin, text_buffer *out);
/* A scalar as a file would say it: quantities with their unit. */
void config_scalar_write(const config_value *value, text_buffer *out);
/* One value as JSON, quantities as texts with a unit, so that the result can be read again. */
void config_json_write(const config_value *value, json_writer *json);
/* "origins":{"deployment.version":"default",…} of every single value and list at or below a path.
 */
void config_origins_write(const config *c, const char *path, json_writer *json);
/* The JSON Schema of all keys. OUT_OF_MEMORY. */
tars_status config_schema_write(json_writer *json, tars_error *err);
/* USAGE with the nearest key when no key has this path. */
tars_status config_path_check(const char *path, tars_error *err);

#endif
