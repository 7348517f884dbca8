/* Two real models against what other engines computed (tests/data/golden), through the public API:
 * ids, logits, perplexity, embeddings; and equality of logits_hash however it is computed.
 *
 * The models are 98 and 90 MB and not in the tree: they are looked for where tools/fetch_models.py
 * puts them ($TARS_TEST_MODELS, else tars/models in the cache folder). Without them every test is
 * skipped. */
#include "base/json.h"
#include "base/sha256.h"
#include "engine/import.h"
#include "engine/safetensors_to_gguf.h"
#include "platform/platform.h"
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tars/tars.h>
#include <unistd.h>

static tars_context *context;

/* ---- models ------------------------------------------------------------------------------ */

typedef struct reference_model {
    const char *file; /* below the models' folder */
    char packed_path[64];
    tars_model *model;
} reference_model;

static reference_model smollm2 = {.file = "SmolLM2-135M-Instruct.Q4_1.gguf"};
static reference_model minilm = {.file = "all-MiniLM-L6-v2"};

/* Path of a file below the models' folder; false when it is not there. */
static bool find_model(const char *file, char out[512]) {
    const char *folder = getenv("TARS_TEST_MODELS");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (folder) {
        snprintf(out, 512, "%s/%s", folder, file);
    } else if (cache && *cache) {
        snprintf(out, 512, "%s/tars/models/%s", cache, file);
    } else {
        snprintf(out, 512, "%s/.cache/tars/models/%s", home ? home : "", file);
    }
    return access(out, R_OK) == 0;
}

static tars_status write_file(void *user, const void *bytes, size_t length, tars_error *err) {
    return fwrite(bytes, 1, length, user) == length ? TARS_OK
                                                    : error_set(err, TARS_IO, "cannot write");
}

static tars_status read_file(void *user, uint64_t offset, void *buffer, size_t length,
                             tars_error *err) {
    return fseek(user, (long)offset, SEEK_SET) == 0 && fread(buffer, 1, length, user) == length
               ? TARS_OK
               : error_set(err, TARS_IO, "cannot read");
}

/* Opens a file as a source; `.context` is NULL when it is not there. */
static byte_source open_source(const char *folder, const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s%s%s", folder, *name ? "/" : "", name);
    FILE *file = fopen(path, "rb");
    byte_source source = {file, 0, read_file};
    if (file) {
        fseek(file, 0, SEEK_END);
        source.size_bytes = (uint64_t)ftell(file);
    }
    return source;
}

static tars_status open_folder(const char *folder, byte_source sources[8], arena *memory,
                               byte_source *out, tars_error *err) {
    static const char *const names[8] = {"model.safetensors",
                                         "config.json",
                                         "tokenizer.json",
                                         "vocab.txt",
                                         "tokenizer_config.json",
                                         "1_Pooling/config.json",
                                         "sentence_bert_config.json",
                                         "modules.json"};
    const byte_source *found[8];
    for (size_t i = 0; i < 8; i++) {
        sources[i] = open_source(folder, names[i]);
        found[i] = sources[i].context ? &sources[i] : NULL;
    }
    safetensors_sources files = {.weights = found[0],
                                 .config = found[1],
                                 .tokenizer = found[2],
                                 .vocabulary = found[3],
                                 .tokenizer_config = found[4],
                                 .pooling = found[5],
                                 .sentence = found[6],
                                 .modules = found[7]};
    return safetensors_to_gguf(&files, memory, out, err);
}

static tars_status pack_model(const char *path, FILE *target, tars_error *err) {
    enum { ARENA_BYTES = 256 << 20 };
    void *memory = malloc(ARENA_BYTES);
    arena a;
    arena_init(&a, memory, ARENA_BYTES);
    byte_source sources[8] = {0};
    byte_source source;
    byte_sink sink = {target, write_file};
    import_result result;
    tars_status status = TARS_OK;
    bool is_folder = strstr(path, ".gguf") == NULL;
    if (is_folder) {
        status = open_folder(path, sources, &a, &source, err);
    } else {
        source = sources[0] = open_source(path, "");
    }
    if (status == TARS_OK) {
        status = import_gguf(&source, NULL, &sink, &a, &result, err);
    }
    for (size_t i = 0; i < 8; i++) {
        if (sources[i].context) {
            fclose(sources[i].context);
        }
    }
    free(memory);
    return status;
}

/* At exit, whichever tests ran. */
static void tear_down(void) {
    reference_model *models[] = {&smollm2, &minilm};
    for (size_t i = 0; i < 2; i++) {
        tars_model_close(models[i]->model);
        if (models[i]->packed_path[0]) {
            unlink(models[i]->packed_path);
        }
    }
    tars_context_destroy(context);
}

