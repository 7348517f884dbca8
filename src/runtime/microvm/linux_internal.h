/* What the files of the guest's system calls share; nothing else includes it. Ownership:
 * descriptors and all they hold belong to the context. */
#ifndef RUNTIME_MICROVM_LINUX_INTERNAL_H
#define RUNTIME_MICROVM_LINUX_INTERNAL_H

#include "runtime/kept_output.h"
#include "runtime/microvm/linux_calls.h"
#include "runtime/request_clock.h"

/* Errnos of Linux. */
enum {
    LINUX_RESTART = 512, /* between calls and linux_deliver: a signal came, EINTR or once more */
    LINUX_EPERM = 1,
    LINUX_ENOENT = 2,
    LINUX_ESRCH = 3,
    LINUX_EINTR = 4,
    LINUX_EIO = 5,
    LINUX_EBADF = 9,
    LINUX_ECHILD = 10,
    LINUX_EAGAIN = 11,
    LINUX_ENOMEM = 12,
    LINUX_EACCES = 13,
    LINUX_EFAULT = 14,
    LINUX_EBUSY = 16,
    LINUX_EEXIST = 17,
    LINUX_EXDEV = 18,
    LINUX_ENOTDIR = 20,
    LINUX_EISDIR = 21,
    LINUX_EINVAL = 22,
    LINUX_EMFILE = 24,
    LINUX_ENOTTY = 25,
    LINUX_EFBIG = 27,
    LINUX_ENOSPC = 28,
    LINUX_ESPIPE = 29,
    LINUX_EROFS = 30,
    LINUX_EMLINK = 31,
    LINUX_EPIPE = 32,
    LINUX_ERANGE = 34,
    LINUX_ENAMETOOLONG = 36,
    LINUX_ENOSYS = 38,
    LINUX_ENOTEMPTY = 39,
    LINUX_ELOOP = 40,
    LINUX_EOVERFLOW = 75,
    LINUX_ENOTSOCK = 88,
    LINUX_EOPNOTSUPP = 95,
    LINUX_ETIMEDOUT = 110,
    LINUX_EDQUOT = 122
};

enum {
    LINUX_MAX_VECTORS = 1024,
    LINUX_MAX_TRANSFER_BYTES = 1 << 20, /* of one call that reads or writes */
    LINUX_CHUNK_BYTES = 64 << 10,       /* moved between two looks at the clock */
    LINUX_PATH_BYTES = PLATFORM_PATH_BYTES,
    LINUX_MAX_FILES = 65536,
    LINUX_N_SIGNALS = 64,
    LINUX_STACK_DISABLED = 2 /* flag of a signal stack */
};

/* For openat and its kin. */
#define LINUX_AT_CWD ((int32_t)-100)

/* ---- descriptors -------------------------------------------------------------------------- */

typedef enum linux_kind {
    LINUX_KIND_INPUT = 1,
    LINUX_KIND_OUTPUT = 2,
    LINUX_KIND_ERRORS = 4,
    LINUX_KIND_FILE = 8,
    LINUX_KIND_FOLDER = 16,
    LINUX_KIND_ABOVE = 32, /* a folder that is there only because one is granted below it */
    LINUX_KIND_PIPE_READ = 64,
    LINUX_KIND_PIPE_WRITE = 128,
    LINUX_KIND_EVENT = 256, /* eventfd */
    LINUX_KIND_EPOLL = 512,
    LINUX_KIND_DEVICE = 1024
} linux_kind;
#define LINUX_KIND_STREAMS (LINUX_KIND_INPUT | LINUX_KIND_OUTPUT | LINUX_KIND_ERRORS)
#define LINUX_KIND_PIPES (LINUX_KIND_PIPE_READ | LINUX_KIND_PIPE_WRITE)
#define LINUX_KIND_FOLDERS (LINUX_KIND_FOLDER | LINUX_KIND_ABOVE)
#define LINUX_KIND_ANY 2047

/* What stands for a device and is none of the host's. */
typedef enum linux_device {
    LINUX_DEVICE_NONE = 0,
    LINUX_DEVICE_NULL,
    LINUX_DEVICE_ZERO,
    LINUX_DEVICE_RANDOM
} linux_device;

/* A folder that is being read. A cookie counts entries from the start; the one that did not fit
 * into the guest's buffer is kept. */
typedef struct linux_reading {
    platform_listing listing;
    uint64_t next; /* the cookie of `name` when there is one, else of what the listing gives next */
    bool has_name, at_end;
    uint8_t type;
    uint64_t inode;
    size_t length;
    char name[1024];
} linux_reading;

