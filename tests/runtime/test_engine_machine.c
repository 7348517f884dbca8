/* Models in machines of the engine: the same bits as native, also in machines that were reset and
 * in many at once; failures are told as everywhere, and the model's file stays as it is. */
#include "runtime/guest_answers.h"
#include "runtime/hostile_fixture.h"
#include "support/ask.h"

#include "api/model_api.h"
#include "runtime/registry.h"

#include <sys/stat.h>

static const char place[] = "microvm";

static bool begin(void) {
    tars_error err = {.message = ""};
    if (runtime_find(place)->probe(&err) != TARS_OK) {
        check_skip("%s", err.message);
        return false;
    }
    set_up();
    return true;
}

static void answers_equal_native(void) {
    if (begin()) {
        check_answers_equal_native(place);
    }
}

static void every_kernel_and_number_of_processors(void) {
    static const char *const isas[] = {NULL, "scalar", "avx2", "avx512"};
    static outcome o;
    unsigned n_ran = 0;
    if (!begin()) {
        return;
    }
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
        for (unsigned n = 1; n <= 3; n++) {
            tars_request r = plain(prompt);
            r.policy.force_isa = isas[i];
            r.policy.n_threads = n;
            r.policy.runtime = place;
            submit(&r, &o);
            if (o.status == TARS_UNAVAILABLE && isas[i]) {
                printf("    %s\n", o.err.message);
                break;
            }
            check_same(place, &r);
            n_ran++;
        }
    }
    CHECK(n_ran >= 6);
}

static void sessions_are_served(void) {
    if (begin()) {
        check_sessions(place);
    }
}

static void cancelling_and_deadlines_end_a_guest(void) {
    if (begin()) {
        check_cancelling(place);
    }
}

static void guests_do_not_disturb_one_another(void) {
    if (begin()) {
        check_disturbance(place);
    }
}

static void the_result_says_where_it_came_from(void) {
    if (!begin()) {
        return;
    }
    tars_request r = plain(prompt);
    r.policy.isolation = "microvm";
    r.policy.n_threads = 2;
    tars_job *job;
    tars_error err;
    tars_result result = {.size_bytes = sizeof result};
    CHECK_INT(tars_submit(context, &r, NULL, &job, &err), TARS_OK);
    CHECK_INT(tars_job_wait(job, &result, &err), TARS_OK);
    CHECK_STRING(result.runtime, place);
    CHECK_INT(result.n_threads, 2);
    CHECK(result.usage.memory_peak_bytes > 0);
    CHECK(result.usage.start_ms > 0);
    tars_job_destroy(job);
}

static void refusals(void) {
    static outcome o;
    if (!begin()) {
        return;
    }
    tars_request r = plain(prompt);
    r.policy.runtime = place;
    r.policy.force_isa = "neon";
    submit(&r, &o);
    CHECK_INT(o.status, TARS_UNAVAILABLE);
    r = plain(prompt);
    r.policy.runtime = place;
    r.keep_logits = true;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_UNSUPPORTED);
    r = plain(prompt);
    r.policy.runtime = place;
    r.kind = TARS_REQUEST_PERPLEXITY;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_UNAVAILABLE);
    r = plain(prompt);
    r.policy.runtime = place;
    r.limits.memory_bytes = 1 << 20;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OUT_OF_MEMORY);
    uint64_t estimate = 0; /* is enough, and a little less is not */
    r.limits.memory_bytes = 0;
    CHECK_INT(tars_estimate(context, &r, &estimate, &o.err), TARS_OK);
    r.limits.memory_bytes = estimate;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OK);
    r.limits.memory_bytes = estimate - 1;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OUT_OF_MEMORY);
    r = plain(prompt);
    r.policy.runtime = place;
    r.limits.context = 4;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_CONTEXT_EXCEEDED);
}

/* ---- machines by hand ---------------------------------------------------------------------- */

