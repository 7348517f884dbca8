/* A program that is run in sandboxes by tests/runtime/test_sandbox.c and tests/cli/exec.bats: the
 * first argument says what it tries. It ends with 0 when that worked, with 9 when it was refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { WORKED = 0, REFUSED = 9, CHUNK = 1 << 20 };

typedef struct trial {
    const char *name;
    int (*run)(const char *argument);
} trial;

static int verdict(long result) {
    return result >= 0 ? WORKED : REFUSED;
}

static int try_exit(const char *argument) {
    return argument[0] - '0';
}
static int try_abort(const char *argument) {
    (void)argument;
    abort();
}
static int try_crash(const char *argument) {
    *(volatile int *)(unsigned long)strlen(argument) = 1;
    return WORKED;
}
static int try_say(const char *argument) {
    printf("%s\n", argument);
    return WORKED;
}
static int try_environment(const char *argument) {
    (void)argument;
    for (char **e = environ; *e; e++) {
        printf("%s\n", *e);
    }
    return WORKED;
}
static int try_descriptors(const char *argument) {
    int n = 0;
    (void)argument;
    for (int fd = 0; fd < 2000; fd++) {
        struct stat info;
        n += fstat(fd, &info) == 0;
    }
    printf("%d\n", n);
    return WORKED;
}
static int try_copy(const char *argument) {
    char bytes[4096];
    ssize_t n;
    (void)argument;
    while ((n = read(0, bytes, sizeof bytes)) > 0) {
        if (write(1, bytes, (size_t)n) != n) {
            return REFUSED;
        }
    }
    return WORKED;
}
static int try_user(const char *argument) {
    (void)argument;
    printf("%d %d\n", (int)getuid(), (int)getgid());
    return WORKED;
}

static int try_socket(const char *argument) {
    (void)argument;
    return verdict(socket(AF_INET, SOCK_STREAM, 0));
}
static int try_ptrace(const char *argument) {
    (void)argument;
    return verdict(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int try_mount(const char *argument) {
    (void)argument;
    return verdict(mount("none", "/", "tmpfs", 0, NULL));
}
static int try_kill(const char *argument) {
    (void)argument;
    return verdict(kill(getppid() > 0 ? getppid() : 1, SIGKILL));
}
static int try_kill_all(const char *argument) {
    (void)argument;
    return verdict(kill(-1, SIGKILL));
}
static int try_become_root(const char *argument) {
    (void)argument;
    return verdict(setuid(0));
}
static int try_namespace(const char *argument) {
    (void)argument;
    return verdict(syscall(SYS_unshare, 0x10000000));
}
static int try_start(const char *argument) {
    char *arguments[] = {(char *)"x", NULL};
    return verdict(execve(argument, arguments, arguments + 1));
}
static int try_writable_code(const char *argument) {
    (void)argument;
    void *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? REFUSED : WORKED;
}
static int try_read(const char *argument) {
    char bytes[64];
    int fd = open(argument, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, bytes, sizeof bytes) : -1;
    return n > 0 && write(1, bytes, (size_t)n) == n ? WORKED : REFUSED;
}
static int try_write(const char *argument) {
    int fd = open(argument, O_WRONLY | O_CREAT, 0600);
    return fd >= 0 && write(fd, "new", 3) == 3 ? WORKED : REFUSED;
}
static int try_give_rights(const char *argument) {
    return verdict(chmod(argument, 04755));
}
static int try_give_away(const char *argument) {
    return verdict(chown(argument, 0, 0));
}
static int try_permit(const char *argument) {
    return verdict(chmod(argument, 0600));
}
static void *nothing(void *argument) {
    return argument;
}
static int try_thread(const char *argument) {
    pthread_t thread;
    (void)argument;
    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0
               ? WORKED
               : REFUSED;
}
static void *sleep_long(void *argument) {
    sleep(30);
    return argument;
}

/* Bombs. */
static int try_threads(const char *argument) {
    int n = 0;
    pthread_t thread;
    (void)argument;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    while (n < 1000 && pthread_create(&thread, &small, sleep_long, NULL) == 0) {
        n++;
    }
    _exit(n < 100 ? REFUSED : WORKED);
}
static int try_forks(const char *argument) {
    int n = 0;
    (void)argument;
    while (n < 2000) {
        pid_t id = fork();
        if (id < 0) {
            break;
        }
        if (id == 0) {
            sleep(30);
            _exit(0);
        }
        n++;
    }
    return n < 1000 ? REFUSED : WORKED;
}
static int try_memory(const char *argument) {
    (void)argument;
    for (;;) {
        char *chunk = malloc(CHUNK);
        if (!chunk) {
            return REFUSED;
        }
        memset(chunk, 1, CHUNK);
    }
}
static int try_file(const char *argument) {
    static char chunk[CHUNK];
    int fd = open(argument, O_WRONLY | O_CREAT, 0600);
    while (fd >= 0 && write(fd, chunk, sizeof chunk) > 0) {
    }
    return REFUSED;
}
static int try_loop(const char *argument) {
    volatile unsigned long n = strlen(argument);
    for (;;) {
        n++;
    }
}
static int try_sleep(const char *argument) {
    (void)argument;
    signal(SIGTERM, SIG_IGN);
    for (;;) {
        sleep(10);
    }
}
static int try_flood(const char *argument) {
    static char chunk[CHUNK];
    (void)argument;
    memset(chunk, 'x', sizeof chunk);
    while (write(1, chunk, sizeof chunk) > 0 && write(2, chunk, sizeof chunk) > 0) {
    }
    return REFUSED;
}

static const trial trials[] = {
    {"exit", try_exit},
    {"abort", try_abort},
    {"crash", try_crash},
    {"say", try_say},
    {"environment", try_environment},
    {"descriptors", try_descriptors},
    {"copy", try_copy},
    {"user", try_user},
    {"socket", try_socket},
    {"ptrace", try_ptrace},
    {"mount", try_mount},
    {"kill", try_kill},
    {"kill-all", try_kill_all},
    {"become-root", try_become_root},
    {"namespace", try_namespace},
    {"start", try_start},
    {"writable-code", try_writable_code},
    {"read", try_read},
    {"write", try_write},
    {"give-rights", try_give_rights},
    {"give-away", try_give_away},
    {"permit", try_permit},
    {"thread", try_thread},
    {"threads", try_threads},
    {"forks", try_forks},
    {"memory", try_memory},
    {"file", try_file},
    {"loop", try_loop},
    {"sleep", try_sleep},
    {"flood", try_flood},
};

int main(int argc, char **argv) {
    const char *argument = argc > 2 ? argv[2] : "";
    for (size_t i = 0; argc > 1 && i < sizeof trials / sizeof trials[0]; i++) {
        if (strcmp(trials[i].name, argv[1]) == 0) {
            return trials[i].run(argument);
        }
    }
    fprintf(stderr, "no trial is called so\n");
    return 8;
}
