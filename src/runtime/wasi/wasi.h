/* WASI preview 1 (github.com/WebAssembly/WASI, legacy/preview1/docs.md) for one guest: what its
 * calls to the host do, within limits, and what they are refused. It knows no engine: a call gets
 * the guest's memory and its arguments, and nothing of either is trusted. There are no sockets:
 * sock_* is refused whatever is allowed. There are no signals: proc_raise is ENOSYS.
 *
 * Files are those below granted folders: no path leads out, by .., by an absolute path or by links,
 * also when the folder changes meanwhile. Such a try is ENOTCAPABLE, and one to change something in
 * a folder granted for reading EROFS; both are violations of the kind "path". A call that is not
 * allowed, or that its descriptor has no right to, is ENOTCAPABLE and a violation "wasi". Where a
 * limit ends the guest, the violation "limit" is left to who runs it: most limits are not WASI's.
 *
 * Both clocks of processor time are that of the thread that called wasi_create and runs the guest.
 * Numbers of files and devices are not the host's, and times of files are rounded as clocks are.
 *
 * Ownership: wasi_create makes a context, wasi_destroy ends it and closes what the guest opened;
 * options are borrowed as long as it lives. One thread at a time. */
#ifndef RUNTIME_WASI_WASI_H
#define RUNTIME_WASI_WASI_H

#include "platform/platform.h"
#include "runtime/usage.h"

enum { WASI_MAX_ARGUMENTS = 9 /* of any function */, WASI_MAX_FUNCTIONS = 64 };

/* A bit for each row of wasi_functions. */
typedef uint64_t wasi_call_set;

/* A folder that the guest finds as a preopened descriptor. */
typedef struct wasi_folder {
    const char *host;
    const char *guest; /* its name, absolute */
    bool writable;
} wasi_folder;

typedef struct wasi_options {
    const char *const *arguments;   /* argv, argv[0] included, NULL at the end */
    const char *const *environment; /* "K=V", NULL at the end */
    const wasi_folder *folders;
    size_t n_folders;
    platform_handle input;        /* its standard input, or PLATFORM_NO_HANDLE: empty */
    wasi_call_set allowed;        /* any other call is refused: errno 76 and a violation */
    uint64_t output_bytes;        /* most of standard output and standard error together */
    uint64_t file_bytes;          /* most of any file that it writes */
    uint32_t n_files;             /* open at once, preopened and standard ones not counted; a folder
                                     that was listed holds two of the host's descriptors */
    uint64_t clock_resolution_ns; /* clocks are rounded down to it; 0: as exact as they are */
    uint64_t deadline_ns;         /* platform_clock_ns() when waiting calls end; 0: none */
    /* Asked while a call waits or takes long, at least every 5 ms; false ends the guest. May be
     * NULL. */
    bool (*goes_on)(void *user);
    void *user;
} wasi_options;

typedef enum wasi_end {
    WASI_RUNS = 0,
    WASI_EXITED,    /* proc_exit: exit_code */
    WASI_OUTPUT,    /* it wrote more than output_bytes */
    WASI_FILE_SIZE, /* it wrote more than file_bytes to a file */
    WASI_TIME,      /* the deadline came while a call waited */
    WASI_STOPPED,   /* goes_on said no */
    WASI_NO_MEMORY  /* the host's */
} wasi_end;

typedef struct wasi_context wasi_context;

typedef struct wasi_bytes {
    char *data; /* owned by the context; a NUL follows */
    size_t length;
} wasi_bytes;

/* NOT_FOUND, USAGE … when a folder cannot be granted; UNAVAILABLE for any folder on Windows. */
tars_status wasi_create(const wasi_options *options, wasi_context **out, tars_error *err);
void wasi_destroy(wasi_context *context);

/* The guest's linear memory during one call. */
typedef struct wasi_memory {
    uint8_t *bytes;
    size_t size_bytes;
} wasi_memory;

typedef struct wasi_function {
    const char *name;
    const char *parameters; /* 'i' for i32, 'I' for i64 */
    bool has_result;        /* an errno as i32; only proc_exit has none */
    uint32_t (*call)(wasi_context *context, wasi_memory memory, const uint64_t *arguments);
} wasi_function;
/* All functions of preview 1, those that are always refused (sock_*) included. */
extern const wasi_function wasi_functions[];
extern const size_t wasi_function_count;
/* NULL when there is none of that name. */
const wasi_function *wasi_find(const char *name);

/* Calls a row: counts it, refuses it when it is not allowed. Returns the errno for the guest. Once
 * wasi_ended is not WASI_RUNS the guest must not go on: the call did nothing more, and no further
 * one does anything. */
uint32_t wasi_call(wasi_context *context, const wasi_function *function, wasi_memory memory,
                   const uint64_t *arguments);
wasi_end wasi_ended(const wasi_context *context);
uint32_t wasi_exit_code(const wasi_context *context);

/* What the guest did so far. bytes_in: read from standard input and files; bytes_out: written. */
wasi_bytes wasi_output(const wasi_context *context); /* standard output */
wasi_bytes wasi_errors(const wasi_context *context); /* standard error */
void wasi_add_usage(const wasi_context *context, runtime_usage *usage);
const runtime_violations *wasi_violations(const wasi_context *context);

/* Sets of calls. "strict": configuration.md's default of wasi.allowed_calls. "standard" adds files,
 * waiting and yielding. `name` may end in * ("fd_prestat_*"); false when it matches no function. */
wasi_call_set wasi_calls_strict(void);
wasi_call_set wasi_calls_standard(void);
bool wasi_calls_add(wasi_call_set *set, const char *name);

#endif
