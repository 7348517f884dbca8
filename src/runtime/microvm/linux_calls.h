/* The system calls of x86-64 Linux for one guest without a kernel: what they do, within limits, and
 * what they are refused. It knows no virtual machine: a call is a number and six arguments, memory
 * is a space, registers are values, and nothing of these is trusted. Numbers, errnos and structures
 * are the guest's.
 *
 * The set "base" is in every profile; "files" is granted by the profile, or call by call. A call
 * that is not granted is EPERM, one that does not exist here ENOSYS: both are violations of the
 * kind "syscall", as are pages that are asked to be writable and executable. Files are those below
 * granted folders, each at an absolute path of the guest's: no path leads out, by .., by links,
 * also when the folder changes meanwhile. A try by a link is EACCES, one to change something in a
 * folder granted for reading EROFS; both are violations of the kind "path". Paths that lie in no
 * granted folder do not exist. Where a limit ends the guest, the violation "limit" is left to who
 * runs it.
 *
 * The guest sees itself as process 1000 of user 65534; numbers of files and devices are not the
 * host's, and times are rounded as clocks are.
 *
 * Ownership: linux_create makes a context, linux_destroy ends it and closes what the guest opened;
 * options and what they point to are borrowed as long as it lives. One thread at a time: who runs
 * several threads of a guest holds a lock during all functions. Threads of the guest have a row
 * each, from 0 on; the thread of row 0 is there from the start. */
#ifndef RUNTIME_MICROVM_LINUX_CALLS_H
#define RUNTIME_MICROVM_LINUX_CALLS_H

#include "platform/platform.h"
#include "platform/vmm.h"
#include "runtime/microvm/space.h"
#include "runtime/usage.h"

enum {
    LINUX_PROCESS_ID = 1000,
    LINUX_USER_ID = 65534,
    LINUX_MAX_FOLDERS = 64,
    LINUX_MAX_THREADS = 64
};

/* A folder that the guest finds at a path. */
typedef struct linux_folder {
    const char *host;       /* NULL: the folder is open, and the context takes its handle over */
    platform_handle handle; /* without `host` */
    const char *guest; /* absolute */
    bool writable;
} linux_folder;

/* A thread that shall begin, as the calling one is after its call but for these. */
typedef struct linux_clone {
    uint64_t stack_pointer; /* 0: as it is */
    uint64_t thread_base;   /* FS base */
    bool has_thread_base;
} linux_clone;

/* What only the machine can do, for the thread that makes the call. Any function may be NULL. */
typedef struct linux_machine {
    void *user;
    /* The FS base. False: the address is none. NULL: arch_prctl is EINVAL. */
    bool (*set_thread_base)(void *user, uint64_t address);
    uint64_t (*get_thread_base)(void *user);
    /* Begins the thread of a row; 0, or a negative errno. NULL: EAGAIN. */
    int64_t (*clone)(void *user, unsigned row, const linux_clone *wanted);
    /* Sleeps with the lock given back, until the time is over or it is woken. NULL: there is no
     * lock, and nobody else. */
    void (*sleep)(void *user, uint64_t duration_ns);
    /* Ends the sleep of a row's thread, or interrupts its run in the guest. With sleep. */
    void (*wake)(void *user, unsigned row);
    /* Processor time of the calling thread, or of all. NULL: that of the host's thread. */
    uint64_t (*cpu_ns)(void *user, bool of_all);
    /* The registers as they are in the guest, in the middle of a call behind it. NULL: there are
     * no handlers of signals. */
    vmm_registers *(*registers)(void *user);
    /* The vector registers in the format of XSAVE; its length, or 0. Then to set them; false: they
     * are none. With registers. */
    size_t (*get_vectors)(void *user, uint8_t *out, size_t capacity);
    bool (*set_vectors)(void *user, const uint8_t *bytes, size_t length);
} linux_machine;

