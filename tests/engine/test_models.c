/* Whole models: import, forward pass and pooling against float64 references, and equality of the
 * bits over instruction sets, batch splits, workers and cache reuse. */
#include "base/json.h"
#include "engine/encoder.h"
#include "engine/forward.h"
#include "engine/import.h"
#include "support/check.h"
#include "support/kernel_features.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a packed model in memory ---------------------------------------------------------- */

typedef struct memory_file {
    uint8_t *bytes;
    size_t length, capacity;
} memory_file;

static tars_status append(void *context, const void *bytes, size_t length, tars_error *err) {
    (void)err;
    memory_file *f = context;
    if (f->length + length > f->capacity) {
        f->capacity = (f->length + length) * 2;
        uint8_t *grown = aligned_alloc(4096, (f->capacity + 4095) / 4096 * 4096);
        if (f->length > 0) {
            memcpy(grown, f->bytes, f->length);
        }
        free(f->bytes);
        f->bytes = grown;
    }
    memcpy(f->bytes + f->length, bytes, length);
    f->length += length;
    return TARS_OK;
}

typedef struct fixture {
    char *source;
    size_t source_bytes;
    memory_file packed;
    pack_view view;
    model m;
    void *layers;
    void *json_memory;
    json_value *expected;
} fixture;

static bool open_fixture(const char *name, fixture *fx) {
    memset(fx, 0, sizeof *fx);
    char path[128];
    snprintf(path, sizeof path, "models/%s.gguf", name);
    fx->source = check_read_file(path, &fx->source_bytes);
    byte_source source = byte_source_memory(fx->source, fx->source_bytes);
    byte_sink sink = {&fx->packed, append};
    size_t arena_bytes = 64 << 20;
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    import_result result;
    tars_error err = {0};
    tars_status status = import_gguf(&source, NULL, &sink, &a, &result, &err);
    free(memory);
    if (status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", name, err.message);
        return false;
    }
    CHECK_INT(result.packed_bytes, fx->packed.length);
    status = pack_open(fx->packed.bytes, fx->packed.length, &fx->view, &err);
    if (status == TARS_OK) {
        size_t bytes = model_memory_bytes(&fx->view);
        fx->layers = malloc(bytes);
        arena_init(&a, fx->layers, bytes);
        status = model_open(&fx->view, &a, &fx->m, &err);
    }
    if (status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", name, err.message);
        return false;
    }
    size_t length;
    snprintf(path, sizeof path, "models/%s.json", name);
    char *text = check_read_file(path, &length);
    fx->json_memory = malloc(64 << 20);
    arena_init(&a, fx->json_memory, 64 << 20);
    status = json_parse(text, length, NULL, &a, &fx->expected, &err);
    free(text);
    if (status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s %s", name, err.message, err.where);
    }
    return status == TARS_OK;
}

static void close_fixture(fixture *fx) {
    free(fx->source);
    free(fx->packed.bytes);
    free(fx->layers);
    free(fx->json_memory);
}

/* ---- running --------------------------------------------------------------------------- */

typedef struct run_options {
    const kernel_table *kernels;
    kv_type type;
    bool float_activations;
    unsigned n_workers;
    size_t batch; /* tokens in one pass */
} run_options;

typedef struct run_state {
    forward f;
    barrier b;
} run_state;

typedef struct worker_argument {
    run_state *run;
    unsigned worker;
} worker_argument;

static void relax(void *context, unsigned spins) {
    (void)context;
    (void)spins;
    sched_yield();
}

static void *worker_main(void *argument) {
    worker_argument *w = argument;
    forward_step(&w->run->f, w->worker, &w->run->b);
    return NULL;
}