/* Bytes between the two ends of a pipe within the guest. */
typedef struct linux_pipe {
    uint8_t *bytes;
    size_t first, count; /* a ring */
    unsigned n_readers, n_writers;
    uint64_t n_changes;
} linux_pipe;

/* A number that writing adds to and reading takes. */
typedef struct linux_event {
    uint64_t value, n_changes;
    bool by_one;
} linux_event;

/* A descriptor that an epoll waits for. */
typedef struct linux_watch {
    uint32_t number;
    uint64_t serial; /* of the open file that it had; another one is not waited for */
    uint32_t events;
    uint64_t data;
    uint64_t n_changes; /* of what was last told, for those told only once */
    bool told;
} linux_watch;

/* An open file, which several descriptors may share after dup. */
typedef struct linux_open {
    unsigned n_descriptors;
    linux_kind kind;
    bool readable, writable; /* it was opened so */
    bool changeable;         /* it lies in a folder granted for writing */
    bool appends, no_wait;
    platform_handle handle;
    uint64_t position;
    char *path;             /* of folders: the guest's, without a slash at its end but for / */
    linux_reading *reading; /* of a folder, once it was read; or NULL */
    linux_pipe *pipe;
    linux_event event;
    linux_device device;
    linux_watch *watches; /* of an epoll */
    size_t n_watches;
    uint64_t serial; /* no two open files of a guest have the same */
} linux_open;

typedef struct linux_descriptor {
    linux_open *open; /* NULL: a free row */
    bool closes_on_exec;
} linux_descriptor;

typedef struct linux_mount {
    const char *guest; /* without a slash at its end, so that / is "" */
    size_t length;
    platform_handle handle;
    bool writable;
} linux_mount;

/* struct kernel_sigaction of x86-64 */
typedef struct linux_signal_action {
    uint64_t handler, flags, restorer, mask;
} linux_signal_action;

/* What a thread waits for in futex. */
typedef struct linux_wait {
    bool waits, woken;
    uint64_t address;
    uint32_t set;  /* FUTEX_WAIT_BITSET */
    uint64_t turn; /* who began first is woken first */
} linux_wait;

typedef struct linux_thread {
    bool is_live;
    uint32_t number;
    char name[16];
    uint64_t exit_address, robust_list; /* of the guest; 0: none */
    uint64_t mask, pending;             /* signals: bit n-1 stands for signal n */
    uint64_t signal_stack[3];           /* address, flags, size */
    linux_wait wait;
    bool waits_for_files;
} linux_thread;

struct linux_context {
    linux_options options;
    linux_machine machine;
    linux_thread threads[LINUX_MAX_THREADS];
    linux_thread *current; /* makes the call */
    unsigned n_threads;    /* rows that may be used */
    unsigned n_live;
    uint32_t n_numbers; /* of threads, ever */
    uint64_t n_turns;   /* of waits for words, ever */
    uint64_t n_threads_refused;
    uint8_t allowed[LINUX_NUMBERS];
    linux_descriptor *descriptors;
    size_t n_rows;
    linux_mount mounts[LINUX_MAX_FOLDERS];
    size_t n_mounts;
    char folder[LINUX_PATH_BYTES]; /* the working folder: absolute */
    linux_signal_action actions[LINUX_N_SIGNALS + 1];
    uint64_t pending;   /* signals of the whole process */
    uint32_t file_mask; /* umask */
    uint64_t n_serials;
    kept_output output, errors;
    linux_end end;
    uint32_t code;
    const char *running; /* name of the call, for violations */
    uint64_t counts[LINUX_NUMBERS];
    runtime_violations violations;
    uint64_t bytes_in, bytes_out;
    uint64_t start_ns, cpu_start_ns;
    uint64_t cpu_ns;   /* of the process, the last that was told; never goes back */
    uint64_t asked_ns; /* when goes_on was last asked */
    uint64_t inode_keys[4], device_keys[4];
};

/* Looks at the deadline and asks goes_on when it was not asked for a millisecond; false: the guest
 * has ended. */
