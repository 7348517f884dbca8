#include "config/assign.h"
#include "config/layers.h"
#include "config/platform_layer.h"
#include "config/rules.h"
#include "platform/platform.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 1000, MAX_FOLDER_FILES = 256 };

struct config {
    pool memory;
    const schema_node *schema;
    config_value *root;
    const char *folder;
    const char *files[MAX_FILES];
    size_t n_files;
};

typedef struct loader {
    config *c;
    const config_options *options;
    const char *const *environment; /* never NULL */
    check_context check;
    const char *user_folder; /* "" when there is none */
} loader;

/* The four files and the one root key of each. */
typedef struct file_row {
    const char *stem;
    const char *root;
} file_row;
static const file_row file_rows[] = {
    {"agents.config", "agents"},
    {"deployment.config", "deployment"},
    {"agent-tree", "tree"},
    {"tars_agent_organization", "organization"},
};
enum { N_FILE_ROWS = sizeof file_rows / sizeof file_rows[0] };

static const char *join(pool *memory, const char *folder, const char *name, const char *end) {
    char path[PLATFORM_PATH_BYTES];
    text_buffer text;
    text_init(&text, path, sizeof path);
    text_append_string(&text, folder);
    text_append_string(&text, "/");
    text_append_string(&text, name);
    text_append_string(&text, end);
    return text.truncated ? NULL : pool_text(memory, text.data, text.length);
}

/* Reads a file into *text; false when it is not there, or after a diagnostic. A file that a folder
 * lists and that is not there is a link to nowhere, which is a mistake. */
static bool read_file(loader *in, const char *path, bool is_listed, char **text, size_t *length) {
    platform_kind kind;
    tars_error err;
    error_clear(&err);
    tars_status status = platform_path_kind(path, &kind, NULL, &err);
    if (status == TARS_OK && kind == PLATFORM_KIND_MISSING && !is_listed) {
        return false;
    }
    if (status == TARS_OK) {
        status = platform_file_read_all(path, YAML_MAX_BYTES, text, length, &err);
    }
    if (status == TARS_OK && in->c->n_files < MAX_FILES) {
        in->c->files[in->c->n_files++] = path;
        return true;
    }
    if (status == TARS_OK) {
        free(*text);
        error_set(&err, TARS_LIMIT, "there are more than %d files", (int)MAX_FILES);
    }
    diagnostics_add(in->check.problems, status == TARS_LIMIT ? "C0102" : "C0100", false,
                    (config_place){path, 1, 1}, "", "the file cannot be read: %s%s", err.message,
                    status == TARS_LIMIT ? "; a configuration file has at most 1 MiB" : "");
    return false;
}

static config_value *parse_tree(loader *in, const schema_node *schema, const char *file,
                                config_layer layer, const char *text, size_t length) {
    check_context *c = &in->check;
    c->layer = layer;
    c->file = file;
    c->environment = in->environment;
    const yaml_node *node = yaml_read(text, length, file, c->memory, c->problems);
    config_value *tree = node ? check_node(c, schema, node) : NULL;
    c->environment = NULL;
    return tree && tree->kind == CONFIG_MAP ? tree : NULL;
}

static bool layer_is_listed(config_layer layer) {
    return layer == CONFIG_LAYER_DROP_IN || layer == CONFIG_LAYER_ENVIRONMENT;
}

static config_value *read_tree(loader *in, const schema_node *schema, const char *path,
                               config_layer layer) {
    char *text;
    size_t length;
    if (!path || !read_file(in, path, layer_is_listed(layer), &text, &length)) {
        return NULL;
    }
    config_value *tree = parse_tree(in, schema, path, layer, text, length);
    free(text);
    return tree;
}

static void add_tree(loader *in, config_value *tree) {
    if (tree) {
        layers_merge(in->c->root, tree);
    }
}

