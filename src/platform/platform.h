/* The whole port to an operating system: every call into one goes through this header, and each
 * system's folder (posix/, linux/, macos/, windows/) implements it. Nothing above includes an
 * operating system's header.
 *
 * Ownership: structs are the caller's plain memory. Whatever an `open`, `create`, `map` or `try`
 * function fills is given back with the named counterpart, exactly once; after a failure there is
 * nothing to give back. Texts are UTF-8 and NUL-terminated. Functions may be called from any
 * thread unless they say otherwise; one object is used by one thread at a time.
 *
 * Failures are a tars_status and a filled tars_error (which may be NULL). What a system cannot do
 * is TARS_UNAVAILABLE with a message that says so. */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include "base/error.h"
#include "engine/source.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLATFORM_PATH_BYTES = 4096 /* longest path, with its NUL */ };

/* A descriptor, or a Windows handle. */
typedef intptr_t platform_handle;
#define PLATFORM_NO_HANDLE ((platform_handle) - 1)
enum { PLATFORM_STDIN = 0, PLATFORM_STDOUT = 1, PLATFORM_STDERR = 2 };

/* For time-outs: wait as long as it takes. */
#define PLATFORM_FOREVER UINT64_MAX

/* ---- clocks ------------------------------------------------------------------------------ */

/* Nanoseconds since some fixed moment; never goes back. */
uint64_t platform_clock_ns(void);
/* Nanoseconds since 1970-01-01T00:00Z. */
int64_t platform_wall_clock_ns(void);
/* Processor time of the process, of the calling thread. */
uint64_t platform_process_cpu_ns(void);
uint64_t platform_thread_cpu_ns(void);
/* At least that long, also when signals arrive. */
void platform_sleep_ns(uint64_t duration_ns);

/* Fills with random bytes fit for keys. */
tars_status platform_random(void *bytes, size_t length, tars_error *err);

/* ---- processor --------------------------------------------------------------------------- */

/* What may be used here and now: the instruction exists, the system saves its registers, and the
 * permission it needs was granted (AMX: asked for by platform_cpu). */
typedef struct platform_cpu_info {
    char vendor[16]; /* "GenuineIntel", "AuthenticAMD", "ARM", … */
    char brand[64];  /* as the CPU or the system names itself, or "" */
    bool sse41, avx2, fma, f16c;
    bool avx512; /* F, BW, VL and DQ */
    bool avx512_vnni, avx_vnni;
    bool amx_int8; /* with AMX-TILE */
    bool sha;      /* SHA-256 instructions, x86 or ARM */
    bool neon, dotprod;
    uint32_t cache_line_bytes;
    uint32_t l1d_bytes, l2_bytes; /* of one core; 0: unknown */
    uint64_t l3_bytes;            /* 0: none or unknown */
} platform_cpu_info;
/* Asks the CPU, which takes up to a millisecond in a virtual machine: call once and keep it. */
platform_cpu_info platform_cpu(void);
/* CPUs that this process may keep busy, at least 1: its affinity and its cgroup's quota (rounded
 * up to whole CPUs) are counted. */
uint32_t platform_cpu_count(void);

/* ---- memory ------------------------------------------------------------------------------ */

typedef struct platform_memory_info {
    uint64_t total_bytes;     /* the machine's, or the cgroup's limit when that is smaller */
    uint64_t available_bytes; /* what can be taken without swapping or hitting the limit */
} platform_memory_info;
tars_status platform_memory(platform_memory_info *out, tars_error *err);

/* Zeroed private pages, aligned to 2 MiB when the size reaches that, else to a page. They count
 * only once touched. `huge_pages` asks for 2 MiB pages. Give back with platform_release and the
 * same size. */
tars_status platform_reserve(size_t size_bytes, bool huge_pages, void **out, tars_error *err);
void platform_release(void *memory, size_t size_bytes);
/* Whole pages of it are given back to the system and read as zeros again. False where that cannot
 * be done: then they are as they were. */
bool platform_discard(void *memory, size_t size_bytes);

typedef struct platform_memory_usage {
    uint64_t resident_bytes;
    uint64_t peak_resident_bytes;
    uint64_t private_bytes; /* touched by this process alone, swapped pages included */
    uint64_t shared_bytes;  /* its share of pages others hold too (proportional) */
} platform_memory_usage;
/* Of this process, as the system counts it; takes up to a few milliseconds. */
tars_status platform_memory_used(platform_memory_usage *out, tars_error *err);
/* Only the peak, quickly; 0 when unknown. */
uint64_t platform_peak_resident_bytes(void);

