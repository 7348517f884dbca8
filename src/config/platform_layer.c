#include "config/platform_layer.h"

#include "config/assign.h"
#include "platform/platform.h"

#include <string.h>

static void set(check_context *c, const schema_node *schema, config_value *tree, const char *key,
                const char *text) {
    char path[128];
    text_buffer out;
    text_init(&out, path, sizeof path);
    text_format(&out, "deployment.native.platforms.%s.%s", platform_name(), key);
    if (text && !out.truncated) {
        assign_path(c, schema, tree, path, text);
    }
}

typedef struct service_row {
    const char *platform, *key, *value;
} service_row;

static const service_row service_rows[] = {
    {"linux", "service_type", "systemd"},
    {"linux", "service_name", "tars-agent"},
    {"linux", "user", "tars"},
    {"linux", "group", "tars"},
    {"linux", "dependencies", "network.target"},
    {"macos", "service_type", "launchd"},
    {"macos", "service_name", "com.tars.agent"},
    {"windows", "service_type", "windows"},
    {"windows", "service_name", "TarsAgentService"},
    {"windows", "start_type", "automatic"},
    {"docker", "service_type", "container"},
    {"kubernetes", "service_type", "container"},
    {"kubernetes", "service_name", "tars-agent-deployment"},
    {"hyperlight", "service_type", "process"},
    {"wasm", "service_type", "process"},
};

/* Folders of a user who may not write to those of the machine. */
static void set_user_paths(check_context *c, const schema_node *schema, config_value *tree) {
    char data[PLATFORM_PATH_BYTES];
    char other[PLATFORM_PATH_BYTES + 8];
    text_buffer text;
    if (platform_data_path(data, sizeof data, NULL) == TARS_OK) {
        set(c, schema, tree, "paths.data", data);
        text_init(&text, other, sizeof other);
        text_format(&text, "%s/logs", data);
        set(c, schema, tree, "paths.logs", other);
    }
    if (platform_temporary_path(data, sizeof data, NULL) == TARS_OK) {
        text_init(&text, other, sizeof other);
        text_format(&text, "%s/tars", data);
        set(c, schema, tree, "paths.temp", other);
    }
}

void platform_layer_defaults(check_context *c, const schema_node *schema, config_value *tree) {
    const char *name = platform_name();
    platform_places places = platform_default_places();
    char origin[64];
    text_buffer text;
    text_init(&text, origin, sizeof origin);
    text_format(&text, "platform %s", name);
    c->layer = CONFIG_LAYER_PLATFORM;
    c->file = pool_text(c->memory, text.data, text.length);
    if (!c->file || strcmp(name, "unknown") == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof service_rows / sizeof service_rows[0]; i++) {
        if (strcmp(service_rows[i].platform, name) == 0) {
            set(c, schema, tree, service_rows[i].key, service_rows[i].value);
        }
    }
    if (!places.ours) {
        set_user_paths(c, schema, tree);
        return;
    }
    set(c, schema, tree, "paths.install", places.install);
    set(c, schema, tree, "paths.data", places.data);
    set(c, schema, tree, "paths.logs", places.logs);
    set(c, schema, tree, "paths.config", places.config);
    set(c, schema, tree, "paths.temp", places.temporary);
}

void platform_layer_variables(check_context *c, const schema_node *schema, config_value *tree,
                              const char *const *environment) {
    static const struct {
        const char *variable, *key;
    } rows[] = {
        {"TARS_DATA_DIR", "paths.data"},
        {"TARS_LOG_DIR", "paths.logs"},
        {"TARS_TEMP_DIR", "paths.temp"},
        {"TARS_CONFIG_DIR", "paths.config"},
    };
    c->layer = CONFIG_LAYER_VARIABLE;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        c->file = rows[i].variable;
        if (strcmp(platform_name(), "unknown") != 0) {
            set(c, schema, tree, rows[i].key,
                check_variable(environment, rows[i].variable, strlen(rows[i].variable)));
        }
    }
}
