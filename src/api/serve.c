#include "api/serve.h"

#include "base/text.h"
#include "store/code_store.h"

/* "12.3 MiB" without floating point. */
static void format_size(uint64_t bytes, char *out, size_t size) {
    text_buffer text;
    text_init(&text, out, size);
    uint64_t tenths = bytes / (1024 * 1024 / 10);
    text_format(&text, "%llu.%llu MiB", (unsigned long long)(tenths / 10),
                (unsigned long long)(tenths % 10));
}

tars_status job_check_memory(const tars_job *job, uint64_t needed, tars_error *err) {
    platform_memory_info memory = {0};
    uint64_t limit = job->request->limits.memory_bytes;
    if (limit == 0 && platform_memory(&memory, NULL) == TARS_OK) {
        limit = memory.available_bytes;
    }
    if (needed != 0 && (limit == 0 || needed <= limit)) {
        return TARS_OK;
    }
    char wanted[32];
    char there[32];
    format_size(needed, wanted, sizeof wanted);
    format_size(limit, there, sizeof there);
    error_set(err, TARS_OUT_OF_MEMORY, "the request needs about %s besides the model, %s are there",
              needed ? wanted : "more than can be counted", there);
    error_hint(err, "ask for a shorter context (--context) or a smaller model");
    return TARS_OUT_OF_MEMORY;
}

static const runtime_functions *functions_of(const tars_job *job) {
    return job->runtime->functions[RUNTIME_MODEL]; /* there: the runtime was chosen for it */
}

uint64_t job_guest_bytes(const tars_job *job, uint64_t wanted) {
    const runtime_functions *f = functions_of(job);
    uint64_t most =
        f->most_memory ? f->most_memory(job->request->model->mapping.size_bytes) : UINT64_MAX;
    uint64_t limit = job->request->limits.memory_bytes;
    platform_memory_info memory = {0};
    if (limit == 0 && platform_memory(&memory, NULL) == TARS_OK) {
        limit = memory.available_bytes;
    }
    most = limit > 0 && limit < most ? limit : most;
    return wanted < most ? wanted : most;
}

unsigned job_threads(const tars_job *job) {
    unsigned most = functions_of(job)->most_threads;
    return most > 0 && job->n_threads > most ? most : job->n_threads;
}

static tars_status serve_once(runtime_image *image, const runtime_limits *limits,
                              guest_client *client, uint64_t *start_ns, tars_error *err) {
    runtime_instance *instance = NULL;
    runtime_outcome outcome = {0};
    runtime_request request = {.client = client};
    tars_status status =
        runtime_spawn(image, limits, runtime_profile_find("strict"), &instance, err);
    if (status == TARS_OK) {
        status = runtime_submit(instance, &request, NULL, NULL, err);
    }
    if (status == TARS_OK) {
        status = runtime_poll(instance, &outcome, err);
    }
    *start_ns = outcome.usage.start_ns;
    runtime_outcome_free(&outcome);
    (void)runtime_kill(instance, NULL); /* it has ended, or never ran */
    return status;
}

/* The image that is kept with the model, made when it is first asked for: for any request. */
static tars_status kept_image(tars_job *job, const runtime_source *wanted, runtime_image **out,
                              tars_error *err) {
    const tars_model *m = job->request->model;
    const runtime_functions *f = functions_of(job);
    runtime_limits most = {.memory_bytes = f->most_memory(m->mapping.size_bytes),
                           .n_threads = f->most_threads};
    tars_status status = TARS_OK;
    runtime_source source = *wanted;
    source.limits = &most;
    platform_mutex_lock(&m->images->lock);
    if (!m->images->image) {
        status = runtime_open(job->runtime, &source, &m->images->image, err);
        m->images->row = job->runtime;
    }
    *out = m->images->image;
    platform_mutex_unlock(&m->images->lock);
    return status;
}

/* Under the engine's lock; what cannot be recorded is counted. */
static void record_signing(void *user, const uint8_t key[SHA256_DIGEST_BYTES]) {
    const tars_context *context = user;
    char hex[SHA256_HEX_BYTES];
    const log_field fields[] = {{"purpose", "compiled code", 0}};
    audit_event event = {
        .kind = AUDIT_KEY_USED, .subject = hex, .attributes = fields, .n_attributes = 1};
    sha256_hex(key, hex);
    (void)context_audit(context, &event, NULL);
}

static void tell_trouble(const tars_context *context, const code_store *store) {
    const log_field fields[] = {{"reason", store->trouble, 0}};
    audit_event event = {.kind = AUDIT_TAMPER,
                         .action = "blocked",
                         .subject = "compiled code",
                         .attributes = fields,
                         .n_attributes = 1};
    if (store->trouble[0] != '\0') {
        context_log(context, CONTEXT_LOG_WARNING, "the guest was compiled anew, or is not kept: %s",
                    store->trouble);
    }
    if (store->is_tampered) {
        (void)context_audit(context, &event, NULL);
    }
}

tars_status job_serve(tars_job *job, uint64_t memory_bytes, guest_client *client,
                      uint64_t *start_ns, tars_error *err) {
    const tars_model *m = job->request->model;
    tars_context *context = job->context;
    code_store store = {.home = context->home, .signs = record_signing, .user = context};
    wasm_artifacts artifacts = code_store_artifacts(&store);
    runtime_model what = {.mapping = &m->mapping,
                          .engine = &m->engine,
                          .tokenizer = &m->tokenizer,
                          .kernels = job->kernels};
    runtime_limits limits = {.memory_bytes = job_in_guest(job) ? memory_bytes : 0,
                             .n_threads = job_threads(job)};
    runtime_source source = {.kind = RUNTIME_MODEL,
                             .path = m->entry.name,
                             .model = &what,
                             .limits = &limits,
                             .artifacts = &artifacts};
    bool is_kept = functions_of(job)->keeps_images;
    runtime_image *image = NULL;
    *start_ns = 0;
    tars_status status = is_kept ? kept_image(job, &source, &image, err)
                                 : runtime_open(job->runtime, &source, &image, err);
    if (status == TARS_OK) {
        status = serve_once(image, &limits, client, start_ns, err);
    }
    if (!is_kept) {
        runtime_close(image);
    }
    tell_trouble(context, &store);
    return status;
}
