/* What the Windows files share. Ownership: as in platform.h. */
#ifndef PLATFORM_WINDOWS_NATIVE_H
#define PLATFORM_WINDOWS_NATIVE_H

#include "platform/internal.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/* As platform_fail, from GetLastError(). */
tars_status native_fail(tars_error *err, DWORD number, const char *path, const char *format, ...)
    BASE_PRINTF(4, 5);
/* The path in UTF-16; USAGE when it is too long or no UTF-8. */
tars_status native_path(const char *path, wchar_t out[PLATFORM_PATH_BYTES], tars_error *err);
/* UTF-16 to UTF-8; false when it does not fit. */
bool native_text(const wchar_t *text, char *out, size_t size_bytes);
/* 0, 1 and 2 stand for the standard handles. */
HANDLE native_handle(platform_handle handle);
/* Nanoseconds since 1970 of a count of 100 ns since 1601. */
int64_t native_time_ns(FILETIME time);
/* Milliseconds for a wait, rounded up. */
DWORD native_wait_ms(uint64_t timeout_ns);

#endif
