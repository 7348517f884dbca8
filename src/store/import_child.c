#include "store/import_child.h"

#include "engine/import.h"
#include "engine/safetensors_to_gguf.h"
#include "platform/platform.h"
#include "store/files.h"
#include "store/frame.h"
#include "store/hex.h"
#include "store/import_guest.h"
#include "store/unpack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_SOURCE = 3,
    MAX_SOURCES = IMPORT_ROLE_COUNT,
    PROGRESS_STEP_BYTES = 4 << 20,
    CHILD_FILES = 64,
    CHILD_CPU_SECONDS = 24 * 3600 /* no import is that long: a loop ends some day */
};
#define CHILD_ARENA_BYTES (UINT64_C(2) << 30) /* reserved, touched only as needed */
#define CHILD_MIN_ARENA_BYTES (UINT64_C(64) << 20)
#define CHILD_OTHER_BYTES (UINT64_C(1) << 30) /* program, libraries, stacks */

_Static_assert((int)IMPORT_ROLE_COUNT == (int)WIRE_MAX_SOURCES, "a guest reads them all");

/* In the order of safetensors_sources. */
const import_role import_roles[IMPORT_ROLE_COUNT] = {
    {"weights", "model.safetensors", true},
    {"config", "config.json", true},
    {"tokenizer", "tokenizer.json", false},
    {"vocabulary", "vocab.txt", false},
    {"tokenizer_config", "tokenizer_config.json", false},
    {"pooling", "1_Pooling/config.json", false},
    {"sentence", "sentence_bert_config.json", false},
    {"modules", "modules.json", false},
};

typedef struct import_child {
    int n_arguments;
    char **arguments; /* after the mode */
    size_t n_sources;
    platform_file files[MAX_SOURCES];
    byte_source sources[MAX_SOURCES];
    platform_handle status;
    const import_place *place; /* of the guest; NULL: no guest reads */
    const char *home;          /* with a guest: the store */
    import_guest guest;
    arena memory;            /* without a guest */
    uint64_t reported_bytes; /* of the last progress frame */
    sha256_context digest;   /* of a member that is unpacked */
    uint64_t written_bytes;
} import_child;

static void send_frame(const import_child *child, const import_frame *frame) {
    char line[FRAME_LINE_BYTES];
    size_t length = frame_format(frame, line);
    (void)platform_handle_write(child->status, line, length, NULL); /* nobody left to tell */
}

static bool send_progress(void *user, uint64_t done, uint64_t total) {
    import_child *child = user;
    bool is_news = done > child->reported_bytes; /* a guest may say anything */
    if (is_news && (done - child->reported_bytes >= PROGRESS_STEP_BYTES || done >= total)) {
        child->reported_bytes = done;
        import_frame frame = {.kind = FRAME_PROGRESS, .done = done, .total = total};
        send_frame(child, &frame);
    }
    return true;
}

static tars_status write_stream(void *context, const void *bytes, size_t length, tars_error *err) {
    (void)context;
    return platform_handle_write(PLATFORM_STDOUT, bytes, length, err);
}

static tars_status write_member(void *context, const void *bytes, size_t length, tars_error *err) {
    import_child *child = context;
    sha256_update(&child->digest, bytes, length);
    child->written_bytes += length;
    return platform_handle_write(PLATFORM_STDOUT, bytes, length, err);
}

static tars_status reserve(import_child *child, tars_error *err) {
    void *memory = NULL;
    uint64_t size_bytes = CHILD_ARENA_BYTES;
    tars_status status = platform_reserve((size_t)size_bytes, false, &memory, err);
    while (status != TARS_OK && size_bytes > CHILD_MIN_ARENA_BYTES) {
        size_bytes /= 2;
        status = platform_reserve((size_t)size_bytes, false, &memory, err);
    }
    if (status == TARS_OK) {
        arena_init(&child->memory, memory, (size_t)size_bytes);
    }
    return status;
}

/* Everything that needs the system is done here, before the filter and before any source. */
static tars_status prepare(import_child *child, tars_error *err) {
    for (size_t i = 0; i < child->n_sources; i++) {
        char name[32];
        snprintf(name, sizeof name, "source %zu", i + 1);
        tars_status status =
            platform_file_adopt(FIRST_SOURCE + (int)i, name, &child->files[i], err);
        if (status == TARS_OK) {
            status = platform_file_source(&child->files[i], &child->sources[i], err);
        }
        if (status != TARS_OK) {
            return status;
        }
    }
    return child->place ? import_guest_start(&child->guest, child->place, child->home, err)
                        : reserve(child, err);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHILD_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define CHILD_IS_SANITIZED 1
#endif
#endif
#ifndef CHILD_IS_SANITIZED
#define CHILD_IS_SANITIZED 0
#endif

static tars_status harden(const import_child *child, tars_error *err) {
    uint64_t own_bytes = child->place ? child->guest.address_space_bytes : child->memory.size_bytes;
    platform_hardening wanted = {
        /* sanitizers keep their shadow in terabytes of address space */
        .address_space_bytes = CHILD_IS_SANITIZED ? 0 : own_bytes + CHILD_OTHER_BYTES,
        .n_files = CHILD_FILES,
        .cpu_seconds = CHILD_CPU_SECONDS,
        .file_size_bytes = 1, /* it writes to pipes only; 0 would mean: as it is */
        .filter_system_calls = true,
        .run_machines = child->place && import_place_has_machines(child->place),
    };
    platform_hardening_report report;
    return platform_harden(&wanted, &report, err);
}

/* Which file of a folder each source is: members[r] is the one of role r, or NULL. */
static void find_roles(const import_child *child, const byte_source *members[IMPORT_ROLE_COUNT]) {
    for (int i = 0; i < child->n_arguments; i++) {
        for (size_t r = 0; r < IMPORT_ROLE_COUNT; r++) {
            if (strcmp(child->arguments[i], import_roles[r].role) == 0) {
                members[r] = &child->sources[i];
            }
        }
    }
}

static tars_status import_here(import_child *child, const import_options *options,
                               const byte_sink *sink, import_result *out, tars_error *err) {
    byte_source folder;
    const byte_source *source = &child->sources[0];
    if (child->n_arguments > 0) { /* a folder */
        const byte_source *m[IMPORT_ROLE_COUNT] = {NULL};
        find_roles(child, m);
        safetensors_sources parts = {m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7]};
        tars_status status = safetensors_to_gguf(&parts, &child->memory, &folder, err);
        if (status != TARS_OK) {
            return status;
        }
        source = &folder;
    }
    return import_gguf(source, options, sink, &child->memory, out, err);
}

