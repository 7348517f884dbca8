/* What a guest of the fuzz targets is granted, with links in it that lead out, and what lies beside
 * that; and the reader of their inputs. Ownership: a folder below /tmp that is removed at the end.
 */
#ifndef FUZZ_GRANT_H
#define FUZZ_GRANT_H

#include "fuzz_model.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_OUTSIDE = 3 };

static char root[64];
static struct stat before[N_OUTSIDE];
static const char *const outside_names[N_OUTSIDE] = {"", "/outside", "/outside/secret"};

static inline const char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s%s", root, name);
    return path;
}

static inline int remove_one(const char *path, const struct stat *s, int flag, struct FTW *ftw) {
    (void)s;
    (void)flag;
    return ftw->level > 0 ? remove(path) : 0;
}

static inline int remove_any(const char *path, const struct stat *s, int flag, struct FTW *ftw) {
    (void)s;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void end(void) {
    (void)nftw(root, remove_any, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void write_file(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "wb");
    fuzz_require(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static inline void begin(void) {
    snprintf(root, sizeof root, "/tmp/tars-fuzz-XXXXXX");
    fuzz_require(mkdtemp(root) != NULL);
    atexit(end);
    fuzz_require(mkdir(path_of("/grant"), 0700) == 0);
    fuzz_require(mkdir(path_of("/grant-to-read"), 0700) == 0);
    fuzz_require(mkdir(path_of("/outside"), 0700) == 0);
    write_file("/outside/secret", "outside");
    write_file("/grant-to-read/file", "read me");
    fuzz_require(symlink("../outside/secret", path_of("/grant-to-read/out")) == 0);
    for (size_t i = 0; i < N_OUTSIDE; i++) {
        fuzz_require(lstat(path_of(outside_names[i]), &before[i]) == 0);
    }
}

static inline void fill_folder(void) {
    static const char *const links[][2] = {
        {"file", "/grant/link"},        {"folder", "/grant/linkdir"}, {"..", "/grant/dotdot"},
        {"../outside", "/grant/out"},   {"/", "/grant/absolute"},     {"loop", "/grant/loop"},
        {"../file", "/grant/folder/up"}};
    (void)nftw(path_of("/grant"), remove_one, 16, FTW_DEPTH | FTW_PHYS);
    fuzz_require(mkdir(path_of("/grant/folder"), 0700) == 0);
    write_file("/grant/file", "hello");
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        fuzz_require(symlink(links[i][0], path_of(links[i][1])) == 0);
    }
    fuzz_require(mkfifo(path_of("/grant/fifo"), 0600) == 0);
}

static inline unsigned count_entries(const char *name) {
    unsigned n = 0;
    DIR *folder = opendir(path_of(name));
    fuzz_require(folder != NULL);
    while (readdir(folder)) {
        n++;
    }
    closedir(folder);
    return n;
}

static inline void check_outside(void) {
    for (size_t i = 0; i < N_OUTSIDE; i++) {
        struct stat now;
        const struct stat *then = &before[i];
        fuzz_require(lstat(path_of(outside_names[i]), &now) == 0);
        fuzz_require(now.st_ino == then->st_ino && now.st_size == then->st_size &&
                     now.st_nlink == then->st_nlink && now.st_mode == then->st_mode &&
                     now.st_ctim.tv_sec == then->st_ctim.tv_sec &&
                     now.st_ctim.tv_nsec == then->st_ctim.tv_nsec);
    }
    fuzz_require(count_entries("/outside") == 3 && count_entries("/grant-to-read") == 4);
}

/* ---- the input -------------------------------------------------------------------------- */

typedef struct input {
    const uint8_t *bytes;
    size_t left;
} input;

static inline uint8_t next_byte(input *in) {
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->bytes++;
}

static inline uint64_t next_number(input *in, unsigned n_bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < n_bytes; i++) {
        value |= (uint64_t)next_byte(in) << (8 * i);
    }
    return value;
}

#endif
