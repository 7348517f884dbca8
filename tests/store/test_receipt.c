#include "store/receipt.h"

#include "fixture.h"

#include "store/canonical.h"

static const int32_t prompt_ids[] = {1, 2, 49151};
static const int32_t tokens[] = {7, 0, 2147483647};
static uint8_t digests[4][SHA256_DIGEST_BYTES];
static char logits_hash[SHA256_HEX_BYTES];
static const char *const stops[] = {"\n", "\"quoted\" \xE2\x82\xAC \x01"};
static char source_sha256[SHA256_HEX_BYTES];
static char packed_sha256[SHA256_HEX_BYTES];

static receipt sample(void) {
    sha256_context context;
    uint8_t all[SHA256_DIGEST_BYTES];
    sha256_init(&context);
    for (size_t i = 0; i < 4; i++) {
        sha256(&i, sizeof i, digests[i]);
        sha256_update(&context, digests[i], SHA256_DIGEST_BYTES);
    }
    sha256_final(&context, all);
    hex_encode(all, sizeof all, logits_hash);
    hex_encode(digests[0], SHA256_DIGEST_BYTES, source_sha256);
    hex_encode(digests[1], SHA256_DIGEST_BYTES, packed_sha256);
    return (receipt){
        .version = RECEIPT_VERSION,
        .arithmetic_version = 1,
        .program = "0.1.0 (test)",
        .created_unix_s = 1700000000,
        .model_name = "smollm2",
        .model_architecture = "llama",
        .model_quantization = "Q4_1",
        .source_sha256 = source_sha256,
        .packed_sha256 = packed_sha256,
        .prompt_ids = prompt_ids,
        .n_prompt_ids = 3,
        .sampling = {.temperature = 0.8f,
                     .top_k = 40,
                     .top_p = 0.95f,
                     .min_p = 1e-30f,
                     .repeat_penalty = 1.1f,
                     .seed = UINT64_MAX},
        .stops = stops,
        .n_stops = 2,
        .max_tokens = 512,
        .context = 2048,
        .kv_type = "f16",
        .tokens = tokens,
        .n_tokens = 3,
        .digests = (const uint8_t(*)[SHA256_DIGEST_BYTES])digests,
        .n_digests = 4,
        .logits_hash = logits_hash,
        .finish_reason = "stop",
        .runtime = "native",
        .isa = "avx2",
        .n_threads = 2,
    };
}

/* A receipt that was written, its path and its text. */
typedef struct written {
    fixture f;
    const char *path;
    char *text;
    size_t length;
} written;