/* A file of one of the four names may hold its own root key only. */
static config_value *read_named(loader *in, const char *folder, const file_row *row,
                                config_layer layer) {
    const schema_node *child = schema_child(in->c->schema, row->root);
    schema_node *only = POOL_NEW(&in->c->memory, schema_node);
    schema_node *top = POOL_NEW(&in->c->memory, schema_node);
    if (!child || !only || !top) {
        return NULL;
    }
    *only = *child;
    only->next = NULL;
    *top = (schema_node){.name = "", .first = only, .last = only};
    return read_tree(in, top, join(&in->c->memory, folder, row->stem, ".yaml"), layer);
}

typedef struct name_list {
    pool *memory;
    const char *names[MAX_FOLDER_FILES];
    size_t count;
    bool too_many;
} name_list;

static bool collect_name(void *user, const char *name, platform_kind kind) {
    name_list *list = user;
    size_t length = strlen(name);
    static const char end[] = ".yaml";
    size_t end_length = sizeof end - 1;
    if (name[0] == '.' || length <= end_length || strcmp(name + length - end_length, end) != 0 ||
        (kind != PLATFORM_KIND_FILE && kind != PLATFORM_KIND_LINK)) {
        return true;
    }
    list->too_many = list->count == MAX_FOLDER_FILES;
    const char *copy = list->too_many ? NULL : pool_text(list->memory, name, length);
    if (copy) {
        list->names[list->count++] = copy;
    }
    return copy != NULL;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All *.yaml of a folder in the order of their names; nothing when there is no such folder. */
static void add_folder(loader *in, const char *folder, config_layer layer) {
    platform_kind kind;
    name_list list = {.memory = &in->c->memory};
    tars_error err;
    error_clear(&err);
    if (!folder || platform_path_kind(folder, &kind, NULL, NULL) != TARS_OK ||
        kind != PLATFORM_KIND_FOLDER) {
        return;
    }
    tars_status status = platform_list_folder(folder, collect_name, &list, &err);
    if (status != TARS_OK || list.too_many) {
        diagnostics_add(in->check.problems, "C0100", false, (config_place){folder, 0, 0}, "",
                        "the folder cannot be read: %s",
                        list.too_many ? "it holds more than 256 files" : err.message);
        return;
    }
    qsort(list.names, list.count, sizeof list.names[0], by_name);
    for (size_t i = 0; i < list.count; i++) {
        add_tree(in, read_tree(in, in->c->schema, join(&in->c->memory, folder, list.names[i], ""),
                               layer));
    }
}

static void add_main_files(loader *in) {
    if (in->c->folder[0] == '\0') {
        return;
    }
    for (size_t i = 0; i < N_FILE_ROWS; i++) {
        add_tree(in, read_named(in, in->c->folder, &file_rows[i], CONFIG_LAYER_FOLDER));
    }
    for (size_t i = 0; i < N_FILE_ROWS; i++) {
        add_folder(in, join(&in->c->memory, in->c->folder, file_rows[i].stem, ".d"),
                   CONFIG_LAYER_DROP_IN);
    }
}

static const char *environment_of(const config_value *root) {
    const config_value *value = config_member(config_member(root, "deployment"), "environment");
    return value ? value->text : NULL;
}

/* The environment chooses files of a layer below those that may name it, so it is asked first. */
static const char *choose_environment(const loader *in, config_value *const *user_trees) {
    const char *name =
        assign_environment_name(in->environment, in->options->settings, in->options->n_settings);
    for (size_t i = N_FILE_ROWS; !name && i > 0; i--) {
        name = user_trees[i - 1] ? environment_of(user_trees[i - 1]) : NULL;
    }
    name = name ? name : environment_of(in->c->root);
    return name ? name : "production";
}

/* An unknown name is told where its value is checked; it must not lead out of the folder. */
static bool is_plain_name(const char *name) {
    return name[0] != '\0' && name[strcspn(name, "./\\:")] == '\0';
}

static void add_files(loader *in) {
    config *c = in->c;
    config_value *user_trees[N_FILE_ROWS] = {NULL};
    platform_layer_defaults(&in->check, c->schema, c->root);
    add_main_files(in);
    if (in->user_folder[0] != '\0' && strcmp(in->user_folder, c->folder) != 0) {
        for (size_t i = 0; i < N_FILE_ROWS; i++) {
            user_trees[i] = read_named(in, in->user_folder, &file_rows[i], CONFIG_LAYER_USER);
        }
    }
    const char *environment = choose_environment(in, user_trees);
    if (c->folder[0] != '\0' && is_plain_name(environment)) {
        add_folder(in, join(&c->memory, c->folder, "environments/", environment),
                   CONFIG_LAYER_ENVIRONMENT);
    }
    for (size_t i = 0; i < N_FILE_ROWS; i++) {
        add_tree(in, user_trees[i]);
    }
    platform_layer_variables(&in->check, c->schema, c->root, in->environment);
}

static void add_layers(loader *in) {
    config *c = in->c;
    if (in->options->text) {
        add_tree(in, parse_tree(in, c->schema, "text", CONFIG_LAYER_FOLDER, in->options->text,
                                in->options->text_length));
    } else {
        add_files(in);
    }
    assign_variables(&in->check, c->schema, c->root, in->environment);
    for (size_t i = 0; i < in->options->n_settings; i++) {
        assign_setting(&in->check, c->schema, c->root, in->options->settings[i]);
    }
}

static void finish_tree(loader *in) {
    check_context *c = &in->check;
    layers_require(c, in->c->schema, in->c->root);
    c->layer = CONFIG_LAYER_DEFAULT;
    c->file = "default";
    check_leave(c, 0);
    layers_fill(c, in->c->schema, in->c->root);
    rules r = {in->c->root, c->problems, c->memory, in->options->insecure};
    rules_check(&r);
}

/* XDG_CONFIG_HOME/tars or ~/.config/tars. */
static const char *find_user_folder(const loader *in) {
    const char *folder = check_variable(in->environment, "XDG_CONFIG_HOME", 15);
    if (folder && folder[0] == '/') { /* the XDG specification has relative paths ignored */
        return join(&in->c->memory, folder, "tars", "");
    }
    const char *home = check_variable(in->environment, "HOME", 4);
    return home ? join(&in->c->memory, home, ".config/tars", "") : "";
}

static tars_status find_folders(loader *in, tars_error *err) {
    in->user_folder = find_user_folder(in);
    platform_kind user_kind;
    if (in->user_folder && in->user_folder[0] != '\0' &&
        platform_path_kind(in->user_folder, &user_kind, NULL, NULL) != TARS_OK) {
        in->user_folder = ""; /* the home of somebody else: whoever changed the user kept HOME */
    }
    const char *named = in->options->folder;
    const char *option = "--config";
    if (!named) {
        named = check_variable(in->environment, "TARS_CONFIG_DIR", 15);
        option = "TARS_CONFIG_DIR";
    }
    platform_places places = platform_default_places();
    const char *folder = named                          ? named
                         : places.config && places.ours ? places.config
                                                        : in->user_folder;
    platform_kind kind = PLATFORM_KIND_MISSING;
    if (folder && folder[0] != '\0') {
        tars_status status = platform_path_kind(folder, &kind, NULL, err);
        if (status != TARS_OK && named) {
            return status;
        }
    }
    if (named && kind != PLATFORM_KIND_FOLDER) {
        error_set(err, TARS_USAGE, "the folder of the configuration %s",
                  kind == PLATFORM_KIND_MISSING ? "is not there" : "is no folder");
        error_hint(err, "%s names the folder that holds deployment.config.yaml", option);
        return error_where(err, "%s", named);
    }
    folder = kind == PLATFORM_KIND_FOLDER ? folder : "";
    in->c->folder = folder ? pool_text(&in->c->memory, folder, strlen(folder)) : NULL;
    return in->c->folder && in->user_folder
               ? TARS_OK
               : error_set(err, TARS_OUT_OF_MEMORY, "no memory for the configuration");
}

static tars_status prepare(loader *in, config_diagnostics *problems, tars_error *err) {
    config *c = in->c;
    check_begin(&in->check, &c->memory, problems);
    c->schema = schema_build(&c->memory);
    c->root = POOL_NEW(&c->memory, config_value);
    if (!c->schema || !c->root) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the configuration");
    }
    c->root->kind = CONFIG_MAP;
    c->folder = "";
    return in->options->text ? TARS_OK : find_folders(in, err);
}

