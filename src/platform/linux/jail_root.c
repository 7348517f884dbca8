#include "platform/linux/jail.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The kernel's numbers and constants, for C libraries whose headers are older than they are. They
 * are the same on every machine. */
enum { CALL_OPEN_TREE = 428, CALL_MOVE_MOUNT = 429, CALL_MOUNT_SETATTR = 442 };
enum {
    TREE_CLONE = 1,
    TREE_CLOSE_ON_EXEC = O_CLOEXEC,
    RECURSIVE = 0x8000,
    EMPTY_PATH = 0x1000,
    FROM_EMPTY_PATH = 4,
    TO_EMPTY_PATH = 0x40,
    MAX_TREES = 64
};
typedef struct mount_attributes {
    uint64_t set, clear, propagation, user_namespace;
} mount_attributes;
enum { ATTRIBUTE_READ_ONLY = 1, ATTRIBUTE_NO_SUID = 2, ATTRIBUTE_NO_DEVICES = 4 };

/* Makes what a mount stands on, a folder or an empty file, and gives its O_PATH descriptor. Walks
 * step by step and follows no symbolic link: one in a granted folder could lead out of the root
 * that is being built, to where these calls still have the caller's rights. */
static int make_place(int root, const char *path, bool is_folder) {
    char name[256];
    int folder = fcntl(root, F_DUPFD_CLOEXEC, 3);
    while (folder >= 0) {
        size_t length = strcspn(path, "/");
        bool last = path[length + strspn(path + length, "/")] == '\0';
        int next = -1;
        if (length == 0 || length >= sizeof name || (length <= 2 && path[0] == '.')) {
            errno = EINVAL;
        } else {
            memcpy(name, path, length);
            name[length] = '\0';
            if (last && !is_folder) {
                (void)mknodat(folder, name, S_IFREG | 0444, 0);
            } else {
                (void)mkdirat(folder, name, 0755);
            }
            next = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        }
        int number = errno;
        (void)close(folder);
        errno = number;
        folder = next;
        if (last) {
            break;
        }
        path += length + strspn(path + length, "/");
    }
    return folder;
}

/* A detached copy of a host's file or folder with everything mounted below it; -2: none there. The
 * null device is the only device that works. */
static int copy_tree(const platform_jail_grant *grant, bool *is_folder) {
    int tree = (int)syscall(CALL_OPEN_TREE, AT_FDCWD, grant->host,
                            TREE_CLONE | TREE_CLOSE_ON_EXEC | RECURSIVE);
    if (tree < 0) {
        return errno == ENOENT && grant->optional ? -2 : -1;
    }
    struct stat info;
    bool told = fstat(tree, &info) == 0;
    bool is_null = told && S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3);
    mount_attributes wanted = {.set = ATTRIBUTE_NO_SUID |
                                      (is_null ? 0u : (uint64_t)ATTRIBUTE_NO_DEVICES) |
                                      (grant->writable ? 0u : (uint64_t)ATTRIBUTE_READ_ONLY)};
    if (!told || syscall(CALL_MOUNT_SETATTR, tree, "", EMPTY_PATH | RECURSIVE, &wanted,
                         sizeof wanted) != 0) {
        int number = errno;
        (void)close(tree);
        errno = number;
        return -1;
    }
    *is_folder = S_ISDIR(info.st_mode);
    return tree;
}

static bool place_trees(const jail_plan *plan, const int *trees, const bool *are_folders,
                        int root) {
    const platform_jail_options *options = plan->options;
    for (size_t i = 0; i < options->n_grants; i++) {
        const char *path = options->grants[i].guest;
        if (trees[i] < 0) {
            continue;
        }
        int place = make_place(root, path + strspn(path, "/"), are_folders[i]);
        if (place < 0) { /* not the machine's lack: two grants do not go together */
            int number = errno;
            char step[PLATFORM_JAIL_TEXT_BYTES];
            text_buffer text;
            text_init(&text, step, sizeof step);
            text_format(&text, "making %s for what is granted there", path);
            jail_give_up(plan->shared, step, number);
        }
        if (syscall(CALL_MOVE_MOUNT, trees[i], "", place, "", FROM_EMPTY_PATH | TO_EMPTY_PATH) !=
            0) {
            return false;
        }
        (void)close(place);
    }
    return true;
}

/* The new root takes the old one's place, which then goes. */
static bool change_root(int root) {
    return fchdir(root) == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
           umount2(".", MNT_DETACH) == 0 && chdir("/") == 0 &&
           mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) ==
               0;
}

static bool build_root(jail_plan *plan) {
    static const char *const places[] = {"/tmp", "/var", "/mnt", "/proc"};
    const platform_jail_options *options = plan->options;
    int trees[MAX_TREES];
    bool are_folders[MAX_TREES] = {false};
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return false;
    }
    for (size_t i = 0; i < options->n_grants; i++) {
        trees[i] = copy_tree(&options->grants[i], &are_folders[i]);
        if (trees[i] == -1) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (mount("tars", places[i], "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755") != 0) {
            continue;
        }
        int root = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        bool done = root >= 0 && place_trees(plan, trees, are_folders, root);
        if (done && change_root(root)) {
            return true;
        }
        int number = errno;
        (void)umount2(places[i], MNT_DETACH);
        errno = number;
        return false;
    }
    return false;
}

void jail_root_enter(jail_plan *plan) {
    if (plan->options->n_grants > MAX_TREES) {
        jail_give_up(plan->shared, "granting more than 64 folders", E2BIG);
    }
    plan->shared->private_root = build_root(plan);
    if (!plan->shared->private_root) {
        jail_miss(plan->shared, "root folder of its own", errno);
    }
}
