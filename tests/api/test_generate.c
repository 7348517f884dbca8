/* The public API end to end, on the tiny model of the tree. */
#include "base/utf8.h"
#include "platform/platform.h"
#include "support/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tars/tars.h>
#include <unistd.h>

static const char prompt[] = "Once upon a time there was a small engine";

static void answer_does_not_depend_on_how(void) {
    static outcome first;
    static outcome other;
    tars_request r = plain(prompt);
    submit(&r, &first);
    CHECK_INT(first.status, TARS_OK);
    CHECK_INT(first.n_ids, 24);
    CHECK_INT(strlen(first.hash), 64);
    CHECK_STRING(first.streamed, first.text);
    CHECK_STRING(first.reason, "length");
    static const char *const isas[] = {NULL, "scalar", "avx2", "avx512"};
    for (size_t i = 0; i < 4; i++) {
        for (unsigned threads = 1; threads <= 3; threads++) {
            for (unsigned batch = 0; batch <= 7; batch += 7) {
                r.policy.force_isa = isas[i];
                r.policy.n_threads = threads;
                r.batch_size = batch;
                submit(&r, &other);
                if (other.status == TARS_UNAVAILABLE && isas[i]) {
                    continue; /* this CPU lacks it */
                }
                CHECK_INT(other.status, TARS_OK);
                CHECK_STRING(other.hash, first.hash);
                CHECK_STRING(other.text, first.text);
            }
        }
    }
}

static void seed_decides_the_answer(void) {
    static outcome a;
    static outcome b;
    tars_request r = plain(prompt);
    r.sampling = (tars_sampling)TARS_SAMPLING_DEFAULTS;
    r.sampling.temperature = 1.5f;
    submit(&r, &a);
    CHECK_INT(a.status, TARS_OK);
    r.sampling.random_seed = false;
    r.sampling.seed = a.seed;
    submit(&r, &b);
    CHECK_STRING(b.hash, a.hash);
    CHECK(a.seed < (uint64_t)1 << 53); /* a JSON number holds it exactly */
    /* fixed seeds: two drawn ones may both begin with the end of the answer */
    r.sampling.seed = 1;
    submit(&r, &a);
    CHECK(a.n_ids > 5);
    r.sampling.seed = 2;
    submit(&r, &b);
    CHECK(b.n_ids > 5);
    CHECK(strcmp(b.hash, a.hash) != 0);
}

static void session_changes_nothing_but_the_work(void) {
    static outcome alone;
    static outcome kept;
    tars_request r = plain(prompt);
    tars_session *session = NULL;
    tars_error err;
    tars_session_options options = TARS_SESSION_OPTIONS_DEFAULTS;
    CHECK_INT(tars_session_create(context, tiny, &options, &session, &err), TARS_OK);
    const char *const texts[] = {prompt, "Once upon a time there was a small engine that gave",
                                 "Once upon a time there were two", "Something else", prompt};
    uint64_t cached = 0;
    for (size_t i = 0; i < 5; i++) {
        r.text = (tars_text_view){texts[i], strlen(texts[i])};
        r.session = NULL;
        submit(&r, &alone);
        r.session = session;
        submit(&r, &kept);
        CHECK_INT(kept.status, TARS_OK);
        CHECK_STRING(kept.hash, alone.hash);
        cached += kept.cached_tokens;
    }
    CHECK(cached > 5);
    tars_session_reset(session);
    submit(&r, &kept);
    CHECK_INT(kept.cached_tokens, 0);
    CHECK_STRING(kept.hash, alone.hash);
    tars_session_destroy(session);
}

static void replay_gives_the_same_hash(void) {
    static outcome recorded;
    static outcome again;
    tars_request r = plain(prompt);
    r.sampling.temperature = 1.0f;
    r.sampling.random_seed = false;
    r.sampling.seed = 3;
    submit(&r, &recorded);
    CHECK(recorded.n_ids > 5);
    r.kind = TARS_REQUEST_REPLAY;
    r.replay_ids = recorded.ids;
    r.n_replay_ids = recorded.n_ids;
    submit(&r, &again);
    CHECK_INT(again.status, TARS_OK);
    CHECK_STRING(again.hash, recorded.hash);
    recorded.ids[5] ^= 1;
    submit(&r, &again);
    CHECK(strcmp(again.hash, recorded.hash) != 0);
    recorded.ids[5] = INT32_MAX;
    submit(&r, &again);
    CHECK_INT(again.status, TARS_USAGE);
}