/* A request of the wire for the tiny model, and the digest of what a guest answered. */
typedef struct wire_talk {
    hostile_talk talk;
    uint8_t hash[SHA256_DIGEST_BYTES];
    void (*after_token)(struct wire_talk *t);
    void *user;
} wire_talk;

enum { MAX_PROMPT = 64 };
static int32_t prompt_ids[MAX_PROMPT];
static uint32_t n_prompt_ids;

static tars_status wire_token_taken(void *user, int32_t id, const uint8_t *digest,
                                    tars_error *err) {
    wire_talk *t = user;
    (void)id;
    (void)digest;
    (void)err;
    t->talk.n_tokens++;
    if (t->after_token) {
        t->after_token(t);
    }
    return TARS_OK;
}

static tars_status ask_machine(engine_machine *m, uint64_t memory_bytes, uint32_t n_context,
                               wire_talk *t) {
    guest_answer_request request = {.n_vocab = tiny->pack.hparams->n_vocab, .prompt = prompt_ids};
    request.wire = (wire_request){.kind = WIRE_GENERATE,
                                  .max_tokens = 24,
                                  .n_context = n_context,
                                  .batch = 16,
                                  .repeat_penalty = 1,
                                  .top_p = 1,
                                  .kv_type = 1,
                                  .logits_hash = 1,
                                  .n_prompt = n_prompt_ids};
    guest_answer_sink sink = {.user = t,
                              .token = wire_token_taken,
                              .text = hostile_text,
                              .progress = hostile_progress,
                              .check = hostile_check};
    t->talk = (hostile_talk){.limit_ns = 60000000000, .begin_ns = platform_clock_ns()};
    guest_answer_init(&t->talk.told, &request, &sink);
    t->talk.status =
        engine_machine_serve(m, memory_bytes, &t->talk.told.client, &t->talk.usage, &t->talk.err);
    memcpy(t->hash, t->talk.told.client.result.logits_hash, sizeof t->hash);
    return t->talk.status;
}

/* The prompt's ids, and the digest of native's answer as text. */
static void ask_native(char hash[65]) {
    tars_request r = plain(prompt);
    tars_job *job;
    tars_error err;
    tars_result result = {.size_bytes = sizeof result};
    r.policy.runtime = "native";
    CHECK_INT(tars_submit(context, &r, NULL, &job, &err), TARS_OK);
    CHECK_INT(tars_job_wait(job, &result, &err), TARS_OK);
    CHECK(result.n_prompt_ids <= MAX_PROMPT);
    n_prompt_ids = (uint32_t)result.n_prompt_ids;
    memcpy(prompt_ids, result.prompt_ids, n_prompt_ids * sizeof(int32_t));
    memcpy(hash, result.logits_hash, 65);
    tars_job_destroy(job);
}

static void check_hash(const wire_talk *t, const char *expected) {
    char text[65] = "";
    for (size_t i = 0; i < SHA256_DIGEST_BYTES; i++) {
        snprintf(text + 2 * i, 3, "%02x", t->hash[i]);
    }
    if (t->talk.status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", t->talk.err.message, t->talk.err.cause);
    }
    CHECK_STRING(text, expected);
}

enum { ENOUGH_BYTES = 32 << 20, CONTEXT = 128 };

static engine_snapshot *engine_of(const platform_mapping *mapping, const char *isa,
                                  tars_error *err) {
    engine_snapshot *s = NULL;
    *err = (tars_error){.message = ""};
    (void)engine_snapshot_create(mapping, isa, 4, NULL, &s, err);
    return s;
}

