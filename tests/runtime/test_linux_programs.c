/* Unmodified static programs of this machine's compiler over the guest's system calls: a traced
 * child takes the place of the virtual machine. It runs the program in memory that both share, and
 * none of its calls reaches the kernel. */
#include "support/check.h"

#if defined(__linux__) && defined(__x86_64__)

#include "runtime/grant_tree.h"
#include "runtime/microvm/elf.h"
#include "runtime/microvm/linux_calls.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#if !defined(PTRACE_SYSEMU)
#define PTRACE_SYSEMU 31
#endif

enum { SPACE_BYTES = 64 << 20, LIMIT_BYTES = 32 << 20, STACK_BYTES = 256 << 10 };

typedef struct traced_guest {
    int memory; /* of the guest, a file */
    uint8_t *ram;
    space space;
    linux_context *context;
    pid_t child;
    struct user_regs_struct registers; /* at the call that is answered */
} traced_guest;
static traced_guest g;

static bool set_thread_base(void *user, uint64_t address) {
    (void)user;
    g.registers.fs_base = address;
    return true;
}

static uint64_t get_thread_base(void *user) {
    (void)user;
    return g.registers.fs_base;
}

static const linux_machine machine = {.set_thread_base = set_thread_base,
                                      .get_thread_base = get_thread_base};

/* In the child: the guest's memory at the guest's addresses, and nothing of the program's own in
 * their way, since it lies above 4 GiB. Then it waits to be given registers. */
static void become_guest(void) {
    uint8_t *to = (uint8_t *)(uintptr_t)SPACE_LOWEST;
    size_t length = SPACE_BYTES - SPACE_LOWEST;
    void *at = mmap(to, length, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_SHARED | MAP_FIXED_NOREPLACE, g.memory, SPACE_LOWEST);
    if (at != to || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        _exit(99);
    }
    (void)raise(SIGSTOP);
    _exit(98);
}

/* Until it stops; false, and there is no child any more, when it ended. */
static bool wait_child(int *status) {
    bool stopped = waitpid(g.child, status, 0) == g.child && WIFSTOPPED(*status);
    g.child = stopped ? g.child : -1;
    return stopped;
}

static bool begin_child(uint64_t entry, uint64_t stack_pointer) {
    int status;
    g.child = fork();
    if (g.child == 0) {
        become_guest();
    }
    if (g.child < 0 || !wait_child(&status) ||
        ptrace(PTRACE_SETOPTIONS, g.child, NULL, PTRACE_O_EXITKILL) != 0 ||
        ptrace(PTRACE_GETREGS, g.child, NULL, &g.registers) != 0) {
        return false;
    }
    struct user_regs_struct r = {.rip = entry,
                                 .rsp = stack_pointer,
                                 .cs = g.registers.cs,
                                 .ss = g.registers.ss,
                                 .eflags = 0x202,
                                 .orig_rax = UINT64_MAX};
    return ptrace(PTRACE_SETREGS, g.child, NULL, &r) == 0;
}

/* Runs it to its end; the number of a signal that ended it, or 0. */
static int run_child(void) {
    int status;
    while (linux_ended(g.context) == LINUX_RUNS) {
        if (ptrace(PTRACE_SYSEMU, g.child, NULL, NULL) != 0 || !wait_child(&status) ||
            ptrace(PTRACE_GETREGS, g.child, NULL, &g.registers) != 0) {
            return -1;
        }
        if (WSTOPSIG(status) != SIGTRAP) {
            return WSTOPSIG(status);
        }
        const struct user_regs_struct *r = &g.registers;
        const uint64_t arguments[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};
        g.registers.rax = (uint64_t)linux_call(g.context, r->orig_rax, arguments);
        g.registers.orig_rax = UINT64_MAX;
        if (ptrace(PTRACE_SETREGS, g.child, NULL, &g.registers) != 0) {
            return -1;
        }
    }
    return 0;
}

