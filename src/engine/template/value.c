#include "engine/template/value.h"

#include <string.h>

template_value template_none(void) {
    return (template_value){.type = TEMPLATE_NONE};
}

template_value template_bool(bool value) {
    return (template_value){.type = TEMPLATE_BOOL, .as.boolean = value};
}

template_value template_int(int64_t value) {
    return (template_value){.type = TEMPLATE_INT, .as.integer = value};
}

template_value template_float(double value) {
    return (template_value){.type = TEMPLATE_FLOAT, .as.number = value};
}

template_value template_string(const char *bytes, size_t length) {
    return (template_value){.type = TEMPLATE_STRING, .as.text = {bytes ? bytes : "", length}};
}

template_value template_cstring(const char *text) {
    return text ? template_string(text, strlen(text)) : template_none();
}

template_value *template_list(arena *memory, size_t count, template_value *out) {
    template_value *items = ARENA_ARRAY(memory, template_value, count);
    if (!items) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = template_none();
    }
    *out = (template_value){.type = TEMPLATE_LIST, .as.items = {items, count}};
    return items;
}

bool template_dict_new(arena *memory, size_t capacity, template_value *out) {
    template_dict *dict = ARENA_NEW(memory, template_dict);
    template_entry *entries = ARENA_ARRAY(memory, template_entry, capacity);
    if (!dict || !entries) {
        return false;
    }
    dict->entries = entries;
    dict->capacity = capacity;
    *out = (template_value){.type = TEMPLATE_DICT, .as.dict = dict};
    return true;
}

static template_entry *entry_of(const template_dict *dict, const char *key, size_t length) {
    for (size_t i = 0; i < dict->count; i++) {
        const template_value *found = &dict->entries[i].key;
        if (found->type == TEMPLATE_STRING && found->as.text.length == length &&
            memcmp(found->as.text.bytes, key, length) == 0) {
            return &dict->entries[i];
        }
    }
    return NULL;
}

bool template_dict_put(arena *memory, template_value *dict, const char *key, template_value value) {
    template_dict *d = dict->as.dict;
    template_entry *entry = entry_of(d, key, strlen(key));
    if (entry) {
        entry->value = value;
        return true;
    }
    if (d->count == d->capacity) {
        size_t capacity = d->capacity < 4 ? 8 : d->capacity * 2;
        template_entry *entries = ARENA_ARRAY(memory, template_entry, capacity);
        if (!entries) {
            return false;
        }
        if (d->count > 0) {
            memcpy(entries, d->entries, d->count * sizeof *entries);
        }
        d->entries = entries;
        d->capacity = capacity;
    }
    d->entries[d->count++] = (template_entry){template_cstring(key), value};
    return true;
}

const template_value *template_dict_get(const template_value *dict, const char *key) {
    if (!dict || dict->type != TEMPLATE_DICT) {
        return NULL;
    }
    const template_entry *entry = entry_of(dict->as.dict, key, strlen(key));
    return entry ? &entry->value : NULL;
}

static tars_status convert(arena *memory, const json_value *json, unsigned depth,
                           template_value *out, tars_error *err);

static tars_status no_memory(tars_error *err) {
    error_set(err, TARS_OUT_OF_MEMORY, "the arena is too small for the template's values");
    return error_hint(err, "give a larger arena or shorter messages");
}

static tars_status convert_array(arena *memory, const json_value *json, unsigned depth,
                                 template_value *out, tars_error *err) {
    template_value *items = template_list(memory, json->count, out);
    if (!items) {
        return no_memory(err);
    }
    tars_status status = TARS_OK;
    for (const json_value *child = json->first; child && !status; child = child->next) {
        status = convert(memory, child, depth + 1, items++, err);
    }
    return status;
}

static tars_status convert_object(arena *memory, const json_value *json, unsigned depth,
                                  template_value *out, tars_error *err) {
    if (!template_dict_new(memory, json->count, out)) {
        return no_memory(err);
    }
    template_dict *dict = out->as.dict;
    tars_status status = TARS_OK;
    for (const json_value *child = json->first; child && !status; child = child->next) {
        template_entry *entry = &dict->entries[dict->count++]; /* the reader refuses doubles */
        entry->key = template_string(child->key, child->key_length);
        status = convert(memory, child, depth + 1, &entry->value, err);
    }
    return status;
}

static tars_status convert(arena *memory, const json_value *json, unsigned depth,
                           template_value *out, tars_error *err) {
    if (depth > TEMPLATE_MAX_JSON_DEPTH) {
        return error_set(err, TARS_LIMIT, "JSON nested deeper than %d levels",
                         TEMPLATE_MAX_JSON_DEPTH);
    }
    switch (json->type) {
    case JSON_NULL:
        *out = template_none();
        return TARS_OK;
    case JSON_BOOL:
        *out = template_bool(json->boolean);
        return TARS_OK;
    case JSON_NUMBER:
        *out = json->is_integer ? template_int(json->integer) : template_float(json->number);
        return TARS_OK;
    case JSON_STRING:
        *out = template_string(json->string, json->string_length);
        return TARS_OK;
    case JSON_ARRAY:
        return convert_array(memory, json, depth, out, err);
    case JSON_OBJECT:
        return convert_object(memory, json, depth, out, err);
    }
    return error_set(err, TARS_FAILED, "a JSON value of an unknown type");
}

tars_status template_from_json(arena *memory, const json_value *json, template_value *out,
                               tars_error *err) {
    return convert(memory, json, 0, out, err);
}
