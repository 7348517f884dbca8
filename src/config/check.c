#include "config/check.h"

#include "base/nearest.h"
#include "config/interpolate.h"
#include "config/scalar.h"

#include <string.h>

/* Maps whose keys are names of the user's are bounded, since rules look names up one by one. */
enum { NAME_BYTES = 128, MAX_NAMES = 1000 };

void check_begin(check_context *c, pool *memory, config_diagnostics *problems) {
    *c = (check_context){.memory = memory, .problems = problems, .file = ""};
    text_init(&c->path, c->path_bytes, sizeof c->path_bytes);
}

void check_refuse(check_context *c, const char *code, int line, int column, const char *format,
                  ...) {
    char message[1024];
    text_buffer text;
    text_init(&text, message, sizeof message);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    diagnostics_add(c->problems, code, false, (config_place){c->file, line, column}, c->path.data,
                    "%s", text.data);
}

size_t check_enter(check_context *c, const char *name, size_t index) {
    size_t mark = c->path.length;
    if (!name) {
        text_format(&c->path, "[%zu]", index);
    } else {
        bool quoted = name[strcspn(name, ".[]\"")] != '\0';
        text_format(&c->path, quoted ? "%s\"%s\"" : "%s%s", mark > 0 ? "." : "", name);
    }
    return mark;
}

void check_leave(check_context *c, size_t mark) {
    c->path.length = mark;
    c->path.data[mark] = '\0';
    c->path.truncated = false;
}

void value_append(config_value *parent, config_value *child) {
    child->next = NULL;
    if (parent->last) {
        parent->last->next = child;
    } else {
        parent->first = child;
    }
    parent->last = child;
    parent->count++;
}

const char *check_variable(const char *const *environment, const char *name, size_t length) {
    for (size_t i = 0; environment && environment[i]; i++) {
        if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=') {
            return environment[i][length + 1] != '\0' ? environment[i] + length + 1 : NULL;
        }
    }
    return NULL;
}

static config_value *new_value(check_context *c, config_kind kind, const schema_node *schema,
                               int line, int column) {
    config_value *value = POOL_NEW(c->memory, config_value);
    if (value) {
        value->kind = kind;
        value->row = schema ? schema->row : NULL;
        value->origin = (config_origin){c->layer, {c->file, line, column}};
    }
    return value;
}

void check_unknown(check_context *c, const schema_node *schema, const char *key, int line,
                   int column) {
    char known[400];
    char name[NAME_BYTES];
    text_buffer list;
    text_init(&list, known, sizeof known);
    schema_snake_case(key, name, sizeof name);
    nearest_search search;
    nearest_init(&search, name);
    for (const schema_node *child = schema->first; child; child = child->next) {
        nearest_offer(&search, child->name);
        text_format(&list, "%s%s", child != schema->first ? ", " : "", child->name);
    }
    if (nearest_result(&search)) {
        check_refuse(c, "C0105", line, column, "there is no such key; did you mean \"%s\"?",
                     nearest_result(&search));
    } else {
        check_refuse(c, "C0105", line, column, "there is no such key; here are known: %s%s", known,
                     list.truncated ? " …" : "");
    }
}

