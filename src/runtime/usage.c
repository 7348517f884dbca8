#include "runtime/usage.h"

#include "base/text.h"

#include <string.h>

enum { ROWS_FOR_LIMITS = 8 };

void runtime_usage_count(runtime_usage *usage, const char *name, uint64_t n) {
    if (n == 0) {
        return;
    }
    for (size_t i = 0; i < usage->n_calls; i++) {
        if (strcmp(usage->calls[i].name, name) == 0) {
            usage->calls[i].count += n;
            return;
        }
    }
    if (usage->n_calls < RUNTIME_MAX_CALLS) {
        usage->calls[usage->n_calls++] = (runtime_call){name, n};
    }
}

void runtime_violations_add(runtime_violations *list, const char *kind, const char *name,
                            uint64_t n) {
    for (size_t i = 0; i < list->count; i++) {
        runtime_violation *row = &list->rows[i];
        if (strcmp(row->kind, kind) == 0 && strcmp(row->name, name) == 0) {
            row->count += n;
            return;
        }
    }
    bool is_limit = strcmp(kind, "limit") == 0; /* for these there is always room */
    if (list->count >= RUNTIME_MAX_VIOLATIONS - (is_limit ? 0 : ROWS_FOR_LIMITS)) {
        list->lost += n;
        return;
    }
    runtime_violation *row = &list->rows[list->count++];
    text_buffer text;
    text_init(&text, row->name, sizeof row->name);
    text_append_string(&text, name);
    row->kind = kind;
    row->count = n;
}
