/* Bringing a descriptor's contents to the disk. Ownership: nothing is kept. */
#ifndef PLATFORM_POSIX_SYNC_H
#define PLATFORM_POSIX_SYNC_H

#include <fcntl.h>
#include <unistd.h>

/* 0, or -1 with errno. On macOS fsync alone leaves the data in the disk's own cache. */
static inline int sync_descriptor(int fd) {
#if defined(F_FULLFSYNC)
    if (fcntl(fd, F_FULLFSYNC) == 0) {
        return 0;
    }
#endif
    return fsync(fd);
}

#endif