/* ---- files ------------------------------------------------------------------------------- */

/* Tells one state of one file from another. */
typedef struct platform_file_info {
    uint64_t size_bytes;
    uint64_t device, inode;
    int64_t mtime_ns, ctime_ns; /* of contents, of contents or attributes; since 1970 */
    uint32_t mode;              /* permission bits; 0600 or 0666 on Windows */
    uint32_t owner;             /* user id; 0 on Windows */
} platform_file_info;

typedef struct platform_file {
    platform_handle handle;
    char name[160]; /* for messages; the end of a long path */
} platform_file;

/* Opens a regular file for reading; follows symbolic links. NOT_FOUND when it is missing,
 * UNAVAILABLE when permission is, USAGE for a folder, a fifo or a device (none of them blocks). */
tars_status platform_file_open(const char *path, platform_file *out, tars_error *err);
/* Opens for writing at the end, and for reading; makes it with `mode` when it is missing. The same
 * refusals, and no symbolic link is followed. */
tars_status platform_file_open_append(const char *path, uint32_t mode, platform_file *out,
                                      tars_error *err);
/* Opens for reading, and for platform_file_write_at; makes it with `mode` when it is missing. The
 * refusals of platform_file_open_append. */
tars_status platform_file_open_update(const char *path, uint32_t mode, platform_file *out,
                                      tars_error *err);
/* Takes over a descriptor (as a child process gets one) under the same checks; `name` is for
 * messages. After success platform_file_close closes it, after failure it is the caller's. */
tars_status platform_file_adopt(platform_handle handle, const char *name, platform_file *out,
                                tars_error *err);
void platform_file_close(platform_file *file);
tars_status platform_file_get_info(const platform_file *file, platform_file_info *out,
                                   tars_error *err);
/* Exactly length bytes; CORRUPT when the file ends before. Keeps no position: any thread. */
tars_status platform_file_read_at(const platform_file *file, uint64_t offset, void *buffer,
                                  size_t length, tars_error *err);
/* Appends (files of platform_file_open_append). DISK_FULL or IO. */
tars_status platform_file_write(const platform_file *file, const void *bytes, size_t length,
                                tars_error *err);
/* Writes over what is at the offset (files of platform_file_open_update). DISK_FULL or IO. Keeps no
 * position: any thread. */
tars_status platform_file_write_at(const platform_file *file, uint64_t offset, const void *bytes,
                                   size_t length, tars_error *err);
tars_status platform_file_truncate(const platform_file *file, uint64_t size_bytes, tars_error *err);
/* Returns when the contents are on the disk. */
tars_status platform_file_sync(const platform_file *file, tars_error *err);
/* Lets the system forget its cached pages (so that a later mapping gets large ones). */
void platform_file_drop_cache(const platform_file *file);
/* A source that reads the file, which must stay open, and at one address, while it is used. */
tars_status platform_file_source(platform_file *file, byte_source *out, tars_error *err);
/* The whole of a regular file; a NUL follows. LIMIT when it is longer than max_bytes. The caller
 * frees *out with free(). */
tars_status platform_file_read_all(const char *path, size_t max_bytes, char **out, size_t *length,
                                   tars_error *err);

/* A file written beside its final name that appears there whole or not at all. */
typedef struct platform_writer {
    platform_handle handle;
    platform_handle folder;
    uint64_t written_bytes;
    bool named;                     /* `temporary` exists in the folder */
    char temporary[64];             /* name within the folder */
    char path[PLATFORM_PATH_BYTES]; /* final */
} platform_writer;

enum {
    PLATFORM_COMMIT_REPLACE = 1,   /* else CONFLICT when the name is taken */
    PLATFORM_COMMIT_DROP_CACHE = 2 /* as platform_file_drop_cache */
};

/* `mode`: the final permission bits (umask is not applied). USAGE when the name belongs to a
 * folder, a device or a fifo. */
tars_status platform_writer_open(const char *path, uint32_t mode, platform_writer *out,
                                 tars_error *err);
/* Makes sure that the disk can take so many bytes in all; DISK_FULL now instead of later. */
tars_status platform_writer_reserve(platform_writer *writer, uint64_t size_bytes, tars_error *err);
tars_status platform_writer_write(platform_writer *writer, const void *bytes, size_t length,
                                  tars_error *err);
