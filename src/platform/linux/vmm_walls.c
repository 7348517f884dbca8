#include "platform/vmm_walls.h"

#if defined(__x86_64__)

#include "base/text.h"
#include "platform/internal.h"
#include "platform/linux/vmm_walls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's numbers and constants, for C libraries whose headers are older than they are. */
enum { CALL_OPEN_TREE = 428, CALL_MOUNT_SETATTR = 442 };
enum { TREE_CLONE = 1, TREE_CLOSE_ON_EXEC = O_CLOEXEC, RECURSIVE = 0x8000, EMPTY_PATH = 0x1000 };
enum {
    READ_ONLY = 1,
    NO_SET_USER = 2,
    NO_DEVICES = 4,
    NO_PROGRAMS = 8,
    CAPABILITIES = 64 /* more than there are */
};
typedef struct mount_attributes {
    uint64_t set, clear, propagation, user_namespace;
} mount_attributes;

static void miss(platform_vmm_report *report, const char *what, const char *why) {
    if (report->n_missing < PLATFORM_VMM_MISSING) {
        text_buffer text;
        text_init(&text, report->missing[report->n_missing++], PLATFORM_VMM_TEXT_BYTES);
        text_format(&text, "%s: %s", what, why);
    }
}

static const char *reason_of(int number) {
    return number == EPERM || number == EACCES        ? "not permitted to this user"
           : number == ENOSYS || number == EOPNOTSUPP ? "this kernel has none"
           : number == ENOSPC || number == EUSERS     ? "the system's limit is reached"
           : number == EINVAL                         ? "this kernel does not take it"
                                                      : strerror(number);
}

static tars_status no_filter(const char *reason, tars_error *err) {
    error_set(err, TARS_UNAVAILABLE,
              "unavailable: no filter of system calls for the process of a virtual machine: %s",
              reason);
    return error_hint(err, "run it without --isolate-host, or on a kernel that has seccomp");
}

tars_status platform_vmm_walls_first(tars_error *err) {
    const char *reason = "";
    platform_hardening none = {0};
    (void)signal(SIGINT, SIG_IGN); /* a terminal asks its parent too, which decides */
    platform_hardening_report report;
    tars_status status = platform_harden(&none, &report, err);
    if (status != TARS_OK) {
        return status;
    }
    if (!report.no_new_privileges || !report.not_dumpable) {
        return error_set(err, TARS_UNAVAILABLE, "unavailable: %s", report.missing);
    }
    return vmm_filter_install((vmm_filter_wanted){.phase = VMM_FILTER_WIDE}, &reason)
               ? TARS_OK
               : no_filter(reason, err);
}

/* ---- a root without files ---------------------------------------------------------------- */

static bool write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool done = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    int number = errno;
    if (file >= 0) {
        (void)close(file);
    }
    errno = number;
    return done;
}

/* In a namespace of its own the user is who he was, and nobody else is anybody; he may do there
 * what else only root may. */
static bool enter_user_namespace(void) {
    char users[64], groups[64];
    (void)snprintf(users, sizeof users, "%u %u 1\n", (unsigned)geteuid(), (unsigned)geteuid());
    (void)snprintf(groups, sizeof groups, "%u %u 1\n", (unsigned)getegid(), (unsigned)getegid());
    return unshare(CLONE_NEWUSER) == 0 &&
           prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 && /* else these are root's */
           write_file("/proc/self/uid_map", users) && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/gid_map", groups);
}

/* Mounts are copied by their name in the namespace of now; the handle is of the one before. */
static int copy_tree(int folder) {
    char link[64], path[PLATFORM_PATH_BYTES];
    struct stat wanted, found;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) {
        return -1;
    }
    path[length] = '\0';
    int tree =
        (int)syscall(CALL_OPEN_TREE, AT_FDCWD, path, TREE_CLONE | TREE_CLOSE_ON_EXEC | RECURSIVE);
    if (tree >= 0 && (fstat(folder, &wanted) != 0 || fstat(tree, &found) != 0 ||
                      wanted.st_dev != found.st_dev || wanted.st_ino != found.st_ino)) {
        (void)close(tree); /* another one is there by now */
        errno = ENOENT;
        return -1;
    }
    return tree;
}

/* A copy of the folder's mounts that hangs nowhere takes the place of its handle: above it is
 * nothing, and where nothing may be written the kernel knows it. */