/* False: this machine lets nobody trace. */
static bool run_program(const char *path, const char *const *arguments, int *signal) {
    static const char *const environment[] = {"COLOUR=blue", NULL};
    static linux_folder folder;
    elf_image image;
    tars_error err = {.message = ""};
    uint64_t stack_pointer = 0;
    size_t length;
    int status;
    uint8_t *bytes = check_read_file(path, &length);
    g = (traced_guest){.memory = memfd_create("guest", MFD_CLOEXEC)};
    if (g.memory < 0 || ftruncate(g.memory, SPACE_BYTES) != 0) {
        exit(1);
    }
    g.ram = mmap(NULL, SPACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, g.memory, 0);
    const space_options options = {
        .ram = g.ram, .size_bytes = SPACE_BYTES, .limit_bytes = LIMIT_BYTES};
    folder = (linux_folder){.host = scratch_path("grant"), .guest = "/data", .writable = true};
    const linux_options calls = {.space = &g.space,
                                 .machine = &machine,
                                 .program = "/data/program",
                                 .folders = &folder,
                                 .n_folders = 1,
                                 .files = true,
                                 .input = PLATFORM_NO_HANDLE,
                                 .output_bytes = 1 << 20,
                                 .file_bytes = 1 << 20,
                                 .n_files = 16,
                                 .stack_bytes = STACK_BYTES,
                                 .deadline_ns = platform_clock_ns() + 10000000000u};
    const elf_start start = {.arguments = arguments,
                             .environment = environment,
                             .program = arguments[0],
                             .stack_bytes = STACK_BYTES};
    bool ready = space_init(&g.space, &options, &err) == TARS_OK &&
                 elf_read(bytes, length, path, &image, &err) == TARS_OK &&
                 elf_load(&image, &g.space, &err) == TARS_OK &&
                 elf_make_stack(&image, &g.space, &start, &stack_pointer, &err) == TARS_OK &&
                 linux_create(&calls, &g.context, &err) == TARS_OK;
    free(bytes);
    CHECK_STRING(err.message, "");
    bool traced = ready && begin_child(image.entry, stack_pointer);
    *signal = traced ? run_child() : 0;
    if (g.child > 0) {
        (void)kill(g.child, SIGKILL);
        (void)waitpid(g.child, &status, 0);
    }
    return traced;
}

static void end_program(void) {
    linux_destroy(g.context);
    space_free(&g.space);
    (void)munmap(g.ram, SPACE_BYTES);
    (void)close(g.memory);
}

/* ---- programs ------------------------------------------------------------------------------ */

static const char source[] =
    "#include <dirent.h>\n"
    "#include <errno.h>\n"
    "#include <fcntl.h>\n"
    "#include <stdio.h>\n"
    "#include <stdlib.h>\n"
    "#include <string.h>\n"
    "#include <sys/mman.h>\n"
    "#include <sys/socket.h>\n"
    "#include <sys/stat.h>\n"
    "#include <time.h>\n"
    "#include <unistd.h>\n"
    "static int files(void) {\n"
    "    char line[100];\n"
    "    FILE *f = fopen(\"file\", \"r\");\n"
    "    if (!f || !fgets(line, sizeof line, f)) { return 1; }\n"
    "    printf(\"%s\\n\", line);\n"
    "    fclose(f);\n"
    "    f = fopen(\"/data/made\", \"w\");\n"
    "    if (!f || fprintf(f, \"%d\\n\", 42) < 0 || fclose(f) != 0) { return 2; }\n"
    "    DIR *d = opendir(\"/data/folder\");\n"
    "    int n = 0;\n"
    "    while (d && readdir(d)) { n++; }\n"
    "    if (!d || closedir(d) != 0) { return 3; }\n"
    "    printf(\"%d %s\\n\", n, getcwd(line, sizeof line));\n"
    "    struct stat s;\n"
    "    return stat(\"/etc/passwd\", &s) == 0 ? 4 : stat(\"made\", &s) != 0 ? 5 : (int)s.st_size "
    "- 3;\n"
    "}\n"
    "static int memory(void) {\n"
    "    char *blocks[64];\n"
    "    for (int i = 0; i < 64; i++) {\n"
    "        blocks[i] = malloc((size_t)i * 5000 + 1);\n"
    "        if (!blocks[i]) { return 1; }\n"
    "        memset(blocks[i], i, (size_t)i * 5000 + 1);\n"
    "    }\n"
    "    for (int i = 0; i < 64; i++) {\n"
    "        blocks[i] = realloc(blocks[i], (size_t)i * 9000 + 1);\n"
    "        if (!blocks[i] || blocks[i][0] != i) { return 2; }\n"
    "        free(blocks[i]);\n"
    "    }\n"
    "    if (malloc((size_t)100 << 20)) { return 3; }\n"
    "    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | "
    "MAP_ANONYMOUS,\n"
    "                   -1, 0);\n"
    "    return p != MAP_FAILED ? 4 : errno == EACCES ? 0 : 5;\n"
    "}\n"
    "int main(int argc, char **argv) {\n"
    "    struct timespec t = {0, 1000000};\n"
    "    if (argc < 2) { return 9; }\n"
    "    printf(\"%s %s %d\\n\", argv[1], getenv(\"COLOUR\"), (int)getpid());\n"
    "    fprintf(stderr, \"uid %d\\n\", (int)getuid());\n"
    "    if (strcmp(argv[1], \"abort\") == 0) { fflush(stdout); abort(); }\n"
    "    if (strcmp(argv[1], \"socket\") == 0) { return socket(2, 1, 0) < 0 && errno == EPERM ? 7 "
    ": 8; }\n"
    "    if (strcmp(argv[1], \"sleep\") == 0) { return nanosleep(&t, NULL); }\n"
    "    if (strcmp(argv[1], \"deep\") == 0) { volatile char big[200000]; big[0] = 1; return "
    "big[0] - 1; }\n"
    "    return strcmp(argv[1], \"files\") == 0 ? files() : memory();\n"
    "}\n";

