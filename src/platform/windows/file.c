#include "base/text.h"
#include "platform/windows/native.h"

#include <stdlib.h>
#include <string.h>

/* Others may rename and remove a file that is open, as they may elsewhere. */
static const DWORD share_all = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

static platform_file_info info_of(const BY_HANDLE_FILE_INFORMATION *i) {
    bool read_only = (i->dwFileAttributes & FILE_ATTRIBUTE_READONLY) != 0;
    return (platform_file_info){.size_bytes = ((uint64_t)i->nFileSizeHigh << 32) | i->nFileSizeLow,
                                .device = i->dwVolumeSerialNumber,
                                .inode = ((uint64_t)i->nFileIndexHigh << 32) | i->nFileIndexLow,
                                .mtime_ns = native_time_ns(i->ftLastWriteTime),
                                .ctime_ns = native_time_ns(i->ftLastWriteTime),
                                .mode = read_only ? 0444 : 0666};
}

static tars_status open_with(const char *path, DWORD access, DWORD how, platform_file *out,
                             tars_error *err) {
    wchar_t wide[PLATFORM_PATH_BYTES];
    out->handle = PLATFORM_NO_HANDLE;
    tars_status status = native_path(path, wide, err);
    if (status != TARS_OK) {
        return status;
    }
    HANDLE handle = CreateFileW(wide, access, share_all, NULL, how, FILE_ATTRIBUTE_NORMAL, NULL);
    if (handle == INVALID_HANDLE_VALUE) {
        return native_fail(err, GetLastError(), path, "cannot open the file");
    }
    status = platform_file_adopt((platform_handle)handle, path, out, err);
    if (status != TARS_OK) {
        (void)CloseHandle(handle);
    }
    return status;
}

tars_status platform_file_open(const char *path, platform_file *out, tars_error *err) {
    return open_with(path, GENERIC_READ, OPEN_EXISTING, out, err);
}

tars_status platform_file_open_append(const char *path, uint32_t mode, platform_file *out,
                                      tars_error *err) {
    (void)mode; /* the folder's access list decides */
    return open_with(path, GENERIC_READ | GENERIC_WRITE, OPEN_ALWAYS, out, err);
}

tars_status platform_file_open_update(const char *path, uint32_t mode, platform_file *out,
                                      tars_error *err) {
    (void)mode; /* the folder's access list decides */
    return open_with(path, GENERIC_READ | GENERIC_WRITE, OPEN_ALWAYS, out, err);
}

tars_status platform_file_adopt(platform_handle handle, const char *name, platform_file *out,
                                tars_error *err) {
    BY_HANDLE_FILE_INFORMATION info;
    out->handle = PLATFORM_NO_HANDLE;
    bool disk = GetFileType(native_handle(handle)) == FILE_TYPE_DISK;
    if (!disk || !GetFileInformationByHandle(native_handle(handle), &info) ||
        (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)) {
        error_set(err, TARS_USAGE, "found %s where a regular file was expected",
                  disk ? "a folder" : "a device or pipe");
        error_hint(err, "name a regular file");
        platform_where(err, name);
        return TARS_USAGE;
    }
    out->handle = handle;
    platform_name_of(name, out->name, sizeof out->name);
    return TARS_OK;
}

void platform_file_close(platform_file *file) {
    platform_handle_close(file->handle);
    file->handle = PLATFORM_NO_HANDLE;
}

tars_status platform_file_get_info(const platform_file *file, platform_file_info *out,
                                   tars_error *err) {
    BY_HANDLE_FILE_INFORMATION info;
    if (!GetFileInformationByHandle(native_handle(file->handle), &info)) {
        return native_fail(err, GetLastError(), file->name, "cannot look at the file");
    }
    *out = info_of(&info);
    return TARS_OK;
}

tars_status platform_file_read_at(const platform_file *file, uint64_t offset, void *buffer,
                                  size_t length, tars_error *err) {
    uint8_t *p = buffer;
    for (size_t done = 0; done < length;) {
        size_t left = length - done;
        DWORD part = left < (1u << 30) ? (DWORD)left : 1u << 30;
        DWORD n = 0;
        OVERLAPPED at = {.Offset = (DWORD)(offset + done),
                         .OffsetHigh = (DWORD)((offset + done) >> 32)};
        BOOL good = ReadFile(native_handle(file->handle), p + done, part, &n, &at);
        if (!good && GetLastError() != ERROR_HANDLE_EOF) {
            return native_fail(err, GetLastError(), file->name, "cannot read the file");
        }
        if (n == 0) {
            error_set(err, TARS_CORRUPT, "the file ends at byte %llu, expected %llu more",
                      (unsigned long long)(offset + done), (unsigned long long)left);
            error_hint(err, "the file was cut; fetch or import it again");
            platform_where(err, file->name);
            return TARS_CORRUPT;
        }
        done += n;
    }
    return TARS_OK;
}