bool linux_pulse(linux_context *context);
void linux_finish(linux_context *context, linux_end end);
/* How long a call may wait before it must pulse again, at most `wanted_ns`. */
uint64_t linux_slice_ns(const linux_context *context, uint64_t wanted_ns);
/* Other threads of the guest run meanwhile: what was taken before may be gone. */
void linux_nap(linux_context *context, uint64_t duration_ns);
/* Sleeps until then (platform_clock_ns); false: the guest has ended, or a signal came. */
bool linux_sleep_until(linux_context *context, uint64_t until_ns);
/* As linux_nap, ended by linux_wake_files. */
void linux_nap_for_files(linux_context *context, uint64_t duration_ns);
/* Whether a signal waits to be delivered to the calling thread. */
bool linux_has_signal(const linux_context *context);
/* What can be read or written of pipes and events has changed: who waits looks again. */
void linux_wake_files(linux_context *context);
/* Notes a refusal of the call that runs. */
void linux_refuse(linux_context *context, const char *kind);
/* Keeps output up to the limit; false: the guest has ended. */
bool linux_buffer_add(linux_context *context, kept_output *buffer, const uint8_t *bytes,
                      size_t length);
int64_t linux_space_error(linux_context *context, space_result result);

/* ---- descriptors.c ------------------------------------------------------------------------ */

/* Also sets up 0, 1 and 2. */
tars_status linux_descriptors_open(linux_context *context, tars_error *err);
void linux_descriptors_close(linux_context *context);
/* The open file of a descriptor that is of one of the kinds; else a negative errno. */
int64_t linux_take(linux_context *context, uint64_t number, unsigned kinds, linux_open **out);
/* A new descriptor of the lowest free number from `lowest` on; takes the open file over, and closes
 * it when it fails. */
int64_t linux_add(linux_context *context, linux_open *open, uint64_t lowest, bool closes_on_exec);
bool linux_has_room(const linux_context *context);
/* With one descriptor to come; NULL without memory. */
linux_open *linux_open_new(linux_kind kind);
void linux_open_release(linux_open *open);

/* ---- calls_thread.c, calls_futex.c --------------------------------------------------------- */

/* The calling thread ends: what it promised to others at its end is done. */
void linux_end_thread(linux_context *context);
/* Wakes at most `count` of those who wait for the word and have a bit of `set`. */
int64_t linux_wake(linux_context *context, uint64_t address, uint32_t count, uint32_t set);

/* ---- calls_signal.c, signal_frame.c, calls_pipe.c ------------------------------------------ */

static inline uint64_t linux_bit_of(uint32_t signal) {
    return (uint64_t)1 << (signal - 1);
}
/* The calling thread sends itself a signal: 0, or a negative errno. */
int64_t linux_send(linux_context *context, uint32_t number);
/* struct siginfo, as far as it is filled here. */
typedef struct linux_signal_info {
    int32_t signal, code;
    uint64_t address; /* of a fault */
    uint32_t exception, error;
    bool is_fault;
} linux_signal_info;
/* Lets the calling thread's registers begin a handler; false: its stack cannot be written. */
bool linux_push_frame(linux_context *context, const linux_signal_info *info);
bool linux_on_signal_stack(const linux_context *context);
/* Bits of XCR0 that a guest may have: x87 to AVX-512. */
#define LINUX_VECTOR_PARTS ((uint64_t)0xE7)
/* Whether reading or writing an end, or an event, would not wait. */
bool linux_pipe_ready(const linux_open *open);
bool linux_event_ready(const linux_open *open, bool writes);
/* Whether reading or writing an open file would not wait. */
bool linux_ready(linux_context *context, const linux_open *open, bool writes);
size_t linux_pipe_read(linux_open *open, uint8_t *bytes, size_t length);
size_t linux_pipe_write(linux_open *open, const uint8_t *bytes, size_t length);

/* A part of the guest's memory that was checked. */
typedef struct linux_slice {
    uint8_t *bytes;
    size_t length;
} linux_slice;

/* ---- devices.c ------------------------------------------------------------------------------ */

/* The device that an absolute path names. */
linux_device linux_device_of(const char *guest);
bool linux_is_device(const platform_entry *entry);
void linux_device_entry(linux_device device, platform_entry *out);
uint32_t linux_device_minor(const platform_entry *entry); /* major is 1 */
int64_t linux_device_read(linux_context *context, linux_open *open, uint64_t position,
                          linux_slice part, size_t *done);
int64_t linux_device_write(linux_context *context, linux_open *open, uint64_t position,
                           linux_slice part, size_t *done);

/* ---- calls_file.c, paths.c, calls_status.c ------------------------------------------------- */

typedef struct linux_slices {
    linux_slice rows[LINUX_MAX_VECTORS];
    size_t count;
} linux_slices;

