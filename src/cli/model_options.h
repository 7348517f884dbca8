/* Options that several verbs share: where a model runs, and how it samples. */
#ifndef CLI_MODEL_OPTIONS_H
#define CLI_MODEL_OPTIONS_H

#include "cli/option.h"

#include <tars/request.h>

typedef struct place_values {
    const char *runtime, *isolation, *force_isa;
    int64_t threads; /* 0: as many as the machine gives */
} place_values;
extern const option_set place_options;
extern const option_set runtime_options; /* of these, runtime and isolation alone */
/* Fills the request's policy; the texts stay those of argv. */
void place_apply(const place_values *values, tars_request *request);

typedef struct sampling_values {
    int64_t max_tokens, context, batch;
    double temperature, top_p, min_p, repeat_penalty;
    int64_t top_k;
    option_uint64 seed;
    option_list stops;
    const char *system, *kv_type, *grammar, *json_schema, *receipt;
    bool raw, logits_hash;
    uint64_t timeout_ms, memory_bytes;
} sampling_values;
extern const option_set sampling_options;
/* Fills sampling, stops, limits and key-value type; UNSUPPORTED for options this version knows but
 * cannot honour. */
tars_status sampling_apply(const sampling_values *values, tars_request *request, tars_error *err);

extern const char *const kv_type_choices[];
extern const char *const isa_choices[];

#endif