static void step_all(run_state *run, unsigned n_workers) {
    pthread_t threads[8];
    worker_argument arguments[8];
    for (unsigned i = 0; i < n_workers; i++) {
        arguments[i] = (worker_argument){run, i};
    }
    for (unsigned i = 1; i < n_workers; i++) {
        pthread_create(&threads[i], NULL, worker_main, &arguments[i]);
    }
    worker_main(&arguments[0]);
    for (unsigned i = 1; i < n_workers; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* Logits of every token, [n][n_vocab]. */
static float *run_sequence(const fixture *fx, const int32_t *ids, size_t n,
                           const run_options *options) {
    const model_hparams *p = fx->m.hparams;
    forward_limits limits = {.max_tokens = options->batch,
                             .max_outputs = options->batch,
                             .max_positions = n,
                             .n_workers = options->n_workers,
                             .float_activations = options->float_activations};
    size_t bytes = forward_memory_bytes(&fx->m, &limits);
    void *memory = malloc(bytes);
    arena a;
    arena_init(&a, memory, bytes);
    run_state run;
    tars_error err = {0};
    float *logits = malloc(n * p->n_vocab * sizeof(float));
    size_t cache_bytes = kv_cache_bytes(p, options->type, n);
    void *cache_memory = aligned_alloc(64, (cache_bytes + 63) / 64 * 64);
    memset(cache_memory, 0xFF, cache_bytes); /* NaN: nobody may read what was not written */
    kv_cache cache;
    kv_cache_init(&cache, p, options->type, n, cache_memory);
    tars_status status = forward_init(&run.f, &fx->m, options->kernels, &limits, &a, &err);
    CHECK_INT(status, TARS_OK);
    for (size_t at = 0; at < n && status == TARS_OK; at += options->batch) {
        size_t count = n - at < options->batch ? n - at : options->batch;
        forward_token tokens[256];
        for (size_t i = 0; i < count; i++) {
            tokens[i] = (forward_token){ids[at + i], (uint32_t)(at + i), &cache, true};
        }
        status = forward_begin(&run.f, tokens, count, &err);
        if (status == TARS_OK) {
            barrier_init(&run.b, options->n_workers, relax, NULL);
            step_all(&run, options->n_workers);
            status = forward_end(&run.f, &err);
        }
        if (status != TARS_OK) {
            check_fail(__FILE__, __LINE__, "%s", err.message);
            break;
        }
        for (size_t i = 0; i < count; i++) {
            memcpy(logits + (at + i) * p->n_vocab, forward_logits(&run.f, i),
                   p->n_vocab * sizeof(float));
        }
    }
    free(memory);
    free(cache_memory);
    return logits;
}

static size_t read_ids(const json_value *tokens, int32_t *ids) {
    size_t n = 0;
    for (const json_value *v = tokens->first; v; v = v->next) {
        ids[n++] = (int32_t)v->integer;
    }
    return n;
}

/* Calls visit with each expected row of a table beside the row found. */
typedef struct distance {
    double largest, sum_squares, sum_expected;
} distance;

static void add_row(distance *d, const float *found, const json_value *row) {
    size_t i = 0;
    for (const json_value *v = row->first; v; v = v->next, i++) {
        double difference = fabs((double)found[i] - v->number);
        d->largest = difference > d->largest ? difference : d->largest;
        d->sum_squares += difference * difference;
        d->sum_expected += v->number * v->number;
    }
}

static distance distance_to(const fixture *fx, const char *table, const run_options *options) {
    distance d = {0};
    const json_value *rows = json_member(fx->expected, table)->first;
    for (const json_value *s = json_member(fx->expected, "sequences")->first; s;
         s = s->next, rows = rows->next) {
        int32_t ids[256];
        size_t n = read_ids(json_member(s, "tokens"), ids);
        float *logits = run_sequence(fx, ids, n, options);
        const json_value *row = rows->first;
        for (const json_value *at = json_member(s, "positions")->first; at;
             at = at->next, row = row->next) {
            add_row(&d, logits + (size_t)at->integer * fx->m.hparams->n_vocab, row);
        }
        free(logits);
    }
    return d;
}

static double tolerance(const fixture *fx, const char *name) {
    return json_number_or(json_member(json_member(fx->expected, "tolerance"), name), 0.0);
}

static void check_distance(const char *name, const char *what, double found, double allowed) {
    if (!(found <= allowed) || allowed <= 0.0) {
        check_fail(__FILE__, __LINE__, "%s: %s is %.3g, allowed %.3g", name, what, found, allowed);
    }
}

/* ---- tests ----------------------------------------------------------------------------- */

static const char *const llama_models[] = {
    "arch/llama-bias", "arch/llama-gqa-tied", "arch/llama-headdim",    "arch/llama-linear",
    "arch/llama-mha",  "arch/llama-mqa",      "arch/llama-rope-freqs", "arch/llama-yarn"};
static const char *const type_models[] = {"types/F16",  "types/BF16",      "types/Q4_0",
                                          "types/Q4_1", "types/Q8_0",      "types/Q4_K",
                                          "types/Q6_K", "types/mix-Q4_K_M"};
enum {
    N_LLAMA = sizeof llama_models / sizeof llama_models[0],
    N_TYPED = sizeof type_models / sizeof type_models[0]
};

static void llama_models_are_exact(void) {
    run_options exact = {kernel_best(test_kernel_features()), KV_F32, false, 1, 64};
    run_options half = {kernel_best(test_kernel_features()), KV_F16, false, 1, 64};
    for (size_t i = 0; i < N_LLAMA; i++) {
        fixture fx = {0};
        if (open_fixture(llama_models[i], &fx)) {
            distance d = distance_to(&fx, "exact", &exact);
            check_distance(llama_models[i], "distance", d.largest, tolerance(&fx, "exact"));
            d = distance_to(&fx, "exact", &half);
            check_distance(llama_models[i], "distance with f16 cache", d.largest,
                           tolerance(&fx, "kv_f16_vs_exact"));
        }
        close_fixture(&fx);
    }
}

static void tensor_types_are_exact(void) {
    run_options exact = {kernel_best(test_kernel_features()), KV_F32, true, 1, 64};
    run_options quantised = {kernel_best(test_kernel_features()), KV_F32, false, 1, 64};
    for (size_t i = 0; i < N_TYPED; i++) {
        fixture fx = {0};
        if (open_fixture(type_models[i], &fx)) {
            distance d = distance_to(&fx, "exact", &exact);
            check_distance(type_models[i], "distance", d.largest, tolerance(&fx, "exact"));
            d = distance_to(&fx, "exact", &quantised);
            check_distance(type_models[i], "relative rms with quantised activations",
                           sqrt(d.sum_squares / d.sum_expected),
                           tolerance(&fx, "quantised_activations_relative_rms"));
        }
        close_fixture(&fx);
    }
}

/* The promise: one result whatever the instruction set, workers and batch. */
static void bits_do_not_depend_on_how(void) {
    static const char *const names[] = {"types/Q4_1", "types/Q8_0", "types/mix-Q4_K_M",
                                        "types/F16",  "types/Q4_0", "arch/llama-gqa-tied",
                                        "types/BF16", "types/Q6_K"};
    unsigned features = test_kernel_features();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fixture fx = {0};
        if (!open_fixture(names[i], &fx)) {
            close_fixture(&fx);
            continue;
        }
        int32_t ids[70];
        uint64_t state = i;
        for (size_t j = 0; j < 70; j++) {
            ids[j] = (int32_t)(check_random(&state) % fx.m.hparams->n_vocab);
        }
        run_options reference = {&kernel_scalar, KV_F16, false, 1, 70};
        size_t n = i == 0 ? 70 : 20; /* scalar is slow: one model over more than one segment */
        float *expected = run_sequence(&fx, ids, n, &reference);
        for (size_t k = 0; k < kernel_count(); k++) {
            static const size_t batches[] = {1, 3, 5, 16, 70};
            /* scalar is slow and is the reference already: one other way of running it is enough */
            bool is_scalar = kernel_at(k) == &kernel_scalar;
            for (size_t b = is_scalar ? 4 : 0; b < 5 && kernel_usable(kernel_at(k), features);
                 b++) {
                for (unsigned workers = is_scalar ? 2 : 1; workers <= (is_scalar ? 2u : 3u);
                     workers++) {
                    run_options options = {kernel_at(k), KV_F16, false, workers, batches[b]};
                    float *found = run_sequence(&fx, ids, n, &options);
                    if (memcmp(found, expected, n * fx.m.hparams->n_vocab * sizeof(float)) != 0) {
                        check_fail(__FILE__, __LINE__, "%s differs with %s, %u workers, batch %zu",
                                   names[i], kernel_at(k)->name, workers, batches[b]);
                    }
                    free(found);
                }
            }
        }
        free(expected);
        close_fixture(&fx);
    }
}

/* Two sequences in one batch, and a cache that is cut back and continued, change nothing. */
static void sequences_do_not_disturb_each_other(void) {
    fixture fx = {0};
    if (!open_fixture("types/Q4_1", &fx)) {
        close_fixture(&fx);
        return;
    }
    const model_hparams *p = fx.m.hparams;
    int32_t ids[2][12];
    uint64_t state = 99;
    for (size_t i = 0; i < 24; i++) {
        ids[i / 12][i % 12] = (int32_t)(check_random(&state) % p->n_vocab);
    }
    run_options alone = {kernel_best(test_kernel_features()), KV_F16, false, 1, 12};
    float *expected[2] = {run_sequence(&fx, ids[0], 12, &alone),
                          run_sequence(&fx, ids[1], 12, &alone)};
    forward_limits limits = {
        .max_tokens = 24, .max_outputs = 24, .max_positions = 16, .n_workers = 1};
    size_t bytes = forward_memory_bytes(&fx.m, &limits);
    void *memory = malloc(bytes);
    arena a;
    arena_init(&a, memory, bytes);
    run_state run;
    tars_error err = {0};
    CHECK_INT(forward_init(&run.f, &fx.m, alone.kernels, &limits, &a, &err), TARS_OK);
    size_t cache_bytes = kv_cache_bytes(p, KV_F16, 16);
    kv_cache caches[2];
    void *cache_memory[2];
    for (int s = 0; s < 2; s++) {
        cache_memory[s] = aligned_alloc(64, (cache_bytes + 63) / 64 * 64);
        memset(cache_memory[s], 0xFF, cache_bytes);
        kv_cache_init(&caches[s], p, KV_F16, 16, cache_memory[s]);
    }
    for (int round = 0; round < 2; round++) {
        size_t keep = round == 0 ? 0 : 5; /* the second time 5 tokens stay from before */
        forward_token tokens[24];
        size_t n = 0;
        for (int s = 0; s < 2; s++) {
            caches[s].length = keep;
            for (size_t i = keep; i < 12; i++) {
                tokens[n++] = (forward_token){ids[s][i], (uint32_t)i, &caches[s], true};
            }
        }
        CHECK_INT(forward_begin(&run.f, tokens, n, &err), TARS_OK);
        barrier_init(&run.b, 1, NULL, NULL);
        forward_step(&run.f, 0, &run.b);
        CHECK_INT(forward_end(&run.f, &err), TARS_OK);
        for (size_t i = 0; i < n; i++) {
            size_t s = i / (12 - keep);
            size_t position = keep + i % (12 - keep);
            CHECK_BYTES(forward_logits(&run.f, i), expected[s] + position * p->n_vocab,
                        p->n_vocab * sizeof(float));
        }
    }
    for (int s = 0; s < 2; s++) {
        free(cache_memory[s]);
        free(expected[s]);
    }
    free(memory);
    close_fixture(&fx);
}

static void run_encoder(const fixture *fx, const char *name, const kernel_table *kernels) {
    distance tokens = {0};
    distance pooled = {0};
    size_t bytes = encoder_memory_bytes(&fx->m, 128);
    void *memory = malloc(bytes);
    arena a;
    arena_init(&a, memory, bytes);
    encoder e;
    tars_error err = {0};
    CHECK_INT(encoder_init(&e, &fx->m, kernels, 128, false, &a, &err), TARS_OK);
    const json_value *rows = json_member(fx->expected, "exact_gelu_erf")->first;
    const json_value *vectors = json_member(fx->expected, "exact_gelu_erf_pooled")->first;
    for (const json_value *s = json_member(fx->expected, "sequences")->first; s;
         s = s->next, rows = rows->next, vectors = vectors->next) {
        int32_t ids[256];
        size_t n = read_ids(json_member(s, "tokens"), ids);
        CHECK_INT(encoder_run(&e, ids, n, &err), TARS_OK);
        const json_value *row = rows->first;
        for (const json_value *at = json_member(s, "positions")->first; at;
             at = at->next, row = row->next) {
            add_row(&tokens, encoder_token(&e, (size_t)at->integer), row);
        }
        float vector[64];
        encoder_pool(&e, n, false, vector);
        add_row(&pooled, vector, vectors->first->type == JSON_ARRAY ? vectors->first : vectors);
    }
    check_distance(name, "distance of token vectors", tokens.largest, tolerance(fx, "exact"));
    check_distance(name, "distance of pooled vectors", pooled.largest, tolerance(fx, "exact"));
    free(memory);
}

static void bert_models_are_exact(void) {
    static const char *const names[] = {"arch/bert-mean", "arch/bert-cls"};
    for (size_t i = 0; i < 2; i++) {
        fixture fx = {0};
        if (open_fixture(names[i], &fx)) {
            run_encoder(&fx, names[i], kernel_best(test_kernel_features()));
            run_encoder(&fx, names[i], &kernel_scalar);
        }
        close_fixture(&fx);
    }
}

/* export(import(file)) is the file, up to its last tensor. */
static void export_gives_the_file_back(void) {
    for (size_t i = 0; i < N_LLAMA + N_TYPED + 1; i++) {
        const char *name = i < N_LLAMA             ? llama_models[i]
                           : i < N_LLAMA + N_TYPED ? type_models[i - N_LLAMA]
                                                   : "arch/bert-mean";
        fixture fx = {0};
        if (open_fixture(name, &fx)) {
            memory_file exported = {0};
            byte_sink sink = {&exported, append};
            size_t bytes = 1 << 20;
            void *memory = malloc(bytes);
            arena a;
            arena_init(&a, memory, bytes);
            tars_error err = {0};
            CHECK_INT(export_gguf(fx.packed.bytes, fx.packed.length, &sink, &a, &err), TARS_OK);
            CHECK(exported.length <= fx.source_bytes && exported.length + 64 > fx.source_bytes);
            CHECK_BYTES(exported.bytes, fx.source, exported.length);
            free(exported.bytes);
            free(memory);
        }
        close_fixture(&fx);
    }
}

static void packing_is_deterministic_and_checked(void) {
    fixture one = {0};
    fixture two = {0};
    if (open_fixture("types/Q4_0", &one) && open_fixture("types/Q4_0", &two)) {
        CHECK_INT(one.packed.length, two.packed.length);
        CHECK_BYTES(one.packed.bytes, two.packed.bytes, one.packed.length);
        for (uint32_t i = 0; i < one.view.n_tensors; i++) {
            CHECK_INT(pack_verify_tensor(&one.view, i, NULL), TARS_OK);
        }
        /* one flipped bit anywhere is found: by the header's digest or by a tensor's */
        uint64_t state = 4;
        tars_error err;
        for (int round = 0; round < 200; round++) {
            size_t toc = (size_t)(one.view.header->toc_offset + one.view.header->toc_bytes);
            size_t at = check_random(&state) % toc;
            if (at >= sizeof(pack_header) && at < one.view.header->toc_offset) {
                continue; /* padding of the header's page */
            }
            two.packed.bytes[at] ^= (uint8_t)(1u << (check_random(&state) % 8));
            pack_view view;
            CHECK(pack_open(two.packed.bytes, two.packed.length, &view, &err) != TARS_OK);
            two.packed.bytes[at] = one.packed.bytes[at];
        }
        const pack_tensor *t = &two.view.tensors[0];
        two.packed.bytes[t->offset + 5] ^= 4;
        CHECK_INT(pack_verify_tensor(&two.view, 0, &err), TARS_CORRUPT);
        for (size_t length = 0; length < two.packed.length; length += 997) {
            pack_view view;
            CHECK(pack_open(two.packed.bytes, length, &view, &err) != TARS_OK);
        }
    }
    close_fixture(&one);
    close_fixture(&two);
}

static void bad_batches_are_refused(void) {
    fixture fx = {0};
    if (open_fixture("types/Q8_0", &fx)) {
        forward_limits limits = {
            .max_tokens = 4, .max_outputs = 1, .max_positions = 8, .n_workers = 1};
        size_t bytes = forward_memory_bytes(&fx.m, &limits);
        void *memory = malloc(bytes);
        arena a;
        arena_init(&a, memory, bytes);
        forward f;
        tars_error err;
        CHECK_INT(forward_init(&f, &fx.m, &kernel_scalar, &limits, &a, &err), TARS_OK);
        size_t cache_bytes = kv_cache_bytes(fx.m.hparams, KV_F16, 8);
        void *cache_memory = aligned_alloc(64, (cache_bytes + 63) / 64 * 64);
        kv_cache cache;
        kv_cache_init(&cache, fx.m.hparams, KV_F16, 8, cache_memory);
        forward_token t = {-1, 0, &cache, false};
        CHECK_INT(forward_begin(&f, &t, 1, &err), TARS_USAGE);
        t.id = (int32_t)fx.m.hparams->n_vocab;
        CHECK_INT(forward_begin(&f, &t, 1, &err), TARS_USAGE);
        t = (forward_token){1, 3, &cache, false};
        CHECK_INT(forward_begin(&f, &t, 1, &err), TARS_USAGE);
        CHECK_INT(forward_begin(&f, &t, 0, &err), TARS_USAGE);
        CHECK_INT(forward_begin(&f, &t, 5, &err), TARS_USAGE);
        cache.length = 8;
        t = (forward_token){1, 8, &cache, false};
        CHECK_INT(forward_begin(&f, &t, 1, &err), TARS_CONTEXT_EXCEEDED);
        free(cache_memory);
        free(memory);
    }
    close_fixture(&fx);
}

static const check_test tests[] = {
    {"llama models match float64", llama_models_are_exact},
    {"tensor types match float64", tensor_types_are_exact},
    {"bert models match float64", bert_models_are_exact},
    {"bits do not depend on instruction set, workers or batch", bits_do_not_depend_on_how},
    {"sequences do not disturb each other", sequences_do_not_disturb_each_other},
    {"export gives the file back", export_gives_the_file_back},
    {"packing is deterministic and checked", packing_is_deterministic_and_checked},
    {"bad batches are refused", bad_batches_are_refused},
};
CHECK_MAIN(tests)
