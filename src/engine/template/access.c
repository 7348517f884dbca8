#include "engine/template/access.h"

#include "base/number.h"
#include "engine/template/builtin.h"
#include "engine/template/character.h"
#include "engine/template/globals.h"
#include "engine/template/loop.h"
#include "engine/template/operate.h"
#include "engine/template/string.h"

/* ---- attributes ---------------------------------------------------------------------------- */

static bool range_attribute(const template_range *range, template_text name, template_value *out) {
    if (template_text_is(name, "start")) {
        *out = template_int(range->start);
    } else if (template_text_is(name, "stop")) {
        *out = template_int(range->stop);
    } else if (template_text_is(name, "step")) {
        *out = template_int(range->step);
    } else {
        return false;
    }
    return true;
}

static bool macro_attribute(template_machine *m, const template_macro *macro, template_text name,
                            template_value *out, bool *found) {
    const template_macro_code *code = macro->code;
    *found = true;
    if (template_text_is(name, "name")) {
        *out = template_string(code->name.bytes, code->name.length);
    } else if (template_text_is(name, "arguments")) {
        template_value *items = TEMPLATE_NEW(m, template_value, code->n_parameters);
        if (!items) {
            return false;
        }
        size_t i = 0;
        for (const template_node *p = code->parameters; p; p = p->next) {
            items[i++] = template_string(p->as.name.name.bytes, p->as.name.name.length);
        }
        *out = template_sequence(TEMPLATE_TUPLE, items, code->n_parameters);
    } else {
        *found = false;
    }
    return true;
}

/* Attributes that are no methods and no keys. */
static bool plain_attribute(template_machine *m, const template_value *base, template_text name,
                            template_value *out, bool *found) {
    *found = false;
    switch ((template_type)base->type) {
    case TEMPLATE_LOOP:
        return template_loop_attribute(m, base->as.object, name, out, found);
    case TEMPLATE_MACRO:
        return macro_attribute(m, base->as.object, name, out, found);
    case TEMPLATE_RANGE:
        *found = range_attribute(base->as.object, name, out);
        return true;
    case TEMPLATE_CYCLER:
        *found = template_cycler_attribute(base->as.object, name, out);
        return true;
    case TEMPLATE_TUPLE:
        if (base->detail == TUPLE_GROUP && template_text_is(name, "grouper")) {
            *out = base->as.items.first[0];
            *found = true;
        } else if (base->detail == TUPLE_GROUP && template_text_is(name, "list")) {
            *out = base->as.items.first[1];
            *found = true;
        }
        return true;
    case TEMPLATE_NAMESPACE: {
        template_value key = template_string(name.bytes, name.length);
        template_entry *entry;
        if (!template_dict_find(m, base->as.dict, &key, &entry)) {
            return false;
        }
        if (entry) {
            *out = entry->value;
            *found = true;
        }
        return true;
    }
    default:
        return true;
    }
}

static bool is_internal_name(template_text name) {
    return name.length > 4 && memcmp(name.bytes, "__", 2) == 0 &&
           memcmp(name.bytes + name.length - 2, "__", 2) == 0;
}

/* Methods and attributes, without keys. */
static bool find_attribute(template_machine *m, const template_value *base, template_text name,
                           template_value *out, bool *found) {
    bool unsafe;
    const template_builtin_row *row = template_find_method(base, name, &unsafe);
    *found = true;
    if (unsafe || is_internal_name(name)) {
        *out = template_undefined(UNDEFINED_UNSAFE, name);
        return true;
    }
    if (!row) {
        return plain_attribute(m, base, name, out, found);
    }
    template_method *method = TEMPLATE_NEW(m, template_method, 1);
    if (!method) {
        return false;
    }
    *method = (template_method){*base, row};
    *out = template_object(TEMPLATE_METHOD, method);
    return true;
}

