#include "base/text.h"
#include "platform/internal.h"

#include <stdlib.h>
#include <string.h>

/* Where an installation for the whole machine keeps its data. NULL: with the user's own. */
typedef struct platform_row {
    const char *name;
    const char *data;
    bool any_user; /* not only for root: the image belongs to this program */
} platform_row;

static const platform_row rows[] = {
    {"linux", "/var/lib/tars", false},
    {"macos", "/usr/local/var/lib/tars", false},
    {"windows", "C:\\ProgramData\\TARS", false},
    {"docker", "/app/data", true},
    {"kubernetes", "/app/data", true},
    {"hyperlight", "/app/data", true},
    {"wasm", "/app/data", true},
    {"unknown", NULL, false},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

static const platform_row *row_named(const char *name) {
    for (size_t i = 0; i + 1 < N_ROWS; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return &rows[N_ROWS - 1];
}

static const platform_row *current_row(bool *stated) {
    const char *forced = platform_environment("TARS_PLATFORM");
    *stated = forced != NULL;
    if (forced) {
        return row_named(forced);
    }
    const char *container = platform_os_container();
    return row_named(container ? container : platform_os_name());
}

const char *platform_environment(const char *name) {
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

const char *platform_name(void) {
    bool stated;
    return current_row(&stated)->name;
}

static tars_status set_path(const char *path, char *out, size_t size_bytes, tars_error *err) {
    size_t length = strlen(path);
    if (length >= size_bytes) {
        error_set(err, TARS_LIMIT, "the path has %zu bytes, at most %zu are allowed", length,
                  size_bytes - 1);
        platform_where(err, path);
        return TARS_LIMIT;
    }
    memcpy(out, path, length + 1);
    return TARS_OK;
}

tars_status platform_data_path(char *out, size_t size_bytes, tars_error *err) {
    static const char *const variables[] = {"TARS_HOME", "TARS_DATA_DIR"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = platform_environment(variables[i]);
        if (value) {
            return set_path(value, out, size_bytes, err);
        }
    }
    bool stated;
    const platform_row *row = current_row(&stated);
    bool ours = platform_is_root() || (stated && row->any_user);
    if (!ours && row->any_user) { /* a container that was made for us has the folder */
        platform_kind kind;
        ours = platform_path_kind(row->data, &kind, NULL, NULL) == TARS_OK &&
               kind == PLATFORM_KIND_FOLDER;
    }
    if (row->data && ours) {
        return set_path(row->data, out, size_bytes, err);
    }
    if (platform_os_user_data_path(out, size_bytes)) {
        return TARS_OK;
    }
    return set_path("./tars", out, size_bytes, err);
}