/* As platform_writer_write, as a sink. */
byte_sink platform_writer_sink(platform_writer *writer);
/* fsync, rename, fsync of the folder. The writer is finished whatever the result. */
tars_status platform_writer_commit(platform_writer *writer, unsigned flags, tars_error *err);
/* Removes what was written. Also fine for a writer that was committed or zeroed. */
void platform_writer_abandon(platform_writer *writer);
/* A file name that a process killed while it wrote may have left behind. */
bool platform_writer_is_leftover(const char *name);

typedef enum platform_kind {
    PLATFORM_KIND_MISSING,
    PLATFORM_KIND_FILE,
    PLATFORM_KIND_FOLDER,
    PLATFORM_KIND_LINK, /* only from platform_list_folder */
    PLATFORM_KIND_OTHER
} platform_kind;

/* What a path leads to; MISSING is no failure. `info` may be NULL. */
tars_status platform_path_kind(const char *path, platform_kind *kind, platform_file_info *info,
                               tars_error *err);
/* Whether a path leads to, or a folder contains, what is no file system of files but a view of the
 * kernel and its devices (/proc, /sys, the folder /dev and what is like them). */
bool platform_is_of_kernel(const char *path);
/* Makes a folder (0700) and those above it; fine when it exists. */
tars_status platform_make_folders(const char *path, tars_error *err);
/* Calls visit for each entry but . and .., in no order; stops when it returns false. */
tars_status platform_list_folder(const char *path,
                                 bool (*visit)(void *user, const char *name, platform_kind kind),
                                 void *user, tars_error *err);
/* Removes a file or an empty folder; NOT_FOUND when there is none. */
tars_status platform_remove(const char *path, tars_error *err);
/* Within one file system; replaces what is there. */
tars_status platform_rename(const char *from, const char *to, tars_error *err);
/* Bytes that this user can still write on the file system of an existing path. */
tars_status platform_disk_free(const char *path, uint64_t *free_bytes, tars_error *err);

/* A lock between processes and between openers in one process; falls when the process ends. */
typedef struct platform_lock {
    platform_handle handle;
} platform_lock;
/* Takes the lock of the file `path` (made when missing). CONFLICT, with the holder's process id
 * when known, after timeout_ns (0: at once). */
tars_status platform_lock_take(const char *path, uint64_t timeout_ns, platform_lock *out,
                               tars_error *err);
void platform_lock_release(platform_lock *lock);

/* ---- files below a folder ---------------------------------------------------------------- */

/* Files for a stranger's program: paths are relative to the handle of a folder and lead nowhere
 * else. An absolute path, a .. that climbs out and a link that leads out are OUTSIDE, also when
 * other programs rename folders meanwhile. Only regular files and folders are opened, so that
 * nothing blocks. A guest is told a reason and no text: these functions return a fault. */
typedef enum platform_fault {
    PLATFORM_FAULT_NONE = 0,
    PLATFORM_FAULT_OUTSIDE, /* the path leads out of the folder */
    PLATFORM_FAULT_KIND,    /* a device, a fifo, a socket, or what /proc shows as a file */
    PLATFORM_FAULT_MISSING, /* ENOENT, and so on below */
    PLATFORM_FAULT_EXISTS,
    PLATFORM_FAULT_NOT_FOLDER,
    PLATFORM_FAULT_IS_FOLDER,
    PLATFORM_FAULT_NOT_EMPTY,
    PLATFORM_FAULT_LOOP,
    PLATFORM_FAULT_NAME_TOO_LONG,
    PLATFORM_FAULT_ACCESS,
    PLATFORM_FAULT_NOT_PERMITTED,
    PLATFORM_FAULT_READ_ONLY,
    PLATFORM_FAULT_INVALID,
    PLATFORM_FAULT_BUSY,
    PLATFORM_FAULT_CROSS_DEVICE,
    PLATFORM_FAULT_TOO_BIG,
    PLATFORM_FAULT_NO_SPACE,
    PLATFORM_FAULT_QUOTA,
    PLATFORM_FAULT_TOO_MANY_FILES,
    PLATFORM_FAULT_TOO_MANY_LINKS,
    PLATFORM_FAULT_MEMORY,
    PLATFORM_FAULT_UNSUPPORTED,
    PLATFORM_FAULT_IO,
    PLATFORM_FAULT_COUNT
} platform_fault;