bool template_get_attribute(template_machine *m, const template_value *base, template_text name,
                            template_value *out) {
    if (template_is_undefined(base) && !template_text_is(name, "__class__")) {
        return template_fail_undefined(m, base);
    }
    bool found;
    if (!find_attribute(m, base, name, out, &found)) {
        return false;
    }
    if (!found && base->type == TEMPLATE_DICT) {
        template_value key = template_string(name.bytes, name.length);
        template_entry *entry;
        if (!template_dict_find(m, base->as.dict, &key, &entry)) {
            return false;
        }
        if (entry) {
            *out = entry->value;
            return true;
        }
    }
    if (!found) {
        *out = template_undefined(UNDEFINED_ATTRIBUTE, name);
    }
    return true;
}

/* ---- items --------------------------------------------------------------------------------- */

static bool undefined_element(template_machine *m, int64_t index, template_value *out) {
    char *text = template_alloc(m, NUMBER_MAX_BYTES, 1, 1);
    if (!text) {
        return false;
    }
    size_t length = number_from_int64(index, text);
    *out = template_undefined(UNDEFINED_ELEMENT, (template_text){text, length});
    return true;
}

static bool character_at(template_machine *m, const template_value *text, int64_t index,
                         template_value *out) {
    template_text t = text->as.text;
    int64_t wanted = index;
    if (!template_charge(m, template_bytes_price(t.length))) {
        return false;
    }
    if (wanted < 0) {
        wanted += (int64_t)character_count(t.bytes, t.length);
    }
    size_t offset = wanted < 0 ? t.length : template_offset(t, (size_t)wanted);
    if (offset >= t.length) {
        return undefined_element(m, index, out);
    }
    uint32_t code_point;
    *out = template_string(t.bytes + offset,
                           character_read(t.bytes + offset, t.length - offset, &code_point));
    out->detail = text->detail;
    return true;
}

static bool item_at(template_machine *m, const template_value *base, int64_t index,
                    template_value *out) {
    if (base->type == TEMPLATE_STRING) {
        return character_at(m, base, index, out);
    }
    const template_range *range = base->type == TEMPLATE_RANGE ? base->as.object : NULL;
    size_t count = range ? range->count : base->as.items.count;
    int64_t wanted = index < 0 ? index + (int64_t)count : index;
    if (wanted < 0 || wanted >= (int64_t)count) {
        return undefined_element(m, index, out);
    }
    *out = range ? template_int(template_range_item(range, (size_t)wanted))
                 : base->as.items.first[wanted];
    return true;
}

static bool is_indexable(const template_value *value) {
    return value->type == TEMPLATE_STRING || value->type == TEMPLATE_RANGE ||
           template_is_items(value);
}

static bool is_key(const template_value *key) {
    return key->type != TEMPLATE_LIST && key->type != TEMPLATE_DICT;
}

bool template_get_item(template_machine *m, const template_value *base, const template_value *key,
                       template_value *out) {
    if (template_is_undefined(base)) {
        return template_fail_undefined(m, base);
    }
    if (base->type == TEMPLATE_DICT && is_key(key)) {
        template_entry *entry;
        if (!template_dict_find(m, base->as.dict, key, &entry)) {
            return false;
        }
        if (entry) {
            *out = entry->value;
            return true;
        }
    }
    if (is_indexable(base) && template_is_integer(key)) {
        return item_at(m, base, template_integer(key), out);
    }
    if (key->type == TEMPLATE_STRING) {
        bool found;
        if (!find_attribute(m, base, key->as.text, out, &found)) {
            return false;
        }
        if (!found) {
            *out = template_undefined(UNDEFINED_ATTRIBUTE, key->as.text);
        }
        return true;
    }
    if (template_is_integer(key)) {
        return undefined_element(m, template_integer(key), out);
    }
    *out = template_undefined(UNDEFINED_ELEMENT, template_text_of(template_type_name(key)));
    return true;
}

