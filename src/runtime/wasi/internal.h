/* What the files of WASI share; nothing else includes it. Ownership: descriptors and all they hold
 * belong to the context. */
#ifndef RUNTIME_WASI_INTERNAL_H
#define RUNTIME_WASI_INTERNAL_H

#include "runtime/kept_output.h"
#include "runtime/request_clock.h"
#include "runtime/wasi/wasi.h"

typedef uint32_t wasi_errno;
enum {
    WASI_SUCCESS = 0,
    WASI_EACCES = 2,
    WASI_EAGAIN = 6,
    WASI_EBADF = 8,
    WASI_EBUSY = 10,
    WASI_EDQUOT = 19,
    WASI_EEXIST = 20,
    WASI_EFAULT = 21,
    WASI_EFBIG = 22,
    WASI_EILSEQ = 25,
    WASI_EINTR = 27,
    WASI_EINVAL = 28,
    WASI_EIO = 29,
    WASI_EISDIR = 31,
    WASI_ELOOP = 32,
    WASI_EMFILE = 33,
    WASI_EMLINK = 34,
    WASI_ENAMETOOLONG = 37,
    WASI_ENOENT = 44,
    WASI_ENOMEM = 48,
    WASI_ENOSPC = 51,
    WASI_ENOSYS = 52,
    WASI_ENOTDIR = 54,
    WASI_ENOTEMPTY = 55,
    WASI_ENOTSUP = 58,
    WASI_EOVERFLOW = 61,
    WASI_EPERM = 63,
    WASI_EROFS = 69,
    WASI_ESPIPE = 70,
    WASI_EXDEV = 75,
    WASI_ENOTCAPABLE = 76
};

#define WASI_RIGHT(bit) ((uint64_t)1 << (bit))
#define WASI_RIGHT_FD_DATASYNC WASI_RIGHT(0)
#define WASI_RIGHT_FD_READ WASI_RIGHT(1)
#define WASI_RIGHT_FD_SEEK WASI_RIGHT(2)
#define WASI_RIGHT_FD_FDSTAT_SET_FLAGS WASI_RIGHT(3)
#define WASI_RIGHT_FD_SYNC WASI_RIGHT(4)
#define WASI_RIGHT_FD_TELL WASI_RIGHT(5)
#define WASI_RIGHT_FD_WRITE WASI_RIGHT(6)
#define WASI_RIGHT_FD_ADVISE WASI_RIGHT(7)
#define WASI_RIGHT_FD_ALLOCATE WASI_RIGHT(8)
#define WASI_RIGHT_PATH_CREATE_DIRECTORY WASI_RIGHT(9)
#define WASI_RIGHT_PATH_CREATE_FILE WASI_RIGHT(10)
#define WASI_RIGHT_PATH_LINK_SOURCE WASI_RIGHT(11)
#define WASI_RIGHT_PATH_LINK_TARGET WASI_RIGHT(12)
#define WASI_RIGHT_PATH_OPEN WASI_RIGHT(13)
#define WASI_RIGHT_FD_READDIR WASI_RIGHT(14)
#define WASI_RIGHT_PATH_READLINK WASI_RIGHT(15)
#define WASI_RIGHT_PATH_RENAME_SOURCE WASI_RIGHT(16)
#define WASI_RIGHT_PATH_RENAME_TARGET WASI_RIGHT(17)
#define WASI_RIGHT_PATH_FILESTAT_GET WASI_RIGHT(18)
#define WASI_RIGHT_PATH_FILESTAT_SET_SIZE WASI_RIGHT(19)
#define WASI_RIGHT_PATH_FILESTAT_SET_TIMES WASI_RIGHT(20)
#define WASI_RIGHT_FD_FILESTAT_GET WASI_RIGHT(21)
#define WASI_RIGHT_FD_FILESTAT_SET_SIZE WASI_RIGHT(22)
#define WASI_RIGHT_FD_FILESTAT_SET_TIMES WASI_RIGHT(23)
#define WASI_RIGHT_PATH_SYMLINK WASI_RIGHT(24)
#define WASI_RIGHT_PATH_REMOVE_DIRECTORY WASI_RIGHT(25)
#define WASI_RIGHT_PATH_UNLINK_FILE WASI_RIGHT(26)
#define WASI_RIGHT_POLL_FD_READWRITE WASI_RIGHT(27)

