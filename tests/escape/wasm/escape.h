/* What the programs of this folder share: raw calls of WASI preview 1, and how a failure ends. */
#ifndef ESCAPE_H
#define ESCAPE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

/* Ends with 20 when something was possible that must not be. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            exit(20);                                                                              \
        }                                                                                          \
    } while (0)

/* A call as the host sees it, addresses being numbers. */
#define RAW(name, ...)                                                                             \
    __attribute__((import_module("wasi_snapshot_preview1"),                                        \
                   import_name(#name))) int32_t raw_##name(__VA_ARGS__);

enum { FOLDER = 3 /* the first granted folder */ };

static inline __wasi_errno_t open_path(int folder, const char *path, __wasi_oflags_t flags,
                                       __wasi_rights_t rights, __wasi_fd_t *fd) {
    return __wasi_path_open(folder, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, flags, rights, 0, 0,
                            fd);
}

#endif