/* ---- slices -------------------------------------------------------------------------------- */

typedef struct slice_bounds {
    int64_t start, stop, step;
    size_t count; /* of the items in the slice */
} slice_bounds;

static bool take_bound(template_machine *m, const template_value *bound, int64_t missing,
                       int64_t *out) {
    if (bound->type == TEMPLATE_NONE) {
        *out = missing;
        return true;
    }
    return template_take_int(m, bound, missing, out);
}

/* Python's rules: negative bounds count from the end, all are cut to the length. */
static bool find_bounds(template_machine *m, int64_t length, const template_value *start,
                        const template_value *stop, const template_value *step, slice_bounds *out) {
    if (!take_bound(m, step, 1, &out->step)) {
        return false;
    }
    if (out->step == 0) {
        return template_fail(m, TARS_MALFORMED, "the step of a slice is zero");
    }
    bool forward = out->step > 0;
    int64_t lowest = forward ? 0 : -1;
    int64_t highest = forward ? length : length - 1;
    if (!take_bound(m, start, forward ? lowest : highest, &out->start) ||
        !take_bound(m, stop, forward ? highest : lowest, &out->stop)) {
        return false;
    }
    int64_t *const bounds[] = {&out->start, &out->stop};
    const template_value *const given[] = {start, stop};
    for (size_t i = 0; i < 2; i++) {
        if (given[i]->type == TEMPLATE_NONE) {
            continue;
        }
        if (*bounds[i] < 0) {
            *bounds[i] = *bounds[i] < -length ? lowest : *bounds[i] + length;
        }
        *bounds[i] = *bounds[i] > highest ? highest : *bounds[i];
    }
    uint64_t distance =
        forward ? (uint64_t)(out->stop - out->start) : (uint64_t)(out->start - out->stop);
    uint64_t stride = forward ? (uint64_t)out->step : 0u - (uint64_t)out->step;
    bool is_empty = forward ? out->start >= out->stop : out->start <= out->stop;
    out->count = is_empty ? 0 : (size_t)((distance - 1) / stride + 1);
    return true;
}

static bool slice_items(template_machine *m, const template_value *base, const slice_bounds *b,
                        template_value *out) {
    const template_value *first = base->as.items.first;
    if (b->step == 1) {
        *out = template_sequence((template_type)base->type, b->count > 0 ? first + b->start : first,
                                 b->count);
        return true;
    }
    template_value *items = TEMPLATE_NEW(m, template_value, b->count);
    if (!items || !template_charge(m, b->count)) {
        return false;
    }
    for (size_t i = 0; i < b->count; i++) {
        items[i] = first[b->start + (int64_t)i * b->step];
    }
    *out = template_sequence((template_type)base->type, items, b->count);
    return true;
}

/* Every |step|-th character, forwards or backwards. */
static bool stride_text(template_machine *m, template_text text, const slice_bounds *b,
                        template_value *out) {
    template_writer writer;
    template_writer_capture(&writer);
    size_t offset = b->count > 0 ? template_offset(text, (size_t)b->start) : 0;
    for (size_t i = 0; i < b->count; i++) {
        uint32_t c;
        size_t used = character_read(text.bytes + offset, text.length - offset, &c);
        if (!template_charge(m, 1) || !template_write(m, &writer, text.bytes + offset, used)) {
            return false;
        }
        if (i + 1 == b->count) {
            break;
        }
        for (int64_t k = 0; b->step > 0 && k < b->step; k++) {
            offset += character_read(text.bytes + offset, text.length - offset, &c);
        }
        for (int64_t k = 0; b->step < 0 && k > b->step; k--) {
            offset -= character_read_back(text.bytes, offset, &c);
        }
    }
    *out = template_writer_value(&writer);
    return true;
}

