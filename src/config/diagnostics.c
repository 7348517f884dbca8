#include "config/diagnostics.h"

#include <string.h>

void diagnostics_add(config_diagnostics *list, const char *code, bool warning, config_place place,
                     const char *path, const char *format, ...) {
    size_t listed = list->n_errors + list->n_warnings;
    list->n_errors += warning ? 0 : 1;
    list->n_warnings += warning ? 1 : 0;
    config_diagnostic *d =
        listed < DIAGNOSTICS_MAX ? POOL_NEW(&list->memory, config_diagnostic) : NULL;
    if (!d) {
        return;
    }
    char message[1024];
    text_buffer text;
    text_init(&text, message, sizeof message);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    d->code = code;
    d->warning = warning;
    d->file = pool_text(&list->memory, place.file, strlen(place.file));
    d->line = place.line;
    d->column = place.column;
    d->path = pool_text(&list->memory, path, strlen(path));
    d->message = pool_text(&list->memory, text.data, text.length);
    if (!d->file || !d->path || !d->message) {
        return; /* no memory for the words: the count still says that there is an error */
    }
    if (list->last) {
        list->last->next = d;
    } else {
        list->first = d;
    }
    list->last = d;
}

void diagnostics_line(const config_diagnostic *d, text_buffer *out) {
    text_format(out, "%s:", d->file);
    if (d->line > 0) {
        text_format(out, "%d:%d:", d->line, d->column);
    }
    text_format(out, " %s[%s]: ", d->warning ? "warning" : "error", d->code);
    if (d->path[0] != '\0') {
        text_format(out, "%s: ", d->path);
    }
    text_format(out, "%s", d->message);
}

void diagnostics_free(config_diagnostics *list) {
    pool_free(&list->memory);
    *list = (config_diagnostics){0};
}