/* The negative errno for a fault, or 0; one that means leaving the folder is a violation. */
int64_t linux_fault(linux_context *context, platform_fault fault);

/* Where a path of the guest's leads. */
typedef struct linux_place {
    const linux_mount *mount; /* NULL: a folder above granted ones, or a device */
    linux_device device;
    char guest[LINUX_PATH_BYTES]; /* absolute, without . and .. and slashes at its end, or / */
    char below[LINUX_PATH_BYTES]; /* of the mount's folder, "." for itself */
} linux_place;
/* The path at `address`, relative to a folder's descriptor or LINUX_AT_CWD. */
int64_t linux_locate(linux_context *context, uint64_t folder, uint64_t address, linux_place *out);
/* As linux_locate; a negative errno and a violation unless it may be changed. */
int64_t linux_locate_to_change(linux_context *context, uint64_t folder, uint64_t address,
                               linux_place *out);
/* As linux_locate, of a text. */
int64_t linux_locate_text(linux_context *context, uint64_t folder, const char *path,
                          linux_place *out);
/* Whether a granted folder lies below that path. */
bool linux_is_above(const linux_context *context, const char *guest);

uint64_t linux_inode(const linux_context *context, uint64_t inode);
/* Of a descriptor, of a stream too. */
int64_t linux_entry_of(linux_context *context, const linux_open *open, platform_entry *out);
/* What a path leads to, or the link that it names. */
int64_t linux_look(linux_context *context, const linux_place *place, bool follow,
                   platform_entry *out);

/* ---- calls_time.c -------------------------------------------------------------------------- */

enum { LINUX_CLOCK_WALL = 0, LINUX_CLOCK_STEADY = 1 };
/* The sum, or PLATFORM_FOREVER when it is more. */
uint64_t linux_later(uint64_t base_ns, uint64_t ns);
/* On this machine's steady clock: when the guest's clock shows that. */
uint64_t linux_moment_of(linux_context *context, uint32_t clock, uint64_t shows_ns);

uint64_t linux_round_down(const linux_context *context, uint64_t time_ns);
/* A timespec at `address`; EFAULT, or EINVAL when it is none. Saturates. */
int64_t linux_get_time(const linux_context *context, uint64_t address, uint64_t *ns);

static inline int64_t linux_put(linux_context *context, uint64_t address, const void *bytes,
                                size_t length) {
    return space_put(context->options.space, address, bytes, length) ? 0 : -LINUX_EFAULT;
}
static inline int64_t linux_get(linux_context *context, uint64_t address, void *bytes,
                                size_t length) {
    return space_get(context->options.space, address, bytes, length) ? 0 : -LINUX_EFAULT;
}

/* ---- rows of the table --------------------------------------------------------------------- */

#define LINUX_CALL(name) int64_t call_##name(linux_context *context, const uint64_t *arguments)
#define LINUX_BASE_CALLS(X)                                                                        \
    X(0, read)                                                                                     \
    X(1, write)                                                                                    \
    X(3, close)                                                                                    \
    X(5, fstat)                                                                                    \
    X(7, poll)                                                                                     \
    X(9, mmap)                                                                                     \
    X(10, mprotect)                                                                                \
    X(11, munmap)                                                                                  \
    X(12, brk)                                                                                     \
    X(13, rt_sigaction)                                                                            \
    X(14, rt_sigprocmask)                                                                          \
    X(15, rt_sigreturn)                                                                            \
    X(16, ioctl)                                                                                   \
    X(19, readv)                                                                                   \
    X(20, writev)                                                                                  \
    X(24, sched_yield)                                                                             \
    X(25, mremap)                                                                                  \
    X(28, madvise)                                                                                 \
    X(32, dup)                                                                                     \
    X(33, dup2)                                                                                    \
    X(35, nanosleep)                                                                               \
    X(39, getpid)                                                                                  \
    X(51, getsockname)                                                                             \
    X(52, getpeername)                                                                             \
    X(56, clone)                                                                                   \
    X(60, exit)                                                                                    \
    X(61, wait4)                                                                                   \
    X(62, kill)                                                                                    \
    X(63, uname)                                                                                   \
    X(72, fcntl)                                                                                   \
    X(89, readlink)                                                                                \
    X(96, gettimeofday)                                                                            \
    X(97, getrlimit)                                                                               \
    X(98, getrusage)                                                                               \
    X(99, sysinfo)                                                                                 \
    X(100, times)                                                                                  \
    X(102, getuid)                                                                                 \
    X(104, getgid)                                                                                 \
    X(105, setuid)                                                                                 \
    X(106, setgid)                                                                                 \
    X(107, geteuid)                                                                                \
    X(108, getegid)                                                                                \
    X(110, getppid)                                                                                \
    X(111, getpgrp)                                                                                \
    X(115, getgroups)                                                                              \
    X(121, getpgid)                                                                                \
    X(124, getsid)                                                                                 \
    X(127, rt_sigpending)                                                                          \
    X(131, sigaltstack)                                                                            \
    X(157, prctl)                                                                                  \
    X(158, arch_prctl)                                                                             \
    X(186, gettid)                                                                                 \
    X(200, tkill)                                                                                  \
    X(201, time)                                                                                   \
    X(202, futex)                                                                                  \
    X(204, sched_getaffinity)                                                                      \
    X(218, set_tid_address)                                                                        \
    X(228, clock_gettime)                                                                          \
    X(229, clock_getres)                                                                           \
    X(230, clock_nanosleep)                                                                        \
    X(231, exit_group)                                                                             \
    X(234, tgkill)                                                                                 \
    X(247, waitid)                                                                                 \
    X(262, newfstatat)                                                                             \
    X(267, readlinkat)                                                                             \
    X(273, set_robust_list)                                                                        \
    X(274, get_robust_list)                                                                        \
    X(292, dup3)                                                                                   \
    X(302, prlimit64)                                                                              \
    X(318, getrandom)                                                                              \
    X(324, membarrier)                                                                             \
    X(334, rseq)                                                                                   \
    X(435, clone3)