tars_status platform_file_write(const platform_file *file, const void *bytes, size_t length,
                                tars_error *err) {
    LARGE_INTEGER zero = {.QuadPart = 0};
    if (!SetFilePointerEx(native_handle(file->handle), zero, NULL, FILE_END)) {
        return native_fail(err, GetLastError(), file->name, "cannot go to the file's end");
    }
    tars_status status = platform_handle_write(file->handle, bytes, length, err);
    if (status != TARS_OK) {
        platform_where(err, file->name);
    }
    return status;
}

tars_status platform_file_write_at(const platform_file *file, uint64_t offset, const void *bytes,
                                   size_t length, tars_error *err) {
    const uint8_t *p = bytes;
    for (size_t done = 0; done < length;) {
        size_t left = length - done;
        DWORD part = left < (1u << 30) ? (DWORD)left : 1u << 30;
        DWORD n = 0;
        OVERLAPPED at = {.Offset = (DWORD)(offset + done),
                         .OffsetHigh = (DWORD)((offset + done) >> 32)};
        if (!WriteFile(native_handle(file->handle), p + done, part, &n, &at)) {
            return native_fail(err, GetLastError(), file->name, "cannot write to the file");
        }
        done += n;
    }
    return TARS_OK;
}

tars_status platform_file_truncate(const platform_file *file, uint64_t size_bytes,
                                   tars_error *err) {
    LARGE_INTEGER size = {.QuadPart = (LONGLONG)size_bytes};
    HANDLE handle = native_handle(file->handle);
    if (!SetFilePointerEx(handle, size, NULL, FILE_BEGIN) || !SetEndOfFile(handle)) {
        return native_fail(err, GetLastError(), file->name,
                           "cannot set the file's size to %llu bytes",
                           (unsigned long long)size_bytes);
    }
    return TARS_OK;
}

tars_status platform_file_sync(const platform_file *file, tars_error *err) {
    return FlushFileBuffers(native_handle(file->handle))
               ? TARS_OK
               : native_fail(err, GetLastError(), file->name, "cannot bring the file to the disk");
}

void platform_file_drop_cache(const platform_file *file) {
    (void)file; /* the system has no such wish */
}

tars_status platform_file_read_all(const char *path, size_t max_bytes, char **out, size_t *length,
                                   tars_error *err) {
    platform_file file;
    platform_file_info info;
    *out = NULL;
    *length = 0;
    tars_status status = platform_file_open(path, &file, err);
    if (status != TARS_OK) {
        return status;
    }
    status = platform_file_get_info(&file, &info, err);
    char *bytes = NULL;
    if (status == TARS_OK && info.size_bytes > max_bytes) {
        status = error_set(err, TARS_LIMIT, "the file has %llu bytes, at most %llu are allowed",
                           (unsigned long long)info.size_bytes, (unsigned long long)max_bytes);
        platform_where(err, path);
    } else if (status == TARS_OK) {
        bytes = malloc((size_t)info.size_bytes + 1);
        status = bytes ? platform_file_read_at(&file, 0, bytes, (size_t)info.size_bytes, err)
                       : error_set(err, TARS_OUT_OF_MEMORY, "no memory for %llu bytes",
                                   (unsigned long long)info.size_bytes);
    }
    platform_file_close(&file);
    if (status != TARS_OK) {
        free(bytes);
        return status;
    }
    bytes[info.size_bytes] = '\0';
    *out = bytes;
    *length = (size_t)info.size_bytes;
    return TARS_OK;
}

/* ---- writer ------------------------------------------------------------------------------ */

static tars_status temporary_path(const platform_writer *writer, wchar_t *out, tars_error *err) {
    char path[PLATFORM_PATH_BYTES];
    size_t folder = strlen(writer->path);
    while (folder > 0 && writer->path[folder - 1] != '/' && writer->path[folder - 1] != '\\') {
        folder--;
    }
    text_buffer text;
    text_init(&text, path, sizeof path);
    text_append(&text, writer->path, folder);
    text_append_string(&text, writer->temporary);
    return native_path(path, out, err);
}

