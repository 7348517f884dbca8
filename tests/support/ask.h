/* A request for the tiny model, and what came of it. */
#ifndef TESTS_ASK_H
#define TESTS_ASK_H

#include "platform/platform.h"
#include "support/tiny_model.h"

#include <string.h>

typedef struct outcome {
    tars_status status;
    tars_error err;
    char hash[65];
    char text[4096];
    char streamed[4096];
    char reason[16];
    int32_t ids[512];
    size_t n_ids;
    uint64_t seed, prompt_tokens, cached_tokens;
    size_t n_tokens_streamed;
    size_t cancel_after;
    tars_job *job;
} outcome;

static bool on_text(void *user, const char *bytes, size_t length) {
    outcome *o = user;
    size_t used = strlen(o->streamed);
    if (used + length < sizeof o->streamed) {
        memcpy(o->streamed + used, bytes, length);
        o->streamed[used + length] = '\0';
    }
    return true;
}

static bool on_token(void *user, int32_t id) {
    (void)id;
    outcome *o = user;
    o->n_tokens_streamed++;
    return o->cancel_after == 0 || o->n_tokens_streamed < o->cancel_after;
}

static void submit(const tars_request *request, outcome *o) {
    o->err = (tars_error){0};
    o->streamed[0] = '\0';
    o->n_tokens_streamed = 0;
    tars_sink sink = {.user = o, .text = on_text, .token = on_token};
    o->status = tars_submit(context, request, &sink, &o->job, &o->err);
    if (o->status != TARS_OK) {
        return;
    }
    tars_result result = {.size_bytes = sizeof result};
    o->status = tars_job_wait(o->job, &result, &o->err);
    if (o->status == TARS_OK || o->status == TARS_CANCELLED) {
        snprintf(o->hash, sizeof o->hash, "%s", result.logits_hash);
        snprintf(o->text, sizeof o->text, "%.*s", (int)result.text_length, result.text);
        snprintf(o->reason, sizeof o->reason, "%s", result.finish_reason);
        o->n_ids = result.n_ids < 512 ? result.n_ids : 512;
        if (o->n_ids > 0) {
            memcpy(o->ids, result.ids, o->n_ids * sizeof *o->ids);
        }
        o->seed = result.seed;
        o->prompt_tokens = result.usage.prompt_tokens;
        o->cached_tokens = result.usage.cached_tokens;
        if (request->kind == TARS_REQUEST_GENERATE) {
            CHECK_INT(result.usage.completion_tokens, result.n_ids);
        }
    }
    tars_job_destroy(o->job);
}

static tars_request plain(const char *text) {
    set_up();
    tars_request r = TARS_REQUEST_DEFAULTS;
    r.kind = TARS_REQUEST_GENERATE;
    r.model = tiny;
    r.text = (tars_text_view){text, strlen(text)};
    r.sampling.temperature = 0;
    r.limits.max_tokens = 24;
    r.logits_hash = true;
    r.policy.n_threads = 1;
    return r;
}

/* The request to a copy of the model whose file is cut while it is open; then to the model. */
static inline void check_cut_file(const tars_request *request) {
    static outcome o;
    tars_request r = *request;
    tars_error err;
    CHECK_INT(platform_guard_install(&err), TARS_OK);
    char copy[300];
    snprintf(copy, sizeof copy, "%s.cut", packed_path);
    char command[700];
    snprintf(command, sizeof command, "cp %s %s", packed_path, copy);
    CHECK_INT(system(command), 0);
    tars_model *victim = NULL;
    CHECK_INT(tars_model_open(context, copy, &victim, &err), TARS_OK);
    CHECK_INT(truncate(copy, 2 << 20), 0);
    r.model = victim;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_CORRUPT);
    tars_model_close(victim);
    CHECK(tars_model_open(context, copy, &victim, &err) != TARS_OK);
    CHECK(victim == NULL);
    unlink(copy);
    r.model = tiny;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OK);
}

#endif