/* The same bits in a new machine, in one that was reset, and in two at once. */
static void machines_answer_again_and_at_once(void) {
    static wire_talk t;
    char expected[65];
    tars_error err;
    engine_usage usage;
    if (!begin()) {
        return;
    }
    ask_native(expected);
    engine_snapshot *s = engine_of(&tiny->mapping, "", &err);
    CHECK_STRING(err.message, "");
    engine_machine *machines[2] = {NULL, NULL};
    for (unsigned i = 0; s && i < 2; i++) {
        machines[i] = hostile_machine(s, i + 1);
    }
    for (int i = 0; s && i < 6; i++) {
        engine_machine *m = machines[i % 2];
        CHECK_INT(ask_machine(m, ENOUGH_BYTES, CONTEXT + (i > 2 ? 64 : 0), &t), TARS_OK);
        check_hash(&t, expected);
        CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_OK);
    }
    for (int i = 0; i < 2; i++) {
        engine_machine_destroy(machines[i]);
    }
    engine_snapshot_destroy(s);
}

typedef struct answerer {
    const engine_snapshot *snapshot;
    unsigned n_workers, n_bad;
    uint8_t expected[SHA256_DIGEST_BYTES];
} answerer;

static void answer_often(void *argument) {
    answerer *a = argument;
    wire_talk *t = calloc(1, sizeof *t);
    engine_machine *m = NULL;
    tars_error err;
    engine_usage usage;
    const engine_wish wish = {
        .n_workers = a->n_workers, .computes = true, .memory_bytes = ENOUGH_BYTES};
    bool is_made = t && engine_machine_create(a->snapshot, &wish, &m, &err) == TARS_OK;
    a->n_bad += !is_made;
    for (int i = 0; is_made && i < 4; i++) {
        a->n_bad += ask_machine(m, ENOUGH_BYTES, CONTEXT, t) != TARS_OK;
        a->n_bad += memcmp(t->hash, a->expected, sizeof t->hash) != 0;
        a->n_bad += engine_machine_reset(m, &usage, &err) != TARS_OK;
    }
    engine_machine_destroy(m);
    free(t);
}

static void twenty_machines_at_once(void) {
    enum { N = 20 };
    static wire_talk t;
    static answerer answerers[N];
    platform_thread threads[N];
    char expected[65];
    tars_error err;
    if (!begin()) {
        return;
    }
    ask_native(expected);
    engine_snapshot *s = engine_of(&tiny->mapping, "", &err);
    engine_machine *m = s ? hostile_machine(s, 1) : NULL;
    CHECK(m != NULL);
    if (m && ask_machine(m, ENOUGH_BYTES, CONTEXT, &t) == TARS_OK) {
        check_hash(&t, expected);
        for (unsigned i = 0; i < N; i++) {
            answerers[i] = (answerer){.snapshot = s, .n_workers = 1 + i % 3};
            memcpy(answerers[i].expected, t.hash, sizeof t.hash);
            CHECK_INT(
                platform_thread_create("answer", answer_often, &answerers[i], &threads[i], &err),
                TARS_OK);
        }
        for (unsigned i = 0; i < N; i++) {
            platform_thread_join(&threads[i]);
            CHECK_INT(answerers[i].n_bad, 0);
        }
    }
    engine_machine_destroy(m);
    engine_snapshot_destroy(s);
}

/* What the guest says is told; its machine is not used again. */
static void failures_of_the_guest_are_told(void) {
    static wire_talk t;
    char expected[65];
    tars_error err;
    engine_usage usage;
    if (!begin()) {
        return;
    }
    ask_native(expected);
    engine_snapshot *s = engine_of(&tiny->mapping, "scalar", &err);
    engine_machine *m = s ? hostile_machine(s, 2) : NULL;
    if (m) {
        CHECK_STRING(s->isa, "scalar");
        CHECK_INT(ask_machine(m, 4096, tiny->pack.hparams->context_length, &t), TARS_OUT_OF_MEMORY);
        CHECK(strstr(t.talk.err.message, "does not fit the guest's") != NULL);
        CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_CONFLICT);
        engine_machine_destroy(m);
    }
    m = s ? hostile_machine(s, 2) : NULL;
    if (m) {
        CHECK_INT(ask_machine(m, ENOUGH_BYTES, 4, &t), TARS_MALFORMED);
        CHECK(strstr(t.talk.err.message, "in a context of 4") != NULL);
        engine_machine_destroy(m);
    }
    engine_snapshot_destroy(s);
    s = engine_of(&tiny->mapping, "wasm", &err); /* kernels that no machine has */
    CHECK(s == NULL);
    CHECK_INT(err.status, TARS_UNAVAILABLE);
    CHECK(err.message[0] != '\0');
}