typedef struct platform_entry {
    platform_kind kind;
    uint32_t mode; /* permission bits */
    uint64_t size_bytes, device, inode, n_links;
    int64_t atime_ns, mtime_ns, ctime_ns;
} platform_entry;

typedef struct platform_time {
    enum { PLATFORM_TIME_KEEP = 0, PLATFORM_TIME_NOW, PLATFORM_TIME_SET } how;
    int64_t ns; /* since 1970, of TIME_SET */
} platform_time;

enum {
    PLATFORM_OPEN_READ = 1,
    PLATFORM_OPEN_WRITE = 2,
    PLATFORM_OPEN_APPEND = 4,
    PLATFORM_OPEN_CREATE = 8,
    PLATFORM_OPEN_NEW = 16, /* with CREATE: EXISTS when it is there, be it a link */
    PLATFORM_OPEN_EMPTY = 32,
    PLATFORM_OPEN_FOLDER = 64,   /* nothing else; not with CREATE or EMPTY */
    PLATFORM_OPEN_NO_LINK = 128, /* LOOP when the last name is a link */
    PLATFORM_OPEN_SYNC = 256,    /* a write returns when it is on the disk */
    PLATFORM_OPEN_DATA_SYNC = 512
};

/* The folder that is granted, named by the host. Closed with platform_handle_close, as are the
 * handles of platform_beneath_open. */
tars_status platform_beneath_root(const char *path, platform_handle *out, tars_error *err);
/* With neither READ nor WRITE: READ. *entry is what was opened. `mode` of a new file, less the
 * process's umask. */
platform_fault platform_beneath_open(platform_handle folder, const char *path, unsigned flags,
                                     uint32_t mode, platform_handle *out, platform_entry *entry);
platform_fault platform_beneath_look(platform_handle folder, const char *path, bool follow,
                                     platform_entry *out);
platform_fault platform_beneath_set_times(platform_handle folder, const char *path, bool follow,
                                          platform_time access, platform_time change);
/* Permission bits, of them 0777, of a file or folder. A link that is not followed has none
 * (UNSUPPORTED); who may come into the folder itself is not to be changed (OUTSIDE). */
platform_fault platform_beneath_set_mode(platform_handle folder, const char *path, bool follow,
                                         uint32_t mode);
platform_fault platform_beneath_make_folder(platform_handle folder, const char *path,
                                            uint32_t mode);
platform_fault platform_beneath_remove_file(platform_handle folder, const char *path);
platform_fault platform_beneath_remove_folder(platform_handle folder, const char *path);
/* Replaces a file or an empty folder that is there. */
platform_fault platform_beneath_rename(platform_handle from_folder, const char *from,
                                       platform_handle to_folder, const char *to);
/* A further name of a file; `follow`: of what a link leads to. */
platform_fault platform_beneath_link(platform_handle from_folder, const char *from, bool follow,
                                     platform_handle to_folder, const char *to);
/* OUTSIDE for an absolute target; other targets are looked at when the link is followed. */
platform_fault platform_beneath_make_link(const char *target, platform_handle folder,
                                          const char *path);
/* The target with a NUL, at most PLATFORM_PATH_BYTES. OUTSIDE when it is absolute: it would tell
 * names of the host. */
platform_fault platform_beneath_read_link(platform_handle folder, const char *path,
                                          char target[PLATFORM_PATH_BYTES], size_t *length);
/* For tests: from now on paths are walked name by name, as where the system cannot confine them
 * itself. */
void platform_beneath_walk_only(bool walk_only);

/* On what platform_beneath_open gave. Reading and writing may do less than asked, as the system
 * does; *done 0 with FAULT_NONE is the end of the file. They keep no position. */
platform_fault platform_beneath_read(platform_handle file, uint64_t offset, void *bytes,
                                     size_t length, size_t *done);
platform_fault platform_beneath_write(platform_handle file, uint64_t offset, const void *bytes,
                                      size_t length, size_t *done);
/* At the end, of a handle that appends; *end is the position after it. */
platform_fault platform_beneath_append(platform_handle file, const void *bytes, size_t length,
                                       size_t *done, uint64_t *end);
platform_fault platform_beneath_set_append(platform_handle file, bool append);
platform_fault platform_beneath_get_entry(platform_handle handle, platform_entry *out);
platform_fault platform_beneath_set_entry_times(platform_handle handle, platform_time access,
                                                platform_time change);
