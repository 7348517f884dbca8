#include "platform/posix/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int beneath_os_open(int folder, const char *path, int flags, mode_t mode) {
    (void)folder;
    (void)path;
    (void)flags;
    (void)mode;
    errno = ENOSYS; /* paths are walked */
    return -1;
}

bool beneath_os_is_stored(int fd) {
    (void)fd;
    return true;
}

int beneath_os_set_mode(int folder, const char *name, mode_t mode) {
    return fchmodat(folder, name, mode, AT_SYMLINK_NOFOLLOW);
}

int beneath_os_allocate(int file, off_t offset, off_t length) {
    (void)file;
    (void)offset;
    (void)length;
    return EOPNOTSUPP;
}