/* ---- the model's file ---------------------------------------------------------------------- */

static void copy_model(char copy[300]) {
    char command[700];
    snprintf(copy, 300, "%s.copy", packed_path);
    snprintf(command, sizeof command, "cp %s %s", packed_path, copy);
    CHECK_INT(system(command), 0);
}

static void write_at(const char *path, uint64_t offset, const void *bytes, size_t length) {
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL);
    if (file) {
        CHECK_INT(fseek(file, (long)offset, SEEK_SET), 0);
        CHECK_INT(fwrite(bytes, 1, length, file), length);
        fclose(file);
    }
}

/* Bytes all over it: a snapshot is refused, or its machines answer something; nothing crashes. */
static void damaged_models_do_no_harm(void) {
    static wire_talk t;
    char copy[300], expected[65];
    unsigned n_refused = 0;
    if (!begin()) {
        return;
    }
    ask_native(expected);
    uint64_t random = 4711;
    const pack_bytes *tokenizer_bytes = &tiny->pack.sections[PACK_TOKENIZER];
    uint64_t first = (uint64_t)(tokenizer_bytes->bytes - tiny->mapping.bytes);
    for (int i = 0; i < 60; i++) {
        copy_model(copy);
        for (int k = 0; k < 8; k++) {
            uint64_t value = check_random(&random);
            uint64_t at = i % 3 == 0   ? value % 4096
                          : i % 3 == 1 ? first + value % tokenizer_bytes->size_bytes
                                       : value % (tiny->mapping.size_bytes - 8);
            uint64_t bytes = check_random(&random) >> (i % 2 ? 56 : 0);
            write_at(copy, at, &bytes, sizeof bytes);
        }
        platform_mapping mapping;
        tars_error err;
        CHECK_INT(platform_map(copy, &mapping, &err), TARS_OK);
        engine_snapshot *s = engine_of(&mapping, "", &err);
        CHECK(s || err.message[0] != '\0');
        n_refused += s == NULL;
        engine_machine *m = s ? hostile_machine(s, 2) : NULL;
        if (m) {
            (void)ask_machine(m, ENOUGH_BYTES, CONTEXT, &t);
            CHECK(t.talk.status < TARS_STATUS_COUNT);
            CHECK((t.talk.status != TARS_OK) <= m->is_spoilt);
        }
        engine_machine_destroy(m);
        engine_snapshot_destroy(s);
        platform_unmap(&mapping);
        unlink(copy);
    }
    printf("    %u of 60 were refused at once\n", n_refused);
    CHECK(n_refused > 0);
}

static void a_cut_file_fails_the_request(void) {
    if (begin()) {
        tars_request r = plain(prompt);
        r.policy.runtime = place;
        check_cut_file(&r);
    }
}

static void cut(wire_talk *t) {
    if (t->talk.n_tokens == 2) {
        CHECK_INT(truncate(t->user, 1 << 20), 0);
    }
}