/* The first error in one line, and how many there are. */
static tars_status refuse(const config_diagnostics *problems, tars_error *err) {
    const config_diagnostic *d = problems->first;
    while (d && d->warning) {
        d = d->next;
    }
    error_set(err, TARS_MALFORMED, "the configuration has %zu error%s: %s%s%s", problems->n_errors,
              problems->n_errors == 1 ? "" : "s", d ? d->path : "", d && d->path[0] ? ": " : "",
              d ? d->message : "");
    if (d && d->line > 0) {
        error_where(err, "%s:%d:%d", d->file, d->line, d->column);
    } else if (d) {
        error_where(err, "%s", d->file);
    }
    return error_hint(err, "'tars config check' lists all of them");
}

tars_status config_load(const config_options *options, config_diagnostics *problems, config **out,
                        tars_error *err) {
    static const char *const no_environment[] = {NULL};
    *out = NULL;
    loader in = {.c = calloc(1, sizeof(config)),
                 .options = options,
                 .environment = options->environment ? options->environment : no_environment};
    if (!in.c) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the configuration");
    }
    tars_status status = prepare(&in, problems, err);
    if (status == TARS_OK) {
        add_layers(&in);
        finish_tree(&in);
        if (in.c->memory.failed) {
            status = error_set(err, TARS_OUT_OF_MEMORY, "no memory for the configuration");
        } else if (problems->n_errors > 0) {
            status = refuse(problems, err);
        }
    }
    if (status != TARS_OK) {
        config_destroy(in.c);
        return status;
    }
    *out = in.c;
    return TARS_OK;
}

