#include "base/text.h"
#include "platform/windows/native.h"

#include <psapi.h>
#include <stdlib.h>
#include <string.h>

/* ---- clocks and random ------------------------------------------------------------------- */

uint64_t platform_clock_ns(void) {
    LARGE_INTEGER frequency, count;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    uint64_t ticks = (uint64_t)count.QuadPart;
    uint64_t per_second = (uint64_t)frequency.QuadPart;
    return ticks / per_second * 1000000000u + ticks % per_second * 1000000000u / per_second;
}

int64_t platform_wall_clock_ns(void) {
    FILETIME now;
    GetSystemTimeAsFileTime(&now);
    return native_time_ns(now);
}

static uint64_t ticks_ns(FILETIME kernel, FILETIME user) {
    uint64_t a = ((uint64_t)kernel.dwHighDateTime << 32) | kernel.dwLowDateTime;
    uint64_t b = ((uint64_t)user.dwHighDateTime << 32) | user.dwLowDateTime;
    return (a + b) * 100;
}

uint64_t platform_process_cpu_ns(void) {
    FILETIME start, end, kernel, user;
    return GetProcessTimes(GetCurrentProcess(), &start, &end, &kernel, &user)
               ? ticks_ns(kernel, user)
               : 0;
}

uint64_t platform_thread_cpu_ns(void) {
    FILETIME start, end, kernel, user;
    return GetThreadTimes(GetCurrentThread(), &start, &end, &kernel, &user) ? ticks_ns(kernel, user)
                                                                            : 0;
}

void platform_sleep_ns(uint64_t duration_ns) {
    uint64_t end = platform_clock_ns() + duration_ns;
    do {
        Sleep(native_wait_ms(duration_ns));
    } while (platform_clock_ns() < end);
}

/* RtlGenRandom; the C headers name it by its export. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

tars_status platform_random(void *bytes, size_t length, tars_error *err) {
    uint8_t *p = bytes;
    while (length > 0) {
        ULONG part = length < 65536 ? (ULONG)length : 65536;
        if (!SystemFunction036(p, part)) {
            return error_set(err, TARS_UNAVAILABLE, "the system gives no random bytes");
        }
        p += part;
        length -= part;
    }
    return TARS_OK;
}

/* ---- processor and memory ---------------------------------------------------------------- */

void platform_os_cpu(platform_cpu_info *info) {
    (void)info; /* no permission to ask for, and cpuid tells the caches */
}

uint32_t platform_cpu_count(void) {
    DWORD_PTR process, system;
    if (GetProcessAffinityMask(GetCurrentProcess(), &process, &system) && process != 0) {
        return (uint32_t)__builtin_popcountll(process);
    }
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwNumberOfProcessors > 0 ? info.dwNumberOfProcessors : 1;
}

tars_status platform_memory(platform_memory_info *out, tars_error *err) {
    MEMORYSTATUSEX status = {.dwLength = sizeof status};
    *out = (platform_memory_info){0, 0};
    if (!GlobalMemoryStatusEx(&status)) {
        return native_fail(err, GetLastError(), NULL, "cannot ask for the memory's size");
    }
    out->total_bytes = status.ullTotalPhys;
    out->available_bytes = status.ullAvailPhys;
    return TARS_OK;
}

tars_status platform_memory_used(platform_memory_usage *out, tars_error *err) {
    PROCESS_MEMORY_COUNTERS_EX counters = {.cb = sizeof counters};
    *out = (platform_memory_usage){.resident_bytes = 0};
    if (!GetProcessMemoryInfo(GetCurrentProcess(), (PROCESS_MEMORY_COUNTERS *)(void *)&counters,
                              sizeof counters)) {
        return native_fail(err, GetLastError(), NULL, "cannot ask for the process's memory");
    }
    out->resident_bytes = counters.WorkingSetSize;
    out->peak_resident_bytes = counters.PeakWorkingSetSize;
    out->private_bytes = counters.PrivateUsage;
    return TARS_OK;
}

uint64_t platform_peak_resident_bytes(void) {
    platform_memory_usage usage;
    return platform_memory_used(&usage, NULL) == TARS_OK ? usage.peak_resident_bytes : 0;
}

/* ---- places and users -------------------------------------------------------------------- */

const char *platform_os_name(void) {
    return "windows";
}
const char *platform_os_container(void) {
    return NULL;
}

bool platform_os_user_data_path(char *out, size_t size_bytes) {
    wchar_t folder[PLATFORM_PATH_BYTES];
    DWORD length = GetEnvironmentVariableW(L"LOCALAPPDATA", folder, PLATFORM_PATH_BYTES);
    text_buffer text;
    if (length == 0 || length >= PLATFORM_PATH_BYTES || !native_text(folder, out, size_bytes)) {
        return false;
    }
    size_t used = strlen(out);
    text_init(&text, out + used, size_bytes - used);
    text_append_string(&text, "\\TARS");
    return !text.truncated;
}

const char *const *platform_os_environment(void) {
    return (const char *const *)_environ;
}

tars_status platform_executable_path(char *out, size_t size_bytes, tars_error *err) {
    wchar_t path[PLATFORM_PATH_BYTES];
    DWORD length = GetModuleFileNameW(NULL, path, PLATFORM_PATH_BYTES);
    if (length == 0 || length >= PLATFORM_PATH_BYTES || !native_text(path, out, size_bytes)) {
        return native_fail(err, GetLastError(), NULL, "cannot find this program's own file");
    }
    return TARS_OK;
}

tars_status platform_temporary_path(char *out, size_t size_bytes, tars_error *err) {
    wchar_t path[PLATFORM_PATH_BYTES];
    DWORD length = GetTempPathW(PLATFORM_PATH_BYTES, path);
    if (length == 0 || length >= PLATFORM_PATH_BYTES) {
        return native_fail(err, GetLastError(), NULL, "cannot find the folder for temporary files");
    }
    if (length > 3 && path[length - 1] == L'\\') {
        path[length - 1] = L'\0';
    }
    return native_text(path, out, size_bytes)
               ? TARS_OK
               : error_set(err, TARS_LIMIT, "the path of the temporary folder is too long");
}

bool platform_is_root(void) {
    HANDLE token;
    TOKEN_ELEVATION elevation = {0};
    DWORD size = sizeof elevation;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) {
        return false;
    }
    BOOL known = GetTokenInformation(token, TokenElevation, &elevation, size, &size);
    (void)CloseHandle(token);
    return known && elevation.TokenIsElevated != 0;
}

tars_status platform_drop_privileges(uint32_t user_id, uint32_t group_id, tars_error *err) {
    (void)user_id;
    (void)group_id;
    return platform_not_here(err, "becoming another user");
}

uint32_t platform_user_id(void) {
    return 0;
}

bool platform_is_of_kernel(const char *path) {
    return path[0] == '\\' && path[1] == '\\'; /* devices, pipes and other machines */
}
