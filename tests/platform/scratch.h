/* A folder for the files of one test, removed with all in it. Ownership: static memory; one folder
 * at a time. */
#ifndef TESTS_PLATFORM_SCRATCH_H
#define TESTS_PLATFORM_SCRATCH_H

#include "support/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The thread sanitizer keeps several bytes for each one touched, which no measure of memory can
 * tell from the program's own. */
#if defined(__SANITIZE_THREAD__)
#define SCRATCH_MEMORY_IS_SHADOWED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SCRATCH_MEMORY_IS_SHADOWED 1
#endif
#endif
#if !defined(SCRATCH_MEMORY_IS_SHADOWED)
#define SCRATCH_MEMORY_IS_SHADOWED 0
#endif

static char scratch_folder[512];

static inline int scratch_remove_one(const char *path, const struct stat *s, int flag,
                                     struct FTW *ftw) {
    (void)s;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void scratch_remove(void) {
    (void)nftw(scratch_folder, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* The folder lies on the disk that holds the build, so that huge pages and fsync are the real
 * thing. */
static inline void scratch_make(void) {
    snprintf(scratch_folder, sizeof scratch_folder, "%s/scratch-XXXXXX", TESTS_BUILD_DIR);
    if (!mkdtemp(scratch_folder)) {
        perror("mkdtemp");
        exit(1);
    }
}

/* A path in the folder; a static buffer of sixteen turns. */
static inline const char *scratch_path(const char *name) {
    static char paths[16][1024];
    static unsigned turn;
    char *path = paths[turn++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

static inline void scratch_write(const char *path, const void *bytes, size_t length) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length || close(fd) != 0) {
        perror(path);
        exit(1);
    }
}

/* User-mode emulation (qemu): the program cannot execute itself, and the system counts the
 * emulator's pages. Its program shows in the smaps of the main thread, which it does not
 * disguise (qemu 8.2 does so with /proc/self/smaps). */
static inline bool scratch_is_emulated(void) {
    char line[1024];
    snprintf(line, sizeof line, "/proc/self/task/%d/smaps", (int)getpid());
    FILE *smaps = fopen(line, "r");
    bool found = false;
    while (smaps && fgets(line, sizeof line, smaps)) {
        found = found || strstr(line, "/qemu-") != NULL;
    }
    if (smaps) {
        fclose(smaps);
    }
    return found;
}

static inline size_t scratch_count(const char *folder) {
    char command[1200];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *pipe = popen(command, "r");
    unsigned count = 0;
    if (!pipe || fscanf(pipe, "%u", &count) != 1) {
        exit(1);
    }
    pclose(pipe);
    return count;
}

#endif