#define LINUX_FILE_CALLS(X)                                                                        \
    X(2, open)                                                                                     \
    X(4, stat)                                                                                     \
    X(6, lstat)                                                                                    \
    X(8, lseek)                                                                                    \
    X(17, pread64)                                                                                 \
    X(18, pwrite64)                                                                                \
    X(21, access)                                                                                  \
    X(22, pipe)                                                                                    \
    X(23, select)                                                                                  \
    X(40, sendfile)                                                                                \
    X(73, flock)                                                                                   \
    X(74, fsync)                                                                                   \
    X(75, fdatasync)                                                                               \
    X(76, truncate)                                                                                \
    X(77, ftruncate)                                                                               \
    X(79, getcwd)                                                                                  \
    X(80, chdir)                                                                                   \
    X(81, fchdir)                                                                                  \
    X(82, rename)                                                                                  \
    X(83, mkdir)                                                                                   \
    X(84, rmdir)                                                                                   \
    X(85, creat)                                                                                   \
    X(86, link)                                                                                    \
    X(87, unlink)                                                                                  \
    X(88, symlink)                                                                                 \
    X(90, chmod)                                                                                   \
    X(91, fchmod)                                                                                  \
    X(92, chown)                                                                                   \
    X(93, fchown)                                                                                  \
    X(94, lchown)                                                                                  \
    X(95, umask)                                                                                   \
    X(217, getdents64)                                                                             \
    X(221, fadvise64)                                                                              \
    X(232, epoll_wait)                                                                             \
    X(233, epoll_ctl)                                                                              \
    X(257, openat)                                                                                 \
    X(258, mkdirat)                                                                                \
    X(260, fchownat)                                                                               \
    X(263, unlinkat)                                                                               \
    X(264, renameat)                                                                               \
    X(265, linkat)                                                                                 \
    X(266, symlinkat)                                                                              \
    X(268, fchmodat)                                                                               \
    X(269, faccessat)                                                                              \
    X(270, pselect6)                                                                               \
    X(271, ppoll)                                                                                  \
    X(280, utimensat)                                                                              \
    X(281, epoll_pwait)                                                                            \
    X(285, fallocate)                                                                              \
    X(290, eventfd2)                                                                               \
    X(291, epoll_create1)                                                                          \
    X(293, pipe2)                                                                                  \
    X(295, preadv)                                                                                 \
    X(296, pwritev)                                                                                \
    X(316, renameat2)                                                                              \
    X(326, copy_file_range)                                                                        \
    X(332, statx)                                                                                  \
    X(436, close_range)                                                                            \
    X(439, faccessat2)                                                                             \
    X(452, fchmodat2)

#define LINUX_DECLARE(number, name) LINUX_CALL(name);
LINUX_BASE_CALLS(LINUX_DECLARE)
LINUX_FILE_CALLS(LINUX_DECLARE)
#undef LINUX_DECLARE

#endif