platform_fault platform_beneath_set_entry_mode(platform_handle handle, uint32_t mode);
platform_fault platform_beneath_resize(platform_handle file, uint64_t size_bytes);
/* Room on the disk for the bytes; the file grows to hold them. */
platform_fault platform_beneath_allocate(platform_handle file, uint64_t offset, uint64_t length);
platform_fault platform_beneath_sync(platform_handle handle, bool data_only);

/* The names in a folder, . and .. left out, in no order. */
typedef struct platform_listing {
    void *stream;
} platform_listing;
platform_fault platform_listing_open(platform_handle folder, platform_listing *out);
/* *name is NULL at the end, else valid until the next call. MISSING as kind: it was removed. */
platform_fault platform_listing_next(platform_listing *listing, const char **name,
                                     platform_kind *kind, uint64_t *inode);
void platform_listing_rewind(platform_listing *listing);
void platform_listing_close(platform_listing *listing);

/* ---- mapped models ----------------------------------------------------------------------- */

/* A whole file in memory, read-only and shared by all processes that map it. Must not move in
 * memory while it is mapped. */
typedef struct platform_mapping {
    const uint8_t *bytes; /* at a 2 MiB boundary */
    size_t size_bytes;
    atomic_uint damaged; /* set when a page could not be had: see platform_guard_install */
    platform_file file;
    platform_file_info info; /* when it was mapped */
} platform_mapping;

/* Maps with 2 MiB pages where the file system gives them. Touches no page. */
tars_status platform_map(const char *path, platform_mapping *out, tars_error *err);
void platform_unmap(platform_mapping *mapping);
/* CORRUPT when pages were lost, or when the file was cut or written since it was mapped. Costs a
 * microsecond: ask after the work that read the mapping. */
tars_status platform_mapping_check(const platform_mapping *mapping, tars_error *err);
/* Brings all pages in, so that the first pass does not wait for them one by one. */
tars_status platform_mapping_warm(const platform_mapping *mapping, tars_error *err);

typedef struct platform_page_report {
    const char *kind;        /* "file-huge": 2 MiB pages shared with the file's cache hold at
                                least half; "anonymous-huge"; "small"; "untouched" */
    uint64_t resident_bytes; /* of size_bytes */
    uint64_t file_huge_bytes;
    uint64_t anonymous_huge_bytes;
} platform_page_report;
tars_status platform_mapping_pages(const platform_mapping *mapping, platform_page_report *out,
                                   tars_error *err);

/* Opt-in, for programs and not for libraries: from now on a page of a mapping that its file no
 * longer backs (SIGBUS) reads as zeros, and the mapping's `damaged` is set; without it the process
 * ends. Signals with other addresses go to the handler that was there before. May be called again.
 * Not thread-safe against itself. */
tars_status platform_guard_install(tars_error *err);

/* ---- address space of guests ------------------------------------------------------------- */

/* Address space at a 2 MiB boundary that nothing lies behind: any access faults. UNAVAILABLE where
 * this system has no such thing in this version. */
tars_status platform_space_reserve(size_t size_bytes, void **out, tars_error *err);
/* Makes pages of it readable and writable, zero at first. Offset and size in whole pages. */
tars_status platform_space_open(void *space, size_t offset, size_t size_bytes, tars_error *err);
/* Puts a mapped model at an offset (a multiple of 2 MiB), read-only and shared. *view, which must
 * not move, is guarded as a mapping is until platform_space_unmap; its `damaged` tells of lost
 * pages. The model must stay mapped as long. */
tars_status platform_space_map(void *space, size_t offset, const platform_mapping *mapping,
                               platform_mapping *view, tars_error *err);
void platform_space_unmap(platform_mapping *view);
void platform_space_release(void *space, size_t size_bytes);

/* ---- libraries --------------------------------------------------------------------------- */

/* A shared library that is loaded while the program runs: an absolute path, or a name without
 * slashes that the system looks up among its own. Never unloaded. */
typedef struct platform_library {
    void *handle;
} platform_library;
tars_status platform_library_open(const char *path, platform_library *out, tars_error *err);
/* The address of a symbol, NULL when the library has none of that name. */
void *platform_library_symbol(const platform_library *library, const char *name);
/* The absolute path of the file that this code was loaded from: the program or libtars. */
tars_status platform_own_path(char *path, size_t size, tars_error *err);