/* Those that change what a path names: a folder granted for reading has none of them. A link's
 * source counts: by its second name in a writable folder the file could be written. */
#define WASI_RIGHTS_CHANGE_PATHS                                                                   \
    (WASI_RIGHT_PATH_CREATE_DIRECTORY | WASI_RIGHT_PATH_CREATE_FILE |                              \
     WASI_RIGHT_PATH_LINK_SOURCE | WASI_RIGHT_PATH_LINK_TARGET | WASI_RIGHT_PATH_RENAME_SOURCE |   \
     WASI_RIGHT_PATH_RENAME_TARGET | WASI_RIGHT_PATH_FILESTAT_SET_SIZE |                           \
     WASI_RIGHT_PATH_FILESTAT_SET_TIMES | WASI_RIGHT_PATH_SYMLINK |                                \
     WASI_RIGHT_PATH_REMOVE_DIRECTORY | WASI_RIGHT_PATH_UNLINK_FILE)
#define WASI_RIGHTS_CHANGE_FILES                                                                   \
    (WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE |                       \
     WASI_RIGHT_FD_FILESTAT_SET_SIZE | WASI_RIGHT_FD_FILESTAT_SET_TIMES)
#define WASI_RIGHTS_ALL (WASI_RIGHT(28) - 1)
/* What there is to have on a folder, on a regular file. */
#define WASI_RIGHTS_OF_FOLDERS                                                                     \
    (WASI_RIGHTS_CHANGE_PATHS | WASI_RIGHT_PATH_OPEN | WASI_RIGHT_FD_READDIR |                     \
     WASI_RIGHT_PATH_READLINK | WASI_RIGHT_PATH_FILESTAT_GET | WASI_RIGHT_FD_FILESTAT_GET |        \
     WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC |      \
     WASI_RIGHT_FD_DATASYNC)
#define WASI_RIGHTS_OF_FILES                                                                       \
    (WASI_RIGHTS_CHANGE_FILES | WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK |                          \
     WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_TELL |                    \
     WASI_RIGHT_FD_ADVISE | WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_POLL_FD_READWRITE)

enum {
    WASI_FILETYPE_UNKNOWN = 0,
    WASI_FILETYPE_FOLDER = 3,
    WASI_FILETYPE_FILE = 4,
    WASI_FILETYPE_LINK = 7
};

enum {
    WASI_FLAG_APPEND = 1,
    WASI_FLAG_DSYNC = 2,
    WASI_FLAG_NONBLOCK = 4,
    WASI_FLAG_RSYNC = 8,
    WASI_FLAG_SYNC = 16,
    WASI_FLAGS_ALL = 31
};

enum {
    WASI_MAX_VECTORS = 1024,
    WASI_MAX_SCANNED = 4096, /* vectors that a call looks at, those without bytes included */
    WASI_MAX_TRANSFER_BYTES = 1 << 20, /* of one call that reads or writes */
    WASI_CHUNK_BYTES = 64 << 10        /* moved between two looks at the clock */
};

typedef enum wasi_kind {
    WASI_KIND_NONE = 0, /* a free row */
    WASI_KIND_INPUT = 1,
    WASI_KIND_OUTPUT = 2,
    WASI_KIND_ERRORS = 4,
    WASI_KIND_FILE = 8,
    WASI_KIND_FOLDER = 16
} wasi_kind;
#define WASI_KIND_STREAMS (WASI_KIND_INPUT | WASI_KIND_OUTPUT | WASI_KIND_ERRORS)
#define WASI_KIND_ANY (WASI_KIND_STREAMS | WASI_KIND_FILE | WASI_KIND_FOLDER)

