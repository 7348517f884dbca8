#include "runtime/wasi/internal.h"

#include <string.h>

#define ROW(name, parameters) {#name, parameters, true, wasi_##name}
#define REFUSED(name, parameters) {#name, parameters, true, wasi_sock_refused}

const wasi_function wasi_functions[] = {
    ROW(args_get, "ii"),
    ROW(args_sizes_get, "ii"),
    ROW(environ_get, "ii"),
    ROW(environ_sizes_get, "ii"),
    ROW(clock_res_get, "ii"),
    ROW(clock_time_get, "iIi"),
    ROW(fd_advise, "iIIi"),
    ROW(fd_allocate, "iII"),
    ROW(fd_close, "i"),
    ROW(fd_datasync, "i"),
    ROW(fd_fdstat_get, "ii"),
    ROW(fd_fdstat_set_flags, "ii"),
    ROW(fd_fdstat_set_rights, "iII"),
    ROW(fd_filestat_get, "ii"),
    ROW(fd_filestat_set_size, "iI"),
    ROW(fd_filestat_set_times, "iIIi"),
    ROW(fd_pread, "iiiIi"),
    ROW(fd_prestat_get, "ii"),
    ROW(fd_prestat_dir_name, "iii"),
    ROW(fd_pwrite, "iiiIi"),
    ROW(fd_read, "iiii"),
    ROW(fd_readdir, "iiiIi"),
    ROW(fd_renumber, "ii"),
    ROW(fd_seek, "iIii"),
    ROW(fd_sync, "i"),
    ROW(fd_tell, "ii"),
    ROW(fd_write, "iiii"),
    ROW(path_create_directory, "iii"),
    ROW(path_filestat_get, "iiiii"),
    ROW(path_filestat_set_times, "iiiiIIi"),
    ROW(path_link, "iiiiiii"),
    ROW(path_open, "iiiiiIIii"),
    ROW(path_readlink, "iiiiii"),
    ROW(path_remove_directory, "iii"),
    ROW(path_rename, "iiiiii"),
    ROW(path_symlink, "iiiii"),
    ROW(path_unlink_file, "iii"),
    ROW(poll_oneoff, "iiii"),
    {"proc_exit", "i", false, wasi_proc_exit},
    ROW(proc_raise, "i"),
    ROW(random_get, "ii"),
    ROW(sched_yield, ""),
    REFUSED(sock_accept, "iii"),
    REFUSED(sock_recv, "iiiiii"),
    REFUSED(sock_send, "iiiii"),
    REFUSED(sock_shutdown, "ii"),
};
const size_t wasi_function_count = sizeof wasi_functions / sizeof wasi_functions[0];
_Static_assert(sizeof wasi_functions / sizeof wasi_functions[0] <= WASI_MAX_FUNCTIONS,
               "a row has a bit in wasi_call_set");

const wasi_function *wasi_find(const char *name) {
    for (size_t i = 0; i < wasi_function_count; i++) {
        if (strcmp(wasi_functions[i].name, name) == 0) {
            return &wasi_functions[i];
        }
    }
    return NULL;
}

bool wasi_calls_add(wasi_call_set *set, const char *name) {
    size_t length = strlen(name);
    bool is_prefix = length > 0 && name[length - 1] == '*';
    bool found = false;
    for (size_t i = 0; i < wasi_function_count; i++) {
        const char *row = wasi_functions[i].name;
        if (is_prefix ? strncmp(row, name, length - 1) == 0 : strcmp(row, name) == 0) {
            *set |= (wasi_call_set)1 << i;
            found = true;
        }
    }
    return found;
}

static wasi_call_set set_of(const char *const *names) {
    wasi_call_set set = 0;
    for (; *names; names++) {
        (void)wasi_calls_add(&set, *names);
    }
    return set;
}

wasi_call_set wasi_calls_strict(void) {
    static const char *const names[] = {
        "args_*",        "environ_*",    "fd_read",        "fd_write",   "fd_seek",   "fd_close",
        "fd_fdstat_get", "fd_prestat_*", "clock_time_get", "random_get", "proc_exit", NULL};
    return set_of(names);
}

wasi_call_set wasi_calls_standard(void) {
    static const char *const names[] = {"fd_*",          "path_*",      "poll_oneoff",
                                        "clock_res_get", "sched_yield", NULL};
    return wasi_calls_strict() | set_of(names);
}