/* ---- threads ----------------------------------------------------------------------------- */

typedef struct platform_thread {
    uintptr_t id;
    void *record;
} platform_thread;
/* Runs function(argument) with all asynchronous signals blocked; `name` (15 bytes are kept) shows
 * in the system's tools. Give back with platform_thread_join. */
tars_status platform_thread_create(const char *name, void (*function)(void *argument),
                                   void *argument, platform_thread *out, tars_error *err);
/* As platform_thread_create, with a stack of so many bytes, a multiple of 64 KiB. */
tars_status platform_thread_create_small(const char *name, size_t stack_bytes,
                                         void (*function)(void *argument), void *argument,
                                         platform_thread *out, tars_error *err);
void platform_thread_join(platform_thread *thread);
/* Calls function(argument) where so many bytes of stack are left: on this thread when they are,
 * else on another one, and waits for its end. */
tars_status platform_call_with_stack(size_t stack_bytes, void (*function)(void *argument),
                                     void *argument, tars_error *err);

/* Parks the caller while *gate == expected, at most timeout_ns. False when the time ran out; true
 * may also come early, so look again. */
bool platform_gate_wait(atomic_uint *gate, unsigned expected, uint64_t timeout_ns);
/* Wakes one, wakes all that are parked on the gate. Change its value before. */
void platform_gate_wake_one(atomic_uint *gate);
void platform_gate_wake_all(atomic_uint *gate);

/* Zeroed memory is an open mutex; nothing to destroy. Not recursive, not for signal handlers. */
typedef struct platform_mutex {
    atomic_uint state; /* 0 open, 1 held, 2 held and waited for */
} platform_mutex;
void platform_mutex_lock(platform_mutex *mutex);
bool platform_mutex_try_lock(platform_mutex *mutex);
void platform_mutex_unlock(platform_mutex *mutex);

/* Zeroed memory is a condition without waiters. */
typedef struct platform_condition {
    atomic_uint sequence;
} platform_condition;
/* Unlocks, waits, locks. False when the time ran out; true may also come early. */
bool platform_condition_wait(platform_condition *condition, platform_mutex *mutex,
                             uint64_t timeout_ns);
void platform_condition_wake_all(platform_condition *condition);

/* In a loop that polls for what another core does. */
static inline void platform_cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
/* Lets another thread of this CPU run. */
void platform_yield(void);

/* Rounding to nearest, no flush to zero, no traps: what the arithmetic's rules require. Returns
 * what was set before, for platform_float_mode_restore on the same thread. */
uint64_t platform_float_mode_set(void);
void platform_float_mode_restore(uint64_t before);

/* ---- handles and pipes ------------------------------------------------------------------- */

tars_status platform_pipe(platform_handle *read_end, platform_handle *write_end, tars_error *err);
void platform_handle_close(platform_handle handle);
/* Reads what is there, at least one byte, at most `capacity`; *length 0 is the end. CANCELLED when
 * an interrupt arrives (platform_interrupt_install). */
tars_status platform_handle_read(platform_handle handle, void *buffer, size_t capacity,
                                 size_t *length, tars_error *err);
/* Everything up to the end; a NUL follows. LIMIT beyond max_bytes. *out is freed with free(). */
tars_status platform_handle_read_all(platform_handle handle, size_t max_bytes, char **out,
                                     size_t *length, tars_error *err);
/* All of it. IO when nobody reads any more (platform_ignore_broken_pipes), DISK_FULL. */
tars_status platform_handle_write(platform_handle handle, const void *bytes, size_t length,
                                  tars_error *err);
/* Waits until one of at most 32 handles can be read or is at its end; bit i of *ready stands for
 * handles[i]. TIMEOUT leaves *ready 0; CANCELLED as platform_handle_read. */
tars_status platform_handle_wait(const platform_handle *handles, size_t n_handles,
                                 uint64_t timeout_ns, uint32_t *ready, tars_error *err);

/* ---- processes --------------------------------------------------------------------------- */

typedef struct platform_spawn_handle {
    platform_handle mine;
    int theirs; /* its number in the child: 0, 1, 2 or above, below 64 */
} platform_spawn_handle;

typedef struct platform_spawn_options {
    const char *path;               /* NULL: this program's own executable */
    const char *const *arguments;   /* argv, argv[0] included, NULL at the end */
    const char *const *environment; /* NULL at the end; NULL itself: none at all */
    const platform_spawn_handle *handles;
    size_t n_handles;  /* at most 40 */
    bool dies_with_us; /* killed when the thread that made it ends (Linux) */
} platform_spawn_options;

