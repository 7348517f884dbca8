#include "config/assign.h"
#include "config/config.h"
#include "config/quantity.h"
#include "config/scalar.h"

#include <string.h>

static void write_node(const schema_node *node, json_writer *json);

/* The pattern of a text with a unit; NULL for types that have none. */
static const char *quantity_pattern(config_type type) {
    static const char *const patterns[CONFIG_TYPE_COUNT] = {
        [CONFIG_TYPE_SIZE] = "^[0-9.]+ ?([kKMGTmg]|[kKMGT]B|[KMGT]i|[KMGT]iB|B)?$",
        [CONFIG_TYPE_DURATION] = "^[0-9.]+ ?(ms|s|m|h|d)?$",
        [CONFIG_TYPE_CPU] = "^[0-9.]+ ?(m|core|cores)?$",
    };
    return patterns[type];
}

static const char *text_pattern(config_type type) {
    static const char *const patterns[CONFIG_TYPE_COUNT] = {
        [CONFIG_TYPE_ID] = "^[a-z0-9][a-z0-9-]{0,62}$",
        [CONFIG_TYPE_CAPABILITY] = "^[a-z][a-z0-9_-]{0,62}$",
        [CONFIG_TYPE_DIGEST] = "^[0-9a-fA-F]{64}$",
        [CONFIG_TYPE_DATE] = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        [CONFIG_TYPE_CRON] = "^ *[0-9*/,-]+( +[0-9*/,-]+){4} *$",
    };
    return patterns[type];
}

static void write_choices(const char *const *choices, json_writer *json) {
    json_key(json, "enum");
    json_begin_array(json);
    for (; *choices; choices++) {
        json_string(json, *choices);
        if (strcmp(*choices, "true") == 0 || strcmp(*choices, "false") == 0) {
            json_bool(json, strcmp(*choices, "true") == 0);
        }
    }
    json_end_array(json);
}

static void write_quantity(const config_key *row, json_writer *json) {
    json_key(json, "anyOf");
    json_begin_array(json);
    json_begin_object(json);
    json_member_string(json, "type", "number");
    json_member_int(json, "minimum", 0);
    json_end_object(json);
    json_begin_object(json);
    json_member_string(json, "type", "string");
    json_member_string(json, "pattern", quantity_pattern(row->type));
    json_end_object(json);
    json_end_array(json);
}

/* The members that say what one value may be. Texts may also be numbers without quotes, as the
 * loader takes them, and hold ${NAME}, so only their type is told where that could be. */
static void write_scalar_type(const config_key *row, json_writer *json) {
    static const char *const names[CONFIG_TYPE_COUNT] = {
        [CONFIG_TYPE_BOOL] = "boolean",
        [CONFIG_TYPE_INT] = "integer",
        [CONFIG_TYPE_FLOAT] = "number",
    };
    if (row->choices && row->type == CONFIG_TYPE_ENUM) {
        write_choices(row->choices, json);
    } else if (quantity_pattern(row->type)) {
        write_quantity(row, json);
    } else if (row->type == CONFIG_TYPE_STRING) {
        json_key(json, "type");
        json_begin_array(json);
        json_string(json, "string");
        json_string(json, "number");
        json_string(json, "boolean");
        json_end_array(json);
    } else if (row->type != CONFIG_TYPE_FREE) {
        json_member_string(json, "type", names[row->type] ? names[row->type] : "string");
    }
    if (text_pattern(row->type)) {
        json_member_string(json, "pattern", text_pattern(row->type));
    }
    bool is_number = row->type == CONFIG_TYPE_INT || row->type == CONFIG_TYPE_FLOAT;
    if (is_number && (row->minimum != 0 || row->maximum != 0)) {
        json_member_double(json, "minimum", row->minimum);
        json_member_double(json, "maximum", row->maximum);
    }
}

/* The default of a single value; lists and free values tell theirs in the description. */
static void write_default(const schema_node *node, json_writer *json) {
    const config_key *row = node->row;
    config_value value = {.row = row};
    char why[512];
    text_buffer text;
    text_init(&text, why, sizeof why);
    pool memory = {0};
    if (row->standard && !(row->flags & CONFIG_KEY_LIST) && !schema_is_list_of_maps(node) &&
        row->type != CONFIG_TYPE_FREE &&
        !scalar_read(node, row->standard, true, &memory, &value, &text)) {
        json_key(json, "default");
        config_json_write(&value, json);
    }
    pool_free(&memory);
}