/* Between being prepared and serving, and while it serves. */
static void files_that_are_cut_later(void) {
    static wire_talk t;
    char copy[300], expected[65];
    tars_error err;
    engine_usage usage;
    if (!begin()) {
        return;
    }
    ask_native(expected);
    for (int i = 0; i < 2; i++) {
        platform_mapping mapping;
        copy_model(copy);
        CHECK_INT(platform_map(copy, &mapping, &err), TARS_OK);
        engine_snapshot *s = engine_of(&mapping, "", &err);
        engine_machine *m = s ? hostile_machine(s, 2) : NULL;
        CHECK(m != NULL);
        if (m) {
            t.after_token = i == 1 ? cut : NULL;
            t.user = copy;
            if (i == 0) {
                CHECK_INT(truncate(copy, 1 << 20), 0);
            }
            CHECK_INT(ask_machine(m, ENOUGH_BYTES, CONTEXT, &t), TARS_CORRUPT);
            CHECK(strstr(t.talk.err.message, "had") != NULL);
            CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_CONFLICT);
        }
        t.after_token = NULL;
        engine_machine_destroy(m);
        engine_snapshot_destroy(s);
        platform_unmap(&mapping);
        unlink(copy);
    }
}

/* No program in a machine changes a model, and none reads what lies behind it. */
static void weights_cannot_be_written(void) {
    static hostile_talk t;
    if (!begin() || !has_machines()) {
        return;
    }
    const platform_mapping *mapping = &tiny->mapping;
    const uint64_t end = (mapping->size_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    const struct {
        unsigned what;
        uint64_t offset;
        tars_status expected;
    } rows[] = {
        {HOSTILE_LOAD, 0, TARS_OK},
        {HOSTILE_LOAD, end - 1, TARS_OK},
        {HOSTILE_LOAD, end, TARS_MALFORMED},
        {HOSTILE_STORE, 0, TARS_MALFORMED},
        {HOSTILE_STORE, 1, TARS_MALFORMED},
        {HOSTILE_STORE, 4096, TARS_MALFORMED},
        {HOSTILE_STORE, end - 1, TARS_MALFORMED},
        {HOSTILE_STORE, end, TARS_MALFORMED},
        {HOSTILE_JUMP, 0, TARS_MALFORMED},
        {HOSTILE_JUMP, 4096, TARS_MALFORMED},
        {HOSTILE_STACK_AT, 8192, TARS_MALFORMED},
    };
    uint8_t before[SHA256_DIGEST_BYTES], after[SHA256_DIGEST_BYTES];
    sha256(mapping->bytes, mapping->size_bytes, before);
    hostile_model = mapping;
    engine_snapshot *s = hostile_boots_well();
    hostile_model = NULL;
    for (size_t i = 0; s && i < sizeof rows / sizeof rows[0]; i++) {
        engine_machine *m = hostile_machine(s, 2);
        if (m) {
            t.limit_ns = 20000000000;
            hostile_serve(m, rows[i].what, ENGINE_MODEL + rows[i].offset, &t);
            if (t.status != rows[i].expected) {
                check_fail(__FILE__, __LINE__, "row %zu: %d %s", i, (int)t.status, t.err.message);
            }
            engine_machine_destroy(m);
        }
    }
    engine_snapshot_destroy(s);
    sha256(mapping->bytes, mapping->size_bytes, after);
    CHECK_BYTES(after, before, sizeof before);
}

static const check_test tests[] = {
    {"a cut file fails the request", a_cut_file_fails_the_request},
    {"answers equal native", answers_equal_native},
    {"every kernel and number of processors", every_kernel_and_number_of_processors},
    {"sessions are served", sessions_are_served},
    {"cancelling and deadlines end a guest", cancelling_and_deadlines_end_a_guest},
    {"guests do not disturb one another", guests_do_not_disturb_one_another},
    {"the result says where it came from", the_result_says_where_it_came_from},
    {"refusals", refusals},
    {"machines answer again and at once", machines_answer_again_and_at_once},
    {"twenty machines at once", twenty_machines_at_once},
    {"failures of the guest are told", failures_of_the_guest_are_told},
    {"damaged models do no harm", damaged_models_do_no_harm},
    {"files that are cut later", files_that_are_cut_later},
    {"weights cannot be written", weights_cannot_be_written},
    {"tear down", tear_down},
};

CHECK_MAIN(tests)
