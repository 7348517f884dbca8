#include "runtime/runtime.h"

#include "runtime/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct runtime_image {
    const runtime_row *row;
    const runtime_functions *functions;
    runtime_image_kind kind;
    void *own; /* the runtime's */
    runtime_limits limits;
    platform_mutex lock; /* of stats */
    runtime_stats stats;
};

struct runtime_instance {
    runtime_image *image;
    void *own;
    runtime_state state;
    const runtime_request *request; /* while RUNNING */
    runtime_control asked;          /* the caller's */
    atomic_uint is_cancelled;
};

typedef enum runtime_step {
    STEP_SUBMIT,
    STEP_POLL,
    STEP_RESET,
    STEP_KILL,
    STEP_COUNT
} runtime_step;

/* Which steps a state allows; all others are refused. */
static const bool allowed[RUNTIME_STATES][STEP_COUNT] = {
    [RUNTIME_READY] = {[STEP_SUBMIT] = true, [STEP_KILL] = true},
    [RUNTIME_RUNNING] = {[STEP_POLL] = true},
    [RUNTIME_ENDED] = {[STEP_RESET] = true, [STEP_KILL] = true},
};

static tars_status check_step(const runtime_instance *instance, runtime_step step,
                              tars_error *err) {
    static const char *const states[RUNTIME_STATES] = {"is ready", "runs a request",
                                                       "has ended its request"};
    static const char *const steps[STEP_COUNT] = {"take a request", "be polled", "be reset",
                                                  "be killed"};
    if (allowed[instance->state][step]) {
        return TARS_OK;
    }
    return error_set(err, TARS_CONFLICT, "the instance %s: it cannot %s", states[instance->state],
                     steps[step]);
}

/* ---- limits ------------------------------------------------------------------------------- */

/* Nanoseconds of it can be counted, and added to a moment. */
#define MAX_TIMEOUT_MS (UINT64_C(100) * 365 * 24 * 3600 * 1000)

/* Every limit by its place, so that defaults and comparisons are one loop. */
typedef struct limit_row {
    const char *name;
    size_t offset;
    bool is_wide; /* uint64_t, else uint32_t */
} limit_row;