/* The half of the progress that reading the whole source once is. */
static bool send_digest_progress(void *user, const char *step, uint64_t done, uint64_t total) {
    (void)step;
    return send_progress(user, done, 2 * total);
}

static tars_status import_in_guest(import_child *child, const import_options *options,
                                   const byte_sink *sink, import_result *out, tars_error *err) {
    guest_import_request request = {.form = child->n_arguments > 0 ? WIRE_SAFETENSORS : WIRE_GGUF,
                                    .sources = {&child->sources[0]}};
    tars_status status = TARS_OK;
    if (child->n_arguments > 0) {
        request.sources[0] = NULL;
        find_roles(child, request.sources);
    } else {
        status = files_digest(&child->files[0], child->sources[0].size_bytes, send_digest_progress,
                              child, "", request.source_sha256, err);
    }
    if (status == TARS_OK) {
        status = import_guest_run(&child->guest, &request, options, sink, out, err);
    }
    return status;
}

static tars_status import_file(import_child *child, import_frame *result, tars_error *err) {
    import_options options = {.progress = send_progress, .progress_user = child};
    byte_sink sink = {.context = child, .write = write_stream};
    import_result imported;
    tars_status status = child->place ? import_in_guest(child, &options, &sink, &imported, err)
                                      : import_here(child, &options, &sink, &imported, err);
    if (status == TARS_OK) {
        result->bytes = imported.packed_bytes;
        hex_encode(imported.source_sha256, SHA256_DIGEST_BYTES, result->source_sha256);
        hex_encode(imported.packed_sha256, SHA256_DIGEST_BYTES, result->stream_sha256);
    }
    return status;
}

static tars_status unpack_file(import_child *child, import_frame *result, tars_error *err) {
    byte_sink sink = {.context = child, .write = write_member};
    tars_status status =
        unpack_member(&child->sources[0], child->arguments[0], send_progress, child, &sink, err);
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256_final(&child->digest, digest);
    hex_encode(digest, SHA256_DIGEST_BYTES, result->stream_sha256);
    hex_encode(digest, SHA256_DIGEST_BYTES, result->source_sha256);
    result->bytes = child->written_bytes;
    return status;
}

/* What the child can be asked to do. */
typedef struct import_mode {
    const char *name;
    int min_arguments, max_arguments;
    bool source_an_argument; /* else there is one source */
    bool in_guest;           /* a guest can do it */
    tars_status (*run)(import_child *child, import_frame *result, tars_error *err);
} import_mode;

static const import_mode modes[] = {
    {"gguf", 0, 0, false, true, import_file},
    {"safetensors", 1, IMPORT_ROLE_COUNT, true, true, import_file},
    {"unpack", 1, 1, false, false, unpack_file},
};

static int run_mode(const import_mode *mode, import_child *child) {
    child->n_sources = mode->source_an_argument ? (size_t)child->n_arguments : 1;
    child->status = FIRST_SOURCE + (int)child->n_sources;
    sha256_init(&child->digest);
    import_frame last = {.kind = FRAME_RESULT};
    tars_status status = prepare(child, &last.error);
    if (status == TARS_OK) {
        status = harden(child, &last.error);
    }
    if (status == TARS_OK) {
        const import_frame begins = {.kind = FRAME_PROGRESS};
        send_frame(child, &begins);
        status = mode->run(child, &last, &last.error);
    }
    if (status != TARS_OK) {
        last.kind = FRAME_ERROR;
        last.error.status = status;
    }
    send_frame(child, &last);
    return status == TARS_OK ? 0 : 1;
}

/* NULL when the arguments after the verb are no call. */
static const import_mode *read_call(int argc, char **argv, import_child *child) {
    int at = 1;
    child->place = argc >= 3 ? import_place_named(argv[1]) : NULL;
    if (child->place) {
        child->home = argv[2];
        at = 3;
    }
    child->n_arguments = argc - at - 1;
    child->arguments = argv + at + 1;
    for (size_t i = 0; at < argc && i < sizeof modes / sizeof modes[0]; i++) {
        const import_mode *mode = &modes[i];
        if (strcmp(argv[at], mode->name) == 0 && child->n_arguments >= mode->min_arguments &&
            child->n_arguments <= mode->max_arguments && (mode->in_guest || !child->place)) {
            return mode;
        }
    }
    return NULL;
}

int import_child_main(int argc, char **argv) {
    static import_child child; /* large, and the only one of its process */
    const import_mode *mode = read_call(argc, argv, &child);
    if (mode) {
        _Exit(run_mode(mode, &child));
    }
    static const char usage[] = "internal-import is run by `tars import`, not by hand\n";
    (void)platform_handle_write(PLATFORM_STDERR, usage, sizeof usage - 1, NULL);
    return 2;
}
