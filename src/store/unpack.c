#include "store/unpack.h"

#include "base/error.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_BYTES = 64 << 10, MAX_MEMBERS = 100000 };

/* The archive as libarchive reads it. */
typedef struct unpack_input {
    const byte_source *source;
    uint64_t position;
    tars_error error; /* why a read failed */
    uint8_t block[BLOCK_BYTES];
} unpack_input;

static la_ssize_t on_read(struct archive *reader, void *user, const void **bytes) {
    unpack_input *input = user;
    uint64_t left = input->source->size_bytes - input->position;
    size_t length = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
    if (byte_source_read(input->source, input->position, input->block, length, &input->error) !=
        TARS_OK) {
        archive_set_error(reader, EIO, "%s", input->error.message);
        return ARCHIVE_FATAL;
    }
    input->position += length;
    *bytes = input->block;
    return (la_ssize_t)length;
}

static la_int64_t on_skip(struct archive *reader, void *user, la_int64_t request) {
    (void)reader;
    unpack_input *input = user;
    uint64_t left = input->source->size_bytes - input->position;
    uint64_t step = request > 0 && (uint64_t)request < left ? (uint64_t)request : left;
    step = request > 0 ? step : 0;
    input->position += step;
    return (la_int64_t)step;
}

static la_int64_t on_seek(struct archive *reader, void *user, la_int64_t offset, int whence) {
    (void)reader;
    unpack_input *input = user;
    int64_t size = (int64_t)input->source->size_bytes;
    int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (int64_t)input->position : size;
    int64_t target;
    if (__builtin_add_overflow(base, offset, &target) || target < 0 || target > size) {
        return ARCHIVE_FATAL;
    }
    input->position = (uint64_t)target;
    return target;
}

static tars_status archive_failed(struct archive *reader, tars_error *err) {
    const char *cause = archive_error_string(reader);
    error_set(err, TARS_MALFORMED, "the archive is damaged or of a kind that is not read");
    error_cause(err, "%s", cause ? cause : "");
    return error_hint(err, "fetch it again");
}

static tars_status copy_member(struct archive *reader, uint64_t size,
                               bool (*progress)(void *user, uint64_t done, uint64_t total),
                               void *user, const byte_sink *sink, tars_error *err) {
    uint8_t block[BLOCK_BYTES];
    uint64_t done = 0;
    for (;;) {
        la_ssize_t got = archive_read_data(reader, block, sizeof block);
        if (got < 0) {
            return archive_failed(reader, err);
        }
        if (got == 0) {
            return TARS_OK;
        }
        tars_status status = sink->write(sink->context, block, (size_t)got, err);
        if (status != TARS_OK) {
            return status;
        }
        done += (uint64_t)got;
        if (progress && !progress(user, done, size)) {
            return error_set(err, TARS_CANCELLED, "unpacking was cancelled");
        }
    }
}

/* Steps to the plain file of that very name. */
static tars_status find_member(struct archive *reader, const char *member,
                               struct archive_entry **out, tars_error *err) {
    for (int i = 0; i < MAX_MEMBERS; i++) {
        int code = archive_read_next_header(reader, out);
        if (code == ARCHIVE_EOF) {
            error_set(err, TARS_NOT_FOUND, "the archive has no file %s", member);
            return error_hint(err, "the package may be another version than expected");
        }
        if (code < ARCHIVE_WARN) {
            return archive_failed(reader, err);
        }
        const char *name = archive_entry_pathname_utf8(*out);
        if (name && strcmp(name, member) == 0 && archive_entry_filetype(*out) == AE_IFREG) {
            return TARS_OK;
        }
    }
    return error_set(err, TARS_LIMIT, "the archive has more than %d files", MAX_MEMBERS);
}

tars_status unpack_member(const byte_source *archive, const char *member,
                          bool (*progress)(void *user, uint64_t done, uint64_t total), void *user,
                          const byte_sink *sink, tars_error *err) {
    unpack_input input = {.source = archive};
    struct archive *reader = archive_read_new();
    if (!reader) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to read an archive");
    }
    archive_read_support_format_zip_seekable(reader);
    archive_read_set_read_callback(reader, on_read);
    archive_read_set_skip_callback(reader, on_skip);
    archive_read_set_seek_callback(reader, on_seek);
    archive_read_set_callback_data(reader, &input);
    struct archive_entry *entry = NULL;
    tars_status status = archive_read_open1(reader) == ARCHIVE_OK
                             ? find_member(reader, member, &entry, err)
                             : archive_failed(reader, err);
    if (status == TARS_OK) {
        int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
        status = copy_member(reader, size > 0 ? (uint64_t)size : 0, progress, user, sink, err);
    }
    archive_read_free(reader);
    return status;
}