static void stop_text_is_not_shown(void) {
    static outcome whole;
    static outcome cut;
    tars_request r = plain(prompt);
    submit(&r, &whole);
    size_t length = strlen(whole.text);
    CHECK(length > 12);
    char stop[8] = {0}; /* whole characters: half of one would be refused */
    size_t at = length / 2;
    while (((unsigned char)whole.text[at] & 0xC0) == 0x80) {
        at--;
    }
    memcpy(stop, whole.text + at, utf8_complete_length(whole.text + at, 4));
    const char *stops[] = {"never there", stop};
    r.stops = stops;
    r.n_stops = 2;
    submit(&r, &cut);
    CHECK_STRING(cut.reason, "stop");
    CHECK(strstr(cut.text, stop) == NULL);
    CHECK_STRING(cut.streamed, cut.text);
    CHECK(strncmp(whole.text, cut.text, strlen(cut.text)) == 0);
}

static void chat_template_is_used(void) {
    static outcome o;
    tars_request r = plain("");
    tars_message messages[] = {{"user", "What is the capital of France?"}};
    r.text = (tars_text_view){0};
    r.messages = messages;
    r.n_messages = 1;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OK);
    CHECK(o.prompt_tokens > 10);
}

static void bad_stop_texts_are_refused(void) {
    static outcome o;
    static char long_stop[1026];
    memset(long_stop, 'x', sizeof long_stop - 1);
    const char *one[] = {long_stop};
    tars_request r = plain(prompt);
    r.stops = one;
    r.n_stops = 1;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_USAGE);
    CHECK(strstr(o.err.message, "1 to 1024") != NULL);
    one[0] = "";
    submit(&r, &o);
    CHECK_INT(o.status, TARS_USAGE);
    one[0] = "\x80";
    submit(&r, &o);
    CHECK_INT(o.status, TARS_MALFORMED);
    static const char *many[257];
    for (size_t i = 0; i < 257; i++) {
        many[i] = "never there";
    }
    r.stops = many;
    r.n_stops = 257;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_USAGE);
    CHECK(strstr(o.err.message, "256 are possible") != NULL);
}

static void bad_requests_are_refused(void) {
    static outcome o;
    tars_request r = plain("");
    submit(&r, &o);
    CHECK_INT(o.status, TARS_USAGE);
    r = plain("bad \xff byte");
    submit(&r, &o);
    CHECK_INT(o.status, TARS_MALFORMED);
    CHECK(strstr(o.err.message, "offset 4") != NULL);
    r = plain(prompt);
    r.limits.context = 8;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_CONTEXT_EXCEEDED);
    r = plain(prompt);
    r.limits.context = 100000;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_USAGE);
    r = plain(prompt);
    r.limits.memory_bytes = 1000;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OUT_OF_MEMORY);
    r = plain(prompt);
    r.policy.runtime = "cuda";
    submit(&r, &o);
    CHECK_INT(o.status, TARS_UNAVAILABLE);
    r = plain(prompt);
    r.policy.force_isa = "mmx";
    submit(&r, &o);
    CHECK_INT(o.status, TARS_USAGE);
    r = plain(prompt);
    r.sampling.top_p = 1.5f;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_USAGE);
    r = plain(prompt);
    r.kind = TARS_REQUEST_EMBED;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_USAGE);
    r = plain(prompt);
    r.size_bytes = 3;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_USAGE);
}

/* A caller that passes no error object still learns which failure it was. */
static void status_survives_without_an_error_object(void) {
    tars_request r = plain(prompt);
    tars_job *job = NULL;
    r.policy.runtime = "cuda";
    CHECK_INT(tars_submit(context, &r, NULL, &job, NULL), TARS_UNAVAILABLE);
    CHECK(job == NULL);
    r = plain(prompt);
    r.limits.context = 8;
    CHECK_INT(tars_submit(context, &r, NULL, &job, NULL), TARS_OK);
    tars_result result = {.size_bytes = sizeof result};
    CHECK_INT(tars_job_wait(job, &result, NULL), TARS_CONTEXT_EXCEEDED);
    tars_job_destroy(job);
    tars_model *none = NULL;
    CHECK_INT(tars_model_open(context, "./not-there.tars", &none, NULL), TARS_NOT_FOUND);
    CHECK(none == NULL);
    /* and what ends things takes NULL, as the headers say */
    tars_job_destroy(NULL);
    tars_model_close(NULL);
    tars_session_destroy(NULL);
    tars_context_destroy(NULL);
}

static void cancel_and_deadline_end_it(void) {
    static outcome o;
    tars_request r = plain(prompt);
    r.limits.max_tokens = 400;
    o.cancel_after = 3;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_CANCELLED);
    CHECK_STRING(o.reason, "cancelled");
    CHECK_INT(o.n_ids, 3);
    o.cancel_after = 0;
    r.policy.force_isa = "scalar";
    r.limits.deadline_ms = 1;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_TIMEOUT);
}

static void context_limits_the_answer(void) {
    static outcome o;
    tars_request r = plain(prompt);
    r.limits.max_tokens = 400;
    r.limits.context = 40;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OK);
    CHECK_STRING(o.reason, "length");
    CHECK_INT(o.prompt_tokens + o.n_ids, 40);
}

