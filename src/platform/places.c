#include "base/text.h"
#include "platform/internal.h"

#include <stdlib.h>
#include <string.h>

/* Where an installation for the whole machine keeps its files. NULL: with the user's own. */
typedef struct platform_row {
    const char *name;
    const char *install, *data, *logs, *config, *temporary;
    bool any_user; /* not only for root: the image belongs to this program */
} platform_row;

#define CONTAINER_PLACES "/app", "/app/data", "/app/logs", "/app/config", "/tmp", true

static const platform_row rows[] = {
    {"linux", "/opt/tars", "/var/lib/tars", "/var/log/tars", "/etc/tars", "/tmp/tars", false},
    {"macos", "/usr/local/opt/tars", "/usr/local/var/lib/tars", "/usr/local/var/log/tars",
     "/usr/local/etc/tars", "/tmp/tars", false},
    {"windows", "C:\\Program Files\\TARS", "C:\\ProgramData\\TARS", "C:\\ProgramData\\TARS\\Logs",
     "C:\\ProgramData\\TARS\\Config", "C:\\ProgramData\\TARS\\Temp", false},
    {"docker", CONTAINER_PLACES},
    {"kubernetes", CONTAINER_PLACES},
    {"hyperlight", CONTAINER_PLACES},
    {"wasm", CONTAINER_PLACES},
    {"unknown", NULL, NULL, NULL, NULL, NULL, false},
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

const char *const *platform_environment_block(void) {
    return platform_os_environment();
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

platform_places platform_default_places(void) {
    bool stated;
    const platform_row *row = current_row(&stated);
    platform_places places = {row->install,   row->data,
                              row->logs,      row->config,
                              row->temporary, platform_is_root() || (stated && row->any_user)};
    if (!places.ours && row->any_user) { /* a container that was made for us has the folder */
        platform_kind kind;
        places.ours = platform_path_kind(row->data, &kind, NULL, NULL) == TARS_OK &&
                      kind == PLATFORM_KIND_FOLDER;
    }
    return places;
}

tars_status platform_data_path(char *out, size_t size_bytes, tars_error *err) {
    static const char *const variables[] = {"TARS_HOME", "TARS_DATA_DIR"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = platform_environment(variables[i]);
        if (value) {
            return set_path(value, out, size_bytes, err);
        }
    }
    platform_places places = platform_default_places();
    if (places.data && places.ours) {
        return set_path(places.data, out, size_bytes, err);
    }
    if (platform_os_user_data_path(out, size_bytes)) {
        return TARS_OK;
    }
    return set_path("./tars", out, size_bytes, err);
}
