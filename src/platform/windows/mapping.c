#include "platform/windows/native.h"

/* Memory is handed out at 64 KiB boundaries; for 2 MiB ones a larger range is found first and the
 * aligned part of it asked for. Somebody else may take it in between, so it is tried again. */
enum { ALIGNMENT = 2 << 20, ATTEMPTS = 16 };

static void *aligned_address(size_t size_bytes) {
    uint8_t *range = VirtualAlloc(NULL, size_bytes + ALIGNMENT, MEM_RESERVE, PAGE_NOACCESS);
    if (!range) {
        return NULL;
    }
    (void)VirtualFree(range, 0, MEM_RELEASE);
    return range + (size_t)(-(uintptr_t)range & (ALIGNMENT - 1));
}

tars_status platform_reserve(size_t size_bytes, bool huge_pages, void **out, tars_error *err) {
    (void)huge_pages; /* need a privilege that programs lack */
    *out = NULL;
    if (size_bytes == 0 || size_bytes > SIZE_MAX / 2) {
        return error_set(err, TARS_OUT_OF_MEMORY, "cannot reserve %llu bytes of memory",
                         (unsigned long long)size_bytes);
    }
    for (int i = 0; i < ATTEMPTS && size_bytes >= ALIGNMENT && !*out; i++) {
        *out = VirtualAlloc(aligned_address(size_bytes), size_bytes, MEM_RESERVE | MEM_COMMIT,
                            PAGE_READWRITE);
    }
    if (!*out && size_bytes < ALIGNMENT) {
        *out = VirtualAlloc(NULL, size_bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    }
    return *out ? TARS_OK
                : native_fail(err, GetLastError(), NULL, "cannot reserve %llu bytes of memory",
                              (unsigned long long)size_bytes);
}

bool platform_discard(void *memory, size_t size_bytes) {
    (void)memory;
    (void)size_bytes;
    return false;
}

void platform_release(void *memory, size_t size_bytes) {
    (void)size_bytes;
    if (memory) {
        (void)VirtualFree(memory, 0, MEM_RELEASE);
    }
}

static tars_status map_file(platform_mapping *mapping, tars_error *err) {
    const char *name = mapping->file.name;
    if (mapping->info.size_bytes == 0) {
        error_set(err, TARS_CORRUPT, "a file of 0 bytes cannot be a model");
        platform_where(err, name);
        return TARS_CORRUPT;
    }
    HANDLE section =
        CreateFileMappingW(native_handle(mapping->file.handle), NULL, PAGE_READONLY, 0, 0, NULL);
    if (!section) {
        return native_fail(err, GetLastError(), name, "cannot map the file");
    }
    size_t size = (size_t)mapping->info.size_bytes;
    for (int i = 0; i < ATTEMPTS && !mapping->bytes; i++) {
        mapping->bytes = MapViewOfFileEx(section, FILE_MAP_READ, 0, 0, size, aligned_address(size));
    }
    DWORD number = GetLastError();
    (void)CloseHandle(section); /* the view keeps what it needs */
    mapping->size_bytes = mapping->bytes ? size : 0;
    return mapping->bytes ? TARS_OK : native_fail(err, number, name, "cannot map the file");
}

tars_status platform_map(const char *path, platform_mapping *out, tars_error *err) {
    *out = (platform_mapping){.bytes = NULL};
    tars_status status = platform_file_open(path, &out->file, err);
    if (status != TARS_OK) {
        return status;
    }
    status = platform_file_get_info(&out->file, &out->info, err);
    if (status == TARS_OK) {
        status = map_file(out, err);
    }
    if (status != TARS_OK) {
        platform_file_close(&out->file);
    }
    return status;
}

void platform_unmap(platform_mapping *mapping) {
    if (mapping->bytes) {
        (void)UnmapViewOfFile(mapping->bytes);
        platform_file_close(&mapping->file);
        mapping->bytes = NULL;
        mapping->size_bytes = 0;
    }
}

tars_status platform_mapping_check(const platform_mapping *mapping, tars_error *err) {
    platform_file_info now;
    tars_status status = platform_file_get_info(&mapping->file, &now, err);
    if (status == TARS_OK &&
        (now.size_bytes != mapping->info.size_bytes || now.mtime_ns != mapping->info.mtime_ns)) {
        error_set(err, TARS_CORRUPT, "the file was written while it was in use");
        error_hint(err, "import the model again, and do not change files of the store");
        platform_where(err, mapping->file.name);
        return TARS_CORRUPT;
    }
    return status;
}

tars_status platform_mapping_warm(const platform_mapping *mapping, tars_error *err) {
    (void)err;
    for (size_t i = 0; i < mapping->size_bytes; i += 4096) {
        (void)*(const volatile uint8_t *)(mapping->bytes + i);
    }
    return TARS_OK;
}

tars_status platform_mapping_pages(const platform_mapping *mapping, platform_page_report *out,
                                   tars_error *err) {
    (void)mapping;
    *out = (platform_page_report){.kind = "small"};
    return platform_not_here(err, "the report on mapped pages");
}

/* A mapped file cannot be cut on Windows, so there is nothing to guard against but a disk that
 * fails; that ends the process. */
tars_status platform_guard_install(tars_error *err) {
    return platform_not_here(err, "the guard of mapped files");
}