static void estimate_covers_the_request(void) {
    tars_request r = plain(prompt);
    uint64_t bytes = 0;
    tars_error err;
    CHECK_INT(tars_estimate(context, &r, &bytes, &err), TARS_OK);
    CHECK(bytes > 10000 && bytes < 64u << 20);
    static outcome o;
    r.limits.memory_bytes = bytes;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OK);
    r.limits.memory_bytes = bytes / 2;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OUT_OF_MEMORY);
}

/* A file that is cut while it is mapped fails the request and not the process. */
static void cut_file_fails_the_request(void) {
    tars_request r = plain(prompt);
    check_cut_file(&r);
}

static void tokenize_and_back(void) {
    set_up();
    tars_request r = plain(prompt);
    r.kind = TARS_REQUEST_TOKENIZE;
    static outcome o;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OK);
    CHECK(o.n_ids > 5);
    static outcome back;
    tars_request d = plain("");
    d.kind = TARS_REQUEST_DETOKENIZE;
    d.ids = o.ids;
    d.n_ids = o.n_ids;
    tars_error err;
    tars_job *job = NULL;
    CHECK_INT(tars_submit(context, &d, NULL, &job, &err), TARS_OK);
    tars_result result = {.size_bytes = sizeof result};
    CHECK_INT(tars_job_wait(job, &result, &err), TARS_OK);
    CHECK_STRING(result.text, prompt);
    tars_job_destroy(job);
    o.ids[0] = 1 << 20;
    submit(&d, &back);
    CHECK_INT(back.status, TARS_USAGE);
}

static void perplexity_of_noise_is_about_the_vocabulary(void) {
    tars_request r = plain(prompt);
    char text[4000];
    size_t length = 0;
    while (length < 3000) {
        memcpy(text + length, prompt, sizeof prompt);
        length += sizeof prompt - 1;
    }
    r.kind = TARS_REQUEST_PERPLEXITY;
    r.text = (tars_text_view){text, strlen(text)};
    r.limits.context = 64;
    tars_error err;
    double seen[2];
    for (unsigned batch = 0; batch < 2; batch++) {
        r.batch_size = batch * 5;
        tars_job *job = NULL;
        CHECK_INT(tars_submit(context, &r, NULL, &job, &err), TARS_OK);
        tars_result result = {.size_bytes = sizeof result};
        CHECK_INT(tars_job_wait(job, &result, &err), TARS_OK);
        CHECK(result.windows >= 5 && result.tokens_scored == result.windows * 31);
        CHECK(result.perplexity > 100 && result.perplexity < 100000);
        seen[batch] = result.perplexity;
        tars_job_destroy(job);
    }
    CHECK_BYTES(&seen[1], &seen[0], sizeof seen[0]);
    r.limits.context = 500;
    static outcome o;
    r.text.length = 100;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_USAGE);
}

/* Also where an id is only looked up, after the pass that would have refused it. */
static void ids_outside_of_the_vocabulary_are_refused(void) {
    static const tars_request_kind kinds[] = {TARS_REQUEST_PERPLEXITY, TARS_REQUEST_GENERATE,
                                              TARS_REQUEST_TOKENIZE, TARS_REQUEST_DETOKENIZE};
    static int32_t ids[64];
    static outcome o;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (int at = 0; at < 64; at += 63) {
            tars_request r = plain("");
            for (int i = 0; i < 64; i++) {
                ids[i] = i == at ? 100000000 : 1;
            }
            r.kind = kinds[k];
            r.ids = ids;
            r.n_ids = 64;
            r.text = (tars_text_view){NULL, 0};
            r.limits.context = 64;
            r.batch_size = 63;
            submit(&r, &o);
            CHECK_INT(o.status, TARS_USAGE);
        }
    }
}

static const check_test tests[] = {
    {"ids outside of the vocabulary are refused", ids_outside_of_the_vocabulary_are_refused},
    {"answer does not depend on how", answer_does_not_depend_on_how},
    {"seed decides the answer", seed_decides_the_answer},
    {"session changes nothing but the work", session_changes_nothing_but_the_work},
    {"replay gives the same hash", replay_gives_the_same_hash},
    {"stop text is not shown", stop_text_is_not_shown},
    {"chat template is used", chat_template_is_used},
    {"bad stop texts are refused", bad_stop_texts_are_refused},
    {"bad requests are refused", bad_requests_are_refused},
    {"status survives without an error object", status_survives_without_an_error_object},
    {"cancel and deadline end it", cancel_and_deadline_end_it},
    {"context limits the answer", context_limits_the_answer},
    {"estimate covers the request", estimate_covers_the_request},
    {"cut file fails the request", cut_file_fails_the_request},
    {"tokenize and back", tokenize_and_back},
    {"perplexity of noise", perplexity_of_noise_is_about_the_vocabulary},
    {"tear down", tear_down},
};
CHECK_MAIN(tests)
