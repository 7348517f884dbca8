/* A process behind the walls of a virtual machine's host runs its machine, its threads and its
 * files, and ends at whatever else it tries. */
#include "support/check.h"

#if defined(__linux__) && defined(__x86_64__)

#include "forked_fixture.h"
#include "platform/vmm_walls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Numbers that older headers lack. */
enum {
    IO_URING_SETUP = 425,
    PIDFD_OPEN = 434,
    CLONE3 = 435,
    OPENAT2 = 437,
    PROCESS_MADVISE = 440,
    LANDLOCK_CREATE = 444,
    FCHMODAT2 = 452
};

static char place[64]; /* with folder/inside, folder/out -> ../outside, and outside */

static void make_file(const char *folder, const char *name, mode_t mode) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int handle = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, mode);
    CHECK(handle >= 0 && write(handle, name, strlen(name)) > 0);
    close(handle);
}

static void make_place(void) {
    char folder[80], link[96];
    snprintf(place, sizeof place, "/tmp/tars-walls-XXXXXX");
    CHECK(mkdtemp(place));
    snprintf(folder, sizeof folder, "%s/folder", place);
    CHECK_INT(mkdir(folder, 0755), 0);
    make_file(folder, "inside", 0644);
    make_file(place, "outside", 0644);
    snprintf(link, sizeof link, "%s/out", folder);
    CHECK_INT(symlink("../outside", link), 0);
}

static void remove_place(void) {
    static const char *const names[] = {"folder/inside", "folder/out", "folder/new", "outside"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", place, names[i]);
        (void)unlink(path);
    }
    snprintf(path, sizeof path, "%s/folder", place);
    (void)rmdir(path);
    CHECK_INT(rmdir(place), 0);
}

static int open_folder(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/folder", place);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(folder >= 0);
    return folder;
}

typedef enum folder_kind { NO_FOLDER, TO_READ, TO_WRITE } folder_kind;

static bench machine;
static int folder_handle;

static const int *refused; /* system calls that fail with EPERM, -1 behind them */

static void refuse(int number) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof code / sizeof code[0], code};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
        _exit(NO_FILTERS);
    }
}

static platform_vmm_report report;