static void write_sample(written *w) {
    fixture_begin(&w->f);
    keys *k = NULL;
    tars_error err = {0};
    receipt r = sample();
    CHECK_INT(keys_open(w->f.home, &k, &err), TARS_OK);
    w->path = fixture_path(&w->f, "receipt.json");
    CHECK_INT(receipt_write(&r, k, w->path, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    keys_close(k);
    w->text = check_read_file(w->path, &w->length);
}

static void finish_sample(written *w) {
    free(w->text);
    fixture_end(&w->f);
}

static void receipts_come_back(void) {
    written w;
    write_sample(&w);
    receipt back;
    receipt r = sample();
    void *memory = NULL;
    tars_error err = {0};
    CHECK_INT(receipt_read(w.path, &back, &memory, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    CHECK_INT(receipt_verify(&back, &err), TARS_OK);
    CHECK_INT(back.n_prompt_ids, 3);
    CHECK_BYTES(back.prompt_ids, prompt_ids, sizeof prompt_ids);
    CHECK_BYTES(back.tokens, tokens, sizeof tokens);
    CHECK_INT(back.n_digests, 4);
    CHECK_BYTES(back.digests, digests, sizeof digests);
    CHECK(back.sampling.temperature == r.sampling.temperature);
    CHECK(back.sampling.top_p == r.sampling.top_p);
    CHECK(back.sampling.min_p == r.sampling.min_p);
    CHECK(back.sampling.repeat_penalty == r.sampling.repeat_penalty);
    CHECK(back.sampling.seed == UINT64_MAX && back.sampling.top_k == 40);
    CHECK_INT(back.n_stops, 2);
    CHECK_STRING(back.stops[1], stops[1]);
    CHECK_STRING(back.model_name, "smollm2");
    CHECK_STRING(back.source_sha256, source_sha256);
    CHECK_STRING(back.kv_type, "f16");
    CHECK_STRING(back.runtime, "native");

    tars_request request;
    receipt_to_request(&back, NULL, &request);
    CHECK_INT(request.kind, TARS_REQUEST_REPLAY);
    CHECK(request.ids == back.prompt_ids && request.n_ids == 3);
    CHECK(request.replay_ids == back.tokens && request.n_replay_ids == 3);
    CHECK(request.logits_hash && !request.sampling.random_seed);
    CHECK_INT(request.limits.context, 2048);
    free(memory);
    finish_sample(&w);
}

typedef struct text_out {
    char *text;
    size_t length;
} text_out;

static bool append(void *context, const char *bytes, size_t length) {
    text_out *out = context;
    memcpy(out->text + out->length, bytes, length);
    out->length += length;
    return true;
}

static void the_file_is_canonical(void) {
    written w;
    write_sample(&w);
    size_t size = 64 * w.length + 65536;
    void *memory = malloc(size);
    arena a;
    arena_init(&a, memory, size);
    json_value *root = NULL;
    tars_error err = {0};
    text_out out = {.text = malloc(8 * w.length)};
    CHECK_INT(json_parse(w.text, w.length, NULL, &a, &root, &err), TARS_OK);
    CHECK_INT(canonical_write(root, NULL, &a, append, &out, &err), TARS_OK);
    CHECK_INT(out.length, w.length);
    CHECK_BYTES(out.text, w.text, w.length);
    free(out.text);
    free(memory);
    finish_sample(&w);
}

/* Reads text as a receipt and verifies it. */
static tars_status judge(const char *text, size_t length, tars_error *err) {
    size_t size = RECEIPT_ARENA_FACTOR * length + 65536;
    void *memory = malloc(size);
    arena a;
    arena_init(&a, memory, size);
    receipt back;
    error_clear(err);
    tars_status status = receipt_parse(text, length, &a, &back, err);
    if (status == TARS_OK) {
        status = receipt_verify(&back, err);
    }
    free(memory);
    return status;
}

static void any_changed_value_is_noticed(void) {
    written w;
    write_sample(&w);
    tars_error err;
    CHECK_INT(judge(w.text, w.length, &err), TARS_OK);
    int noticed = 0;
    for (size_t i = 0; i < w.length; i++) {
        char before = w.text[i];
        w.text[i] = (char)(before == '0' ? '1' : before >= '1' && before <= '9' ? '0' : before ^ 1);
        tars_status status = judge(w.text, w.length, &err);
        if (status == TARS_OK) {
            check_fail(__FILE__, __LINE__, "byte %zu ('%c' became '%c') is not noticed", i, before,
                       w.text[i]);
        }
        noticed += status != TARS_OK && err.message[0] != '\0';
        w.text[i] = before;
    }
    CHECK_INT(noticed, w.length);
    finish_sample(&w);
}

static void a_reformatted_receipt_stays_valid(void) {
    written w;
    write_sample(&w);
    char *spaced = malloc(4 * w.length);
    size_t length = 0;
    bool in_string = false;
    for (size_t i = 0; i < w.length; i++) {
        if (w.text[i] == '"' && (i == 0 || w.text[i - 1] != '\\')) {
            in_string = !in_string;
        }
        spaced[length++] = w.text[i];
        if (!in_string && (w.text[i] == ',' || w.text[i] == ':')) {
            spaced[length++] = '\n';
            spaced[length++] = ' ';
        }
    }
    tars_error err;
    CHECK_INT(judge(spaced, length, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    free(spaced);
    finish_sample(&w);
}

static void cut_receipts_are_malformed(void) {
    written w;
    write_sample(&w);
    tars_error err;
    for (size_t length = 0; length < w.length; length++) {
        CHECK_INT(judge(w.text, length, &err), TARS_MALFORMED);
    }
    finish_sample(&w);
}

static void replace(char *text, size_t *length, const char *from, const char *to) {
    char *at = strstr(text, from);
    if (!at) {
        check_fail(__FILE__, __LINE__, "the receipt has no %s", from);
        return;
    }
    size_t tail = *length - (size_t)(at - text) - strlen(from);
    memmove(at + strlen(to), at + strlen(from), tail);
    memcpy(at, to, strlen(to));
    *length = *length + strlen(to) - strlen(from);
    text[*length] = '\0';
}

static void wrong_members_are_named(void) {
    static const char *const cases[][3] = {
        {"\"version\":1}", "\"version\":2}", "version 2"},
        {"\"seed\":\"18446744073709551615\"", "\"seed\":\"18446744073709551616\"", "seed"},
        {"\"seed\":\"18446744073709551615\"", "\"seed\":\"007\"", "seed"},
        {"\"seed\":\"18446744073709551615\"", "\"seed\":1844", "seed"},
        {"\"tokens\":[7,", "\"tokens\":[-7,", "tokens"},
        {"\"tokens\":[7,", "\"tokens\":[7.5,", "tokens"},
        {"\"tokens\":[7,", "\"tokens\":[7,7,7,", "digests"},
        {"\"prompt_ids\":[1,", "\"prompt_ids\":[4294967296,", "prompt_ids"},
        {"\"kv_type\":\"f16\"", "\"kv_type\":\"f\\u0000\"", "kv_type"},
        {"\"temperature\":0.8", "\"temperature\":1e300", "temperature"},
        {"\"context\":2048", "\"context\":-1", "context"},
        {"\"digests\":[\"", "\"digests\":[\"00", "digests"},
        {"\"settings\":{", "\"settings\":[],\"x\":{", "settings"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        written w;
        write_sample(&w);
        char *text = malloc(w.length + 256);
        memcpy(text, w.text, w.length + 1);
        size_t length = w.length;
        replace(text, &length, cases[i][0], cases[i][1]);
        tars_error err;
        tars_status status = judge(text, length, &err);
        CHECK(status == TARS_MALFORMED || status == TARS_UNSUPPORTED);
        if (!strstr(err.message, cases[i][2])) {
            check_fail(__FILE__, __LINE__, "case %zu: \"%s\" does not name %s", i, err.message,
                       cases[i][2]);
        }
        free(text);
        finish_sample(&w);
    }
}

static void a_foreign_signature_does_not_fit(void) {
    written w;
    write_sample(&w);
    char *text = malloc(w.length + 256);
    memcpy(text, w.text, w.length + 1);
    size_t length = w.length;
    /* a member more, as a later writer might add: it is signed too, so it cannot be slipped in */
    replace(text, &length, "\"isa\":", "\"extra\":1,\"isa\":");
    tars_error err;
    CHECK_INT(judge(text, length, &err), TARS_MISMATCH);
    CHECK_STRING(err.hint, "the receipt was changed after it was written");
    free(text);
    finish_sample(&w);
}

static void receipts_need_digests(void) {
    tars_model_info model = {.name = "m"};
    tars_request request = TARS_REQUEST_DEFAULTS;
    tars_result result = {0};
    receipt r;
    tars_error err = {0};
    CHECK_INT(receipt_from_result(&model, &request, &result, 0, &r, &err), TARS_USAGE);
    CHECK(err.hint[0] != '\0');
    result.n_digests = 1;
    result.digests = (const uint8_t(*)[SHA256_DIGEST_BYTES])digests;
    result.seed = 99;
    result.context = 128;
    memset(result.logits_hash, 'a', 64);
    CHECK_INT(receipt_from_result(&model, &request, &result, 5, &r, &err), TARS_OK);
    CHECK_INT(r.sampling.seed, 99);
    CHECK_INT(r.context, 128);
    CHECK(!r.sampling.random_seed && r.sampling.temperature == 0.8f);
}

static void failures_name_the_file(void) {
    fixture f;
    fixture_begin(&f);
    receipt back;
    void *memory = NULL;
    tars_error err = {0};
    CHECK_INT(receipt_read("/nonexistent/receipt.json", &back, &memory, &err), TARS_NOT_FOUND);
    CHECK(memory == NULL && err.message[0] != '\0');
    CHECK_INT(receipt_read("/dev/zero", &back, &memory, &err), TARS_USAGE);
    keys *k = NULL;
    receipt r = sample();
    CHECK_INT(keys_open(f.home, &k, &err), TARS_OK);
    CHECK(receipt_write(&r, k, "/nonexistent/folder/receipt.json", &err) != TARS_OK);
    struct stat facts;
    CHECK(mkdir(fixture_path(&f, "folder"), 0700) == 0);
    CHECK_INT(receipt_write(&r, k, fixture_path(&f, "folder"), &err), TARS_USAGE);
    CHECK(mkfifo(fixture_path(&f, "pipe"), 0600) == 0);
    CHECK_INT(receipt_write(&r, k, fixture_path(&f, "pipe"), &err), TARS_USAGE);
    CHECK(stat(fixture_path(&f, "pipe"), &facts) == 0 && S_ISFIFO(facts.st_mode));
    keys_close(k);
    fixture_end(&f);
}

static const check_test tests[] = {
    {"receipts come back", receipts_come_back},
    {"a receipt's file is canonical", the_file_is_canonical},
    {"any changed value of a receipt is noticed", any_changed_value_is_noticed},
    {"a reformatted receipt stays valid", a_reformatted_receipt_stays_valid},
    {"cut receipts are malformed", cut_receipts_are_malformed},
    {"wrong members of a receipt are named", wrong_members_are_named},
    {"a foreign signature does not fit", a_foreign_signature_does_not_fit},
    {"receipts need digests", receipts_need_digests},
    {"receipt failures name the file", failures_name_the_file},
};
CHECK_MAIN(tests)
