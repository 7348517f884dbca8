/* A session keeps the keys and values of one conversation, so that the next request computes only
 * what is new. It never changes a result: with or without one the same bits come out.
 *
 * Ownership: tars_session_create to tars_session_destroy; it borrows the model, which must stay
 * open. One job at a time may use a session. */
#ifndef TARS_SESSION_H
#define TARS_SESSION_H

#include <tars/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tars_session tars_session;

typedef struct tars_session_options {
    size_t size_bytes;
    uint32_t context;    /* tokens; 0: what the model was trained for, at most 8,192 */
    const char *kv_type; /* "f16" (default) or "f32" */
} tars_session_options;
#define TARS_SESSION_OPTIONS_DEFAULTS {.size_bytes = sizeof(tars_session_options)}

TARS_API tars_status tars_session_create(tars_context *context, tars_model *model,
                                         const tars_session_options *options, tars_session **out,
                                         tars_error *err);
/* NULL is allowed. */
TARS_API void tars_session_destroy(tars_session *session);
/* Forgets the conversation; keeps the memory. */
TARS_API void tars_session_reset(tars_session *session);

#ifdef __cplusplus
}
#endif
#endif