/* A folder that is being read. A cookie counts entries from the start; the one that did not fit
 * into the guest's buffer is kept, since it is asked for again. */
typedef struct wasi_reading {
    platform_listing listing;
    uint64_t next; /* the cookie of `name` when there is one, else of what the listing gives next */
    bool has_name;
    bool at_end;
    uint8_t type;
    uint64_t inode;
    size_t length;
    char name[1024];
} wasi_reading;

typedef struct wasi_descriptor {
    wasi_kind kind;
    bool writable; /* what it lies in was granted for writing */
    bool counted;  /* opened by the guest */
    uint16_t flags;
    uint64_t rights, inheriting;
    platform_handle handle;
    uint64_t position;
    const char *preopened; /* the guest's name of a granted folder, or NULL */
    wasi_reading *reading; /* of a folder, once it was read; or NULL */
} wasi_descriptor;

struct wasi_context {
    wasi_options options;
    wasi_descriptor *descriptors;
    size_t n_rows; /* of the table, free ones included */
    uint32_t n_opened;
    kept_output output, errors;
    wasi_end end;
    uint32_t exit_code;
    const wasi_function *running;
    uint64_t counts[WASI_MAX_FUNCTIONS];
    runtime_violations violations;
    uint64_t bytes_in, bytes_out;
    uint64_t start_ns, cpu_start_ns, cpu_ns; /* cpu_ns: the last that was told; never goes back */
    uint64_t asked_ns;                       /* when goes_on was last asked */
    uint64_t inode_keys[4], device_keys[4];
};

/* ---- context.c ------------------------------------------------------------------------- */

/* Looks at the deadline and asks goes_on when it was not asked for a millisecond; false: the guest
 * has ended. */
bool wasi_pulse(wasi_context *context);
void wasi_finish(wasi_context *context, wasi_end end);
/* How long a call may wait before it must pulse again, at most `wanted_ns`. */
uint64_t wasi_slice_ns(const wasi_context *context, uint64_t wanted_ns);
/* Notes a refusal of the call that runs. */
void wasi_refuse(wasi_context *context, const char *kind);
/* Keeps output up to the limit; false: the guest has ended. */
bool wasi_buffer_add(wasi_context *context, kept_output *buffer, const uint8_t *bytes,
                     size_t length);

/* ---- guest_memory.c -------------------------------------------------------------------- */

typedef struct wasi_slice {
    uint8_t *bytes;
    size_t length;
} wasi_slice;
typedef struct wasi_slices {
    wasi_slice rows[WASI_MAX_VECTORS];
    size_t count;
} wasi_slices;

bool wasi_in_memory(wasi_memory memory, uint32_t at, uint64_t length);
wasi_errno wasi_get(wasi_memory memory, uint32_t at, void *out, size_t length);
wasi_errno wasi_put(wasi_memory memory, uint32_t at, const void *bytes, size_t length);
wasi_errno wasi_put_u32(wasi_memory memory, uint32_t at, uint32_t value);
wasi_errno wasi_put_u64(wasi_memory memory, uint32_t at, uint64_t value);
/* Little-endian, as in the guest's structs. */
void wasi_encode(uint8_t *out, uint64_t value, size_t n_bytes);
uint64_t wasi_decode(const uint8_t *bytes, size_t n_bytes);
/* An array of (pointer, length), at most WASI_MAX_VECTORS of them and WASI_MAX_TRANSFER_BYTES. */
wasi_errno wasi_get_slices(wasi_memory memory, uint32_t at, uint32_t count, wasi_slices *out);
/* A path with a NUL. */
wasi_errno wasi_get_path(wasi_memory memory, uint32_t at, uint32_t length,
                         char out[PLATFORM_PATH_BYTES]);

/* ---- descriptors.c --------------------------------------------------------------------- */

