#include "store/import_process.h"

#include "store/frame.h"
#include "store/hex.h"
#include "store/import_child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STREAM_BUFFER_BYTES = 1 << 18,
    LOG_BYTES = 1024,
    WAIT_SLICE_MS = 200, /* how often progress is asked while nothing arrives */
    EXIT_TIMEOUT_MS = 5000,
    FIRST_SOURCE = 3
};

typedef enum channel { CHANNEL_STREAM, CHANNEL_LOG, CHANNEL_STATUS, CHANNEL_COUNT } channel;

typedef struct import_process {
    const import_process_options *options;
    platform_process process;
    platform_handle ends[CHANNEL_COUNT]; /* of the pipes, PLATFORM_NO_HANDLE once at their end */
    uint8_t *buffer;                     /* [STREAM_BUFFER_BYTES] */
    sha256_context digest;
    uint64_t bytes;
    uint64_t done, total; /* last progress */
    char log[LOG_BYTES];  /* first bytes of what the child wrote to its standard error */
    size_t log_length;
    char line[FRAME_LINE_BYTES]; /* a frame that is not complete yet */
    size_t line_length;
    bool has_begun; /* a progress frame came */
    bool ended;     /* a result or an error frame came */
    import_frame last;
    tars_error *err;
} import_process;

static tars_status start(import_process *p) {
    const import_process_options *o = p->options;
    platform_handle theirs[CHANNEL_COUNT] = {PLATFORM_NO_HANDLE, PLATFORM_NO_HANDLE,
                                             PLATFORM_NO_HANDLE};
    tars_status status = TARS_OK;
    for (int i = 0; i < CHANNEL_COUNT && status == TARS_OK; i++) {
        status = platform_pipe(&p->ends[i], &theirs[i], p->err);
        if (status != TARS_OK) {
            p->ends[i] = theirs[i] = PLATFORM_NO_HANDLE;
        }
    }
    platform_spawn_handle handles[CHANNEL_COUNT + IMPORT_MAX_SOURCES] = {
        {theirs[CHANNEL_STREAM], PLATFORM_STDOUT},
        {theirs[CHANNEL_LOG], PLATFORM_STDERR},
        {theirs[CHANNEL_STATUS], FIRST_SOURCE + (int)o->n_sources},
    };
    for (size_t i = 0; i < o->n_sources; i++) {
        handles[CHANNEL_COUNT + i] = (platform_spawn_handle){o->sources[i], FIRST_SOURCE + (int)i};
    }
    const char *arguments[IMPORT_MAX_SOURCES + 8] = {"tars", IMPORT_CHILD_VERB};
    for (size_t i = 0; o->arguments[i]; i++) {
        arguments[2 + i] = o->arguments[i];
    }
    platform_spawn_options spawn = {
        .path = o->program_path,
        .arguments = arguments,
        .handles = handles,
        .n_handles = CHANNEL_COUNT + o->n_sources,
        .dies_with_us = true,
    };
    if (status == TARS_OK) {
        status = platform_spawn(&spawn, &p->process, p->err);
        if (status != TARS_OK && p->err) {
            error_hint(p->err,
                       "the import runs %s as a child process: check that it can be "
                       "executed",
                       o->program_path ? o->program_path : "this program");
        }
    }
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        if (theirs[i] != PLATFORM_NO_HANDLE) {
            platform_handle_close(theirs[i]);
        }
    }
    return status;
}

static tars_status take_frame(import_process *p, const char *line, size_t length) {
    import_frame frame = {0};
    tars_status status = TARS_MALFORMED;
    if (p->ended) {
        error_set(p->err, TARS_MALFORMED, "the import process went on after its last frame");
    } else {
        status = frame_parse(line, length, &frame, p->err);
    }
    if (status != TARS_OK) {
        error_hint(p->err, "the program that runs as the import process may be another version");
        return status;
    }
    if (frame.kind == FRAME_PROGRESS) {
        p->has_begun = true;
        p->done = frame.done;
        p->total = frame.total;
        return TARS_OK;
    }
    p->ended = true;
    p->last = frame;
    return TARS_OK;
}

