/* What the store's tests share: a throw-away home, packed files made up for it, a process without
 * privileges. Ownership: fixture_begin makes the folder, fixture_end removes it. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "base/sha256.h"
#include "platform/platform.h"
#include "store/files.h"
#include "store/hex.h"
#include "store/store_internal.h"
#include "support/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct fixture {
    char home[256];
} fixture;

static inline void fixture_begin(fixture *f) {
    char pattern[] = "/tmp/tars-test-XXXXXX";
    const char *folder = mkdtemp(pattern);
    snprintf(f->home, sizeof f->home, "%s/home", folder ? folder : "/nonexistent");
}

static inline void fixture_run(const char *command) {
    if (system(command) != 0) {
        check_fail(__FILE__, __LINE__, "failed: %s", command);
    }
}

static inline void fixture_end(fixture *f) {
    char command[320];
    snprintf(command, sizeof command, "chmod -R u+w %.*s; rm -rf %.*s", (int)strlen(f->home) - 5,
             f->home, (int)strlen(f->home) - 5, f->home);
    fixture_run(command);
}

/* "HOME/relative" in one of 64 static buffers. */
static inline const char *fixture_path(const fixture *f, const char *relative) {
    static char paths[64][512];
    static unsigned turn;
    char *path = paths[turn++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", f->home, relative);
    return path;
}

static inline void fixture_write(const char *path, const void *bytes, size_t length) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) {
        check_fail(__FILE__, __LINE__, "cannot write %s", path);
    }
}

/* Files in a folder and below, but for the marker that brings a rename to the disk. */
static inline int fixture_count(const char *folder) {
    DIR *stream = opendir(folder);
    int count = stream ? 0 : -1;
    struct dirent *entry;
    while (stream && (entry = readdir(stream)) != NULL) {
        char path[1024];
        snprintf(path, sizeof path, "%.500s/%s", folder, entry->d_name);
        struct stat facts;
        bool is_marker = strcmp(entry->d_name, ".synced") == 0;
        if (entry->d_name[0] == '.' && (entry->d_name[1] == '\0' || entry->d_name[1] == '.')) {
            continue;
        }
        if (lstat(path, &facts) == 0 && S_ISDIR(facts.st_mode)) {
            count += fixture_count(path);
        } else {
            count += !is_marker;
        }
    }
    if (stream) {
        closedir(stream);
    }
    return count;
}

static inline bool fixture_exists(const char *path) {
    return access(path, F_OK) == 0;
}

static inline store *fixture_open(const fixture *f) {
    store *s = NULL;
    tars_error err = {0};
    if (store_open(f->home, STORE_WRITE, &s, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "store_open: %s (%s)", err.message, err.where);
    }
    return s;
}

/* A packed file with the given contents (it is no model: the index does not mind) under a name. */
static inline tars_status fixture_put(store *s, const char *name, const char *contents,
                                      tars_error *err) {
    char temporary[STORE_PATH_BYTES];
    store_entry entry = {.pack_version = 1, .arithmetic_version = 1, .source_bytes = 7};
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256(contents, strlen(contents), digest);
    hex_encode(digest, sizeof digest, entry.model.packed_sha256);
    sha256(digest, sizeof digest, digest);
    hex_encode(digest, sizeof digest, entry.model.sha256);
    snprintf(entry.model.name, sizeof entry.model.name, "%s", name);
    snprintf(entry.model.architecture, sizeof entry.model.architecture, "llama");
    snprintf(entry.model.quantization, sizeof entry.model.quantization, "Q4_0");
    entry.model.packed_bytes = strlen(contents);
    entry.model.parameters = 1000;
    entry.model.context_length = 2048;
    entry.model.imported_unix_s = 1700000000;
    tars_status status = store_path(s, "tmp/fixture", temporary, sizeof temporary, err);
    if (status == TARS_OK) {
        status =
            files_write(temporary, contents, strlen(contents), 0444, PLATFORM_COMMIT_REPLACE, err);
    }
    return status == TARS_OK ? store_commit(s, temporary, &entry, err) : status;
}

/* Runs `work` in a process of another user; its result is the exit status. */
static inline int fixture_as_nobody(int (*work)(void *argument), void *argument) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (platform_is_root() && platform_drop_privileges(65534, 65534, NULL) != TARS_OK) {
            _exit(99);
        }
        _exit(work(argument));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

#endif
