#include "config/assign.h"

#include "config/layers.h"
#include "config/scalar.h"

#include <string.h>

#define PREFIX "TARS__"
enum { PREFIX_LENGTH = sizeof PREFIX - 1 };

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Appends one part with its NUL; false when it is empty or there is no room. */
static bool add_part(path_parts *out, size_t *used, const char *text, size_t length) {
    if (length == 0 || out->count == PATH_MAX_PARTS || length >= PATH_MAX_BYTES - *used) {
        return false;
    }
    char *part = out->bytes + *used;
    memcpy(part, text, length);
    part[length] = '\0';
    out->parts[out->count++] = part;
    *used += length + 1;
    return true;
}

bool path_split(const char *path, size_t length, path_parts *out) {
    const char *end = path + length;
    size_t used = 0;
    out->count = 0;
    while (path < end) {
        bool quoted = *path == '"';
        path += quoted ? 1 : 0;
        const char *stop = memchr(path, quoted ? '"' : '.', (size_t)(end - path));
        if (quoted && !stop) {
            return false;
        }
        stop = stop ? stop : end;
        if (!add_part(out, &used, path, (size_t)(stop - path))) {
            return false;
        }
        path = stop + (quoted ? 1 : 0);
        if (path < end && (*path != '.' || ++path == end)) {
            return false; /* something behind a quote, or a point at the end */
        }
    }
    return out->count > 0;
}

/* "DEPLOYMENT__WASM__ENABLED" into its lower-case parts. */
static bool split_variable(const char *name, size_t length, path_parts *out) {
    size_t used = 0;
    out->count = 0;
    for (size_t begin = 0; begin <= length;) {
        size_t end = begin;
        while (end < length && strncmp(name + end, "__", 2) != 0) {
            end++;
        }
        char *part = out->bytes + used;
        if (!add_part(out, &used, name + begin, end - begin)) {
            return false;
        }
        for (; *part != '\0'; part++) {
            *part = lower(*part);
        }
        begin = end == length ? length + 1 : end + 2;
    }
    return out->count > 0;
}

static bool same_folded(const char *a, const char *b) {
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        bool both_marks = strchr("-_.", *a) && strchr("-_.", *b);
        if (lower(*a) != lower(*b) && !both_marks) {
            return false;
        }
    }
    return *a == *b;
}

/* A variable cannot spell every name: the one that the tree has already is meant. */
static const char *existing_name(const config_value *map, const char *part) {
    for (const config_value *v = map && map->kind == CONFIG_MAP ? map->first : NULL; v;
         v = v->next) {
        if (same_folded(v->name, part)) {
            return v->name;
        }
    }
    return part;
}

typedef struct target {
    const schema_node *schema; /* NULL below a free value */
    const char *names[PATH_MAX_PARTS];
    size_t count;
} target;

/* Finds the row that the parts lead to; false when it was told that there is none. */
static bool find_target(check_context *c, const schema_node *schema, const config_value *tree,
                        const path_parts *path, bool folded, target *out) {
    const config_value *at = tree;
    out->count = 0;
    for (size_t i = 0; i < path->count; i++) {
        const char *part = path->parts[i];
        bool is_free = schema && schema->row && schema->row->type == CONFIG_TYPE_FREE;
        const schema_node *child = schema && !is_free ? schema_match(schema, part) : NULL;
        if (schema && !is_free && !child) {
            check_enter(c, part, 0);
            check_unknown(c, schema, part, 0, 0);
            return false;
        }
        bool is_ours = child && strcmp(child->name, "*") != 0;
        out->names[i] = is_ours ? child->name : folded ? existing_name(at, part) : part;
        out->count++;
        check_enter(c, out->names[i], 0);
        if (child && !is_ours && !check_name(c, child, out->names[i], 0, 0)) {
            return false;
        }
        at = config_member(at, out->names[i]);
        schema = child;
    }
    out->schema = schema;
    return true;
}

static config_value *read_value(check_context *c, const schema_node *schema, const char *text) {
    config_value *value = NULL;
    if (!schema || strcmp(text, "null") == 0) {
        value = POOL_NEW(c->memory, config_value);
        if (value) {
            value->origin = (config_origin){c->layer, {c->file, 0, 0}};
            scalar_guess(text, true, value);
        }
        return value;
    }
    return check_text(c, schema, text);
}

/* Lays one value at its path on the tree. */
static void assign(check_context *c, const target *where, config_value *tree, const char *text) {
    const char *copy = pool_text(c->memory, text, strlen(text));
    config_value *value = copy ? read_value(c, where->schema, copy) : NULL;
    for (size_t i = where->count; value && i > 0; i--) {
        config_value *map = POOL_NEW(c->memory, config_value);
        value->name = pool_text(c->memory, where->names[i - 1], strlen(where->names[i - 1]));
        if (!map || !value->name) {
            return;
        }
        map->kind = CONFIG_MAP;
        map->origin = (config_origin){c->layer, {c->file, 0, 0}};
        value_append(map, value);
        value = map;
    }
    if (value) {
        layers_merge(tree, value);
    }
}

void assign_path(check_context *c, const schema_node *schema, config_value *tree, const char *path,
                 const char *text) {
    path_parts parts;
    target where;
    if (path_split(path, strlen(path), &parts) &&
        find_target(c, schema, tree, &parts, false, &where)) {
        assign(c, &where, tree, text);
    }
    check_leave(c, 0);
}