/* A password in a file is in every backup and every repository of it. */
static bool is_secret(const char *name) {
    static const char *const names[] = {"password", "token", "secret", "key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* True when it was told. The value itself is never shown. */
static bool refuse_secret(check_context *c, const char *name, const yaml_entry *entry) {
    if (entry->value->kind != YAML_SCALAR || yaml_is_null(entry->value) || !is_secret(name)) {
        return false;
    }
    check_refuse(c, "C0111", entry->value->line, entry->value->column,
                 "a secret is never written in a file; name a file or a variable instead, with the "
                 "key that ends with _file or _env");
    return true;
}

static config_value *check_free(check_context *c, const yaml_node *node);

static config_value *free_entry(check_context *c, const yaml_entry *entry, size_t index) {
    size_t mark = check_enter(c, entry->key, index);
    config_value *value = NULL;
    if (!entry->key || !refuse_secret(c, entry->key, entry)) {
        value = check_free(c, entry->value);
    }
    if (value) {
        value->name = entry->key;
    }
    check_leave(c, mark);
    return value;
}

/* Anything at all, typed as YAML types it. */
static config_value *check_free(check_context *c, const yaml_node *node) {
    if (node->kind == YAML_SCALAR) {
        bool changed;
        const char *text = interpolate(c, node, &changed);
        config_value *value =
            text ? new_value(c, CONFIG_TEXT, NULL, node->line, node->column) : NULL;
        if (value) {
            scalar_guess(text, node->plain || changed, value);
        }
        return value;
    }
    config_value *value = new_value(c, node->kind == YAML_MAP ? CONFIG_MAP : CONFIG_LIST, NULL,
                                    node->line, node->column);
    size_t index = 0;
    for (const yaml_entry *entry = node->first; value && entry; entry = entry->next) {
        config_value *child = free_entry(c, entry, index++);
        if (child) {
            value_append(value, child);
        }
    }
    return value;
}

static const char *kind_words(const yaml_node *node) {
    return node->kind == YAML_MAP ? "a map" : node->kind == YAML_LIST ? "a list" : "a single value";
}

/* A value of the row's type, or NULL. `plain`: the text carries no quotes. */
static config_value *typed_scalar(check_context *c, const schema_node *schema, const char *text,
                                  bool plain, int line, int column) {
    config_value *value = new_value(c, CONFIG_TEXT, schema, line, column);
    char why[640];
    text_buffer message;
    text_init(&message, why, sizeof why);
    if (!value) {
        return NULL;
    }
    const char *code = scalar_read(schema, text, plain, c->memory, value, &message);
    if (code) {
        check_refuse(c, code, line, column, "%s", why);
        return NULL;
    }
    return value;
}

static config_value *check_scalar(check_context *c, const schema_node *schema,
                                  const yaml_node *node) {
    if (node->kind != YAML_SCALAR) {
        char wanted[300];
        text_buffer expected;
        text_init(&expected, wanted, sizeof wanted);
        scalar_expected(schema, &expected);
        check_refuse(c, "C0106", node->line, node->column, "expected %s, found %s", wanted,
                     kind_words(node));
        return NULL;
    }
    bool changed;
    const char *text = interpolate(c, node, &changed);
    return text ? typed_scalar(c, schema, text, node->plain || changed, node->line, node->column)
                : NULL;
}

/* Tells repeated items of a list that must not have any. */
static void check_unique(check_context *c, const config_value *list) {
    for (const config_value *a = list->first; a; a = a->next) {
        for (const config_value *b = list->first; b != a; b = b->next) {
            if (a->text && b->text && strcmp(a->text, b->text) == 0) {
                check_refuse(c, "C0322", a->origin.place.line, a->origin.place.column,
                             "\"%s\" stands in the list twice; remove one", a->text);
                return;
            }
        }
    }
}

enum { MAX_UNIQUE_ITEMS = 256 };

static config_value *check_list(check_context *c, const schema_node *schema,
                                const yaml_node *node) {
    if (node->kind != YAML_LIST) {
        check_refuse(c, "C0106", node->line, node->column, "expected a list, found %s; write [%s]",
                     kind_words(node), node->kind == YAML_SCALAR ? node->text : "…");
        return NULL;
    }
    bool unique = schema->row && schema->row->flags & CONFIG_KEY_UNIQUE;
    if (unique && node->count > MAX_UNIQUE_ITEMS) {
        check_refuse(c, "C0107", node->line, node->column,
                     "the list has %zu items, at most %d are "
                     "allowed",
                     node->count, (int)MAX_UNIQUE_ITEMS);
        return NULL;
    }
    bool of_maps = schema_is_list_of_maps(schema);
    config_value *list = new_value(c, CONFIG_LIST, schema, node->line, node->column);
    size_t index = 0;
    for (const yaml_entry *entry = node->first; list && entry; entry = entry->next) {
        size_t mark = check_enter(c, NULL, index++);
        config_value *item = of_maps ? check_node(c, schema->first, entry->value)
                                     : check_scalar(c, schema, entry->value);
        if (item && item->kind == CONFIG_NULL && of_maps) {
            check_refuse(c, "C0106", entry->line, entry->column, "expected a map, found nothing");
        } else if (item) {
            value_append(list, item);
        }
        check_leave(c, mark);
    }
    if (list && unique) {
        check_unique(c, list);
    }
    return list;
}

bool check_name(check_context *c, const schema_node *child, const char *name, int line,
                int column) {
    const char *const *choices = child->row ? child->row->choices : NULL;
    if (name[0] == '\0' || strlen(name) >= NAME_BYTES) {
        check_refuse(c, "C0109", line, column, "a name has 1 to %d bytes", (int)NAME_BYTES - 1);
        return false;
    }
    if (!choices || !schema_is_map(child)) {
        return true;
    }
    char message[400];
    text_buffer text;
    text_init(&text, message, sizeof message);
    if (scalar_choice(choices, name, &text)) {
        return true;
    }
    check_refuse(c, "C0109", line, column, "%s", message);
    return false;
}

typedef struct key_reading {
    char name[NAME_BYTES]; /* as the tree holds it */
    bool replaces;
    const schema_node *schema;
} key_reading;

/* False for a key that is ignored or refused. */
static bool read_key(check_context *c, const schema_node *schema, const yaml_entry *entry,
                     key_reading *out) {
    char raw[NAME_BYTES];
    text_buffer text;
    text_init(&text, raw, sizeof raw);
    text_append_string(&text, entry->key);
    out->replaces = text.length > 1 && raw[text.length - 1] == '!';
    raw[text.length - (out->replaces ? 1 : 0)] = '\0';
    if (strncmp(raw, "x-", 2) == 0) {
        return false;
    }
    out->schema = schema_match(schema, raw);
    if (!out->schema) {
        check_unknown(c, schema, raw, entry->line, entry->column);
        return false;
    }
    bool is_name = strcmp(out->schema->name, "*") == 0;
    if (is_name && !check_name(c, out->schema, entry->key, entry->line, entry->column)) {
        return false;
    }
    text_init(&text, out->name, sizeof out->name);
    text_append_string(&text, is_name ? raw : out->schema->name);
    return true;
}

const config_value *config_member(const config_value *map, const char *name) {
    for (const config_value *v = map && map->kind == CONFIG_MAP ? map->first : NULL; v;
         v = v->next) {
        if (strcmp(v->name, name) == 0) {
            return v;
        }
    }
    return NULL;
}

/* Both spellings of one key in one map; looked for where there can be two, since a map of names
 * may be long. */
static bool refuse_twice(check_context *c, const config_value *map, const key_reading *key,
                         const yaml_entry *entry) {
    bool is_name = strcmp(key->schema->name, "*") == 0;
    if ((is_name && !map->replaces) || !config_member(map, key->name)) {
        return false;
    }
    check_refuse(c, "C0104", entry->line, entry->column,
                 "\"%s\" is another spelling of a key that stands here already; remove one",
                 entry->key);
    return true;
}

static void check_entry(check_context *c, const schema_node *schema, const yaml_entry *entry,
                        config_value *map) {
    key_reading key;
    size_t mark = check_enter(c, entry->key, 0);
    if (!refuse_secret(c, entry->key, entry) && read_key(c, schema, entry, &key)) {
        check_leave(c, mark);
        check_enter(c, key.name, 0);
        config_value *value = NULL;
        map->replaces |= key.replaces; /* until it is finished: some key in it had a ! */
        if (!refuse_twice(c, map, &key, entry)) {
            value = check_node(c, key.schema, entry->value);
        }
        if (value) {
            value->name = pool_text(c->memory, key.name, strlen(key.name));
            value->replaces = key.replaces;
            if (value->name) {
                value_append(map, value);
            }
        }
    }
    check_leave(c, mark);
}

static config_value *check_map(check_context *c, const schema_node *schema, const yaml_node *node) {
    if (node->kind != YAML_MAP) {
        check_refuse(c, "C0106", node->line, node->column, "expected a map, found %s",
                     kind_words(node));
        return NULL;
    }
    if (schema_child(schema, "*") && node->count > MAX_NAMES) {
        check_refuse(c, "C0107", node->line, node->column,
                     "the map has %zu names, at most %d are allowed", node->count, (int)MAX_NAMES);
        return NULL;
    }
    config_value *map = new_value(c, CONFIG_MAP, schema, node->line, node->column);
    for (const yaml_entry *entry = node->first; map && entry; entry = entry->next) {
        check_entry(c, schema, entry, map);
    }
    if (map) {
        map->replaces = false;
    }
    return map;
}

config_value *check_node(check_context *c, const schema_node *schema, const yaml_node *node) {
    if (yaml_is_null(node)) {
        return new_value(c, CONFIG_NULL, schema, node->line, node->column);
    }
    if (schema->row && schema->row->type == CONFIG_TYPE_FREE &&
        !(schema->row->flags & CONFIG_KEY_LIST)) {
        config_value *value = check_free(c, node);
        if (value) {
            value->row = schema->row;
        }
        return value;
    }
    if (schema_is_list_of_maps(schema) || (schema->row && schema->row->flags & CONFIG_KEY_LIST)) {
        return check_list(c, schema, node);
    }
    return schema_is_map(schema) ? check_map(c, schema, node) : check_scalar(c, schema, node);
}

/* The next of the words between commas, without the spaces around it; *text goes behind it. */
static const char *next_word(pool *memory, const char **text) {
    const char *begin = *text + strspn(*text, " ");
    const char *end = begin + strcspn(begin, ",");
    *text = *end == ',' ? end + 1 : end;
    while (end > begin && end[-1] == ' ') {
        end--;
    }
    return pool_text(memory, begin, (size_t)(end - begin));
}

static config_value *list_of_words(check_context *c, const schema_node *schema, const char *text) {
    config_value *list = new_value(c, CONFIG_LIST, schema, 0, 0);
    while (list && *text != '\0') {
        const char *word = next_word(c->memory, &text);
        config_value *item = word ? typed_scalar(c, schema, word, true, 0, 0) : NULL;
        if (item) {
            value_append(list, item);
        }
    }
    if (list && schema->row && schema->row->flags & CONFIG_KEY_UNIQUE) {
        check_unique(c, list);
    }
    return list;
}

config_value *check_text(check_context *c, const schema_node *schema, const char *text) {
    bool is_list =
        schema_is_list_of_maps(schema) || (schema->row && schema->row->flags & CONFIG_KEY_LIST);
    bool is_free = schema->row && schema->row->type == CONFIG_TYPE_FREE;
    if (is_list && !schema_is_list_of_maps(schema) && text[0] != '[') {
        return list_of_words(c, schema, text);
    }
    if (!is_list && !is_free && !schema_is_map(schema)) {
        return typed_scalar(c, schema, text, true, 0, 0);
    }
    const yaml_node *node = yaml_read(text, strlen(text), c->file, c->memory, c->problems);
    return node ? check_node(c, schema, node) : NULL;
}