#define LIMIT_ROW(NAME)                                                                            \
    {#NAME, offsetof(runtime_limits, NAME), sizeof(((runtime_limits *)0)->NAME) == 8}
static const limit_row limit_rows[] = {
    LIMIT_ROW(memory_bytes), LIMIT_ROW(timeout_ms),  LIMIT_ROW(output_bytes),
    LIMIT_ROW(file_bytes),   LIMIT_ROW(stack_bytes), LIMIT_ROW(fuel),
    LIMIT_ROW(n_files),      LIMIT_ROW(n_threads),   LIMIT_ROW(table_elements),
};
enum { N_LIMITS = sizeof limit_rows / sizeof limit_rows[0] };

static uint64_t get_limit(const runtime_limits *limits, const limit_row *row) {
    const uint8_t *at = (const uint8_t *)limits + row->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (row->is_wide) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

static void set_limit(runtime_limits *limits, const limit_row *row, uint64_t value) {
    uint8_t *at = (uint8_t *)limits + row->offset;
    uint32_t narrow = (uint32_t)value; /* it was one */
    memcpy(at, row->is_wide ? (void *)&value : (void *)&narrow, row->is_wide ? 8 : 4);
}

/* `asked` (may be NULL) with `defaults` for what is 0. */
static runtime_limits fill_limits(const runtime_limits *asked, const runtime_limits *defaults) {
    runtime_limits out = *defaults;
    for (size_t i = 0; asked && i < N_LIMITS; i++) {
        uint64_t value = get_limit(asked, &limit_rows[i]);
        if (value > 0) {
            set_limit(&out, &limit_rows[i], value);
        }
    }
    return out;
}

static tars_status check_asked(const runtime_row *row, const runtime_functions *f,
                               const runtime_limits *asked, tars_error *err) {
    for (size_t i = 0; asked && i < N_LIMITS; i++) {
        const limit_row *l = &limit_rows[i];
        bool is_fuel = l->offset == offsetof(runtime_limits, fuel);
        if (get_limit(asked, l) > 0 && get_limit(&f->defaults, l) == 0 &&
            !(is_fuel && f->counts_fuel)) {
            error_set(err, TARS_UNAVAILABLE, "unavailable: runtime %s does not limit %s", row->name,
                      l->name);
            error_hint(err, "leave that limit out, or choose another runtime");
            return TARS_UNAVAILABLE;
        }
    }
    return TARS_OK;
}

static tars_status check_limits(const runtime_row *row, const runtime_limits *limits,
                                const runtime_limits *most, tars_error *err) {
    for (size_t i = 0; i < N_LIMITS; i++) {
        uint64_t value = get_limit(limits, &limit_rows[i]);
        uint64_t bound = get_limit(most, &limit_rows[i]);
        if (value > bound || (bound > 0 && value == 0)) {
            return error_set(err, TARS_LIMIT,
                             "%s of %llu for an instance of runtime %s, whose image was opened "
                             "for %llu",
                             limit_rows[i].name, (unsigned long long)value, row->name,
                             (unsigned long long)bound);
        }
    }
    return TARS_OK;
}

/* ---- images ------------------------------------------------------------------------------- */

tars_status runtime_open(const runtime_row *row, const runtime_source *source, runtime_image **out,
                         tars_error *err) {
    *out = NULL;
    tars_status status = row->probe(err);
    if (status != TARS_OK) {
        return status;
    }
    const runtime_functions *f = row->functions[source->kind];
    if (!f) {
        return error_set(err, TARS_UNAVAILABLE,
                         "unavailable: runtime %s runs no %s in this version", row->name,
                         source->kind == RUNTIME_MODEL ? "models" : "programs");
    }
    if (source->isolate_host && !f->isolates_host) {
        error_set(err, TARS_UNSUPPORTED,
                  "runtime %s has no process of its own for the host of a sandbox", row->name);
        return error_hint(err, "only programs of runtime microvm have: leave --isolate-host out, "
                               "or choose --runtime microvm");
    }
    status = check_asked(row, f, source->limits, err);
    if (status != TARS_OK) {
        return status;
    }
    runtime_image *image = calloc(1, sizeof *image);
    if (!image) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an image");
    }
    image->row = row;
    image->kind = source->kind;
    image->functions = f;
    image->limits = fill_limits(source->limits, &f->defaults);
    if (image->limits.timeout_ms > MAX_TIMEOUT_MS) {
        free(image);
        return error_set(err, TARS_USAGE, "a time limit of more than 100 years");
    }
    runtime_source filled = *source;
    filled.limits = &image->limits;
    status = f->open(&filled, &image->own, err);
    if (status != TARS_OK) {
        free(image);
        image = NULL;
    }
    *out = image;
    return status;
}

void runtime_close(runtime_image *image) {
    if (image) {
        assert(image->stats.n_alive == 0);
        image->functions->close(image->own);
        free(image);
    }
}

tars_status runtime_warm(runtime_image *image, const runtime_limits *limits, unsigned count,
                         tars_error *err) {
    runtime_limits filled = fill_limits(limits, &image->limits);
    tars_status status = check_limits(image->row, &filled, &image->limits, err);
    if (status == TARS_OK && image->functions->warm) {
        status = image->functions->warm(image->own, &filled, count, err);
    }
    return status;
}

void runtime_image_stats(const runtime_image *image, runtime_stats *out) {
    runtime_image *i = (runtime_image *)(uintptr_t)image; /* the lock alone changes */
    platform_mutex_lock(&i->lock);
    *out = i->stats;
    platform_mutex_unlock(&i->lock);
}

/* ---- instances ---------------------------------------------------------------------------- */

static void count_spawned(runtime_image *image, int direction) {
    platform_mutex_lock(&image->lock);
    image->stats.n_spawned += direction > 0;
    image->stats.n_alive += direction > 0 ? 1 : UINT64_MAX;
    platform_mutex_unlock(&image->lock);
}

tars_status runtime_spawn(runtime_image *image, const runtime_limits *limits,
                          const runtime_profile *profile, runtime_instance **out, tars_error *err) {
    *out = NULL;
    runtime_limits filled = fill_limits(limits, &image->limits);
    tars_status status = check_limits(image->row, &filled, &image->limits, err);
    if (status != TARS_OK) {
        return status;
    }
    runtime_instance *instance = calloc(1, sizeof *instance);
    if (!instance) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for an instance");
    }
    instance->image = image;
    status = image->functions->spawn(image->own, &filled, profile, &instance->own, err);
    if (status != TARS_OK) {
        free(instance);
        return status;
    }
    count_spawned(image, 1);
    *out = instance;
    return TARS_OK;
}

tars_status runtime_submit(runtime_instance *instance, const runtime_request *request,
                           bool (*goes_on)(void *user), void *user, tars_error *err) {
    tars_status status = check_step(instance, STEP_SUBMIT, err);
    bool has_client = request->client != NULL;
    if (status == TARS_OK && has_client != (instance->image->kind == RUNTIME_MODEL)) {
        status = error_set(err, TARS_USAGE, "a %s was asked what is for a %s",
                           has_client ? "program" : "model", has_client ? "model" : "program");
    }
    if (status == TARS_OK && request->n_folders > RUNTIME_MAX_FOLDERS) {
        status = error_set(err, TARS_USAGE, "%zu folders are granted; at most %d can be",
                           request->n_folders, (int)RUNTIME_MAX_FOLDERS);
    }
    for (size_t i = 0; status == TARS_OK && i < request->n_folders; i++) {
        if (platform_is_of_kernel(request->folders[i].host)) {
            error_set(err, TARS_DENIED,
                      "%.120s is the kernel's, or contains what is: it is granted to nobody",
                      request->folders[i].host);
            error_hint(err, "grant a folder of files");
            status = TARS_DENIED;
        }
    }
    if (status == TARS_OK) {
        instance->request = request;
        instance->asked = (runtime_control){goes_on, user};
        instance->state = RUNTIME_RUNNING;
    }
    return status;
}