static bool slice_text(template_machine *m, const template_value *base, const slice_bounds *b,
                       template_value *out) {
    template_text text = base->as.text;
    if (!template_charge(m, template_bytes_price(text.length))) {
        return false;
    }
    if (b->step == 1) {
        size_t start = b->count > 0 ? template_offset(text, (size_t)b->start) : 0;
        template_text rest = {text.bytes + start, text.length - start};
        *out = template_string(rest.bytes, template_offset(rest, b->count));
    } else if (!stride_text(m, text, b, out)) {
        return false;
    }
    out->detail = base->detail;
    return true;
}

static bool slice_range(template_machine *m, const template_range *range, const slice_bounds *b,
                        template_value *out) {
    template_range *part = TEMPLATE_NEW(m, template_range, 1);
    if (!part) {
        return false;
    }
    *part = (template_range){.start = range->start + b->start * range->step,
                             .stop = range->start + b->stop * range->step,
                             .step = range->step * b->step,
                             .count = b->count};
    *out = template_object(TEMPLATE_RANGE, part);
    return true;
}

bool template_get_slice(template_machine *m, const template_value *base,
                        const template_value *start, const template_value *stop,
                        const template_value *step, template_value *out) {
    if (template_is_undefined(base)) {
        return template_fail_undefined(m, base);
    }
    if (!is_indexable(base)) {
        return template_fail(m, TARS_MALFORMED, "the template slices a %s",
                             template_type_name(base));
    }
    size_t length;
    slice_bounds bounds;
    if (base->type == TEMPLATE_STRING) {
        length = character_count(base->as.text.bytes, base->as.text.length);
    } else if (base->type == TEMPLATE_RANGE) {
        length = ((const template_range *)base->as.object)->count;
    } else {
        length = base->as.items.count;
    }
    if (!find_bounds(m, (int64_t)length, start, stop, step, &bounds)) {
        return false;
    }
    return base->type == TEMPLATE_STRING  ? slice_text(m, base, &bounds, out)
           : base->type == TEMPLATE_RANGE ? slice_range(m, base->as.object, &bounds, out)
                                          : slice_items(m, base, &bounds, out);
}

/* ---- paths --------------------------------------------------------------------------------- */

/* One part of a path: a number when it consists of digits. */
static bool path_part(template_machine *m, template_text part, template_value *out) {
    bool is_number = part.length > 0;
    for (size_t i = 0; i < part.length; i++) {
        is_number = is_number && part.bytes[i] >= '0' && part.bytes[i] <= '9';
    }
    *out = template_string(part.bytes, part.length);
    int64_t number;
    if (!is_number) {
        return true;
    }
    if (!number_to_int64(part.bytes, part.length, &number)) {
        return template_fail(m, TARS_UNSUPPORTED, "an index beyond 64 bits is not supported");
    }
    *out = template_int(number);
    return true;
}

static bool path_step(template_machine *m, template_value *value, const template_value *key,
                      const template_value *otherwise) {
    template_value next = template_none();
    if (!template_get_item(m, value, key, &next)) {
        return false;
    }
    *value = template_is_undefined(&next) && otherwise && otherwise->type != TEMPLATE_NONE
                 ? *otherwise
                 : next;
    return template_charge(m, 1);
}

bool template_get_path(template_machine *m, const template_value *base, const template_value *path,
                       const template_value *otherwise, template_value *out) {
    *out = *base;
    if (template_is_missing(path) || path->type == TEMPLATE_NONE) {
        return true;
    }
    if (path->type != TEMPLATE_STRING) {
        return path_step(m, out, path, otherwise);
    }
    template_text rest = path->as.text;
    for (;;) {
        template_text part = {rest.bytes, template_find_byte(rest.bytes, rest.length, '.')};
        template_value key = template_none();
        if (!path_part(m, part, &key) || !path_step(m, out, &key, otherwise)) {
            return false;
        }
        if (part.length == rest.length) {
            return true;
        }
        rest.bytes += part.length + 1;
        rest.length -= part.length + 1;
    }
}
