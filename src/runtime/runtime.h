/* The one interface of all runtimes: an *image* (a program's file, or the engine with a model) is
 * opened once; *instances* are spawned from it, cheap and isolated; an instance serves one request
 * at a time under limits and a profile, and tells what it used and what it was refused.
 *
 *   instance:  READY ──submit──► RUNNING ──poll──► ENDED ──reset──► READY
 *                 └──────────────── kill ◄───────────┘
 *
 * Any other step is refused with CONFLICT and changes nothing. runtime_cancel may be called at any
 * time and from any thread: a running request ends within a token or a tick of the clock.
 *
 * Ownership: runtime_open to runtime_close, runtime_spawn to runtime_kill; an image stays open
 * until its last instance is killed. Sources, requests and sinks are borrowed: a source while it is
 * opened (a model as long as the image lives), a request until it has ended. An outcome is the
 * caller's; it is given back with runtime_outcome_free. One thread drives an instance at a time; an
 * image serves any number of threads. */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "engine/kernels/kernels.h"
#include "engine/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "platform/platform.h"
#include "runtime/guest_client.h"
#include "runtime/profile.h"
#include "runtime/usage.h"
#include "runtime/wasm/artifacts.h"
#include "runtime/wasm/stranger_code.h"

/* ---- what is asked for ------------------------------------------------------------------- */

/* A limit of 0 takes the runtime's default, RUNTIME_LIMITS. What a runtime does not count (fuel in
 * a process) it refuses to limit: UNAVAILABLE. */
typedef struct runtime_limits {
    uint64_t memory_bytes;
    uint64_t timeout_ms;   /* on the wall */
    uint64_t output_bytes; /* standard output and standard error together */
    uint64_t file_bytes;   /* of any file it writes */
    uint64_t stack_bytes;
    uint64_t fuel; /* instructions; 0: not counted */
    uint32_t n_files, n_threads, table_elements;
} runtime_limits;

typedef enum runtime_image_kind {
    RUNTIME_PROGRAM,
    RUNTIME_MODEL, /* the engine over a model */
    RUNTIME_IMAGE_KINDS
} runtime_image_kind;

/* An opened model. A sandbox takes the mapping alone and opens it again inside. */
typedef struct runtime_model {
    const platform_mapping *mapping;
    const model *engine;
    const tokenizer *tokenizer;
    const kernel_table *kernels; /* for an engine in this process */
} runtime_model;

typedef struct runtime_source {
    runtime_image_kind kind;
    const char *path;     /* of a program's file, or its name for messages with */
    const uint8_t *bytes; /* what it holds, where a runtime takes that; or NULL */
    size_t length;
    const runtime_limits *limits;    /* the most that any instance will have */
    const runtime_model *model;      /* of RUNTIME_MODEL; NULL: the engine alone */
    const wasm_artifacts *artifacts; /* where compiled code is kept, or NULL */
    unsigned without_proposals;      /* of WebAssembly, that are off: PROPOSAL_… */
    bool isolate_host; /* what serves the sandbox from outside is a process of its own for each
                          request; UNSUPPORTED where a runtime has no such thing */
} runtime_source;

enum { RUNTIME_MAX_FOLDERS = 32 };

typedef struct runtime_folder {
    const char *host, *guest; /* guest: absolute */
    bool writable;
} runtime_folder;

typedef struct runtime_request {
    /* Of a model: what the engine is asked and who takes it; in a sandbox it goes over the wire.
     * Its check ends it, as goes_on of the submission does. */
    guest_client *client;
    /* Of a program, its world. The first folder is its working folder, where there is such. */
    const char *const *arguments;   /* argv, argv[0] included, NULL at the end */
    const char *const *environment; /* "K=V", NULL at the end; nothing else is in it */
    const runtime_folder *folders;
    size_t n_folders;
    platform_handle input; /* its standard input; PLATFORM_NO_HANDLE: empty */
} runtime_request;

/* ---- what is told ------------------------------------------------------------------------ */

typedef enum runtime_end {
    RUNTIME_OK,     /* it ended by itself; `exit_code` is its own */
    RUNTIME_TRAP,   /* a fault ended it: `message` says which */
    RUNTIME_LIMIT,  /* it was ended at a limit, the one that `limit` names, or gave up there */
    RUNTIME_DENIED, /* it was refused something and then did not end with 0 */
    RUNTIME_ENDS
} runtime_end;

typedef struct runtime_bytes {
    const char *data; /* "" when there is none */
    size_t length;
} runtime_bytes;

enum { RUNTIME_MAX_MISSING = 16, RUNTIME_MISSING_BYTES = 160 };

typedef struct runtime_outcome {
    runtime_end end;
    int exit_code;     /* its own; 128 + number after a signal; -1 after a limit or a trap */
    int signal;        /* that ended a process, else 0 */
    const char *limit; /* constant text, or NULL */
    char message[256];
    runtime_bytes output, errors;
    runtime_usage usage;
    runtime_violations violations;
    /* walls and measures that this machine does not give: "what: why" */
    char missing[RUNTIME_MAX_MISSING][RUNTIME_MISSING_BYTES];
    size_t n_missing;
    void *kept; /* the runtime's, behind the bytes above */
    void (*release)(void *kept);
} runtime_outcome;