static tars_status take_status_bytes(import_process *p, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != '\n') {
            if (p->line_length == sizeof p->line) {
                return error_set(p->err, TARS_MALFORMED,
                                 "the import process sent a frame of more than %d bytes",
                                 FRAME_LINE_BYTES);
            }
            p->line[p->line_length++] = bytes[i];
            continue;
        }
        tars_status status = take_frame(p, p->line, p->line_length);
        p->line_length = 0;
        if (status != TARS_OK) {
            return status;
        }
    }
    return TARS_OK;
}

static tars_status take_stream_bytes(import_process *p, const void *bytes, size_t length) {
    if (length > p->options->max_stream_bytes - p->bytes) {
        error_set(p->err, TARS_LIMIT, "the import process wrote more than %llu bytes",
                  (unsigned long long)p->options->max_stream_bytes);
        return error_hint(p->err, "the source is damaged or hostile; nothing was imported");
    }
    sha256_update(&p->digest, bytes, length);
    p->bytes += length;
    const byte_sink *sink = &p->options->sink;
    return sink->write(sink->context, bytes, length, p->err);
}

static void take_log_bytes(import_process *p, const char *bytes, size_t length) {
    size_t room = sizeof p->log - 1 - p->log_length;
    size_t kept = length < room ? length : room;
    memcpy(p->log + p->log_length, bytes, kept);
    p->log_length += kept;
    p->log[p->log_length] = '\0';
}

static tars_status read_channel(import_process *p, channel from) {
    size_t length;
    tars_status status =
        platform_handle_read(p->ends[from], p->buffer, STREAM_BUFFER_BYTES, &length, p->err);
    if (status != TARS_OK) {
        return status;
    }
    if (length == 0) {
        platform_handle_close(p->ends[from]);
        p->ends[from] = PLATFORM_NO_HANDLE;
        return TARS_OK;
    }
    switch (from) {
    case CHANNEL_STREAM:
        return take_stream_bytes(p, p->buffer, length);
    case CHANNEL_STATUS:
        return take_status_bytes(p, (const char *)p->buffer, length);
    default:
        take_log_bytes(p, (const char *)p->buffer, length);
        return TARS_OK;
    }
}

static tars_status report_progress(import_process *p) {
    const import_process_options *o = p->options;
    if (o->progress && !o->progress(o->user, o->step, p->done, p->total)) {
        return error_set(p->err, TARS_CANCELLED, "the import was cancelled; nothing was changed");
    }
    return TARS_OK;
}

static tars_status stalled(import_process *p) {
    error_set(p->err, TARS_TIMEOUT, "the import process did nothing for %u seconds",
              (p->options->stall_timeout_ms != 0 ? p->options->stall_timeout_ms
                                                 : (uint32_t)IMPORT_STALL_TIMEOUT_MS) /
                  1000);
    return error_hint(p->err, "the disk may be slow or the source hostile; nothing was imported");
}

/* Waits for one of the pipes and takes what is there. */
static tars_status pump_once(import_process *p, uint64_t *idle_ms) {
    const import_process_options *o = p->options;
    platform_handle open_ends[CHANNEL_COUNT];
    channel names[CHANNEL_COUNT];
    size_t count = 0;
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        if (p->ends[i] != PLATFORM_NO_HANDLE) {
            names[count] = (channel)i;
            open_ends[count++] = p->ends[i];
        }
    }
    uint32_t ready = 0;
    tars_error waiting = {.status = TARS_OK}; /* that nothing came is no failure yet */
    tars_status status =
        platform_handle_wait(open_ends, count, WAIT_SLICE_MS * UINT64_C(1000000), &ready, &waiting);
    if (status == TARS_TIMEOUT) {
        *idle_ms += WAIT_SLICE_MS;
        uint32_t limit_ms =
            o->stall_timeout_ms != 0 ? o->stall_timeout_ms : (uint32_t)IMPORT_STALL_TIMEOUT_MS;
        return *idle_ms >= limit_ms ? stalled(p) : report_progress(p);
    }
    if (status != TARS_OK && p->err) {
        *p->err = waiting;
    }
    *idle_ms = 0;
    bool frames = false;
    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        if ((ready >> i & 1u) != 0) {
            status = read_channel(p, names[i]);
            frames = frames || names[i] == CHANNEL_STATUS;
        }
    }
    return status == TARS_OK && frames ? report_progress(p) : status;
}