/* A machine, then both phases; false when the last one fails. */
static bool try_to_enter(folder_kind kind) {
    static const uint8_t call_and_loop[] = {0x0F, 0x05, 0xEB, 0xFE};
    tars_error err = {.message = ""};
    platform_vmm_folder folder = {.handle = PLATFORM_NO_HANDLE, .writable = kind == TO_WRITE};
    if (kind != NO_FOLDER) {
        folder_handle = open_folder();
        folder.handle = folder_handle;
    }
    for (const int *at = refused; at && *at >= 0; at++) {
        refuse(*at);
    }
    tars_status status = platform_vmm_walls_first(&err);
    if (status == TARS_UNAVAILABLE) {
        _exit(NO_FILTERS);
    }
    REQUIRE(status == TARS_OK);
    REQUIRE(begin(&machine, call_and_loop, sizeof call_and_loop));
    platform_vmm_walls walls = {.folders = &folder,
                                .n_folders = kind != NO_FOLDER,
                                .file_bytes = 1 << 20,
                                .n_files = 64,
                                .cpu_seconds = 60};
    REQUIRE(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    status = platform_vmm_walls_last(&walls, &report, &err);
    REQUIRE(status == TARS_OK || (status == TARS_UNAVAILABLE && err.message[0] != '\0'));
    return status == TARS_OK;
}

static void enter(folder_kind kind) {
    REQUIRE(try_to_enter(kind));
}

/* ---- what it can ------------------------------------------------------------------------- */

static void add_one(void *argument) {
    atomic_fetch_add((atomic_uint *)argument, 1);
}

static void machines_and_threads_run(void) {
    atomic_uint count = 0;
    platform_thread thread;
    vmm_processor *second = NULL;
    tars_error err;
    vmm_exit e;
    enter(NO_FOLDER);
    REQUIRE(machine.vmm->run(machine.processor, 30 * SECOND_NS, &e, &err) == TARS_OK);
    REQUIRE(e.kind == VMM_EXIT_PORT && e.port == PORT_CALL);
    REQUIRE(machine.vmm->processor_create(machine.machine, &second, &err) == TARS_OK);
    REQUIRE(machine.vmm->attach(second, &err) == TARS_OK);
    machine.vmm->detach(second);
    machine.vmm->processor_destroy(second);
    REQUIRE(platform_thread_create("more", add_one, &count, &thread, &err) == TARS_OK);
    platform_thread_join(&thread);
    REQUIRE(atomic_load(&count) == 1);
    REQUIRE(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == -1 && errno == EPERM);
    void *memory = malloc(1 << 24);
    REQUIRE(memory);
    free(memory);
}

static bool can_open(platform_handle folder, const char *path, unsigned flags) {
    platform_handle handle;
    platform_entry entry;
    bool done =
        platform_beneath_open(folder, path, flags, 0644, &handle, &entry) == PLATFORM_FAULT_NONE;
    if (done) {
        platform_handle_close(handle);
    }
    return done;
}

/* As one who has taken the process over: not by the functions of the port. */
static bool leads_out(void) {
    static const char *const paths[] = {
        "../outside", "out", "/etc/passwd", "/proc/self/maps", "../../../etc/passwd", "/dev/kvm"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct {
            uint64_t flags, mode, resolve;
        } how = {O_RDONLY, 0, 0};
        if (openat(folder_handle, paths[i], O_RDONLY) >= 0 ||
            syscall(OPENAT2, folder_handle, paths[i], &how, sizeof how) >= 0) {
            return true;
        }
    }
    return false;
}

static void files_are_read(void) {
    enter(TO_READ);
    platform_listing listing;
    REQUIRE(can_open(folder_handle, "inside", PLATFORM_OPEN_READ));
    REQUIRE(!can_open(folder_handle, "inside", PLATFORM_OPEN_WRITE));
    REQUIRE(!can_open(folder_handle, "new", PLATFORM_OPEN_WRITE | PLATFORM_OPEN_CREATE));
    REQUIRE(!leads_out());
    REQUIRE(platform_listing_open(folder_handle, &listing) == PLATFORM_FAULT_NONE);
    platform_listing_close(&listing);
}

static void files_are_written(void) {
    enter(TO_WRITE);
    REQUIRE(can_open(folder_handle, "inside", PLATFORM_OPEN_READ | PLATFORM_OPEN_WRITE));
    REQUIRE(can_open(folder_handle, "new", PLATFORM_OPEN_WRITE | PLATFORM_OPEN_CREATE));
    REQUIRE(platform_beneath_set_mode(folder_handle, "new", false, 0600) == PLATFORM_FAULT_NONE);
    REQUIRE(platform_beneath_make_link("inside", folder_handle, "link") == PLATFORM_FAULT_NONE);
    REQUIRE(platform_beneath_remove_file(folder_handle, "link") == PLATFORM_FAULT_NONE);
    struct {
        uint64_t flags, mode, resolve;
    } how = {O_CREAT | O_WRONLY, 04755, 0};
    REQUIRE(syscall(OPENAT2, folder_handle, "rights", &how, sizeof how) == -1 && errno == ENOSYS);
    REQUIRE(!leads_out());
    REQUIRE(fchmodat(folder_handle, "/etc/passwd", 0600, 0) == -1);
    REQUIRE(fchmodat(folder_handle, "../outside", 0600, 0) == -1);
}

static bool can(const char *what, void (*function)(void)) {
    int status = 0;
    if (!find_end(function, &status)) {
        return false;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        check_fail(__FILE__, __LINE__, "%s: ended with %d, signal %d", what, WEXITSTATUS(status),
                   WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
    return true;
}

static void what_runs_a_machine_is_left(void) {
    make_place();
    (void)(can("a machine", machines_and_threads_run) && can("reading", files_are_read) &&
           can("writing", files_are_written));
    remove_place();
}

/* ---- what ends it ------------------------------------------------------------------------ */

typedef struct forbidden_row {
    const char *name;
    long number;
    long arguments[4];
} forbidden_row;

#define THREAD_FLAGS 0x3d0f00L

/* In no phase. */
static const forbidden_row never[] = {
    {"socket", SYS_socket, {1, 1, 0}},
    {"socketpair", SYS_socketpair, {1, 1, 0}},
    {"connect", SYS_connect, {0, 0, 0}},
    {"sendto", SYS_sendto, {0, 0, 0}},
    {"execve", SYS_execve, {0, 0, 0}},
    {"execveat", SYS_execveat, {0, 0, 0}},
    {"ptrace", SYS_ptrace, {0, 0, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {1, 0, 0}},
    {"process_vm_writev", SYS_process_vm_writev, {1, 0, 0}},
    {"process_madvise", PROCESS_MADVISE, {0, 0, 0}},
    {"kill", SYS_kill, {1, 0}},
    {"tkill", SYS_tkill, {1, 0}},
    {"tgkill of another process", SYS_tgkill, {1, 1, 0}},
    {"pidfd_open", PIDFD_OPEN, {1, 0}},
    {"fork", SYS_fork, {0}},
    {"vfork", SYS_vfork, {0}},
    {"clone of a process", SYS_clone, {SIGCHLD, 0, 0}},
    {"clone of a thread in a namespace", SYS_clone, {THREAD_FLAGS | CLONE_NEWUSER, 0, 0}},
    {"clone of what shares memory", SYS_clone, {CLONE_VM | SIGCHLD, 0, 0}},
    {"io_uring_setup", IO_URING_SETUP, {1, 0}},
    {"bpf", SYS_bpf, {0, 0, 0}},
    {"perf_event_open", SYS_perf_event_open, {0, 0, 0}},
    {"userfaultfd", SYS_userfaultfd, {0}},
    {"keyctl", SYS_keyctl, {0, 0, 0}},
    {"setns", SYS_setns, {0, 0}},
    {"chroot", SYS_chroot, {0}},
    {"setuid", SYS_setuid, {0}},
    {"init_module", SYS_init_module, {0, 0, 0}},
    {"memfd_create", SYS_memfd_create, {0, 0}},
    {"shmget", SYS_shmget, {0, 0, 0}},
    {"inotify_init1", SYS_inotify_init1, {0}},
    {"a call that there is not", 1000, {0}},
};

/* Only of the first phase. */
static const forbidden_row at_last[] = {
    {"open", SYS_open, {0, O_RDONLY}},
    {"openat of the working folder", SYS_openat, {AT_FDCWD, 0, O_RDONLY}},
    {"openat", SYS_openat, {3, 0, O_RDONLY}},
    {"openat2", OPENAT2, {3, 0, 0, 0}},
    {"access", SYS_access, {0, 0}},
    {"stat of the working folder", SYS_newfstatat, {AT_FDCWD, 0, 0, 0}},
    {"unlinkat", SYS_unlinkat, {3, 0, 0}},
    {"fchmodat", SYS_fchmodat, {3, 0, 0}},
    {"dup3", SYS_dup3, {0, 1, 0}},
    {"unshare", SYS_unshare, {0}},
    {"mount", SYS_mount, {0, 0, 0, 0}},
    {"prlimit64", SYS_prlimit64, {0, 0, 0, 0}},
    {"capset", SYS_capset, {0, 0}},
    {"seccomp", SYS_seccomp, {0, 0, 0}},
    {"memory to execute", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE}},
    {"memory made executable", SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}},
    {"fcntl of locks", SYS_fcntl, {0, F_SETLK, 0}},
    {"fcntl of a copy", SYS_fcntl, {0, F_DUPFD, 0}},
    {"fcntl of an owner", SYS_fcntl, {0, F_SETOWN, 1}},
    {"KVM_CREATE_VM", SYS_ioctl, {3, KVM_CREATE_VM, 0}},
    {"KVM_CREATE_DEVICE", SYS_ioctl, {3, (long)KVM_CREATE_DEVICE, 0}},
    {"KVM_CREATE_IRQCHIP", SYS_ioctl, {3, KVM_CREATE_IRQCHIP, 0}},
    {"KVM_ENABLE_CAP", SYS_ioctl, {3, KVM_ENABLE_CAP, 0}},
    {"KVM_IOEVENTFD", SYS_ioctl, {3, KVM_IOEVENTFD, 0}},
    {"KVM_GET_MSRS", SYS_ioctl, {3, (long)KVM_GET_MSRS, 0}},
};

/* With a folder to write in. */
static const forbidden_row with_folder[] = {
    {"a file with its owner's rights", SYS_openat, {3, 0, O_CREAT | O_WRONLY, 04755}},
    {"giving a file its owner's rights", SYS_fchmod, {3, 04755}},
    {"giving a name its owner's rights", SYS_fchmodat, {3, 0, 02755}},
    {"giving a name its owner's rights by the newer call", FCHMODAT2, {3, 0, 04755, 0}},
    {"a folder whose files are its group's", SYS_mkdirat, {3, 0, 02755}},
    {"another owner", SYS_fchown, {3, 0, 0}},
    {"another owner of a name", SYS_fchownat, {3, 0, 0, 0}},
    {"a device", SYS_mknodat, {3, 0, 020666, 0}},
    {"attributes", SYS_fsetxattr, {3, 0, 0, 0}},
    {"a name in the working folder", SYS_unlinkat, {AT_FDCWD, 0, 0}},
    {"a name from the working folder", SYS_renameat, {AT_FDCWD, 0, 3, 0}},
    {"a name to the working folder", SYS_linkat, {3, 0, AT_FDCWD, 0}},
    {"a link in the working folder", SYS_symlinkat, {0, AT_FDCWD, 0}},
    {"chdir", SYS_chdir, {0}},
    {"fchdir", SYS_fchdir, {3}},
    {"mount", SYS_mount, {0, 0, 0, 0}},
    {"socket", SYS_socket, {1, 1, 0}},
};

static const forbidden_row *tried;
static bool tried_at_last;
static folder_kind tried_with;

static void try_row(void) {
    struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (tried_at_last) {
        enter(tried_with);
    } else {
        tars_error err;
        REQUIRE(platform_vmm_walls_first(&err) == TARS_OK);
    }
    const long *a = tried->arguments;
    (void)syscall(tried->number, a[0], a[1], a[2], a[3], 0, 0);
}

static void check_rows(const forbidden_row *rows, size_t n, bool last) {
    tried_at_last = last;
    for (size_t i = 0; i < n; i++) {
        tried = &rows[i];
        int status = 0;
        if (!find_end(try_row, &status) || !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
            check_fail(__FILE__, __LINE__, "%s, phase %d: not ended by the filter but %d",
                       rows[i].name, last ? 2 : 1, status);
        }
    }
}

static void nothing(void) {
    enter(NO_FOLDER);
}

static void everything_else_ends_it(void) {
    if (can("nothing", nothing)) {
        check_rows(never, sizeof never / sizeof never[0], false);
        check_rows(never, sizeof never / sizeof never[0], true);
        check_rows(at_last, sizeof at_last / sizeof at_last[0], true);
        make_place();
        tried_with = TO_WRITE;
        check_rows(with_folder, sizeof with_folder / sizeof with_folder[0], true);
        remove_place();
    }
}

static void other_ways_fail(void) {
    enter(NO_FOLDER);
    REQUIRE(syscall(CLONE3, NULL, 0) == -1 && errno == ENOSYS);
    REQUIRE(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == -1 && errno == EPERM);
    REQUIRE(ioctl(0, TIOCSTI, "x") == -1 && errno == ENOTTY);
    REQUIRE(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGRTMIN + 5) == 0);
}

static void what_libraries_ask_fails(void) {
    (void)can("other ways", other_ways_fail);
}

/* ---- one wall without the others ----------------------------------------------------------- */

static bool lacks(const char *what) {
    for (size_t i = 0; i < report.n_missing; i++) {
        if (strncmp(report.missing[i], what, strlen(what)) == 0) {
            return true;
        }
    }
    return false;
}

static const int no_root[] = {SYS_unshare, -1};
static const int no_rules[] = {LANDLOCK_CREATE, -1};
static const int neither[] = {SYS_unshare, LANDLOCK_CREATE, -1};

static void rules_alone(void) {
    refused = no_root;
    enter(TO_WRITE);
    REQUIRE(lacks("a root folder") && !lacks("Landlock"));
    REQUIRE(can_open(folder_handle, "inside", PLATFORM_OPEN_READ | PLATFORM_OPEN_WRITE));
    REQUIRE(!leads_out());
}

static void root_alone(void) {
    refused = no_rules;
    enter(TO_WRITE);
    REQUIRE(!lacks("a root folder") && lacks("Landlock"));
    REQUIRE(can_open(folder_handle, "inside", PLATFORM_OPEN_READ | PLATFORM_OPEN_WRITE));
    REQUIRE(!leads_out());
    REQUIRE(fchmodat(folder_handle, "/etc/passwd", 0600, 0) == -1);
}

static void root_alone_forbids_writing(void) {
    refused = no_rules;
    enter(TO_READ);
    REQUIRE(openat(folder_handle, "inside", O_WRONLY) == -1 && errno == EROFS);
}

static void neither_with_a_folder(void) {
    refused = neither;
    REQUIRE(!try_to_enter(TO_READ));
}

static void neither_without_folders(void) {
    refused = neither;
    enter(NO_FOLDER);
    REQUIRE(report.n_missing == 2);
}

static void each_wall_stands_alone(void) {
    make_place();
    if (can("rules and a root", files_are_read) && can("rules", rules_alone)) {
        (void)can("a root", root_alone);
        (void)can("a root, to read", root_alone_forbids_writing);
        (void)can("neither, with a folder", neither_with_a_folder);
        (void)can("neither, without folders", neither_without_folders);
    }
    remove_place();
}

static const check_test table[] = {
    {"each wall stands alone", each_wall_stands_alone},
    {"what runs a machine is left", what_runs_a_machine_is_left},
    {"everything else ends it", everything_else_ends_it},
    {"what libraries ask besides fails", what_libraries_ask_fails},
};

#else

static void no_machines(void) {
    check_skip("no virtual machines on this system");
}

static const check_test table[] = {{"what runs a machine is left", no_machines}};

#endif

CHECK_MAIN(table)
