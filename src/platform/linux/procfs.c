#include "platform/linux/procfs.h"

#include "base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool procfs_read(const char *path, char *out, size_t size_bytes) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    out[0] = '\0';
    if (fd < 0) {
        return false;
    }
    while (used < size_bytes - 1) {
        ssize_t n = read(fd, out + used, size_bytes - 1 - used);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        used += (size_t)n;
    }
    (void)close(fd);
    out[used] = '\0';
    return true;
}

static bool number_at(const char *text, uint64_t *out) {
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    size_t length = strspn(text, "0123456789");
    int64_t value;
    if (length == 0) {
        return false;
    }
    *out = number_to_int64(text, length, &value) ? (uint64_t)value : UINT64_MAX;
    return true;
}

bool procfs_read_number(const char *path, uint64_t *out) {
    char text[64];
    return procfs_read(path, text, sizeof text) && number_at(text, out);
}

bool procfs_find(const char *text, const char *key, uint64_t unit, uint64_t *out) {
    size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n' ? 1 : 0;
        uint64_t value;
        if (strncmp(line, key, length) == 0 && number_at(line + length, &value)) {
            *out = value > UINT64_MAX / unit ? UINT64_MAX : value * unit;
            return true;
        }
    }
    return false;
}
