#include "api/answer.h"

#include <stdlib.h>
#include <string.h>

enum { SESSION_DEFAULT_CONTEXT = 8192 };

tars_status tars_session_create(tars_context *context, tars_model *m,
                                const tars_session_options *options, tars_session **out,
                                tars_error *err) {
    tars_error own_error;
    err = err ? err : &own_error; /* below, err is never NULL */
    (void)context;
    *out = NULL;
    if (!m || !m->pack.hparams->causal) {
        return error_set(err, TARS_USAGE, "a session needs a model that generates text");
    }
    const model_hparams *p = m->pack.hparams;
    const char *type = options && options->kv_type ? options->kv_type : "f16";
    if (strcmp(type, "f16") != 0 && strcmp(type, "f32") != 0) {
        return error_set(err, TARS_USAGE, "the cache's type is f16 or f32, not \"%s\"", type);
    }
    uint32_t wanted = options && options->context > 0 ? options->context : SESSION_DEFAULT_CONTEXT;
    if (options && options->context > p->context_length) {
        error_set(err, TARS_USAGE, "a context of %u tokens; the model was trained for %u", wanted,
                  p->context_length);
        return TARS_USAGE;
    }
    uint32_t n_context = wanted < p->context_length ? wanted : p->context_length;
    kv_type kv = strcmp(type, "f32") == 0 ? KV_F32 : KV_F16;
    tars_session *s = calloc(1, sizeof *s);
    size_t bytes = kv_cache_bytes(p, kv, n_context);
    if (!s || bytes == 0) {
        free(s);
        return error_set(err, TARS_OUT_OF_MEMORY, "a cache for %u tokens does not fit", n_context);
    }
    s->model = m;
    s->kept.n_context = n_context;
    s->kept.ids = calloc(n_context, sizeof *s->kept.ids);
    tars_status status =
        s->kept.ids ? platform_reserve(bytes, false, &s->memory, err)
                    : error_set(err, TARS_OUT_OF_MEMORY, "no memory for %u token ids", n_context);
    if (status != TARS_OK) {
        free(s->kept.ids);
        free(s);
        return status;
    }
    s->memory_bytes = bytes;
    kv_cache_init(&s->kept.cache, p, kv, n_context, s->memory);
    *out = s;
    return TARS_OK;
}

void tars_session_destroy(tars_session *session) {
    if (!session) {
        return;
    }
    platform_release(session->memory, session->memory_bytes);
    free(session->kept.ids);
    free(session);
}

void tars_session_reset(tars_session *session) {
    session->kept.cache.length = 0;
}