static void write_description(const schema_node *node, json_writer *json) {
    const config_key *row = node->row;
    char words[600];
    text_buffer text;
    if (!row || !row->text) {
        return;
    }
    text_init(&text, words, sizeof words);
    text_append_string(&text, row->text);
    if (row->standard && row->flags & CONFIG_KEY_LIST) {
        text_format(&text, "; default %s", row->standard);
    }
    if (row->flags & CONFIG_KEY_RESTART) {
        text_append_string(&text, "; a change needs a restart");
    }
    json_member_string(json, "description", words);
}

static void write_required(const schema_node *node, json_writer *json) {
    bool open = false;
    for (const schema_node *child = node->first; child; child = child->next) {
        if (!child->row || !(child->row->flags & CONFIG_KEY_REQUIRED)) {
            continue;
        }
        if (!open) {
            json_key(json, "required");
            json_begin_array(json);
            open = true;
        }
        json_string(json, child->name);
    }
    if (open) {
        json_end_array(json);
    }
}

static void write_map(const schema_node *node, json_writer *json) {
    json_member_string(json, "type", "object");
    json_key(json, "properties");
    json_begin_object(json);
    const schema_node *any = NULL;
    for (const schema_node *child = node->first; child; child = child->next) {
        if (strcmp(child->name, "*") == 0) {
            any = child;
            continue;
        }
        json_key(json, child->name);
        write_node(child, json);
    }
    json_end_object(json);
    json_key(json, "patternProperties");
    json_begin_object(json);
    json_key(json, "^x-");
    json_bool(json, true);
    json_key(json, "!$");
    json_bool(json, true);
    json_end_object(json);
    if (any && any->row && any->row->choices && schema_is_map(any)) {
        json_key(json, "propertyNames");
        json_begin_object(json);
        write_choices(any->row->choices, json);
        json_end_object(json);
    }
    json_key(json, "additionalProperties");
    if (any) {
        write_node(any, json);
    } else {
        json_bool(json, false);
    }
    write_required(node, json);
}

static void write_list(const schema_node *node, json_writer *json) {
    json_member_string(json, "type", "array");
    json_key(json, "items");
    if (schema_is_list_of_maps(node)) {
        write_node(node->first, json);
    } else if (node->row) {
        json_begin_object(json);
        write_scalar_type(node->row, json);
        json_end_object(json);
    }
    if (node->row && node->row->flags & CONFIG_KEY_UNIQUE) {
        json_member_bool(json, "uniqueItems", true);
    }
}

static void write_node(const schema_node *node, json_writer *json) {
    json_begin_object(json);
    if (schema_is_list_of_maps(node) || (node->row && node->row->flags & CONFIG_KEY_LIST)) {
        write_list(node, json);
    } else if (schema_is_map(node)) {
        write_map(node, json);
    } else if (node->row) {
        write_scalar_type(node->row, json);
    }
    if (node->row) {
        write_default(node, json);
    }
    write_description(node, json);
    json_end_object(json);
}

tars_status config_schema_write(json_writer *json, tars_error *err) {
    pool memory = {0};
    const schema_node *root = schema_build(&memory);
    if (!root) {
        pool_free(&memory);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the table of keys");
    }
    json_begin_object(json);
    json_member_string(json, "$schema", "https://json-schema.org/draft/2020-12/schema");
    json_member_string(json, "title", "TARS configuration");
    json_member_string(json, "description",
                       "Keys are written in snake_case here; camelCase is read too. Any value may "
                       "be null, which restores the default, and any text may hold ${NAME}.");
    write_map(root, json);
    json_end_object(json);
    pool_free(&memory);
    return TARS_OK;
}

tars_status config_path_check(const char *path, tars_error *err) {
    pool memory = {0};
    config_diagnostics problems = {0};
    check_context check;
    path_parts parts;
    check_begin(&check, &memory, &problems);
    const schema_node *node = schema_build(&memory);
    if (!node) {
        pool_free(&memory);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the table of keys");
    }
    if (!path_split(path, strlen(path), &parts)) {
        error_set(err, TARS_USAGE, "\"%.80s\" is no path of keys", path);
        error_hint(err, "a path has names with points between: deployment.wasm.limits.memory");
        node = NULL;
        parts.count = 0;
    }
    for (size_t i = 0; node && i < parts.count; i++) {
        bool is_free = node->row && node->row->type == CONFIG_TYPE_FREE;
        const schema_node *child = is_free ? node : schema_match(node, parts.parts[i]);
        check_enter(&check, parts.parts[i], 0);
        if (!child) {
            check_unknown(&check, node, parts.parts[i], 0, 0);
            const config_diagnostic *d = problems.first;
            error_set(err, TARS_USAGE, "%s: %s", d ? d->path : path, d ? d->message : "unknown");
        }
        node = child;
    }
    pool_free(&memory);
    diagnostics_free(&problems);
    return node ? TARS_OK : TARS_USAGE;
}