static bool goes_on(void *user) {
    runtime_instance *instance = user;
    if (atomic_load_explicit(&instance->is_cancelled, memory_order_relaxed)) {
        return false;
    }
    return !instance->asked.goes_on || instance->asked.goes_on(instance->asked.user);
}

static void count_request(runtime_image *image, tars_status status, const runtime_outcome *out) {
    platform_mutex_lock(&image->lock);
    runtime_stats *s = &image->stats;
    s->n_requests++;
    s->n_failed += status != TARS_OK || out->end != RUNTIME_OK;
    for (size_t i = 0; i < out->violations.count; i++) {
        s->n_violations += out->violations.rows[i].count;
    }
    s->n_violations += out->violations.lost;
    s->wall_ns += out->usage.wall_ns;
    s->cpu_ns += out->usage.cpu_ns;
    s->start_ns += out->usage.start_ns;
    platform_mutex_unlock(&image->lock);
}

/* The client's own check and the submission's, as one. */
typedef struct joined_check {
    runtime_instance *instance;
    tars_status (*check)(void *user, tars_error *err);
    void *user;
} joined_check;

static tars_status check_both(void *user, tars_error *err) {
    const joined_check *j = user;
    if (!goes_on(j->instance)) {
        return error_set(err, TARS_CANCELLED, "the request was cancelled");
    }
    return j->check ? j->check(j->user, err) : TARS_OK;
}

static tars_status poll_instance(runtime_instance *instance, runtime_outcome *out,
                                 tars_error *err) {
    const runtime_functions *f = instance->image->functions;
    runtime_control control = {goes_on, instance};
    guest_client *client = instance->request->client;
    if (!client) {
        return f->poll(instance->own, instance->request, &control, out, err);
    }
    joined_check joined = {instance, client->request.check, client->request.user};
    client->request.check = check_both;
    client->request.user = &joined;
    tars_status status = f->poll(instance->own, instance->request, &control, out, err);
    client->request.check = joined.check;
    client->request.user = joined.user;
    return status;
}

tars_status runtime_poll(runtime_instance *instance, runtime_outcome *out, tars_error *err) {
    memset(out, 0, sizeof *out);
    out->exit_code = -1;
    out->output.data = out->errors.data = "";
    tars_status status = check_step(instance, STEP_POLL, err);
    if (status != TARS_OK) {
        return status;
    }
    if (goes_on(instance)) {
        status = poll_instance(instance, out, err);
    } else {
        status = error_set(err, TARS_CANCELLED, "the request was cancelled");
    }
    instance->state = RUNTIME_ENDED;
    instance->request = NULL;
    count_request(instance->image, status, out);
    return status;
}

void runtime_cancel(runtime_instance *instance) {
    atomic_store(&instance->is_cancelled, 1);
}

tars_status runtime_reset(runtime_instance *instance, tars_error *err) {
    tars_status status = check_step(instance, STEP_RESET, err);
    if (status == TARS_OK) {
        status = instance->image->functions->reset(instance->own, err);
    }
    if (status == TARS_OK) {
        atomic_store(&instance->is_cancelled, 0);
        instance->state = RUNTIME_READY;
    }
    return status;
}

tars_status runtime_kill(runtime_instance *instance, tars_error *err) {
    if (!instance) {
        return TARS_OK;
    }
    tars_status status = check_step(instance, STEP_KILL, err);
    if (status == TARS_OK) {
        instance->image->functions->kill(instance->own);
        count_spawned(instance->image, -1);
        free(instance);
    }
    return status;
}

runtime_state runtime_instance_state(const runtime_instance *instance) {
    return instance->state;
}

/* ---- outcomes ----------------------------------------------------------------------------- */

const char *runtime_end_name(runtime_end end) {
    static const char *const names[RUNTIME_ENDS] = {"ok", "trap", "limit", "denied"};
    return names[end];
}

void runtime_outcome_free(runtime_outcome *outcome) {
    if (outcome->release) {
        outcome->release(outcome->kept);
        outcome->release = NULL;
        outcome->output = outcome->errors = (runtime_bytes){"", 0};
    }
}
