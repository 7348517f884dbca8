/* One request struct and one entry, tars_submit, for everything TARS runs: generation, embedding,
 * tokenizing, scoring; later modules, programs and transforms. Command line, server and scripts
 * are thin over it.
 *
 * Ownership: the request and all it points to belong to the caller and must stay valid until the
 * job is destroyed; the job belongs to the caller until tars_job_destroy. A job is driven by the
 * thread that calls tars_job_wait; tars_job_cancel may be called from any thread or from a signal
 * handler. */
#ifndef TARS_REQUEST_H
#define TARS_REQUEST_H

#include <tars/model.h>
#include <tars/session.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tars_job tars_job;

typedef enum tars_request_kind {
    TARS_REQUEST_GENERATE = 1, /* prompt or messages → tokens */
    TARS_REQUEST_EMBED,        /* texts → vectors */
    TARS_REQUEST_TOKENIZE,     /* text → ids and pieces */
    TARS_REQUEST_DETOKENIZE,   /* ids → text */
    TARS_REQUEST_PERPLEXITY,   /* text → perplexity over windows of `context` tokens */
    TARS_REQUEST_REPLAY        /* recompute recorded tokens: the sampler is told what to choose */
} tars_request_kind;

typedef struct tars_message {
    const char *role;    /* "system", "user", "assistant" */
    const char *content; /* UTF-8 */
} tars_message;

typedef struct tars_text_view {
    const char *bytes;
    size_t length;
} tars_text_view;

/* Sampling in the fixed order of arithmetic.md rule 16. temperature 0 is greedy. */
typedef struct tars_sampling {
    float temperature;    /* default 0.8 */
    uint32_t top_k;       /* default 40; 0: off */
    float top_p;          /* default 0.95; 1: off */
    float min_p;          /* default 0.05; 0: off */
    float repeat_penalty; /* default 1: off; over the last 64 tokens */
    uint64_t seed;
    bool random_seed; /* draw a seed once; the result records it */
} tars_sampling;
#define TARS_SAMPLING_DEFAULTS                                                                     \
    {.temperature = 0.8f,                                                                          \
     .top_k = 40,                                                                                  \
     .top_p = 0.95f,                                                                               \
     .min_p = 0.05f,                                                                               \
     .repeat_penalty = 1.0f,                                                                       \
     .seed = 0,                                                                                    \
     .random_seed = true}

/* Where it may run. Texts are those of the command line; NULL is "auto" or the weakest floor. */
typedef struct tars_policy {
    const char *runtime;   /* auto, native, wasm, microvm, cuda */
    const char *isolation; /* floor: process, sandbox, microvm */
    const char *force_isa; /* scalar, avx2, avx512, amx, neon; NULL: best */
    uint32_t n_threads;    /* 0: as many as the machine gives */
    const char *tenant;
} tars_policy;

typedef struct tars_limits {
    uint64_t deadline_ms;  /* wall time from submit; 0: none */
    uint64_t memory_bytes; /* private memory the request may take; 0: what the machine has free */
    uint32_t max_tokens;   /* default 512 */
    uint32_t context;      /* tokens of context; 0: the smaller of the model's and what is needed */
} tars_limits;

