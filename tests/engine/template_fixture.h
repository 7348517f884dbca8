/* Runs the cases of a golden template file: see tests/data/templates/README.md. */
#ifndef TESTS_ENGINE_TEMPLATE_FIXTURE_H
#define TESTS_ENGINE_TEMPLATE_FIXTURE_H

#include "base/json.h"
#include "engine/chat_template.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIXTURE_ARENA_BYTES = 64 << 20, FIXTURE_OUTPUT_BYTES = 1 << 20 };

/* The time at which the golden results were made. */
static const chat_template_options fixture_options = {
    .clock = {.year = 2026, .month = 1, .day = 2}};

typedef struct fixture {
    arena memory; /* JSON, values, the compiled template */
    arena scratch;
    text_buffer output;
    tars_error err;
    unsigned n_cases;
    unsigned n_right;
    unsigned n_refused;
} fixture;

static inline void fixture_init(fixture *f) {
    memset(f, 0, sizeof *f);
    void *memory = malloc(FIXTURE_ARENA_BYTES);
    void *scratch = malloc(FIXTURE_ARENA_BYTES);
    char *output = malloc(FIXTURE_OUTPUT_BYTES);
    if (!memory || !scratch || !output) {
        printf("    out of memory\n");
        exit(1);
    }
    arena_init(&f->memory, memory, FIXTURE_ARENA_BYTES);
    arena_init(&f->scratch, scratch, FIXTURE_ARENA_BYTES);
    text_init(&f->output, output, FIXTURE_OUTPUT_BYTES);
}

static inline void fixture_free(fixture *f) {
    free(f->memory.base);
    free(f->scratch.base);
    free(f->output.data);
}

/* Compiles and renders a text. */
static inline tars_status fixture_render(fixture *f, const char *text, size_t length,
                                         const template_value *context) {
    chat_template *tmpl;
    size_t mark = arena_mark(&f->memory);
    text_init(&f->output, f->output.data, f->output.capacity);
    tars_status status = chat_template_compile(text, length, &f->memory, &tmpl, &f->err);
    if (status == TARS_OK) {
        status = chat_template_render_text(tmpl, context, &fixture_options, &f->scratch, &f->output,
                                           &f->err);
    }
    arena_reset(&f->memory, mark);
    return status;
}

/* Puts what the case names into a context. */
static inline void fixture_put(fixture *f, template_value *context, const char *key,
                               const json_value *json) {
    template_value value = template_none();
    if (json && template_from_json(&f->memory, json, &value, &f->err) != TARS_OK) {
        printf("    %s: %s\n", key, f->err.message);
        exit(1);
    }
    template_dict_put(&f->memory, context, key, value);
}

/* Compares the outcome with what the case expects; prints and counts. */
static inline void fixture_judge(fixture *f, const char *where, const json_value *one,
                                 tars_status status, bool may_refuse) {
    const json_value *expected = json_member(one, "expected");
    const char *kind = json_string_or(json_member(one, "error_kind"), "");
    f->n_cases++;
    if (status == TARS_UNSUPPORTED && may_refuse) {
        f->n_refused++;
        f->n_right++;
        return;
    }
    if (expected) {
        if (status != TARS_OK) {
            check_fail(__FILE__, __LINE__, "%s: %s (%s)", where, f->err.message, f->err.where);
            return;
        }
        if (f->output.length != expected->string_length ||
            memcmp(f->output.data, expected->string, expected->string_length) != 0) {
            size_t i = 0;
            while (i < f->output.length && f->output.data[i] == expected->string[i]) {
                i++;
            }
            size_t from = i < 40 ? 0 : i - 40;
            check_fail(__FILE__, __LINE__,
                       "%s: differs at byte %zu: \"%.100s\", expected \"%.100s\"", where, i,
                       f->output.data + from, expected->string + from);
            return;
        }
    } else if (status == TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: \"%.100s\", expected an error: %s", where,
                   f->output.data, json_string_or(json_member(one, "error"), ""));
        return;
    } else if (strcmp(kind, "raise_exception") == 0) {
        const char *message = json_string_or(json_member(one, "error"), "");
        if (status != TARS_USAGE || strcmp(f->err.message, message) != 0) {
            check_fail(__FILE__, __LINE__, "%s: \"%s\", expected \"%s\"", where, f->err.message,
                       message);
            return;
        }
    }
    f->n_right++;
}

static inline json_value *fixture_json(fixture *f, const char *path, char **bytes) {
    size_t size_bytes;
    json_value *json;
    *bytes = check_read_file(path, &size_bytes);
    if (json_parse(*bytes, size_bytes, NULL, &f->memory, &json, &f->err) != TARS_OK) {
        printf("    %s: %s\n", path, f->err.message);
        exit(1);
    }
    return json;
}

static inline void fixture_put_token(fixture *f, template_value *context, const json_value *file,
                                     const char *name) {
    const char *token = json_string_or(json_member(file, name), NULL);
    if (token) {
        template_dict_put(&f->memory, context, name, template_cstring(token));
    }
}

/* Renders every case of a template's file. */
static inline void fixture_run_template(fixture *f, const char *path) {
    char *bytes;
    char where[512];
    arena_reset(&f->memory, 0);
    const json_value *file = fixture_json(f, path, &bytes);
    const json_value *text = json_member(file, "template");
    const json_value *cases = json_member(file, "cases");
    for (const json_value *one = cases->first; one; one = one->next) {
        size_t mark = arena_mark(&f->memory);
        template_value context;
        template_dict_new(&f->memory, 8, &context);
        fixture_put(f, &context, "documents", NULL);
        fixture_put(f, &context, "messages", json_member(one, "messages"));
        fixture_put(f, &context, "tools", json_member(one, "tools"));
        fixture_put(f, &context, "add_generation_prompt",
                    json_member(one, "add_generation_prompt"));
        fixture_put_token(f, &context, file, "bos_token");
        fixture_put_token(f, &context, file, "eos_token");
        const json_value *extra = json_member(one, "extra");
        for (const json_value *e = extra ? extra->first : NULL; e; e = e->next) {
            fixture_put(f, &context, e->key, e);
        }
        snprintf(where, sizeof where, "%s: %s", path, json_string_or(json_member(one, "id"), "?"));
        tars_status status = fixture_render(f, text->string, text->string_length, &context);
        fixture_judge(f, where, one, status, false);
        arena_reset(&f->memory, mark);
    }
    free(bytes);
}

/* Renders the small templates of micro.json, which share one context. */
static inline void fixture_run_micro(fixture *f, const char *path) {
    char *bytes;
    char where[512];
    arena_reset(&f->memory, 0);
    const json_value *file = fixture_json(f, path, &bytes);
    template_value context;
    if (template_from_json(&f->memory, json_member(file, "context"), &context, &f->err)) {
        exit(1);
    }
    for (const json_value *one = json_member(file, "cases")->first; one; one = one->next) {
        const json_value *text = json_member(one, "template");
        bool is_core = strcmp(json_string_or(json_member(one, "tier"), ""), "core") == 0;
        snprintf(where, sizeof where, "%s", text->string);
        tars_status status = fixture_render(f, text->string, text->string_length, &context);
        fixture_judge(f, where, one, status, !is_core);
    }
    free(bytes);
}

#endif
