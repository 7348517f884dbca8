#include "base/number.h"
#include "config/check.h"
#include "config/quantity.h"

void config_origin_write(const config_origin *origin, text_buffer *out) {
    text_format(out, "%s", origin->place.file);
    if (origin->place.line > 0 && origin->layer > CONFIG_LAYER_PLATFORM) {
        text_format(out, ":%d:%d", origin->place.line, origin->place.column);
    }
}

typedef void (*quantity_writer)(text_buffer *out, int64_t value);

/* NULL for a plain number. */
static quantity_writer writer_of(const config_value *value) {
    static const quantity_writer writers[CONFIG_TYPE_COUNT] = {
        [CONFIG_TYPE_SIZE] = quantity_write_size,
        [CONFIG_TYPE_DURATION] = quantity_write_duration,
        [CONFIG_TYPE_CPU] = quantity_write_cpu,
    };
    return value->kind == CONFIG_INT && value->row ? writers[value->row->type] : NULL;
}

void config_scalar_write(const config_value *value, text_buffer *out) {
    quantity_writer write = writer_of(value);
    char number[NUMBER_MAX_BYTES];
    if (write) {
        write(out, value->integer);
    } else if (value->kind == CONFIG_BOOL) {
        text_append_string(out, value->boolean ? "true" : "false");
    } else if (value->kind == CONFIG_INT) {
        number_from_int64(value->integer, number);
        text_append_string(out, number);
    } else if (value->kind == CONFIG_FLOAT) {
        number_from_double(value->number, number);
        text_append_string(out, number);
    } else {
        text_append_string(out, value->kind == CONFIG_TEXT ? value->text : "null");
    }
}

static void write_scalar(const config_value *value, json_writer *json) {
    char quantity[64];
    text_buffer text;
    if (writer_of(value)) {
        text_init(&text, quantity, sizeof quantity);
        config_scalar_write(value, &text);
        json_string(json, quantity);
    } else if (value->kind == CONFIG_BOOL) {
        json_bool(json, value->boolean);
    } else if (value->kind == CONFIG_INT) {
        json_int(json, value->integer);
    } else if (value->kind == CONFIG_FLOAT) {
        json_double(json, value->number);
    } else if (value->kind == CONFIG_TEXT) {
        json_string(json, value->text);
    } else {
        json_null(json);
    }
}

void config_json_write(const config_value *value, json_writer *json) {
    if (value->kind != CONFIG_LIST && value->kind != CONFIG_MAP) {
        write_scalar(value, json);
        return;
    }
    bool is_map = value->kind == CONFIG_MAP;
    (is_map ? json_begin_object : json_begin_array)(json);
    for (const config_value *child = value->first; child; child = child->next) {
        if (is_map) {
            json_key(json, child->name);
        }
        config_json_write(child, json);
    }
    (is_map ? json_end_object : json_end_array)(json);
}

static void write_origins(check_context *c, const config_value *value, json_writer *json) {
    char bytes[4160];
    text_buffer text;
    if (value->kind != CONFIG_MAP) {
        text_init(&text, bytes, sizeof bytes);
        config_origin_write(&value->origin, &text);
        json_member_string(json, c->path.data, bytes);
        return;
    }
    for (const config_value *child = value->first; child; child = child->next) {
        size_t mark = check_enter(c, child->name, 0);
        write_origins(c, child, json);
        check_leave(c, mark);
    }
}

void config_origins_write(const config *c, const char *path, json_writer *json) {
    const config_value *value = path[0] != '\0' ? config_get(c, path) : config_root(c);
    check_context context; /* for its path */
    check_begin(&context, NULL, NULL);
    text_append_string(&context.path, path);
    json_key(json, "origins");
    json_begin_object(json);
    if (value) {
        write_origins(&context, value, json);
    }
    json_end_object(json);
}