const char *runtime_end_name(runtime_end end); /* "ok", "trap", "limit", "denied" */
void runtime_outcome_free(runtime_outcome *outcome);

/* ---- what a runtime implements ------------------------------------------------------------ */

/* Asked by a runtime while a request runs, at least every 5 ms or once a token, on the thread that
 * polls. */
typedef struct runtime_control {
    bool (*goes_on)(void *user);
    void *user;
} runtime_control;

/* The functions behind the interface; the frame in runtime.c keeps the states, so that each is
 * called only where the states allow it. `image` and `instance` are the runtime's own.
 *
 *   open     reads, checks and prepares (compiles, maps) what the source names. MALFORMED,
 *            UNSUPPORTED, LIMIT, UNAVAILABLE …: with nothing kept.
 *   warm     makes ready, in the background, what so many instances at once will need. May be NULL.
 *   spawn    an instance within `limits` (all filled in) under `profile`; a guest's code does not
 *            run in it yet.
 *   poll     runs the request that was submitted to its end on this thread. OK: *out is filled,
 *            also when the guest failed; a failure means that the request could not be run, or
 *            CANCELLED when the control said no.
 *   reset    makes the instance as if freshly spawned: nothing of the former request can be seen.
 *   kill     ends and frees it.
 */
typedef struct runtime_functions {
    runtime_limits defaults; /* 0: it has no such limit, and refuses to be asked for one */
    bool counts_fuel;        /* though fuel has no default */
    bool isolates_host;      /* knows isolate_host */
    /* Of models. */
    bool keeps_images;     /* opening takes long: an image is worth keeping as long as its model */
    uint32_t most_threads; /* of an instance; 0: as many as are asked for */
    /* Most memory of an instance beside a model of so many bytes; NULL: as much as there is. */
    uint64_t (*most_memory)(uint64_t model_bytes);
    tars_status (*open)(const runtime_source *source, void **image, tars_error *err);
    void (*close)(void *image);
    tars_status (*warm)(void *image, const runtime_limits *limits, unsigned count, tars_error *err);
    tars_status (*spawn)(void *image, const runtime_limits *limits, const runtime_profile *profile,
                         void **instance, tars_error *err);
    tars_status (*poll)(void *instance, const runtime_request *request,
                        const runtime_control *control, runtime_outcome *out, tars_error *err);
    tars_status (*reset)(void *instance, tars_error *err);
    void (*kill)(void *instance);
} runtime_functions;

/* ---- the interface ------------------------------------------------------------------------ */

typedef struct runtime_row runtime_row; /* registry.h */
typedef struct runtime_image runtime_image;
typedef struct runtime_instance runtime_instance;

typedef enum runtime_state {
    RUNTIME_READY,
    RUNTIME_RUNNING,
    RUNTIME_ENDED,
    RUNTIME_STATES
} runtime_state;

/* UNAVAILABLE, with the reason, when the runtime is not there or has no images of that kind. */
tars_status runtime_open(const runtime_row *row, const runtime_source *source, runtime_image **out,
                         tars_error *err);
void runtime_close(runtime_image *image);
/* For a caller that knows of requests to come: has the image make ready, in the background, what so
 * many instances of such limits (may be NULL: the source's) need. Nothing where a runtime makes
 * nothing ahead. */
tars_status runtime_warm(runtime_image *image, const runtime_limits *limits, unsigned count,
                         tars_error *err);
/* `limits` may be NULL: the source's. LIMIT when they exceed those. */
tars_status runtime_spawn(runtime_image *image, const runtime_limits *limits,
                          const runtime_profile *profile, runtime_instance **out, tars_error *err);
/* Starts a request; `goes_on` (may be NULL) is asked while it runs and may end it. */
tars_status runtime_submit(runtime_instance *instance, const runtime_request *request,
                           bool (*goes_on)(void *user), void *user, tars_error *err);
/* Drives it to its end. */
tars_status runtime_poll(runtime_instance *instance, runtime_outcome *out, tars_error *err);
void runtime_cancel(runtime_instance *instance);
tars_status runtime_reset(runtime_instance *instance, tars_error *err);
/* CONFLICT while a request runs in it. */
tars_status runtime_kill(runtime_instance *instance, tars_error *err);
runtime_state runtime_instance_state(const runtime_instance *instance);

/* Of an image, since it was opened. */
typedef struct runtime_stats {
    uint64_t n_spawned, n_alive, n_requests, n_failed;
    uint64_t n_violations;
    uint64_t wall_ns, cpu_ns, start_ns; /* sums over requests */
} runtime_stats;
void runtime_image_stats(const runtime_image *image, runtime_stats *out);

#endif
