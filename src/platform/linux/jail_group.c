#include "base/text.h"
#include "platform/linux/jail.h"
#include "platform/linux/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "tars-exec-"

/* Where a controller's groups live and what its files are called. Version 2 has one folder. */
typedef struct group_row {
    const char *root, *proof; /* it is this version's when root/proof exists */
    const char *memory, *swap, *peak, *events;
    const char *threads;
} group_row;

static const group_row rows[] = {
    {"/sys/fs/cgroup", "cgroup.subtree_control", "memory.max", "memory.swap.max", "memory.peak",
     "memory.events", "pids.max"},
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.limit_in_bytes",
     "memory.memsw.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control", NULL},
    {"/sys/fs/cgroup/pids", "cgroup.procs", NULL, NULL, NULL, NULL, "pids.max"},
};

static bool join(char *out, size_t size_bytes, const char *folder, const char *name) {
    text_buffer text;
    text_init(&text, out, size_bytes);
    text_append_string(&text, folder);
    text_append_char(&text, '/');
    text_append_string(&text, name);
    return !text.truncated;
}

static bool write_number(const char *folder, const char *name, uint64_t value) {
    char path[512], digits[32];
    text_buffer text;
    text_init(&text, digits, sizeof digits);
    text_format(&text, "%llu", (unsigned long long)value);
    if (!join(path, sizeof path, folder, name)) {
        return false;
    }
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    bool done = write(file, digits, text.length) == (ssize_t)text.length;
    int number = errno;
    (void)close(file);
    errno = number;
    return done;
}

/* The number behind the prefix; 0: it is no folder of a run. */
static pid_t owner_of(const char *name) {
    uint64_t number = 0;
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0) {
        return 0;
    }
    for (const char *c = name + sizeof PREFIX - 1; *c >= '0' && *c <= '9' && number < 1000000000;
         c++) {
        number = number * 10 + (uint64_t)(*c - '0');
    }
    return (pid_t)number;
}

static bool sweep(void *user, const char *name, platform_kind kind) {
    char path[512];
    pid_t owner = owner_of(name);
    (void)kind;
    if (owner > 0 && kill(owner, 0) != 0 && errno == ESRCH && join(path, sizeof path, user, name)) {
        (void)rmdir(path); /* refused while a process is in it */
    }
    return true;
}

static bool make_folder(const group_row *row, char *folder, size_t size_bytes) {
    static atomic_uint sequence;
    text_buffer text;
    text_init(&text, folder, size_bytes);
    text_format(&text, "%s/" PREFIX "%lld-%u", row->root, (long long)getpid(),
                atomic_fetch_add(&sequence, 1u));
    return !text.truncated && mkdir(folder, 0700) == 0;
}

/* Sets a row's limits in a new folder and opens its list of members; -1 with errno. */
static int fill_folder(const group_row *row, const char *folder,
                       const platform_jail_options *options) {
    char path[512];
    if (row->memory && !write_number(folder, row->memory, options->memory_bytes)) {
        return -1;
    }
    if (row->swap) {
        bool both = row->root[sizeof "/sys/fs/cgroup" - 1] != '\0'; /* version 1: memory + swap */
        (void)write_number(folder, row->swap, both ? options->memory_bytes : 0);
    }
    if (row->threads && !write_number(folder, row->threads, options->n_threads)) {
        return -1;
    }
    if (!join(path, sizeof path, folder, "cgroup.procs")) {
        return -1;
    }
    return open(path, O_WRONLY | O_CLOEXEC);
}

void jail_group_make(jail_group *group, const platform_jail_options *options, jail_shared *shared) {
    *group = (jail_group){0};
    int why = ENOENT;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char proof[512];
        char *folder = group->folders[group->n_folders];
        if (!join(proof, sizeof proof, rows[i].root, rows[i].proof) || access(proof, F_OK) != 0) {
            continue;
        }
        (void)platform_list_folder(rows[i].root, sweep, (void *)(uintptr_t)rows[i].root, NULL);
        if (!make_folder(&rows[i], folder, sizeof group->folders[0])) {
            why = errno;
            continue;
        }
        int members = fill_folder(&rows[i], folder, options);
        if (members < 0) {
            why = errno;
            (void)rmdir(folder);
            continue;
        }
        group->members[group->n_folders++] = members;
        group->memory_limited = group->memory_limited || rows[i].memory;
    }
    if (!group->memory_limited) {
        jail_miss(shared, "cgroup for memory", why);
    }
}

bool jail_group_join(const jail_group *group) {
    for (size_t i = 0; i < group->n_folders; i++) {
        if (write(group->members[i], "0", 1) != 1) { /* the writer itself */
            return false;
        }
    }
    return true;
}

static void read_row(const group_row *row, const char *folder, uint64_t *peak, bool *memory_hit) {
    char path[512], text[1024];
    uint64_t value;
    if (row->peak && join(path, sizeof path, folder, row->peak) &&
        procfs_read_number(path, &value)) {
        *peak = value;
    }
    if (row->events && join(path, sizeof path, folder, row->events) &&
        procfs_read(path, text, sizeof text) && procfs_find(text, "oom_kill ", 1, &value)) {
        *memory_hit = *memory_hit || value > 0;
    }
}

void jail_group_end(jail_group *group, uint64_t *memory_peak_bytes, bool *memory_hit) {
    for (size_t i = 0; i < group->n_folders; i++) {
        const char *folder = group->folders[i];
        (void)close(group->members[i]);
        for (size_t j = 0; j < sizeof rows / sizeof rows[0]; j++) {
            size_t length = strlen(rows[j].root);
            if (strncmp(folder, rows[j].root, length) == 0 &&
                strncmp(folder + length, "/" PREFIX, sizeof PREFIX) == 0) {
                read_row(&rows[j], folder, memory_peak_bytes, memory_hit);
            }
        }
        /* the last process may not be gone yet from the kernel's view */
        for (int round = 0; rmdir(folder) != 0 && errno == EBUSY && round < 100; round++) {
            platform_sleep_ns(1000000);
        }
    }
    *group = (jail_group){0};
}
