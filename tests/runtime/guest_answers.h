/* Answers of a guest compared with native's; the tests of each runtime for guests call these. */
#ifndef TESTS_GUEST_ANSWERS_H
#define TESTS_GUEST_ANSWERS_H

#include "base/utf8.h"
#include "support/ask.h"

#include <pthread.h>

static const char prompt[] = "Once upon a time there was";

static inline void check_same(const char *place, const tars_request *r) {
    static outcome here;
    static outcome guest;
    tars_request native = *r;
    native.policy.runtime = "native";
    tars_request other = *r;
    other.policy.runtime = place;
    submit(&native, &here);
    submit(&other, &guest);
    CHECK_INT(here.status, TARS_OK);
    CHECK_INT(guest.status, TARS_OK);
    if (guest.status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", guest.err.message, guest.err.cause);
    }
    CHECK_STRING(guest.hash, here.hash);
    CHECK_STRING(guest.text, here.text);
    CHECK_STRING(guest.streamed, here.streamed);
    CHECK_STRING(guest.reason, here.reason);
    CHECK_INT(guest.n_ids, here.n_ids);
    CHECK_INT(guest.n_tokens_streamed, here.n_tokens_streamed);
    CHECK_BYTES(guest.ids, here.ids, here.n_ids * sizeof(int32_t));
}

static inline void check_answers_equal_native(const char *place) {
    tars_request r = plain(prompt);
    check_same(place, &r);
    r.sampling = (tars_sampling)TARS_SAMPLING_DEFAULTS;
    r.sampling.random_seed = false;
    r.sampling.repeat_penalty = 1.2f;
    for (uint64_t seed = 1; seed < 6; seed++) {
        r.sampling.seed = seed;
        r.kv_type = seed % 2 ? "f32" : "f16";
        r.batch_size = seed == 5 ? 100000 : (uint32_t)seed;
        check_same(place, &r);
    }
    static outcome whole;
    submit(&r, &whole);
    size_t at = strlen(whole.text) / 2;
    while (((unsigned char)whole.text[at] & 0xC0) == 0x80) {
        at--;
    }
    char stop[5] = {0};
    memcpy(stop, whole.text + at, utf8_complete_length(whole.text + at, 4));
    const char *stops[] = {"never there", stop};
    r.stops = stops;
    r.n_stops = 2;
    check_same(place, &r);
    r = plain(prompt);
    r.kind = TARS_REQUEST_REPLAY;
    r.replay_ids = whole.ids;
    r.n_replay_ids = whole.n_ids;
    check_same(place, &r);
    r = plain(prompt);
    r.policy.force_isa = "scalar";
    check_same(place, &r);
}

/* A session saves nothing in a guest, and changes nothing either. */
static inline void check_sessions(const char *place) {
    static outcome alone;
    static outcome in_session;
    tars_request r = plain(prompt);
    r.policy.runtime = place;
    submit(&r, &alone);
    tars_error err;
    CHECK_INT(tars_session_create(context, tiny, NULL, &r.session, &err), TARS_OK);
    for (int i = 0; i < 2; i++) {
        submit(&r, &in_session);
        CHECK_INT(in_session.status, TARS_OK);
        CHECK_STRING(in_session.hash, alone.hash);
    }
    tars_session_destroy(r.session);
}

static inline void check_cancelling(const char *place) {
    static outcome o;
    tars_request r = plain(prompt);
    r.policy.runtime = place;
    o = (outcome){.cancel_after = 3};
    submit(&r, &o);
    CHECK_INT(o.status, TARS_CANCELLED);
    CHECK(o.n_ids >= 3 && o.n_ids < 24);
    o = (outcome){0};
    r.limits.deadline_ms = 1;
    r.limits.max_tokens = 200;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_TIMEOUT);
}

typedef struct asker {
    const char *place;
    unsigned differ;
} asker;

static void *ask_often(void *argument) {
    asker *a = argument;
    tars_request r = plain(prompt);
    r.policy.runtime = a->place;
    char hash[65] = "";
    for (int i = 0; i < 20; i++) {
        tars_job *job;
        tars_error err;
        tars_result result = {.size_bytes = sizeof result};
        if (tars_submit(context, &r, NULL, &job, &err) != TARS_OK) {
            a->differ++;
            continue;
        }
        if (tars_job_wait(job, &result, &err) != TARS_OK ||
            (hash[0] && strcmp(hash, result.logits_hash) != 0)) {
            a->differ++;
        }
        memcpy(hash, result.logits_hash, sizeof hash);
        tars_job_destroy(job);
    }
    return NULL;
}

static inline void check_disturbance(const char *place) {
    set_up();
    asker askers[3] = {{place, 0}, {place, 0}, {place, 0}};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(askers[i].differ, 0);
    }
}

#endif