typedef struct program_row {
    const char *argument;
    linux_end end;
    uint32_t code;
    const char *output;
} program_row;

static const program_row rows[] = {
    {"files", LINUX_EXITED, 0, "files blue 1000\nhello world\n5 /data\n"},
    {"memory", LINUX_EXITED, 0, "memory blue 1000\n"},
    {"sleep", LINUX_EXITED, 0, "sleep blue 1000\n"},
    {"deep", LINUX_EXITED, 0, "deep blue 1000\n"},
    {"socket", LINUX_EXITED, 7, "socket blue 1000\n"},
    {"abort", LINUX_SIGNALLED, SIGABRT, "abort blue 1000\n"},
};

static bool try_row(const program_row *row, const char *flags) {
    const char *const arguments[] = {"/data/program", row->argument, NULL};
    int signal;
    bool traced = run_program(scratch_path("program"), arguments, &signal);
    if (traced) {
        const runtime_violations *list = linux_violations(g.context);
        for (size_t i = 0; i < list->count; i++) {
            bool wanted = strcmp(list->rows[i].name, "socket") == 0 ||
                          (strcmp(list->rows[i].name, "mmap") == 0 && list->rows[i].count == 1);
            if (!wanted) {
                check_fail(__FILE__, __LINE__, "%s, %s: %s %s", flags, row->argument,
                           list->rows[i].kind, list->rows[i].name);
            }
        }
        if (signal != 0) {
            check_fail(__FILE__, __LINE__, "%s, %s: signal %d at 0x%llx", flags, row->argument,
                       signal, (unsigned long long)g.registers.rip);
        }
        CHECK_INT(linux_ended(g.context), row->end);
        CHECK_INT(linux_code(g.context), row->code);
        CHECK_STRING(linux_output(g.context).data, row->output);
        CHECK_STRING(linux_errors(g.context).data, "uid 65534\n");
    }
    end_program();
    return traced;
}

static void try_flags(const char *compiler, const char *flags) {
    char command[4000];
    tree_make();
    scratch_write(scratch_path("program.c"), source, sizeof source - 1);
    snprintf(command, sizeof command, "%s -O1 %s -o '%s' '%s' 2>/dev/null", compiler, flags,
             scratch_path("program"), scratch_path("program.c"));
    bool compiled = system(command) == 0;
    if (!compiled) {
        check_skip("no %s here that makes programs with %s", compiler, flags);
    }
    for (size_t i = 0; compiled && i < sizeof rows / sizeof rows[0]; i++) {
        if (!try_row(&rows[i], flags)) {
            check_skip("no process can be traced here");
            break;
        }
    }
    tree_remove();
}

static void static_programs_run(void) {
    try_flags("cc", "-static");
}

static void static_pie_programs_run(void) {
    try_flags("cc", "-static-pie");
}

static void musl_programs_run(void) {
    try_flags("musl-gcc", "-static");
}

static const check_test table[] = {
    {"static programs run", static_programs_run},
    {"static-PIE programs run", static_pie_programs_run},
    {"musl programs run", musl_programs_run},
};

#else

static void is_not_here(void) {
    check_skip("micro-VMs are x86-64 Linux's");
}
static const check_test table[] = {{"is not here", is_not_here}};

#endif

CHECK_MAIN(table)
