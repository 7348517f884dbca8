#include "engine/template/machine.h"

#include "base/checked.h"
#include "base/text.h"

#include <stdarg.h>

static const char *const type_names[TEMPLATE_TYPE_COUNT] = {
    [TEMPLATE_UNDEFINED] = "Undefined", [TEMPLATE_NONE] = "NoneType",
    [TEMPLATE_BOOL] = "bool",           [TEMPLATE_INT] = "int",
    [TEMPLATE_FLOAT] = "float",         [TEMPLATE_STRING] = "str",
    [TEMPLATE_LIST] = "list",           [TEMPLATE_DICT] = "dict",
    [TEMPLATE_TUPLE] = "tuple",         [TEMPLATE_RANGE] = "range",
    [TEMPLATE_VIEW] = "dict view",      [TEMPLATE_LAZY] = "generator",
    [TEMPLATE_NAMESPACE] = "Namespace", [TEMPLATE_MACRO] = "Macro",
    [TEMPLATE_METHOD] = "method",       [TEMPLATE_FUNCTION] = "function",
    [TEMPLATE_LOOP] = "LoopContext",    [TEMPLATE_CYCLER] = "Cycler",
    [TEMPLATE_JOINER] = "Joiner",       [TEMPLATE_SELF] = "TemplateReference",
};

const char *template_type_name(const template_value *value) {
    return type_names[value->type];
}

/* The first failure wins: what unwinding code reports after it is a consequence. */
static bool first_failure(template_machine *m, tars_status status) {
    if (m->status != TARS_OK) {
        return false;
    }
    m->status = status;
    return true;
}

static void name_place(template_machine *m) {
    if (m->line > 0) {
        error_where(m->err, "chat template, line %u", m->line);
    } else {
        error_where(m->err, "chat template");
    }
}

bool template_fail(template_machine *m, tars_status status, const char *format, ...) {
    if (!first_failure(m, status) || !m->err) {
        return false;
    }
    error_clear(m->err);
    m->err->status = status;
    text_buffer text;
    text_init(&text, m->err->message, sizeof m->err->message);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    name_place(m);
    return false;
}

bool template_fail_text(template_machine *m, tars_status status, template_text message) {
    if (!first_failure(m, status) || !m->err) {
        return false;
    }
    error_clear(m->err);
    m->err->status = status;
    text_buffer text;
    text_init(&text, m->err->message, sizeof m->err->message);
    text_append(&text, message.bytes, message.length);
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
            text.data[i] = '?'; /* a template must not drive a terminal */
        }
    }
    name_place(m);
    return false;
}

bool template_fail_undefined(template_machine *m, const template_value *value) {
    static const char *const formats[] = {
        [UNDEFINED_NAME] = "the template uses '%.*s', which is undefined",
        [UNDEFINED_ATTRIBUTE] = "the template uses the attribute or key '%.*s' of a value that has "
                                "none of that name",
        [UNDEFINED_ELEMENT] = "the template uses the element %.*s of a list that has none there",
        [UNDEFINED_UNSAFE] = "access to the attribute '%.*s' is refused: templates may not change "
                             "values or reach internal attributes",
        [UNDEFINED_HINT] = "%.*s",
        [UNDEFINED_MISSING] = "the template uses a value that is missing: %.*s",
    };
    tars_status status = value->detail == UNDEFINED_UNSAFE ? TARS_DENIED : TARS_MALFORMED;
    size_t length = value->as.text.length < 200 ? value->as.text.length : 200;
    template_fail(m, status, formats[value->detail], (int)length,
                  length > 0 ? value->as.text.bytes : "");
    if (status == TARS_MALFORMED) {
        error_hint(m->err, "the template expects other messages, tools or variables than these");
    }
    return false;
}

bool template_charge(template_machine *m, uint64_t steps) {
    if (m->left_steps < steps) {
        m->left_steps = 0;
        template_fail(m, TARS_LIMIT, "the chat template used up its step budget");
        error_hint(m->err, "the template loops too long for its input, or max_steps is too small");
        return false;
    }
    m->left_steps -= steps;
    return true;
}

bool template_enter(template_machine *m) {
    if (m->depth >= m->max_depth) {
        template_fail(m, TARS_LIMIT, "the chat template nests deeper than %u levels", m->max_depth);
        error_hint(m->err, "a macro may call itself without end, or a value nests too deeply");
        return false;
    }
    m->depth++;
    if (m->depth > m->peak_depth) {
        m->peak_depth = m->depth;
    }
    return template_charge(m, 1);
}

void *template_alloc(template_machine *m, size_t count, size_t element_bytes, size_t alignment) {
    size_t size_bytes;
    void *memory = NULL;
    if (checked_mul_size(count, element_bytes, &size_bytes)) {
        memory = arena_alloc_raw(m->memory, size_bytes, alignment);
    }
    if (!memory) {
        template_fail(m, TARS_OUT_OF_MEMORY,
                      "the chat template needs more memory than its arena of %zu bytes has",
                      m->memory->size_bytes);
        error_hint(m->err, "give a larger arena or shorter messages");
    }
    return memory;
}

void template_writer_capture(template_writer *writer) {
    *writer = (template_writer){.sink = NULL};
}

/* Makes room for `more` bytes of captured text: in place when it lies at the arena's end. */
static bool grow(template_machine *m, template_writer *writer, size_t more) {
    size_t needed;
    if (!checked_add_size(writer->length, more, &needed)) {
        return template_fail(m, TARS_OUT_OF_MEMORY, "the template's text is too long");
    }
    size_t capacity = writer->capacity < 32 ? 64 : writer->capacity;
    while (capacity < needed && capacity <= SIZE_MAX / 2) {
        capacity *= 2;
    }
    if (capacity < needed) {
        capacity = needed;
    }
    uint8_t *end = m->memory->base + m->memory->used_bytes;
    if (writer->data && (uint8_t *)writer->data + writer->capacity == end) {
        if (!template_alloc(m, capacity - writer->capacity, 1, 1)) {
            return false;
        }
    } else {
        char *data = template_alloc(m, capacity, 1, 1);
        if (!data) {
            return false;
        }
        if (writer->data) {
            memcpy(data, writer->data, writer->length);
        }
        writer->data = data;
    }
    writer->capacity = capacity;
    return true;
}

bool template_write(template_machine *m, template_writer *writer, const char *bytes,
                    size_t length) {
    if (length == 0) {
        return true;
    }
    if (!template_charge(m, template_bytes_price(length))) {
        return false;
    }
    if (writer->sink) {
        if (length > writer->left_bytes) {
            return template_fail(m, TARS_LIMIT, "the rendered chat is longer than allowed");
        }
        writer->left_bytes -= length;
        return writer->sink(writer->context, bytes, length) ||
               template_fail(m, TARS_LIMIT, "the receiver of the rendered chat is full");
    }
    if (length > writer->capacity - writer->length && !grow(m, writer, length)) {
        return false;
    }
    memcpy(writer->data + writer->length, bytes, length);
    writer->length += length;
    return true;
}

bool template_write_string(template_machine *m, template_writer *writer, const char *string) {
    return template_write(m, writer, string, strlen(string));
}

template_value template_writer_value(const template_writer *writer) {
    return template_string(writer->data ? writer->data : "", writer->length);
}