/* True when the model is open; otherwise the test is skipped or failed. */
static bool need(reference_model *m) {
    char path[512];
    tars_error err = {0};
    if (m->model) {
        return true;
    }
    if (!find_model(m->file, path)) {
        check_skip("%s is not there: tools/fetch_models.py fetches it", path);
        return false;
    }
    snprintf(m->packed_path, sizeof m->packed_path, "/tmp/tars-reference-%d-%c.tars", (int)getpid(),
             m->file[0]);
    if (!context) {
        atexit(tear_down);
    }
    FILE *target = fopen(m->packed_path, "wb");
    if (!target || pack_model(path, target, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s cannot be packed: %s", path, err.message);
    }
    if (target) {
        fclose(target);
    }
    tars_context_options options = TARS_CONTEXT_OPTIONS_DEFAULTS;
    options.home = "/tmp/tars-test-home-that-is-not-there";
    if ((!context && tars_context_create(&options, &context, &err) != TARS_OK) ||
        tars_model_open(context, m->packed_path, &m->model, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s does not open: %s", m->packed_path, err.message);
        return false;
    }
    return true;
}

/* A golden file as JSON; close_golden frees it. */
typedef struct golden {
    void *text;
    void *memory;
    json_value *root;
} golden;

static golden open_golden(const char *path) {
    golden g = {0};
    size_t size = 0;
    size_t arena_bytes = 16 << 20;
    g.text = check_read_file(path, &size);
    g.memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, g.memory, arena_bytes);
    CHECK_INT(json_parse(g.text, size, NULL, &a, &g.root, NULL), TARS_OK);
    return g;
}

static void close_golden(golden *g) {
    free(g->memory);
    free(g->text);
}

/* ---- requests ---------------------------------------------------------------------------- */

static tars_job *run(const tars_request *request, tars_result *result, tars_status *status) {
    tars_job *job = NULL;
    tars_error err = {0};
    *result = (tars_result){.size_bytes = sizeof *result};
    *status = tars_submit(context, request, NULL, &job, &err);
    if (*status == TARS_OK) {
        *status = tars_job_wait(job, result, &err);
    }
    if (*status != TARS_OK && *status != TARS_UNAVAILABLE) {
        check_fail(__FILE__, __LINE__, "%s: %s", tars_status_code(*status), err.message);
    }
    return job;
}

static tars_request prompt_request(const char *prompt, uint32_t n_tokens) {
    tars_request r = TARS_REQUEST_DEFAULTS;
    r.kind = TARS_REQUEST_GENERATE;
    r.model = smollm2.model;
    r.text = (tars_text_view){prompt, strlen(prompt)};
    r.sampling.temperature = 0;
    r.limits.max_tokens = n_tokens;
    return r;
}

static void check_ids(const char *what, const int32_t *found, size_t n_found,
                      const json_value *expected) {
    size_t n = 0;
    bool equal = true;
    for (const json_value *v = expected->first; v; v = v->next, n++) {
        equal = equal && n < n_found && found[n] == v->integer;
    }
    if (!equal || n != n_found) {
        check_fail(__FILE__, __LINE__, "%s: the ids differ (%zu found, %zu expected)", what,
                   n_found, n);
    }
}

static int32_t highest(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return (int32_t)best;
}

/* Compares the logits that a reference lists with those found; gives the largest difference. */
static double check_top(const tars_result *found, const json_value *top, double allowed,
                        const char *what) {
    double largest = 0;
    for (const json_value *pair = top->first; pair; pair = pair->next) {
        int64_t id = pair->first->integer;
        if (id < 0 || (size_t)id >= found->n_logits) {
            check_fail(__FILE__, __LINE__, "%s: %zu logits only", what, found->n_logits);
            return INFINITY;
        }
        double difference =
            fabs((double)found->logits[id] - json_number_or(pair->first->next, NAN));
        largest = difference > largest || isnan(difference) ? difference : largest;
    }
    if (!(largest <= allowed)) {
        check_fail(__FILE__, __LINE__, "%s: a logit differs by %.4f, allowed are %.2f", what,
                   largest, allowed);
    }
    return largest;
}

/* ---- SmolLM2 ----------------------------------------------------------------------------- */

static void check_prompts(bool is_float) {
    golden g = open_golden("golden/smollm2-reference.json");
    const char *form = is_float ? "f32_weights" : "quantised";
    double largest = 0;
    size_t n = 0;
    for (const json_value *item = json_member(g.root, "prompts")->first; item;
         item = item->next, n++) {
        const char *prompt = json_string_or(json_member(item, "prompt"), "");
        const json_value *expected = json_member(item, form);
        tars_request r = prompt_request(prompt, 1);
        r.keep_logits = true;
        r.float_activations = is_float;
        r.kv_type = is_float ? "f32" : "f16";
        tars_result result;
        tars_status status;
        tars_job *job = run(&r, &result, &status);
        if (status == TARS_OK) {
            check_ids(prompt, result.prompt_ids, result.n_prompt_ids,
                      json_member(item, "prompt_ids"));
            const json_value *top = json_member(expected, "top5");
            double difference = check_top(&result, top, is_float ? 0.02 : 0.5, prompt);
            largest = difference > largest ? difference : largest;
            CHECK_INT(highest(result.logits, result.n_logits), top->first->first->integer);
        }
        tars_job_destroy(job);
    }
    printf("    %zu prompts, largest difference of a logit %.6f\n", n, largest);
    CHECK_INT(n, 3);
    close_golden(&g);
}

static void float_path_gives_the_reference(void) {
    if (need(&smollm2)) {
        check_prompts(true);
    }
}

static void quantised_path_is_near_the_reference(void) {
    if (need(&smollm2)) {
        check_prompts(false);
    }
}

static void first_tokens_are_the_references(void) {
    if (!need(&smollm2)) {
        return;
    }
    golden g = open_golden("golden/smollm2-reference.json");
    for (const json_value *item = json_member(g.root, "prompts")->first; item; item = item->next) {
        const char *prompt = json_string_or(json_member(item, "prompt"), "");
        const json_value *ids = json_member(json_member(item, "quantised"), "first_ids");
        uint32_t n = 0;
        for (const json_value *v = ids->first; v; v = v->next) {
            n++;
        }
        tars_request r = prompt_request(prompt, n);
        tars_result result;
        tars_status status;
        tars_job *job = run(&r, &result, &status);
        if (status == TARS_OK) {
            check_ids(prompt, result.ids, result.n_ids, ids);
        }
        tars_job_destroy(job);
    }
    close_golden(&g);
}

static void perplexity_is_the_references(void) {
    static const char text_path[] = "/usr/share/common-licenses/GPL-3";
    if (!need(&smollm2)) {
        return;
    }
    if (access(text_path, R_OK) != 0) {
        check_skip("no %s on this system", text_path);
        return;
    }
    golden g = open_golden("golden/smollm2-reference.json");
    const json_value *reference = json_member(g.root, "perplexity");
    size_t size = 0;
    char *text = check_read_file(text_path, &size);
    uint8_t digest[SHA256_DIGEST_BYTES];
    char hex[2 * SHA256_DIGEST_BYTES + 1];
    size = size < 20600 ? size : 20600;
    sha256(text, size, digest);
    for (size_t i = 0; i < SHA256_DIGEST_BYTES; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    if (strcmp(hex, json_string_or(json_member(reference, "text_sha256"), "")) != 0) {
        check_skip("%s is another edition than the reference's", text_path);
    } else {
        tars_request r = TARS_REQUEST_DEFAULTS;
        r.kind = TARS_REQUEST_PERPLEXITY;
        r.model = smollm2.model;
        r.text = (tars_text_view){text, size};
        r.limits.context = 512;
        tars_result result;
        tars_status status;
        tars_job *job = run(&r, &result, &status);
        printf("    perplexity %.4f\n", result.perplexity);
        CHECK_INT(status, TARS_OK);
        CHECK(result.perplexity >= 18.16 && result.perplexity <= 18.58);
        CHECK_INT(result.tokens_scored, 2040);
        CHECK_INT(result.windows, 8);
        tars_job_destroy(job);
    }
    free(text);
    close_golden(&g);
}

/* Runs one variant and compares its hash; false when this CPU lacks the instructions. */
static bool check_hash(const tars_request *r, const char *what, char expected[65]) {
    tars_result result;
    tars_status status;
    tars_job *job = run(r, &result, &status);
    if (status == TARS_OK && !expected[0]) {
        snprintf(expected, 65, "%s", result.logits_hash);
        CHECK_INT(strlen(expected), 64);
    } else if (status == TARS_OK && strcmp(result.logits_hash, expected) != 0) {
        check_fail(__FILE__, __LINE__, "%s: %s instead of %s", what, result.logits_hash, expected);
    }
    tars_job_destroy(job);
    return status == TARS_OK;
}

static void check_instructions(tars_request r, const char *isa, char expected[65],
                               unsigned *count) {
    static const uint32_t batches[] = {0, 1, 7, 64};
    r.policy.force_isa = isa;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        for (size_t i = 0; i < 4; i++) {
            if (strcmp(isa, "scalar") == 0 && i > 1) {
                continue; /* slow */
            }
            char what[64];
            r.policy.n_threads = threads;
            r.batch_size = batches[i];
            snprintf(what, sizeof what, "%s, %u threads, batch %u", isa, threads, r.batch_size);
            if (!check_hash(&r, what, expected)) {
                printf("    no %s on this CPU\n", isa);
                return;
            }
            ++*count;
        }
    }
}

static void hash_is_equal_however_computed(void) {
    if (!need(&smollm2)) {
        return;
    }
    static const char prompt[] = "The capital of France is Paris, and that of Italy is";
    tars_request r = prompt_request(prompt, 2);
    r.logits_hash = true;
    char expected[65] = "";
    unsigned count = 0;
    check_instructions(r, "scalar", expected, &count);
    check_instructions(r, "avx2", expected, &count);
    check_instructions(r, "avx512", expected, &count);
    printf("    %u ways, logits_hash %s\n", count, expected);
    CHECK(count >= 4);

    tars_session_options options = TARS_SESSION_OPTIONS_DEFAULTS;
    options.context = 128;
    tars_error err;
    CHECK_INT(tars_session_create(context, smollm2.model, &options, &r.session, &err), TARS_OK);
    static const char *const before[] = {"", "The capital of France is",
                                         "The capital of France is Paris, and by"};
    for (size_t i = 0; i < 3; i++) {
        tars_request other = prompt_request(before[i], 1);
        other.session = r.session;
        tars_result result;
        tars_status status;
        if (*before[i]) {
            tars_job_destroy(run(&other, &result, &status));
        }
        check_hash(&r, "with a session", expected);
    }
    tars_session_destroy(r.session);
}

/* ---- all-MiniLM-L6-v2 -------------------------------------------------------------------- */

static double check_embedding(const json_value *item) {
    const char *text = json_string_or(json_member(item, "text"), "");
    tars_text_view view = {text, strlen(text)};
    tars_request r = TARS_REQUEST_DEFAULTS;
    r.kind = TARS_REQUEST_EMBED;
    r.model = minilm.model;
    r.texts = &view;
    r.n_texts = 1;
    tars_result result;
    tars_status status;
    tars_job *job = run(&r, &result, &status);
    double largest = 0;
    size_t n = 0;
    for (const json_value *v = json_member(item, "embedding")->first;
         status == TARS_OK && v && n < result.n_embd; v = v->next, n++) {
        double difference = fabs((double)result.embeddings[n] - json_number_or(v, NAN));
        largest = difference > largest || isnan(difference) ? difference : largest;
    }
    CHECK_INT(n, 384);
    CHECK_INT(result.n_embd, 384);
    tars_job_destroy(job);
    return largest;
}

static void embeddings_are_the_references(void) {
    if (!need(&minilm)) {
        return;
    }
    golden g = open_golden("golden/minilm-embeddings.json");
    double largest = 0;
    size_t n = 0;
    for (const json_value *item = json_member(g.root, "items")->first; item;
         item = item->next, n++) {
        const char *text = json_string_or(json_member(item, "text"), "");
        double difference = check_embedding(item);
        largest = difference > largest ? difference : largest;
        if (!(difference < 1e-5)) {
            check_fail(__FILE__, __LINE__, "\"%.40s\" differs by %.3g", text, difference);
        }
    }
    printf("    %zu texts, largest difference %.3g\n", n, largest);
    CHECK(n == 10 && largest > 0.0);
    close_golden(&g);
}

static void ids_of_wordpiece_are_the_references(void) {
    if (!need(&minilm)) {
        return;
    }
    golden g = open_golden("golden/minilm-embeddings.json");
    for (const json_value *item = json_member(g.root, "items")->first; item; item = item->next) {
        const char *text = json_string_or(json_member(item, "text"), "");
        const json_value *ids = json_member(item, "ids");
        size_t n = 0;
        for (const json_value *v = ids->first; v; v = v->next) {
            n++;
        }
        tars_request r = TARS_REQUEST_DEFAULTS;
        r.kind = TARS_REQUEST_TOKENIZE;
        r.model = minilm.model;
        r.text = (tars_text_view){text, strlen(text)};
        tars_result result;
        tars_status status;
        tars_job *job = run(&r, &result, &status);
        if (status == TARS_OK && n < 256) {
            check_ids(text, result.ids, result.n_ids, ids);
        } else if (status == TARS_OK) { /* the reference is cut to 256, its last id is [SEP] */
            CHECK(result.n_ids >= n);
            const json_value *v = ids->first;
            for (size_t i = 0; i + 1 < n; i++, v = v->next) {
                CHECK_INT(result.ids[i], v->integer);
            }
        }
        tars_job_destroy(job);
    }
    close_golden(&g);
}

static const check_test tests[] = {
    {"float path gives the reference", float_path_gives_the_reference},
    {"quantised path is near the reference", quantised_path_is_near_the_reference},
    {"first tokens are the reference's", first_tokens_are_the_references},
    {"perplexity is the reference's", perplexity_is_the_references},
    {"hash is equal however computed", hash_is_equal_however_computed},
    {"ids of WordPiece are the reference's", ids_of_wordpiece_are_the_references},
    {"embeddings are the reference's", embeddings_are_the_references},
};
CHECK_MAIN(tests)