typedef struct platform_process {
    intptr_t id;
    platform_handle handle; /* to wait on, or none */
} platform_process;

typedef struct platform_exit {
    bool exited; /* else killed by `signal` */
    int code;
    int signal;
    uint64_t cpu_ns;
    uint64_t peak_resident_bytes;
} platform_exit;

/* Starts a program with the given descriptors and no other; 0, 1 and 2 are the null device unless
 * given. Signals are at their defaults. NOT_FOUND, UNAVAILABLE … when it cannot be executed. Give
 * back with platform_process_wait that succeeds, or platform_process_kill. */
tars_status platform_spawn(const platform_spawn_options *options, platform_process *out,
                           tars_error *err);
/* TIMEOUT leaves the process as it is. */
tars_status platform_process_wait(platform_process *process, uint64_t timeout_ns,
                                  platform_exit *out, tars_error *err);
/* Asks it to end (SIGTERM); it may ignore that. */
void platform_process_terminate(const platform_process *process);
/* Ends it at once and collects it. */
void platform_process_kill(platform_process *process);
/* "exited with status 3", "was killed by signal 31 (bad system call)". */
void platform_exit_describe(const platform_exit *how, char *out, size_t size_bytes);
int64_t platform_process_id(void);

/* What a process that reads foreign files gives up. Zero means: leave as it is. */
typedef struct platform_hardening {
    uint64_t address_space_bytes;
    uint64_t n_files;
    uint64_t cpu_seconds;
    uint64_t file_size_bytes; /* of any file it writes; pipes are not counted */
    uint64_t n_processes;     /* of its user, threads included (Linux) */
    bool filter_system_calls; /* only reading, writing, memory, time and exit are left */
    bool allow_code;          /* with the filter: memory may be made executable */
    bool run_machines;        /* with the filter: virtual processors that are there may run */
} platform_hardening;
typedef struct platform_hardening_report {
    bool limits, no_new_privileges, not_dumpable, system_calls_filtered;
    char missing[128]; /* what is not in force and why, or "" */
} platform_hardening_report;
/* For the calling process, for good. Does as much as the system can and reports it; fails only
 * when a limit that was asked for is refused. With the filter a forbidden call that asks for
 * something outside (opening, connecting, starting) fails with EPERM and any other ends the
 * process. */
tars_status platform_harden(const platform_hardening *wanted, platform_hardening_report *report,
                            tars_error *err);
/* Becomes another user for good, without supplementary groups. */
tars_status platform_drop_privileges(uint32_t user_id, uint32_t group_id, tars_error *err);
bool platform_is_root(void);
/* The user whose rights this process has; 0 on Windows, as is any file's owner there. */
uint32_t platform_user_id(void);

/* ---- jails ------------------------------------------------------------------------------- */

/* A file or folder of this machine that a stranger's program may use. */
typedef struct platform_jail_grant {
    const char *host;
    const char *guest; /* absolute; where the program finds it */
    bool writable;
    bool optional; /* left out in silence when the machine has none */
} platform_jail_grant;

typedef struct platform_jail_options {
    const char *program;               /* NULL: nothing is run, which tells what is missing here */
    const char *const *arguments;      /* argv, argv[0] included, NULL at the end */
    const char *const *environment;    /* NULL at the end */
    const platform_jail_grant *grants; /* a later one covers an earlier one above it */
    size_t n_grants;
    const char *folder; /* the guest's name of the working folder; NULL: / */
    bool file_calls;    /* else the program can only use its descriptors 0, 1 and 2 */
    /* Instead of what file_calls adds: these calls alone, NULL at the end. Names that
     * platform_jail_call_name does not list add nothing. NULL: file_calls decides. */
    const char *const *calls;
    platform_handle input; /* its standard input is what this gives; or PLATFORM_NO_HANDLE */
    uint64_t memory_bytes, output_bytes, file_bytes; /* output: both channels together */
    uint64_t timeout_ns;
    uint32_t n_files, n_threads;
    bool (*goes_on)(void *user); /* asked every 20 ms; false ends it: CANCELLED. May be NULL */
    void *user;
} platform_jail_options;