typedef struct linux_options {
    space *space;
    const linux_machine *machine; /* or NULL */
    const char *program;          /* what /proc/self/exe is */
    const linux_folder *folders;  /* a longer path wins; the first is the working folder */
    size_t n_folders;
    bool files;                   /* the set "files", and folders; else base alone */
    const char *const *calls;     /* instead of "files": these beside base, NULL at the end */
    platform_handle input;        /* standard input, or PLATFORM_NO_HANDLE: empty */
    uint64_t output_bytes;        /* most of standard output and standard error together */
    uint64_t file_bytes;          /* most of any file that it writes */
    uint32_t n_files;             /* descriptors beside 0, 1 and 2; a folder that was listed holds
                                     two of the host's */
    uint64_t stack_bytes;         /* told by prlimit64 */
    uint32_t n_processors;        /* told by sched_getaffinity, at most 64; 0: one */
    uint32_t n_threads;           /* that live at once, at most LINUX_MAX_THREADS; 0: one */
    uint64_t clock_resolution_ns; /* clocks are rounded down to it; 0: as exact as they are */
    uint64_t deadline_ns;         /* platform_clock_ns() when waiting calls end; 0: none */
    /* Asked in calls of the first thread, at least every 5 ms while one waits; false ends the
     * guest. May be NULL. */
    bool (*goes_on)(void *user);
    void *user;
} linux_options;

typedef enum linux_end {
    LINUX_RUNS = 0,
    LINUX_EXITED,    /* exit_group, or exit of its last thread: exit code */
    LINUX_SIGNALLED, /* it sent itself a signal that ends a process: its number is the code */
    LINUX_OUTPUT,    /* it wrote more than output_bytes */
    LINUX_FILE_SIZE, /* it wrote more than file_bytes to a file */
    LINUX_TIME,      /* the deadline came in a call */
    LINUX_STOPPED,   /* goes_on said no */
    LINUX_NO_MEMORY  /* the host's */
} linux_end;

typedef struct linux_context linux_context;

/* NOT_FOUND, USAGE … when a folder cannot be granted. */
tars_status linux_create(const linux_options *options, linux_context **out, tars_error *err);
void linux_destroy(linux_context *context);

/* What RAX shall be: a result, or a negative errno. Once linux_ended is not LINUX_RUNS the guest
 * must not go on: the call did nothing more, and no further one does anything. */
int64_t linux_call(linux_context *context, uint64_t number, const uint64_t arguments[6]);
/* Times that it wanted one thread more than it may have. */
uint64_t linux_threads_refused(const linux_context *context);
linux_end linux_ended(const linux_context *context);
uint32_t linux_code(const linux_context *context); /* exit code, or number of the signal */
/* The calling thread has ended by exit, others run. */
bool linux_thread_ended(const linux_context *context);

/* The thread of a row makes the calls that follow. */
void linux_enter(linux_context *context, unsigned row);
/* Looks at the deadline and asks goes_on; false: the guest has ended. */
bool linux_look_after(linux_context *context);
/* Ends the guest for a reason that is not a call's: those who wait in calls return. */
void linux_stop(linux_context *context);
/* Before the calling thread goes on: signals lead to their handlers, by its registers. After a
 * call, whose number and result (in RAX) may be needed to make it again, or at any instruction. */
void linux_deliver(linux_context *context, bool after_call, uint64_t number);

/* An exception of the calling thread, as a kernel tells of it. */
typedef struct linux_exception {
    uint32_t number, error; /* of the processor */
    uint64_t address;       /* that was accessed, of a page fault */
    uint32_t signal;
    int32_t code; /* si_code */
} linux_exception;
/* Lets the signal's handler go on; false: there is none. The registers are as they were at the
 * exception. */
bool linux_raise(linux_context *context, const linux_exception *exception);

typedef struct linux_bytes {
    char *data; /* owned by the context; a NUL follows */
    size_t length;
} linux_bytes;

/* What the guest did so far. bytes_in: read from standard input and files; bytes_out: written. */
linux_bytes linux_output(const linux_context *context); /* standard output */
linux_bytes linux_errors(const linux_context *context); /* standard error */
void linux_add_usage(const linux_context *context, runtime_usage *usage);
const runtime_violations *linux_violations(const linux_context *context);

typedef enum linux_set {
    LINUX_SET_NONE, /* never granted, but known: EPERM */
    LINUX_SET_BASE,
    LINUX_SET_FILES
} linux_set;

enum { LINUX_NUMBERS = 512 };

typedef struct linux_row {
    const char *name;
    linux_set set;
    int64_t (*call)(linux_context *context, const uint64_t *arguments);
} linux_row;
/* NULL for a number without a row. */
const linux_row *linux_find(uint64_t number);

#endif