static bool detach(const platform_vmm_folder *folder) {
    int tree = copy_tree((int)folder->handle);
    mount_attributes wanted = {.set = NO_SET_USER | NO_DEVICES | NO_PROGRAMS |
                                      (folder->writable ? 0u : (uint64_t)READ_ONLY)};
    bool done = tree >= 0 && syscall(CALL_MOUNT_SETATTR, tree, "", EMPTY_PATH | RECURSIVE, &wanted,
                                     sizeof wanted) == 0;
    int readable = done ? openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    done = readable >= 0 && dup3(readable, (int)folder->handle, O_CLOEXEC) >= 0;
    int number = errno;
    const int handles[] = {tree, readable};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        if (handles[i] >= 0) {
            (void)close(handles[i]);
        }
    }
    errno = number;
    return done;
}

static bool enter_empty_root(void) {
    static const char *const places[] = {"/tmp", "/var", "/mnt", "/proc"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (mount("tars", places[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
                  "size=4k,mode=0555") == 0) {
            return chdir(places[i]) == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
                   umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
        }
    }
    return false;
}

/* False: absolute paths, and .. from a folder, lead to this machine's files as before. */
static bool leave_root(const platform_vmm_walls *walls, platform_vmm_report *report) {
    bool done = unshare(CLONE_NEWNS) == 0;
    if (!done && errno == EPERM) {
        done = enter_user_namespace() && unshare(CLONE_NEWNS) == 0;
    }
    done = done && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    for (size_t i = 0; i < walls->n_folders && done; i++) {
        done = detach(&walls->folders[i]);
    }
    done = done && enter_empty_root();
    if (!done) {
        miss(report, "a root folder without files", reason_of(errno));
    }
    return done;
}

/* ---- everything else --------------------------------------------------------------------- */

static bool enter_rules(const platform_vmm_walls *walls, platform_vmm_report *report) {
    uint64_t handled = 0;
    int rules = landlock_begin(&handled);
    bool done = rules >= 0;
    for (size_t i = 0; i < walls->n_folders && done; i++) {
        done = landlock_allow_folder(rules, (int)walls->folders[i].handle,
                                     walls->folders[i].writable, handled);
    }
    done = done && landlock_enter(rules);
    if (!done) {
        miss(report, "Landlock", reason_of(errno));
    }
    return done;
}

static void give_up_capabilities(platform_vmm_report *report) {
    for (unsigned long capability = 0; capability < CAPABILITIES; capability++) {
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {{0}};
    if (syscall(SYS_capset, &head, none) != 0) {
        miss(report, "giving up capabilities", reason_of(errno));
    }
}

static tars_status forbid_rest(const platform_vmm_walls *walls, tars_error *err) {
    bool reads = walls->n_folders > 0;
    bool changes = false;
    const char *reason = "";
    for (size_t i = 0; i < walls->n_folders; i++) {
        changes = changes || walls->folders[i].writable;
    }
    platform_hardening wanted = {.n_files = walls->n_files,
                                 .cpu_seconds = walls->cpu_seconds,
                                 .file_size_bytes = walls->file_bytes};
    platform_hardening_report report;
    tars_status status = platform_harden(&wanted, &report, err);
    if (status != TARS_OK) {
        return status;
    }
    if (!report.not_dumpable) {
        return error_set(err, TARS_UNAVAILABLE, "unavailable: %s", report.missing);
    }
    /* new rights of the namespace took it away */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    return vmm_filter_install((vmm_filter_wanted){.phase = VMM_FILTER_STRICT,
                                                  .reads_paths = reads,
                                                  .changes_paths = changes},
                              &reason)
               ? TARS_OK
               : no_filter(reason, err);
}

tars_status platform_vmm_walls_last(const platform_vmm_walls *walls, platform_vmm_report *report,
                                    tars_error *err) {
    *report = (platform_vmm_report){.n_missing = 0};
    bool has_root = leave_root(walls, report);
    bool has_rules = enter_rules(walls, report);
    if (walls->n_folders > 0 && !has_root && !has_rules) {
        error_set(err, TARS_UNAVAILABLE,
                  "unavailable: nothing keeps the process of a virtual machine to the granted "
                  "folders (%s; %s)",
                  report->missing[0], report->missing[1]);
        return error_hint(err, "run it without --dir, or without --isolate-host");
    }
    give_up_capabilities(report);
    return forbid_rest(walls, err);
}

#endif
