/* Names of calls in the configuration: of WASI, of the system. */
#include "base/nearest.h"
#include "config/rules.h"
#include "platform/platform.h"

#include <string.h>

const char *const config_wasi_calls[] = {"args_get",
                                         "args_sizes_get",
                                         "environ_get",
                                         "environ_sizes_get",
                                         "clock_res_get",
                                         "clock_time_get",
                                         "fd_advise",
                                         "fd_allocate",
                                         "fd_close",
                                         "fd_datasync",
                                         "fd_fdstat_get",
                                         "fd_fdstat_set_flags",
                                         "fd_fdstat_set_rights",
                                         "fd_filestat_get",
                                         "fd_filestat_set_size",
                                         "fd_filestat_set_times",
                                         "fd_pread",
                                         "fd_prestat_get",
                                         "fd_prestat_dir_name",
                                         "fd_pwrite",
                                         "fd_read",
                                         "fd_readdir",
                                         "fd_renumber",
                                         "fd_seek",
                                         "fd_sync",
                                         "fd_tell",
                                         "fd_write",
                                         "path_create_directory",
                                         "path_filestat_get",
                                         "path_filestat_set_times",
                                         "path_link",
                                         "path_open",
                                         "path_readlink",
                                         "path_remove_directory",
                                         "path_rename",
                                         "path_symlink",
                                         "path_unlink_file",
                                         "poll_oneoff",
                                         "proc_exit",
                                         "proc_raise",
                                         "random_get",
                                         "sched_yield",
                                         "sock_accept",
                                         "sock_recv",
                                         "sock_send",
                                         "sock_shutdown",
                                         NULL};

static const char *wasi_call(size_t index) {
    return config_wasi_calls[index];
}

/* A name, or with * at its end the beginning of one. */
static bool matches(const char *name, const char *pattern) {
    size_t length = strlen(pattern);
    bool is_prefix = length > 0 && pattern[length - 1] == '*';
    return is_prefix ? strncmp(name, pattern, length - 1) == 0 : strcmp(name, pattern) == 0;
}

/* Tells of each text of the list that none of the names is. `what`: "WASI call". */
static void check_names(const rules *r, const char *code, const config_value *list,
                        const char *path, const char *what, const char *(*name_at)(size_t index)) {
    for (const config_value *v = list ? list->first : NULL; v; v = v->next) {
        nearest_search search;
        bool found = false;
        nearest_init(&search, v->text);
        for (size_t i = 0; name_at(i) && !found; i++) {
            found = matches(name_at(i), v->text);
            nearest_offer(&search, name_at(i));
        }
        const char *nearest = nearest_result(&search);
        if (!found) {
            rules_tell(r, code, v, path, "there is no %s \"%.80s\"%s%s%s", what, v->text,
                       nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                       nearest ? "\"?" : "");
        }
    }
}

static void check_system_calls(const rules *r, const config_value *profile, const char *path) {
    char own[600];
    text_buffer text;
    text_init(&text, own, sizeof own);
    text_append_string(&text, path);
    text_append_string(&text, ".syscalls");
    if (platform_jail_call_name(0)) { /* else nothing here knows their names */
        check_names(r, "C0335", config_member(profile, "syscalls"), own,
                    "system call beyond the base that the profile trusted allows",
                    platform_jail_call_name);
    }
}

void rules_check_calls(const rules *r) {
    static const char allowed[] = "deployment.wasm.wasi.allowed_calls";
    check_names(r, "C0329", rules_at(r, allowed), allowed, "WASI call", wasi_call);
    rules_each(r, "deployment.security.profiles", check_system_calls);
}