static bool any_open(const import_process *p) {
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        if (p->ends[i] != PLATFORM_NO_HANDLE) {
            return true;
        }
    }
    return false;
}

enum { SIGNAL_KILL = 9, SIGNAL_TERMINATE = 15, SIGNAL_INTERRUPT = 2, SIGNAL_CPU = 24 };

/* Why a child ended that said nothing. */
static tars_status died(import_process *p, const platform_exit *how) {
    char text[128];
    platform_exit_describe(how, text, sizeof text);
    tars_status status = TARS_FAILED;
    const char *hint = "the source is damaged or hostile; nothing was imported";
    if (!how->exited && how->signal == SIGNAL_KILL) {
        status = TARS_OUT_OF_MEMORY;
        hint = "the machine may be out of memory; nothing was imported";
    } else if (!how->exited && how->signal == SIGNAL_CPU) {
        status = TARS_TIMEOUT;
    } else if (!how->exited &&
               (how->signal == SIGNAL_TERMINATE || how->signal == SIGNAL_INTERRUPT)) {
        status = TARS_CANCELLED;
        hint = "nothing was imported";
    }
    error_set(p->err, status, "the import process %s", text);
    error_hint(p->err, "%s", hint);
    char *words = p->log + strspn(p->log, "=\r\n"); /* sanitizers draw a line first */
    words[strcspn(words, "\r\n")] = '\0';
    error_cause(p->err, "%s", words);
    return status;
}

static tars_status judge(import_process *p, const platform_exit *how, import_process_result *out) {
    if (p->ended && p->last.kind == FRAME_ERROR) {
        out->could_not_begin = !p->has_begun && p->bytes == 0;
        if (p->err) {
            *p->err = p->last.error;
        }
        return p->last.error.status;
    }
    if (!p->ended || !how->exited || how->code != 0) {
        return died(p, how);
    }
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256_final(&p->digest, digest);
    hex_encode(digest, sizeof digest, out->stream_sha256);
    out->bytes = p->bytes;
    memcpy(out->source_sha256, p->last.source_sha256, sizeof out->source_sha256);
    if (p->last.bytes != p->bytes || strcmp(p->last.stream_sha256, out->stream_sha256) != 0) {
        error_set(p->err, TARS_MISMATCH,
                  "the import process says that it wrote %llu bytes, %llu arrived, or their digest "
                  "differs",
                  (unsigned long long)p->last.bytes, (unsigned long long)p->bytes);
        return error_hint(p->err,
                          "try again; if it happens again, the machine's memory may be bad");
    }
    return TARS_OK;
}

tars_status import_process_run(const import_process_options *options, import_process_result *out,
                               tars_error *err) {
    memset(out, 0, sizeof *out);
    import_process *p = calloc(1, sizeof *p);
    uint8_t *buffer = malloc(STREAM_BUFFER_BYTES);
    if (!p || !buffer) {
        free(p);
        free(buffer);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to run the import process");
    }
    *p = (import_process){.options = options, .buffer = buffer, .err = err};
    p->ends[0] = p->ends[1] = p->ends[2] = PLATFORM_NO_HANDLE;
    sha256_init(&p->digest);
    tars_status status = start(p);
    bool running = status == TARS_OK;
    uint64_t idle_ms = 0;
    while (status == TARS_OK && any_open(p)) {
        status = pump_once(p, &idle_ms);
    }
    platform_exit how = {0};
    if (status == TARS_OK) {
        status = platform_process_wait(&p->process, EXIT_TIMEOUT_MS * UINT64_C(1000000), &how, err);
        running = status != TARS_OK;
        status = status == TARS_OK ? judge(p, &how, out) : status;
    }
    if (running) {
        platform_process_kill(&p->process);
    }
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        if (p->ends[i] != PLATFORM_NO_HANDLE) {
            platform_handle_close(p->ends[i]);
        }
    }
    free(buffer);
    free(p);
    return status;
}