typedef enum platform_jail_end {
    PLATFORM_JAIL_EXITED,
    PLATFORM_JAIL_SIGNALLED,
    PLATFORM_JAIL_TIME, /* and below: killed at a limit */
    PLATFORM_JAIL_MEMORY,
    PLATFORM_JAIL_OUTPUT,
    PLATFORM_JAIL_FILE_SIZE
} platform_jail_end;

typedef struct platform_jail_refusal {
    uint32_t number;
    const char *name; /* constant; NULL when this version knows none for the number */
    uint64_t count;
} platform_jail_refusal;

typedef struct platform_jail_bytes {
    char *data;
    size_t length;
} platform_jail_bytes;

enum { PLATFORM_JAIL_REFUSALS = 64, PLATFORM_JAIL_MISSING = 12, PLATFORM_JAIL_TEXT_BYTES = 160 };

typedef struct platform_jail_result {
    platform_jail_end end;
    int code;   /* of EXITED */
    int signal; /* of SIGNALLED, which signal_text explains */
    const char *signal_text;
    platform_jail_bytes output, errors; /* freed by platform_jail_free */
    uint64_t wall_ns, cpu_ns, memory_peak_bytes, bytes_in;
    platform_jail_refusal refusals[PLATFORM_JAIL_REFUSALS]; /* system calls, by first number */
    size_t n_refusals;
    char missing[PLATFORM_JAIL_MISSING][PLATFORM_JAIL_TEXT_BYTES]; /* "what: why" */
    size_t n_missing;
} platform_jail_result;

/* Runs a program that is not trusted and waits for its end: without privileges, network, other
 * descriptors or the sight of other processes and files, as far as this system has the means; what
 * it lacks stands in `missing`. A system call that is not allowed fails with EPERM and is counted.
 * Fails when the program cannot be started, or when a grant cannot be given; CANCELLED when an
 * interrupt arrives (platform_interrupt_install). Give back with
 * platform_jail_free, also after a failure. */
tars_status platform_jail_run(const platform_jail_options *options, platform_jail_result *out,
                              tars_error *err);
void platform_jail_free(platform_jail_result *result);
/* The names that platform_jail_options.calls may have, by index; NULL behind the last. None where
 * there are no jails. */
const char *platform_jail_call_name(size_t index);
/* The name of a system call of this machine's Linux; constant. NULL for a number without a name,
 * and on other systems. */
const char *platform_call_name(uint32_t number);

/* ---- terminal and signals ---------------------------------------------------------------- */

bool platform_is_terminal(platform_handle handle);
/* Columns, or 0 when it is no terminal or does not say. */
unsigned platform_terminal_width(platform_handle handle);
/* From now on SIGINT and SIGTERM set a flag instead of ending the process, and call `notify` (may
 * be NULL) inside the signal handler; the third one ends it. Not for libraries. */
tars_status platform_interrupt_install(void (*notify)(void *user), void *user, tars_error *err);
/* Back to what was there before. */
void platform_interrupt_remove(void);
/* How many came since the last clear. */
unsigned platform_interrupted(void);
void platform_interrupt_clear(void);
/* Writing to a closed pipe fails instead of ending the process. */
void platform_ignore_broken_pipes(void);

/* ---- places ------------------------------------------------------------------------------ */

/* The value of an environment variable, or NULL when it is unset or empty. Valid until the
 * environment changes. */
const char *platform_environment(const char *name);
/* All variables as "NAME=value", NULL at the end. Valid until the environment changes. */
const char *const *platform_environment_block(void);
/* "linux", "macos", "windows", "docker", "kubernetes" …: TARS_PLATFORM, or what is detected. */
const char *platform_name(void);
/* Folders of an installation for the whole machine, from a table; NULL: this platform has none. */
typedef struct platform_places {
    const char *install, *data, *logs, *config, *temporary;
    bool ours; /* this process uses them: root, or a container that was made for the program */
} platform_places;
platform_places platform_default_places(void);
/* Where models and keys live: TARS_HOME, TARS_DATA_DIR, the platform's data path for root and in
 * containers, else XDG_DATA_HOME/tars or ~/.local/share/tars. Makes nothing. */
tars_status platform_data_path(char *out, size_t size_bytes, tars_error *err);
tars_status platform_executable_path(char *out, size_t size_bytes, tars_error *err);
/* A folder for temporary files, without a slash at its end. */
tars_status platform_temporary_path(char *out, size_t size_bytes, tars_error *err);

#endif
