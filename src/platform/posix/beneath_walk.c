#include "platform/posix/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_DEPTH = 128, /* folders held open at once: .. goes back to one of them, never up by name */
    MAX_LINKS = 40
};

typedef struct walker {
    int folders[MAX_DEPTH]; /* [0] is the caller's */
    size_t depth;           /* index of the one that names are looked up in */
    unsigned n_links;
    char rest[PLATFORM_PATH_BYTES]; /* of the path */
} walker;

static void leave(walker *w) {
    (void)close(w->folders[w->depth]);
    w->depth--;
}

/* Puts a link's target in the place of its name. */
static platform_fault expand(walker *w, const char *target, size_t length, const char *after) {
    size_t after_length = strlen(after);
    if (++w->n_links > MAX_LINKS) {
        return PLATFORM_FAULT_LOOP;
    }
    if (length == 0) {
        return PLATFORM_FAULT_MISSING;
    }
    if (target[0] == '/') {
        return PLATFORM_FAULT_OUTSIDE;
    }
    if (length + after_length >= sizeof w->rest) {
        return PLATFORM_FAULT_NAME_TOO_LONG;
    }
    memmove(w->rest + length, after, after_length + 1); /* `after` is the end of `rest` */
    memcpy(w->rest, target, length);
    return PLATFORM_FAULT_NONE;
}

/* True when the name is a link, whose target then is put in its place. */
static bool take_link(walker *w, const char *name, const char *after, platform_fault *fault) {
    char target[PLATFORM_PATH_BYTES];
    ssize_t length = readlinkat(w->folders[w->depth], name, target, sizeof target);
    if (length < 0) {
        return false;
    }
    *fault = (size_t)length >= sizeof target ? PLATFORM_FAULT_NAME_TOO_LONG
                                             : expand(w, target, (size_t)length, after);
    return true;
}

/* Goes into a folder, or puts the target of a link in its place. */
static platform_fault enter(walker *w, const char *name, const char *after) {
    int fd = openat(w->folders[w->depth], name, BENEATH_FOLDER_FLAGS | O_NOFOLLOW);
    if (fd < 0) {
        int number = errno;
        platform_fault fault = beneath_fault(number);
        if (number == ENOTDIR || number == ELOOP || number == EMLINK) { /* that, for a link */
            (void)take_link(w, name, after, &fault);
        }
        return fault;
    }
    if (w->depth + 1 == MAX_DEPTH) {
        (void)close(fd);
        return PLATFORM_FAULT_NAME_TOO_LONG;
    }
    w->folders[++w->depth] = fd;
    memmove(w->rest, after, strlen(after) + 1);
    return PLATFORM_FAULT_NONE;
}

/* Cuts the next name off. *after is what follows it, with its slash; *is_last: only slashes do. */
static platform_fault next_name(walker *w, char name[BENEATH_NAME_BYTES], const char **after,
                                bool *is_last) {
    const char *begin = w->rest + strspn(w->rest, "/");
    size_t length = strcspn(begin, "/");
    *after = begin + length;
    *is_last = (*after)[strspn(*after, "/")] == '\0';
    if (length >= BENEATH_NAME_BYTES) {
        return PLATFORM_FAULT_NAME_TOO_LONG;
    }
    memcpy(name, begin, length);
    name[length] = '\0';
    return PLATFORM_FAULT_NONE;
}

/* One name further; *arrived with the last. */
static platform_fault step(walker *w, bool follow, beneath_place *out, bool *arrived) {
    const char *after;
    bool is_last;
    platform_fault fault = next_name(w, out->name, &after, &is_last);
    if (fault != PLATFORM_FAULT_NONE) {
        return fault;
    }
    bool is_up = strcmp(out->name, "..") == 0;
    if (is_up && w->depth == 0) {
        return PLATFORM_FAULT_OUTSIDE;
    }
    if (is_up || strcmp(out->name, ".") == 0) {
        if (is_up) {
            leave(w);
        }
        memmove(w->rest, after, strlen(after) + 1);
        memcpy(out->name, ".", 2);
        *arrived = is_last;
        return PLATFORM_FAULT_NONE;
    }
    if (!is_last) {
        return enter(w, out->name, after);
    }
    out->must_folder = *after != '\0';
    *arrived = !follow || !take_link(w, out->name, after, &fault);
    return fault;
}

platform_fault beneath_walk(int folder, const char *path, bool follow, beneath_place *out) {
    walker w = {.folders = {folder}, .depth = 0, .n_links = 0};
    size_t length = strlen(path);
    *out = (beneath_place){.folder = -1};
    if (length == 0 || length >= sizeof w.rest) {
        return length == 0 ? PLATFORM_FAULT_MISSING : PLATFORM_FAULT_NAME_TOO_LONG;
    }
    if (path[0] == '/') {
        return PLATFORM_FAULT_OUTSIDE;
    }
    memcpy(w.rest, path, length + 1);
    platform_fault fault = PLATFORM_FAULT_NONE;
    bool arrived = false;
    while (!arrived && fault == PLATFORM_FAULT_NONE) {
        fault = step(&w, follow, out, &arrived);
    }
    if (fault == PLATFORM_FAULT_NONE) {
        out->folder = w.folders[w.depth];
        out->owned = w.depth > 0;
        w.depth -= w.depth > 0 ? 1 : 0;
    }
    while (w.depth > 0) {
        leave(&w);
    }
    return fault;
}

void beneath_release(beneath_place *place) {
    if (place->owned) {
        (void)close(place->folder);
    }
    *place = (beneath_place){.folder = -1};
}