void config_destroy(config *c) {
    if (c) {
        pool_free(&c->memory);
        free(c);
    }
}

const config_value *config_root(const config *c) {
    return c->root;
}

const char *config_folder(const config *c) {
    return c->folder;
}

size_t config_file_count(const config *c) {
    return c->n_files;
}

const char *config_file(const config *c, size_t index) {
    return index < c->n_files ? c->files[index] : NULL;
}

const config_value *config_get(const config *c, const char *path) {
    path_parts parts;
    if (!path_split(path, strlen(path), &parts)) {
        return NULL;
    }
    const config_value *value = c->root;
    const schema_node *schema = c->schema;
    for (size_t i = 0; value && i < parts.count; i++) {
        schema = schema ? schema_match(schema, parts.parts[i]) : NULL;
        bool ours = schema && strcmp(schema->name, "*") != 0;
        value = config_member(value, ours ? schema->name : parts.parts[i]);
    }
    return value;
}

bool config_bool_or(const config *c, const char *path, bool otherwise) {
    const config_value *value = config_get(c, path);
    return value && value->kind == CONFIG_BOOL ? value->boolean : otherwise;
}

int64_t config_int_or(const config *c, const char *path, int64_t otherwise) {
    const config_value *value = config_get(c, path);
    return value && value->kind == CONFIG_INT ? value->integer : otherwise;
}

double config_float_or(const config *c, const char *path, double otherwise) {
    const config_value *value = config_get(c, path);
    return value && (value->kind == CONFIG_FLOAT || value->kind == CONFIG_INT) ? value->number
                                                                               : otherwise;
}

const char *config_text_or(const config *c, const char *path, const char *otherwise) {
    const config_value *value = config_get(c, path);
    return value && value->kind == CONFIG_TEXT ? value->text : otherwise;
}
