#include "platform/windows/native.h"

#include <string.h>

static platform_kind kind_of(DWORD attributes) {
    return attributes & FILE_ATTRIBUTE_REPARSE_POINT ? PLATFORM_KIND_LINK
           : attributes & FILE_ATTRIBUTE_DIRECTORY   ? PLATFORM_KIND_FOLDER
           : attributes & FILE_ATTRIBUTE_DEVICE      ? PLATFORM_KIND_OTHER
                                                     : PLATFORM_KIND_FILE;
}

tars_status platform_path_kind(const char *path, platform_kind *kind, platform_file_info *info,
                               tars_error *err) {
    wchar_t wide[PLATFORM_PATH_BYTES];
    *kind = PLATFORM_KIND_MISSING;
    tars_status status = native_path(path, wide, err);
    if (status != TARS_OK) {
        return status;
    }
    DWORD attributes = GetFileAttributesW(wide);
    if (attributes == INVALID_FILE_ATTRIBUTES) {
        DWORD number = GetLastError();
        return number == ERROR_FILE_NOT_FOUND || number == ERROR_PATH_NOT_FOUND
                   ? TARS_OK
                   : native_fail(err, number, path, "cannot look at the path");
    }
    *kind = kind_of(attributes & ~(DWORD)FILE_ATTRIBUTE_REPARSE_POINT);
    if (info && *kind == PLATFORM_KIND_FILE) {
        platform_file file;
        status = platform_file_open(path, &file, err);
        if (status == TARS_OK) {
            status = platform_file_get_info(&file, info, err);
            platform_file_close(&file);
        }
    } else if (info) {
        *info = (platform_file_info){.mode = 0777};
    }
    return status;
}

tars_status platform_make_folders(const char *path, tars_error *err) {
    wchar_t wide[PLATFORM_PATH_BYTES];
    tars_status status = native_path(path, wide, err);
    if (status != TARS_OK) {
        return status;
    }
    DWORD number = ERROR_SUCCESS;
    for (size_t i = 1;; i++) {
        wchar_t c = wide[i - 1] == L'\0' ? L'\0' : wide[i];
        if (c == L'/' || c == L'\\' || c == L'\0') {
            wide[i] = L'\0';
            number = CreateDirectoryW(wide, NULL) ? ERROR_SUCCESS : GetLastError();
            wide[i] = c;
        }
        if (c == L'\0') {
            break;
        }
    }
    platform_kind kind;
    if (platform_path_kind(path, &kind, NULL, NULL) == TARS_OK && kind == PLATFORM_KIND_FOLDER) {
        return TARS_OK;
    }
    return native_fail(err, number, path, "cannot make the folder");
}

tars_status platform_list_folder(const char *path,
                                 bool (*visit)(void *user, const char *name, platform_kind kind),
                                 void *user, tars_error *err) {
    wchar_t pattern[PLATFORM_PATH_BYTES];
    tars_status status = native_path(path, pattern, err);
    size_t length = status == TARS_OK ? wcslen(pattern) : 0;
    if (status != TARS_OK || length + 3 > PLATFORM_PATH_BYTES) {
        return status != TARS_OK ? status : error_set(err, TARS_USAGE, "the path is too long");
    }
    memcpy(pattern + length, L"\\*", 3 * sizeof(wchar_t));
    WIN32_FIND_DATAW entry;
    HANDLE search = FindFirstFileW(pattern, &entry);
    if (search == INVALID_HANDLE_VALUE) {
        return native_fail(err, GetLastError(), path, "cannot open the folder");
    }
    bool more = true;
    while (more) {
        char name[1024];
        bool dots = wcscmp(entry.cFileName, L".") == 0 || wcscmp(entry.cFileName, L"..") == 0;
        if (!dots && native_text(entry.cFileName, name, sizeof name)) {
            more = visit(user, name, kind_of(entry.dwFileAttributes));
        }
        more = more && FindNextFileW(search, &entry);
    }
    (void)FindClose(search);
    return TARS_OK;
}

tars_status platform_remove(const char *path, tars_error *err) {
    wchar_t wide[PLATFORM_PATH_BYTES];
    tars_status status = native_path(path, wide, err);
    if (status != TARS_OK) {
        return status;
    }
    DWORD attributes = GetFileAttributesW(wide);
    bool folder =
        attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    return (folder ? RemoveDirectoryW(wide) : DeleteFileW(wide))
               ? TARS_OK
               : native_fail(err, GetLastError(), path, "cannot remove the file or folder");
}

tars_status platform_rename(const char *from, const char *to, tars_error *err) {
    wchar_t wide_from[PLATFORM_PATH_BYTES], wide_to[PLATFORM_PATH_BYTES];
    tars_status status = native_path(from, wide_from, err);
    if (status == TARS_OK) {
        status = native_path(to, wide_to, err);
    }
    if (status == TARS_OK &&
        !MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
        status = native_fail(err, GetLastError(), from, "cannot rename the file");
    }
    return status;
}

tars_status platform_disk_free(const char *path, uint64_t *free_bytes, tars_error *err) {
    wchar_t wide[PLATFORM_PATH_BYTES];
    ULARGE_INTEGER mine;
    *free_bytes = 0;
    tars_status status = native_path(path, wide, err);
    if (status != TARS_OK) {
        return status;
    }
    if (!GetDiskFreeSpaceExW(wide, &mine, NULL, NULL)) {
        return native_fail(err, GetLastError(), path, "cannot ask for the free space");
    }
    *free_bytes = mine.QuadPart;
    return TARS_OK;
}

tars_status platform_lock_take(const char *path, uint64_t timeout_ns, platform_lock *out,
                               tars_error *err) {
    wchar_t wide[PLATFORM_PATH_BYTES];
    out->handle = PLATFORM_NO_HANDLE;
    tars_status status = native_path(path, wide, err);
    uint64_t start = platform_clock_ns();
    while (status == TARS_OK) {
        /* sharing nothing is the lock; the system gives it back when the process ends */
        HANDLE handle = CreateFileW(wide, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_ALWAYS,
                                    FILE_ATTRIBUTE_NORMAL, NULL);
        if (handle != INVALID_HANDLE_VALUE) {
            out->handle = (platform_handle)handle;
            return TARS_OK;
        }
        DWORD number = GetLastError();
        if (number != ERROR_SHARING_VIOLATION) {
            return native_fail(err, number, path, "cannot open the lock file");
        }
        if (timeout_ns != PLATFORM_FOREVER && platform_clock_ns() - start >= timeout_ns) {
            error_set(err, TARS_CONFLICT, "locked by somebody else");
            error_hint(err, "wait until it is done, or end that process");
            platform_where(err, path);
            return TARS_CONFLICT;
        }
        Sleep(10);
    }
    return status;
}

void platform_lock_release(platform_lock *lock) {
    platform_handle_close(lock->handle);
    lock->handle = PLATFORM_NO_HANDLE;
}
