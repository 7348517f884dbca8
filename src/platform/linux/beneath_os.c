#include "platform/posix/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int beneath_os_open(int folder, const char *path, int flags, mode_t mode) {
#if defined(SYS_openat2)
    struct open_how how = {.flags = (uint64_t)(unsigned)flags,
                           .mode = mode,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
#else
    (void)folder;
    (void)path;
    (void)flags;
    (void)mode;
    errno = ENOSYS;
    return -1;
#endif
}

bool beneath_os_is_stored(int fd) {
    struct statfs s;
    return fstatfs(fd, &s) == 0 && s.f_type != PROC_SUPER_MAGIC;
}

/* What some C libraries do in its place needs /proc, which not every process sees. */
int beneath_os_set_mode(int folder, const char *name, mode_t mode) {
    enum { FCHMODAT2 = 452 /* since Linux 6.6 */ };
    int result = (int)syscall(FCHMODAT2, folder, name, mode, AT_SYMLINK_NOFOLLOW);
    return result == 0 || errno != ENOSYS ? result
                                          : fchmodat(folder, name, mode, AT_SYMLINK_NOFOLLOW);
}

int beneath_os_allocate(int file, off_t offset, off_t length) {
    int result;
    do {
        result = fallocate(file, 0, offset, length);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}
