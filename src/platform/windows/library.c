#include "platform/windows/native.h"

/* No runtime that needs these exists for Windows in this version. */
static tars_status unavailable(tars_error *err) {
    return error_set(err, TARS_UNAVAILABLE, "this version runs no guests on Windows");
}

tars_status platform_space_reserve(size_t size_bytes, void **out, tars_error *err) {
    (void)size_bytes;
    *out = NULL;
    return unavailable(err);
}

tars_status platform_space_open(void *space, size_t offset, size_t size_bytes, tars_error *err) {
    (void)space;
    (void)offset;
    (void)size_bytes;
    return unavailable(err);
}

tars_status platform_space_map(void *space, size_t offset, const platform_mapping *mapping,
                               platform_mapping *view, tars_error *err) {
    *view = (platform_mapping){.bytes = NULL};
    (void)space;
    (void)offset;
    (void)mapping;
    return unavailable(err);
}

void platform_space_unmap(platform_mapping *view) {
    (void)view;
}

void platform_space_release(void *space, size_t size_bytes) {
    (void)space;
    (void)size_bytes;
}

tars_status platform_library_open(const char *path, platform_library *out, tars_error *err) {
    (void)path;
    out->handle = NULL;
    return unavailable(err);
}

void *platform_library_symbol(const platform_library *library, const char *name) {
    (void)library;
    (void)name;
    return NULL;
}

tars_status platform_own_path(char *path, size_t size, tars_error *err) {
    (void)path;
    (void)size;
    return unavailable(err);
}
