#include "platform/linux/jail.h"
#include "platform/linux/vmm_walls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Landlock's interface as the kernel documents it; older headers know less of it. */
enum { CALL_CREATE = 444, CALL_ADD = 445, CALL_RESTRICT = 446 };
enum { ASK_VERSION = 1, RULE_PATH_BENEATH = 1 };
enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    READ_FILE = 1 << 2,
    READ_FOLDER = 1 << 3,
    REMOVE_FOLDER = 1 << 4,
    REMOVE_FILE = 1 << 5,
    MAKE_FOLDER = 1 << 7,
    MAKE_REGULAR = 1 << 8,
    MAKE_LINK = 1 << 12,
    REFER = 1 << 13,
    TRUNCATE = 1 << 14,
    OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE,
    READING = EXECUTE | READ_FILE | READ_FOLDER,
    WRITING = READING | WRITE_FILE | REMOVE_FOLDER | REMOVE_FILE | MAKE_FOLDER | MAKE_REGULAR |
              REFER | TRUNCATE
};

typedef struct rule_set {
    uint64_t files, network, scope;
} rule_set;
typedef struct __attribute__((packed)) path_rule {
    uint64_t allowed;
    int32_t parent;
} path_rule;

/* What each version added, all of it forbidden unless a rule allows it. */
typedef struct version_row {
    int version;
    size_t size_bytes;
    rule_set handled;
} version_row;
static const version_row versions[] = {
    {6, 24, {0xffff, 3, 3}}, {5, 16, {0xffff, 3, 0}}, {4, 16, {0x7fff, 3, 0}},
    {3, 8, {0x7fff, 0, 0}},  {2, 8, {0x3fff, 0, 0}},  {1, 8, {0x1fff, 0, 0}},
};

static bool allow(int rules, int path, uint64_t wanted, uint64_t handled) {
    struct stat info;
    if (fstat(path, &info) != 0) {
        return false;
    }
    uint64_t possible = S_ISDIR(info.st_mode) ? handled : handled & (uint64_t)OF_FILES;
    path_rule rule = {wanted & possible, path};
    return syscall(CALL_ADD, rules, RULE_PATH_BENEATH, &rule, 0) == 0;
}

static bool allow_grant(jail_plan *plan, int rules, const platform_jail_grant *grant,
                        uint64_t handled) {
    const char *path = plan->shared->private_root ? grant->guest : grant->host;
    int file = open(path, O_PATH | O_CLOEXEC);
    if (file < 0) {
        return grant->optional && errno == ENOENT;
    }
    bool done =
        allow(rules, file, grant->writable ? (uint64_t)WRITING : (uint64_t)READING, handled);
    int number = errno;
    (void)close(file);
    errno = number;
    return done;
}

/* ---- for the process of a virtual machine --------------------------------------------------- */

int landlock_begin(uint64_t *handled) {
    long version = syscall(CALL_CREATE, NULL, 0, ASK_VERSION);
    const version_row *row = versions;
    if (version < 1) {
        return -1;
    }
    while (row->version > version) {
        row++;
    }
    *handled = row->handled.files;
    return (int)syscall(CALL_CREATE, &row->handled, row->size_bytes, 0); /* close-on-exec */
}

bool landlock_allow_folder(int rules, int folder, bool writable, uint64_t handled) {
    const uint64_t reading = READ_FILE | READ_FOLDER;
    const uint64_t writing = (WRITING & ~(uint64_t)EXECUTE) | MAKE_LINK;
    return allow(rules, folder, writable ? writing : reading, handled);
}

bool landlock_enter(int rules) {
    bool done = syscall(CALL_RESTRICT, rules, 0) == 0;
    int number = errno;
    (void)close(rules);
    errno = number;
    return done;
}

/* ---- for a jail ---------------------------------------------------------------------------- */

int jail_rules_make(jail_plan *plan) {
    uint64_t handled = 0;
    int rules = landlock_begin(&handled);
    if (rules < 0) {
        jail_miss(plan->shared, "Landlock", errno);
        return -1;
    }
    const platform_jail_options *options = plan->options;
    for (size_t i = 0; i < options->n_grants; i++) {
        if (!allow_grant(plan, rules, &options->grants[i], handled)) {
            jail_give_up(plan->shared, options->grants[i].host, errno);
        }
    }
    if (plan->program >= 0 && !allow(rules, plan->program, EXECUTE | READ_FILE, handled)) {
        jail_give_up(plan->shared, "allowing the program's own file", errno);
    }
    return rules;
}

bool jail_rules_enter(int rules) {
    return syscall(CALL_RESTRICT, rules, 0) == 0;
}
