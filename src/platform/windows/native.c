#include "platform/windows/native.h"

#include "base/text.h"

#include <string.h>

typedef struct error_row {
    DWORD number;
    tars_status status;
    const char *hint; /* or NULL */
} error_row;

static const error_row error_table[] = {
    {ERROR_FILE_NOT_FOUND, TARS_NOT_FOUND, "check the spelling of the path"},
    {ERROR_PATH_NOT_FOUND, TARS_NOT_FOUND, "check the spelling of the path"},
    {ERROR_ACCESS_DENIED, TARS_UNAVAILABLE, "check the permissions of the file and of its folder"},
    {ERROR_SHARING_VIOLATION, TARS_CONFLICT, "close the program that uses the file"},
    {ERROR_LOCK_VIOLATION, TARS_CONFLICT, "close the program that uses the file"},
    {ERROR_DISK_FULL, TARS_DISK_FULL, "free some space, or choose another place with TARS_HOME"},
    {ERROR_HANDLE_DISK_FULL, TARS_DISK_FULL,
     "free some space, or choose another place with TARS_HOME"},
    {ERROR_NOT_ENOUGH_MEMORY, TARS_OUT_OF_MEMORY, "close other programs, or use a smaller model"},
    {ERROR_OUTOFMEMORY, TARS_OUT_OF_MEMORY, "close other programs, or use a smaller model"},
    {ERROR_COMMITMENT_LIMIT, TARS_OUT_OF_MEMORY, "enlarge the page file"},
    {ERROR_FILE_EXISTS, TARS_CONFLICT, NULL},
    {ERROR_ALREADY_EXISTS, TARS_CONFLICT, NULL},
    {ERROR_DIR_NOT_EMPTY, TARS_CONFLICT, NULL},
    {ERROR_FILENAME_EXCED_RANGE, TARS_USAGE, "choose a shorter path"},
    {ERROR_INVALID_NAME, TARS_USAGE, "the path has characters that are not allowed"},
};

tars_status native_fail(tars_error *err, DWORD number, const char *path, const char *format, ...) {
    tars_status status = TARS_IO;
    const char *hint = NULL;
    for (size_t i = 0; i < sizeof error_table / sizeof error_table[0]; i++) {
        if (error_table[i].number == number) {
            status = error_table[i].status;
            hint = error_table[i].hint;
        }
    }
    char what[200], meaning[160] = "";
    wchar_t wide[160] = L"";
    text_buffer text;
    va_list arguments;
    va_start(arguments, format);
    text_init(&text, what, sizeof what);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    DWORD length = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
                                  number, 0, wide, 160, NULL);
    while (length > 0 && wide[length - 1] <= L'.') {
        wide[--length] = L'\0'; /* ends with a full stop and a line break */
    }
    if (!native_text(wide, meaning, sizeof meaning)) {
        meaning[0] = '\0';
    }
    error_set(err, status, "%s: %s", what, meaning);
    error_cause(err, "%s (Windows error %lu)", meaning, (unsigned long)number);
    if (hint) {
        error_hint(err, "%s", hint);
    }
    if (path) {
        platform_where(err, path);
    }
    return status;
}

tars_status native_path(const char *path, wchar_t out[PLATFORM_PATH_BYTES], tars_error *err) {
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, out, PLATFORM_PATH_BYTES) >
        0) {
        return TARS_OK;
    }
    error_set(err, TARS_USAGE, "the path is too long or not valid UTF-8");
    platform_where(err, path);
    return TARS_USAGE;
}

bool native_text(const wchar_t *text, char *out, size_t size_bytes) {
    int size = size_bytes > 32767 ? 32767 : (int)size_bytes;
    return WideCharToMultiByte(CP_UTF8, 0, text, -1, out, size, NULL, NULL) > 0;
}

HANDLE native_handle(platform_handle handle) {
    static const DWORD standard[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    if (handle >= PLATFORM_STDIN && handle <= PLATFORM_STDERR) {
        return GetStdHandle(standard[handle]);
    }
    return (HANDLE)handle;
}

int64_t native_time_ns(FILETIME time) {
    int64_t ticks = (int64_t)(((uint64_t)time.dwHighDateTime << 32) | time.dwLowDateTime);
    return (ticks - INT64_C(116444736000000000)) * 100;
}

DWORD native_wait_ms(uint64_t timeout_ns) {
    if (timeout_ns == PLATFORM_FOREVER) {
        return INFINITE;
    }
    uint64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0 ? 1 : 0);
    return ms > 0x7FFFFFFF ? 0x7FFFFFFF : (DWORD)ms;
}
