#include "config/schema.h"

#include "base/text.h"

#include <string.h>

enum { NAME_BYTES = 128 };

static const config_key_table *const tables[] = {
    &config_keys_agents, &config_keys_deployment,   &config_keys_targets,
    &config_keys_tree,   &config_keys_organization,
};

const char *const config_platforms[] = {"linux",      "macos",      "windows", "docker",
                                        "kubernetes", "hyperlight", "wasm",    NULL};
const char *const config_targets[] = {"native", "docker",  "kubernetes", "hyperlight",
                                      "wasm",   "microvm", NULL};
const char *const config_runtimes[] = {"native", "wasm", "microvm", "hyperlight", "cuda", NULL};
const char *const config_profiles[] = {"strict", "standard", "trusted", NULL};

static schema_node *child_of_length(const schema_node *node, const char *name, size_t length) {
    for (schema_node *child = node->first; child; child = child->next) {
        if (strncmp(child->name, name, length) == 0 && child->name[length] == '\0') {
            return child;
        }
    }
    return NULL;
}

/* Length of the path's first segment; *next is where the following one begins. */
static size_t first_segment(const char *path, const char **next) {
    size_t length = path[0] == '[' ? 2 : strcspn(path, ".[");
    *next = path + length;
    *next += **next == '.' ? 1 : 0;
    return length;
}

static schema_node *add_path(pool *memory, schema_node *root, const char *path) {
    schema_node *node = root;
    while (*path != '\0') {
        const char *next;
        size_t length = first_segment(path, &next);
        schema_node *child = child_of_length(node, path, length);
        if (!child) {
            child = POOL_NEW(memory, schema_node);
            const char *name = pool_text(memory, path, length);
            if (!child || !name) {
                return NULL;
            }
            child->name = name;
            child->parent = node;
            if (node->last) {
                node->last->next = child;
            } else {
                node->first = child;
            }
            node->last = child;
        }
        node = child;
        path = next;
    }
    return node;
}

const schema_node *schema_build(pool *memory) {
    schema_node *root = POOL_NEW(memory, schema_node);
    if (!root) {
        return NULL;
    }
    root->name = "";
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            schema_node *node = add_path(memory, root, tables[t]->rows[i].path);
            if (!node) {
                return NULL;
            }
            node->row = &tables[t]->rows[i];
        }
    }
    return root;
}

const schema_node *schema_child(const schema_node *node, const char *name) {
    return child_of_length(node, name, strlen(name));
}

const schema_node *schema_match(const schema_node *node, const char *key) {
    char name[NAME_BYTES];
    schema_snake_case(key, name, sizeof name);
    const schema_node *child = schema_child(node, name);
    return child && strcmp(name, "[]") != 0 ? child : schema_child(node, "*");
}

const schema_node *schema_find(const schema_node *root, const char *path) {
    const schema_node *node = root;
    while (node && *path != '\0') {
        const char *next;
        size_t length = first_segment(path, &next);
        node = child_of_length(node, path, length);
        path = next;
    }
    return node;
}

bool schema_is_list_of_maps(const schema_node *node) {
    return node->first && strcmp(node->first->name, "[]") == 0;
}

bool schema_is_map(const schema_node *node) {
    return !schema_is_list_of_maps(node) && (!node->row || node->row->type == CONFIG_TYPE_MAP);
}

typedef struct unit_name {
    const char *end;
    int64_t size, duration;
} unit_name;

int64_t schema_unit(const schema_node *node) {
    static const unit_name names[] = {
        {"_bytes", 1, 0},  {"_mb", 1000000, 0},   {"_gb", 1000000000, 0}, {"_ms", 0, 1},
        {"_sec", 0, 1000}, {"_seconds", 0, 1000}, {"_minutes", 0, 60000},
    };
    const config_key *row = node->row;
    bool is_size = row->type == CONFIG_TYPE_SIZE;
    if (row->unit != 0) {
        return row->unit;
    }
    size_t length = strlen(node->name);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t end = strlen(names[i].end);
        if (length > end && strcmp(node->name + length - end, names[i].end) == 0) {
            return is_size ? names[i].size : names[i].duration;
        }
    }
    return is_size ? 1 : 0;
}

static bool is_capital(char c) {
    return c >= 'A' && c <= 'Z';
}

void schema_snake_case(const char *key, char *out, size_t capacity) {
    text_buffer text;
    text_init(&text, out, capacity);
    bool camel = !is_capital(key[0]) && !strchr(key, '_');
    for (const char *c = key; *c != '\0'; c++) {
        if (camel && is_capital(*c)) {
            text_append_char(&text, '_');
            text_append_char(&text, (char)(*c + ('a' - 'A')));
        } else {
            text_append_char(&text, *c);
        }
    }
}
