#include "platform/internal.h"

#include <string.h>

static tars_status read_file(void *context, uint64_t offset, void *buffer, size_t length,
                             tars_error *err) {
    return platform_file_read_at(context, offset, buffer, length, err);
}

tars_status platform_file_source(platform_file *file, byte_source *out, tars_error *err) {
    platform_file_info info;
    tars_status status = platform_file_get_info(file, &info, err);
    if (status == TARS_OK) {
        *out = (byte_source){.context = file, .size_bytes = info.size_bytes, .read_at = read_file};
    }
    return status;
}

static tars_status write_writer(void *context, const void *bytes, size_t length, tars_error *err) {
    return platform_writer_write(context, bytes, length, err);
}

byte_sink platform_writer_sink(platform_writer *writer) {
    return (byte_sink){.context = writer, .write = write_writer};
}

bool platform_writer_is_leftover(const char *name) {
    size_t length = strlen(name);
    return length > 11 && strncmp(name, ".tars-", 6) == 0 &&
           strcmp(name + length - 5, ".part") == 0;
}

void platform_where(tars_error *err, const char *path) {
    if (err) {
        platform_name_of(path, err->where, sizeof err->where);
    }
}

void platform_name_of(const char *path, char *out, size_t size_bytes) {
    size_t length = strlen(path);
    size_t skipped = 0;
    if (length >= size_bytes) {
        skipped = length - (size_bytes - 4);
        while (((unsigned char)path[skipped] & 0xC0u) == 0x80u) {
            skipped++; /* never begin inside a character */
        }
        out[0] = out[1] = out[2] = '.';
        out += 3;
    }
    memcpy(out, path + skipped, length - skipped + 1);
}

tars_status platform_not_here(tars_error *err, const char *what) {
    return error_set(err, TARS_UNAVAILABLE, "%s is not available on %s", what, platform_os_name());
}