/* Also sets up 0, 1, 2 and the granted folders. */
tars_status wasi_descriptors_open(wasi_context *context, tars_error *err);
void wasi_descriptors_close(wasi_context *context);
/* The open descriptor of that number, if it has one of the kinds and all the rights; else an errno,
 * and a violation when rights were missing. */
wasi_errno wasi_take(wasi_context *context, uint64_t number, unsigned kinds, uint64_t rights,
                     wasi_descriptor **out);
/* A free row, counted as opened by the guest; EMFILE at the limit. Moves the table. */
wasi_errno wasi_add(wasi_context *context, const wasi_descriptor *descriptor, uint32_t *number);
/* Whether wasi_add could succeed. */
bool wasi_has_room(const wasi_context *context);
/* The errno for a fault; one that means leaving the folder is a violation. */
wasi_errno wasi_fault(wasi_context *context, platform_fault fault);

/* ---- attributes.c, clocks.c ------------------------------------------------------------ */

uint8_t wasi_filetype(platform_kind kind);
/* Numbers that tell files apart as the host's do, without being them. */
uint64_t wasi_inode(const wasi_context *context, uint64_t inode);
void wasi_encode_filestat(const wasi_context *context, const platform_entry *entry,
                          uint8_t out[64]);
wasi_errno wasi_times_of(uint64_t atime, uint64_t mtime, uint32_t flags, platform_time *access,
                         platform_time *change);
/* Not rounded. False for a clock that there is not. */
bool wasi_clock_now(wasi_context *context, uint32_t clock, uint64_t *now_ns);
uint64_t wasi_round_down(const wasi_context *context, uint64_t time_ns);

/* ---- functions of the table -------------------------------------------------------------- */

/* Waits for standard input, at most for a slice. False: nothing yet, or the guest has ended. */
bool wasi_input_ready(wasi_context *context, const wasi_descriptor *row, uint64_t wait_ns);

#define WASI_CALL(name)                                                                            \
    uint32_t wasi_##name(wasi_context *context, wasi_memory memory, const uint64_t *arguments)
WASI_CALL(args_get);
WASI_CALL(args_sizes_get);
WASI_CALL(environ_get);
WASI_CALL(environ_sizes_get);
WASI_CALL(clock_res_get);
WASI_CALL(clock_time_get);
WASI_CALL(fd_advise);
WASI_CALL(fd_allocate);
WASI_CALL(fd_close);
WASI_CALL(fd_datasync);
WASI_CALL(fd_fdstat_get);
WASI_CALL(fd_fdstat_set_flags);
WASI_CALL(fd_fdstat_set_rights);
WASI_CALL(fd_filestat_get);
WASI_CALL(fd_filestat_set_size);
WASI_CALL(fd_filestat_set_times);
WASI_CALL(fd_pread);
WASI_CALL(fd_prestat_get);
WASI_CALL(fd_prestat_dir_name);
WASI_CALL(fd_pwrite);
WASI_CALL(fd_read);
WASI_CALL(fd_readdir);
WASI_CALL(fd_renumber);
WASI_CALL(fd_seek);
WASI_CALL(fd_sync);
WASI_CALL(fd_tell);
WASI_CALL(fd_write);
WASI_CALL(path_create_directory);
WASI_CALL(path_filestat_get);
WASI_CALL(path_filestat_set_times);
WASI_CALL(path_link);
WASI_CALL(path_open);
WASI_CALL(path_readlink);
WASI_CALL(path_remove_directory);
WASI_CALL(path_rename);
WASI_CALL(path_symlink);
WASI_CALL(path_unlink_file);
WASI_CALL(poll_oneoff);
WASI_CALL(proc_exit);
WASI_CALL(proc_raise);
WASI_CALL(random_get);
WASI_CALL(sched_yield);
WASI_CALL(sock_refused);

/* An i32 argument; an engine may leave anything in the upper half. */
static inline uint32_t wasi_u32(const uint64_t *arguments, unsigned index) {
    return (uint32_t)arguments[index];
}

#endif
