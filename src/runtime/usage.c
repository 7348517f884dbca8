#include "runtime/usage.h"

#include <string.h>

void runtime_usage_count(runtime_usage *usage, const char *name) {
    runtime_usage_add(usage, name, 1);
}

void runtime_usage_add(runtime_usage *usage, const char *name, uint64_t count) {
    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < usage->n_calls; i++) {
        if (usage->calls[i].name == name || strcmp(usage->calls[i].name, name) == 0) {
            usage->calls[i].count += count;
            return;
        }
    }
    if (usage->n_calls < RUNTIME_MAX_CALLS) {
        usage->calls[usage->n_calls++] = (runtime_call){name, count};
    }
}

void runtime_violations_add(runtime_violations *list, const char *kind, const char *name) {
    for (size_t i = 0; i < list->count; i++) {
        runtime_violation *row = &list->rows[i];
        if (strcmp(row->kind, kind) == 0 && strcmp(row->name, name) == 0) {
            row->count++;
            return;
        }
    }
    if (list->count < RUNTIME_MAX_VIOLATIONS) {
        list->rows[list->count++] = (runtime_violation){kind, name, 1};
    } else {
        list->lost++;
    }
}
