/* What the files of platform_beneath_* share on POSIX systems. Ownership: a place is given back
 * with beneath_release. */
#ifndef PLATFORM_POSIX_BENEATH_H
#define PLATFORM_POSIX_BENEATH_H

#include "platform/platform.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A handle of a folder that only serves to find names in it. */
#if defined(O_PATH)
#define BENEATH_FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)
#elif defined(O_SEARCH)
#define BENEATH_FOLDER_FLAGS (O_SEARCH | O_DIRECTORY | O_CLOEXEC)
#else
#define BENEATH_FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#endif

enum { BENEATH_NAME_BYTES = 1024 };

/* A name in a folder: nothing of it but the name itself is still to be resolved. */
typedef struct beneath_place {
    int folder;
    bool owned;                    /* `folder` is closed on release */
    bool must_folder;              /* the path ended with a slash */
    char name[BENEATH_NAME_BYTES]; /* "." : the folder itself */
} beneath_place;

platform_fault beneath_fault(int error_number);
void beneath_entry_of(const struct stat *s, platform_entry *out);

/* Walks name by name. With `follow` the place is no link when it was looked at. */
platform_fault beneath_walk(int folder, const char *path, bool follow, beneath_place *out);
void beneath_release(beneath_place *place);

/* Of each system: opens below the folder, resolving everything in the kernel, or fails with ENOSYS.
 * EXDEV: the path leads out. */
int beneath_os_open(int folder, const char *path, int flags, mode_t mode);
/* False for what only looks like a file: by /proc a guest would reach this process's memory. */
bool beneath_os_is_stored(int fd);
/* As fchmodat that follows no link; -1 and errno. */
int beneath_os_set_mode(int folder, const char *name, mode_t mode);
/* 0 or an errno. */
int beneath_os_allocate(int file, off_t offset, off_t length);

#endif
