/* What goes between a program's request and the process of its virtual machine (host_process.h):
 * the request as one block of bytes, and the answer as frames, a host_frame and then `length` bytes
 * of payload. The request comes from this program and is taken as it is; of the answer nothing is,
 * as the other side may be in a stranger's hands. Both are of one executable, on one machine.
 * Ownership: plain memory; what a function writes to is the caller's. */
#ifndef RUNTIME_MICROVM_HOST_WIRE_H
#define RUNTIME_MICROVM_HOST_WIRE_H

#include "runtime/runtime.h"

enum { HOST_MAX_PAYLOAD_BYTES = 1 << 16, HOST_MAX_TEXTS_BYTES = 8 << 20 };

/* Descriptors of the other process. */
enum { HOST_ANSWER = 1, HOST_REQUEST = 3, HOST_IMAGE = 4, HOST_INPUT = 5, HOST_FIRST_FOLDER = 6 };

/* Behind it `texts_bytes` of texts that end with a NUL each: the program's name, its arguments, its
 * environment, the guest's names of folders. */
typedef struct host_request {
    uint64_t memory_bytes, stack_bytes, output_bytes, file_bytes;
    uint64_t deadline_ns; /* platform_clock_ns() of both processes */
    uint64_t clock_resolution_ns;
    uint64_t image_bytes, texts_bytes;
    uint64_t timeout_ms;
    uint32_t n_files, n_threads, n_processors;
    uint32_t n_arguments, n_environment, n_folders;
    uint32_t writable; /* bit i: folder i */
    uint32_t file_calls, has_input;
} host_request;

typedef enum host_frame_kind {
    HOST_MISSING = 1, /* a text */
    HOST_OUTPUT,      /* bytes */
    HOST_ERRORS,      /* bytes */
    HOST_CALL,        /* host_call */
    HOST_VIOLATION,   /* host_violation */
    HOST_END,         /* host_end: nothing follows */
    HOST_FAILURE,     /* host_failure: nothing follows */
    HOST_FRAME_KINDS
} host_frame_kind;

typedef struct host_frame {
    uint32_t kind, length;
} host_frame;

typedef struct host_call {
    uint64_t number, count;
} host_call;

typedef struct host_violation {
    uint64_t count;
    uint32_t kind, reserved; /* of its kinds in host_wire.c */
    char name[RUNTIME_NAME_BYTES];
} host_violation;

typedef struct host_end {
    uint32_t end, limit; /* runtime_end; of the limits in host_wire.c */
    int32_t exit_code, signal;
    uint64_t began_ns; /* platform_clock_ns() at the first instruction */
    uint64_t cpu_ns, memory_peak_bytes, bytes_in, bytes_out, lost;
    char message[256];
} host_end;

typedef struct host_failure {
    uint32_t status, reserved;
    tars_error error; /* its status is ignored */
} host_failure;

/* Writes all frames of an outcome; false: nobody reads any more. */
bool host_send_outcome(platform_handle to, const runtime_outcome *outcome, uint64_t began_ns);
bool host_send_missing(platform_handle to, const char *text);
bool host_send_failure(platform_handle to, const tars_error *error);

/* What an answer may say at most. */
typedef struct host_bounds {
    uint64_t output_bytes, memory_bytes;
    uint64_t begin_ns; /* platform_clock_ns() of the request */
} host_bounds;

/* Takes an answer as it comes. Fills the outcome; its bytes stay the answer's, which
 * host_answer_free gives back. MALFORMED for anything that no honest process says. */
typedef struct host_answer host_answer;
host_answer *host_answer_make(const host_bounds *bounds, runtime_outcome *out);
tars_status host_answer_take(host_answer *answer, const void *bytes, size_t length,
                             tars_error *err);
/* Whether its last frame came whole. */
bool host_answer_has_ended(const host_answer *answer);
/* Once it has ended: what the other process says of the request. */
tars_status host_answer_result(const host_answer *answer, tars_error *err);
void host_answer_free(host_answer *answer);

#endif
