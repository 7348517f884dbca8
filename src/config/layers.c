#include "config/layers.h"

#include <string.h>

static config_value **find_link(config_value *map, const char *name) {
    config_value **link = &map->first;
    while (*link && strcmp((*link)->name, name) != 0) {
        link = &(*link)->next;
    }
    return link;
}

static void remove_at(config_value *map, config_value **link) {
    *link = (*link)->next;
    map->count--;
    map->last = NULL;
    for (config_value *v = map->first; v; v = v->next) {
        map->last = v;
    }
}

/* A null in a layer is an order to the layers below; with nothing below it just goes. */
static void drop_nulls(config_value *map) {
    config_value *child = map->first;
    map->first = map->last = NULL;
    map->count = 0;
    while (child) {
        config_value *next = child->next;
        if (child->kind != CONFIG_NULL) {
            value_append(map, child);
        }
        if (child->kind == CONFIG_MAP) {
            drop_nulls(child);
        }
        child = next;
    }
}

static void merge_child(config_value *lower, config_value *child) {
    config_value **link = find_link(lower, child->name);
    config_value *below = *link;
    if (child->kind == CONFIG_NULL) {
        if (below) {
            remove_at(lower, link);
        }
        return;
    }
    if (below && below->kind == CONFIG_MAP && child->kind == CONFIG_MAP && !child->replaces) {
        layers_merge(below, child);
        return;
    }
    if (child->kind == CONFIG_MAP) {
        drop_nulls(child);
    }
    if (!below) {
        value_append(lower, child);
        return;
    }
    child->next = below->next;
    *link = child;
    lower->last = lower->last == below ? child : lower->last;
}

void layers_merge(config_value *lower, config_value *upper) {
    lower->origin = upper->origin;
    if (lower->count == 0) { /* nothing to look for: a map of many names costs no quadratic time */
        drop_nulls(upper);
        lower->first = upper->first;
        lower->last = upper->last;
        lower->count = upper->count;
        return;
    }
    for (config_value *child = upper->first; child;) {
        config_value *next = child->next;
        merge_child(lower, child);
        child = next;
    }
}

static void fill_entry(check_context *c, const schema_node *schema, config_value *value) {
    if (value->kind == CONFIG_MAP) {
        layers_fill(c, schema, value);
        return;
    }
    for (config_value *item = value->first; item; item = item->next) {
        if (schema_is_list_of_maps(schema) && item->kind == CONFIG_MAP) {
            layers_fill(c, schema->first, item);
        }
    }
}

static void add_default(check_context *c, const schema_node *schema, config_value *map) {
    config_value *value = NULL;
    if (schema->row && schema->row->standard) {
        value = check_text(c, schema, schema->row->standard);
    } else if (schema_is_map(schema)) {
        value = POOL_NEW(c->memory, config_value);
        if (value) {
            value->kind = CONFIG_MAP;
            value->row = schema->row;
            value->origin = (config_origin){c->layer, {c->file, 0, 0}};
            layers_fill(c, schema, value);
        }
    }
    if (value && (value->kind != CONFIG_MAP || value->count > 0)) {
        value->name = schema->name;
        value_append(map, value);
    }
}

/* Moves the entries to the end of the map in the table's order, with defaults between them. */
static void arrange(check_context *c, const schema_node *schema, config_value *map,
                    config_value *entries) {
    for (const schema_node *child = schema->first; child; child = child->next) {
        bool any = strcmp(child->name, "*") == 0;
        bool found = false;
        for (config_value **link = &entries; *link;) {
            config_value *v = *link;
            bool wanted = any ? !schema_child(schema, v->name) : strcmp(v->name, child->name) == 0;
            if (!wanted) {
                link = &v->next;
                continue;
            }
            found = true;
            *link = v->next;
            value_append(map, v);
            if (child->first) {
                fill_entry(c, child, v);
            }
        }
        if (!found && !any) {
            add_default(c, child, map);
        }
    }
}

void layers_fill(check_context *c, const schema_node *schema, config_value *map) {
    config_value *entries = map->first;
    map->first = map->last = NULL;
    map->count = 0;
    arrange(c, schema, map, entries);
}

/* A value that was refused is missing too, but that was told already. */
static bool was_told(const check_context *c) {
    for (const config_diagnostic *d = c->problems->first; d; d = d->next) {
        if (strcmp(d->path, c->path.data) == 0) {
            return true;
        }
    }
    return false;
}

static void require_key(check_context *c, const schema_node *schema, const config_value *map) {
    size_t mark = check_enter(c, schema->name, 0);
    bool told = was_told(c);
    check_leave(c, mark);
    if (!told) {
        c->file = map->origin.place.file;
        check_refuse(c, "C0108", map->origin.place.line, map->origin.place.column,
                     "the key \"%s\" is missing here: %s", schema->name, schema->row->text);
    }
}

static void require_entry(check_context *c, const schema_node *schema, const config_value *value) {
    size_t index = 0;
    if (value->kind == CONFIG_MAP) {
        layers_require(c, schema, value);
        return;
    }
    for (const config_value *item = value->first; item; item = item->next) {
        size_t mark = check_enter(c, NULL, index++);
        if (schema_is_list_of_maps(schema) && item->kind == CONFIG_MAP) {
            layers_require(c, schema->first, item);
        }
        check_leave(c, mark);
    }
}

void layers_require(check_context *c, const schema_node *schema, const config_value *map) {
    const schema_node *any = schema_child(schema, "*");
    for (const schema_node *child = schema->first; child; child = child->next) {
        if (child->row && child->row->flags & CONFIG_KEY_REQUIRED &&
            !config_member(map, child->name)) {
            require_key(c, child, map);
        }
    }
    for (const config_value *v = map->first; v; v = v->next) {
        const schema_node *named = schema_child(schema, v->name);
        named = named ? named : any;
        if (named && named->first) {
            size_t mark = check_enter(c, v->name, 0);
            require_entry(c, named, v);
            check_leave(c, mark);
        }
    }
}