tars_status platform_writer_open(const char *path, uint32_t mode, platform_writer *out,
                                 tars_error *err) {
    (void)mode;
    *out = (platform_writer){.handle = PLATFORM_NO_HANDLE, .folder = PLATFORM_NO_HANDLE};
    uint64_t random;
    if (strlen(path) >= PLATFORM_PATH_BYTES) {
        return error_set(err, TARS_USAGE, "the path is too long");
    }
    memcpy(out->path, path, strlen(path) + 1);
    platform_kind kind;
    tars_status status = platform_path_kind(path, &kind, NULL, err);
    if (status == TARS_OK && kind != PLATFORM_KIND_MISSING && kind != PLATFORM_KIND_FILE) {
        status = error_set(err, TARS_USAGE, "found a folder where a regular file is to be written");
        platform_where(err, path);
    }
    if (status == TARS_OK) {
        status = platform_random(&random, sizeof random, err);
    }
    wchar_t wide[PLATFORM_PATH_BYTES];
    if (status == TARS_OK) {
        text_buffer text;
        text_init(&text, out->temporary, sizeof out->temporary);
        text_format(&text, ".tars-%016llx.part", (unsigned long long)random);
        status = temporary_path(out, wide, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    HANDLE handle = CreateFileW(wide, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL,
                                CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    if (handle == INVALID_HANDLE_VALUE) {
        return native_fail(err, GetLastError(), path, "cannot make a file in the folder");
    }
    out->handle = (platform_handle)handle;
    out->named = true;
    return TARS_OK;
}

tars_status platform_writer_reserve(platform_writer *writer, uint64_t size_bytes, tars_error *err) {
    char folder[PLATFORM_PATH_BYTES];
    uint64_t free_bytes;
    size_t length = strlen(writer->path);
    while (length > 0 && writer->path[length - 1] != '/' && writer->path[length - 1] != '\\') {
        length--;
    }
    memcpy(folder, length > 0 ? writer->path : ".\\", length > 0 ? length : 2);
    folder[length > 0 ? length : 2] = '\0';
    tars_status status = platform_disk_free(folder, &free_bytes, err);
    if (status == TARS_OK && size_bytes > writer->written_bytes &&
        size_bytes - writer->written_bytes > free_bytes) {
        error_set(err, TARS_DISK_FULL, "%llu bytes are to be written, the disk has %llu free",
                  (unsigned long long)size_bytes, (unsigned long long)free_bytes);
        error_hint(err, "free some space, or choose another place with TARS_HOME");
        platform_where(err, writer->path);
        return TARS_DISK_FULL;
    }
    return status;
}

tars_status platform_writer_write(platform_writer *writer, const void *bytes, size_t length,
                                  tars_error *err) {
    tars_status status = platform_handle_write(writer->handle, bytes, length, err);
    if (status == TARS_OK) {
        writer->written_bytes += length;
    } else {
        platform_where(err, writer->path);
    }
    return status;
}

tars_status platform_writer_commit(platform_writer *writer, unsigned flags, tars_error *err) {
    wchar_t from[PLATFORM_PATH_BYTES], to[PLATFORM_PATH_BYTES];
    tars_status status = temporary_path(writer, from, err);
    if (status == TARS_OK) {
        status = native_path(writer->path, to, err);
    }
    if (status == TARS_OK && !FlushFileBuffers(native_handle(writer->handle))) {
        status =
            native_fail(err, GetLastError(), writer->path, "cannot bring the file to the disk");
    }
    platform_handle_close(writer->handle);
    writer->handle = PLATFORM_NO_HANDLE;
    DWORD how =
        MOVEFILE_WRITE_THROUGH | (flags & PLATFORM_COMMIT_REPLACE ? MOVEFILE_REPLACE_EXISTING : 0);
    if (status == TARS_OK && !MoveFileExW(from, to, how)) {
        status = native_fail(err, GetLastError(), writer->path, "cannot give the file its name");
    }
    writer->named = status != TARS_OK;
    platform_writer_abandon(writer);
    return status;
}

void platform_writer_abandon(platform_writer *writer) {
    wchar_t wide[PLATFORM_PATH_BYTES];
    if (writer->path[0] == '\0') {
        return;
    }
    platform_handle_close(writer->handle);
    writer->handle = PLATFORM_NO_HANDLE;
    if (writer->named && temporary_path(writer, wide, NULL) == TARS_OK) {
        (void)DeleteFileW(wide);
    }
    writer->named = false;
}