/* TARS_HTTP_ADDR is HOST, HOST:PORT or [IPV6]:PORT. */
static void assign_address(check_context *c, const schema_node *schema, config_value *tree,
                           const char *text) {
    char host[256];
    const char *bracket = text[0] == '[' ? strchr(text, ']') : NULL;
    const char *colon = strrchr(bracket ? bracket : text, ':');
    bool bare_ipv6 = !bracket && colon && strchr(text, ':') != colon;
    const char *end = bracket ? bracket : colon && !bare_ipv6 ? colon : text + strlen(text);
    text_buffer out;
    text_init(&out, host, sizeof host);
    text_append(&out, text + (bracket ? 1 : 0), (size_t)(end - text) - (bracket ? 1 : 0));
    if (out.length > 0) {
        assign_path(c, schema, tree, "deployment.server.http.address", host);
    }
    if (colon && !bare_ipv6) {
        assign_path(c, schema, tree, "deployment.server.http.port", colon + 1);
    }
}

typedef struct short_form {
    const char *variable;
    const char *path; /* NULL: `special` */
    void (*special)(check_context *c, const schema_node *schema, config_value *tree,
                    const char *text);
} short_form;

/* TARS_DATA_DIR and its like name folders of the platform at hand: see platform_layer.c. */
static const short_form short_forms[] = {
    {"OTEL_EXPORTER_OTLP_ENDPOINT", "deployment.tracing.exporters.otlp.endpoint", NULL},
    {"OTEL_SERVICE_NAME", "deployment.tracing.service_name", NULL},
    {"TARS_ENVIRONMENT", "deployment.environment", NULL},
    {"TARS_LOG_LEVEL", "deployment.logging.level", NULL},
    {"TARS_MODEL", "deployment.default_model", NULL},
    {"TARS_BUS_URL", "deployment.bus.url", NULL},
    {"TARS_HTTP_ADDR", NULL, assign_address},
};

static bool has_prefix(const char *variable) {
    for (size_t i = 0; i < PREFIX_LENGTH; i++) {
        if (lower(variable[i]) != lower(PREFIX[i])) {
            return false;
        }
    }
    return true;
}

static void assign_long(check_context *c, const schema_node *schema, config_value *tree,
                        const char *variable) {
    const char *equals = strchr(variable, '=');
    path_parts parts;
    target where;
    if (!equals || !has_prefix(variable)) {
        return;
    }
    c->file = pool_text(c->memory, variable, (size_t)(equals - variable));
    if (!c->file) {
        return;
    }
    if (!split_variable(variable + PREFIX_LENGTH, (size_t)(equals - variable) - PREFIX_LENGTH,
                        &parts)) {
        check_refuse(c, "C0105", 0, 0,
                     "a variable is TARS__ and the path with __ between its levels, such as "
                     "TARS__DEPLOYMENT__ENVIRONMENT");
    } else if (find_target(c, schema, tree, &parts, true, &where)) {
        assign(c, &where, tree, equals + 1);
    }
    check_leave(c, 0);
}

void assign_variables(check_context *c, const schema_node *schema, config_value *tree,
                      const char *const *environment) {
    c->layer = CONFIG_LAYER_VARIABLE;
    for (size_t i = 0; i < sizeof short_forms / sizeof short_forms[0]; i++) {
        const short_form *form = &short_forms[i];
        const char *text = check_variable(environment, form->variable, strlen(form->variable));
        c->file = form->variable;
        if (text && form->path) {
            assign_path(c, schema, tree, form->path, text);
        } else if (text) {
            form->special(c, schema, tree, text);
        }
    }
    for (size_t i = 0; environment && environment[i]; i++) {
        assign_long(c, schema, tree, environment[i]);
    }
}

/* The "=" that ends the path: the first outside of quotes. */
static const char *find_equals(const char *setting) {
    bool quoted = false;
    for (const char *c = setting; *c != '\0'; c++) {
        quoted = *c == '"' ? !quoted : quoted;
        if (*c == '=' && !quoted) {
            return c;
        }
    }
    return NULL;
}

void assign_setting(check_context *c, const schema_node *schema, config_value *tree,
                    const char *setting) {
    const char *equals = find_equals(setting);
    path_parts parts;
    target where;
    c->layer = CONFIG_LAYER_SETTING;
    c->file = "--set";
    if (!equals || !path_split(setting, (size_t)(equals - setting), &parts)) {
        check_refuse(c, "C0105", 0, 0,
                     "expected path=value such as deployment.logging.level=debug, found \"%.80s\"",
                     setting);
    } else if (find_target(c, schema, tree, &parts, false, &where)) {
        assign(c, &where, tree, equals + 1);
    }
    check_leave(c, 0);
}

const char *assign_environment_name(const char *const *environment, const char *const *settings,
                                    size_t n_settings) {
    static const char setting[] = "deployment.environment=";
    static const char variable[] = "TARS__DEPLOYMENT__ENVIRONMENT=";
    for (size_t i = n_settings; i > 0; i--) {
        if (strncmp(settings[i - 1], setting, sizeof setting - 1) == 0) {
            return settings[i - 1] + sizeof setting - 1;
        }
    }
    for (size_t i = 0; environment && environment[i]; i++) {
        size_t n = 0;
        while (n < sizeof variable - 1 && lower(environment[i][n]) == lower(variable[n])) {
            n++;
        }
        if (n == sizeof variable - 1 && environment[i][n] != '\0') {
            return environment[i] + n;
        }
    }
    return check_variable(environment, "TARS_ENVIRONMENT", strlen("TARS_ENVIRONMENT"));
}