typedef struct tars_request {
    size_t size_bytes;
    tars_request_kind kind;
    tars_model *model;
    tars_session *session; /* NULL: nothing is kept; else its context and kv_type hold */

    /* input: one of messages, text, ids, texts */
    const tars_message *messages; /* rendered with the model's chat template */
    size_t n_messages;
    tars_text_view text;         /* raw prompt, or the text to tokenize or score */
    const tars_text_view *texts; /* TARS_REQUEST_EMBED */
    size_t n_texts;
    const int32_t *ids; /* prompt ids instead of text; ids to detokenize */
    size_t n_ids;
    const int32_t *replay_ids; /* TARS_REQUEST_REPLAY: the recorded tokens after the prompt */
    size_t n_replay_ids;
    bool no_special;    /* add no BOS/EOS of the model's own */
    bool parse_special; /* special tokens written in the text become ids */

    tars_sampling sampling;
    const char *const *stops; /* texts of 1 to 1024 bytes that end the answer, not shown */
    size_t n_stops;           /* at most 256 */
    tars_policy policy;
    tars_limits limits;
    uint32_t batch_size; /* tokens of prompt per pass; 0: best. Never changes a result */
    const char *kv_type; /* "f16" (default) or "f32" */
    bool
        float_activations; /* keep f32 activations with quantised weights (slow, for comparisons) */
    bool logits_hash;      /* compute h_t and logits_hash */
    bool keep_logits;      /* results hold the last position's logits */
    bool no_normalize;     /* TARS_REQUEST_EMBED: pooled vectors as they are */
} tars_request;
#define TARS_REQUEST_DEFAULTS                                                                      \
    {.size_bytes = sizeof(tars_request),                                                           \
     .sampling = TARS_SAMPLING_DEFAULTS,                                                           \
     .limits = {.max_tokens = 512}}

/* Receives the answer as it grows. Text arrives in whole UTF-8 characters. Return false to
 * cancel. Called on the thread that drives the job. Members may be NULL. */
typedef struct tars_sink {
    void *user;
    bool (*text)(void *user, const char *bytes, size_t length);
    bool (*token)(void *user, int32_t id);
    bool (*progress)(void *user, const char *step, uint64_t done, uint64_t total);
} tars_sink;

typedef struct tars_usage {
    uint64_t prompt_tokens, completion_tokens;
    uint64_t cached_tokens; /* of the prompt, taken from a cache */
    double start_ms;        /* submit to ready */
    double prompt_ms, decode_ms, time_to_first_token_ms, wall_ms, cpu_ms;
    double hash_ms;             /* of logits_hash, within the two; 0 in a sandbox */
    uint64_t memory_peak_bytes; /* private memory of the request */
    uint64_t bytes_in, bytes_out;
} tars_usage;

typedef struct tars_result {
    size_t size_bytes;
    const char *runtime;
    const char *isa;
    uint32_t n_threads;
    const int32_t *prompt_ids;
    size_t n_prompt_ids;
    const int32_t *ids; /* tokens generated, or ids of TOKENIZE */
    size_t n_ids;
    const tars_text_view *pieces; /* TOKENIZE */
    const char *text;             /* whole answer or detokenized text, NUL-terminated */
    size_t text_length;
    const char *finish_reason; /* stop, length, cancelled */
    uint64_t seed;
    uint32_t context;
    const char *kv_type;
    char logits_hash[65];         /* "" when not asked for */
    const uint8_t (*digests)[32]; /* h_t for each sampled position */
    size_t n_digests;
    const float *logits; /* [n_logits], the last sampled position's, with keep_logits */
    size_t n_logits;
    const float *embeddings; /* [n_embeddings][n_embd] */
    size_t n_embeddings, n_embd;
    double perplexity;
    uint64_t tokens_scored, windows;
    const char *route_reason;
    tars_usage usage;
} tars_result;

/* Starts a request. On failure *out is NULL and nothing runs. */
TARS_API tars_status tars_submit(tars_context *context, const tars_request *request,
                                 const tars_sink *sink, tars_job **out, tars_error *err);
/* Drives the job to its end. On success, and also on CANCELLED, *result is filled; it lives until
 * tars_job_destroy. */
TARS_API tars_status tars_job_wait(tars_job *job, tars_result *result, tars_error *err);
/* Ends the job within one token. Async-signal-safe. */
TARS_API void tars_job_cancel(tars_job *job);
/* NULL is allowed. */
TARS_API void tars_job_destroy(tars_job *job);

/* Memory that a request would take besides the shared model, before anything is allocated. */
TARS_API tars_status tars_estimate(tars_context *context, const tars_request *request,
                                   uint64_t *private_bytes, tars_error *err);

#ifdef __cplusplus
}
#endif
#endif
