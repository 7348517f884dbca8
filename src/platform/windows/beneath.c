#include "platform/windows/native.h"

/* Nothing on Windows confines paths in this version: no folder is granted, so that nothing below
 * is ever reached with a handle. */
tars_status platform_beneath_root(const char *path, platform_handle *out, tars_error *err) {
    (void)path;
    *out = PLATFORM_NO_HANDLE;
    return error_set(err, TARS_UNAVAILABLE, "this version grants no folders to guests on Windows");
}

platform_fault platform_beneath_open(platform_handle folder, const char *path, unsigned flags,
                                     uint32_t mode, platform_handle *out, platform_entry *entry) {
    (void)folder;
    (void)path;
    (void)flags;
    (void)mode;
    *out = PLATFORM_NO_HANDLE;
    *entry = (platform_entry){.kind = PLATFORM_KIND_MISSING};
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_look(platform_handle folder, const char *path, bool follow,
                                     platform_entry *out) {
    (void)folder;
    (void)path;
    (void)follow;
    *out = (platform_entry){.kind = PLATFORM_KIND_MISSING};
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_set_times(platform_handle folder, const char *path, bool follow,
                                          platform_time access, platform_time change) {
    (void)folder;
    (void)path;
    (void)follow;
    (void)access;
    (void)change;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_set_mode(platform_handle folder, const char *path, bool follow,
                                         uint32_t mode) {
    (void)folder;
    (void)path;
    (void)follow;
    (void)mode;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_make_folder(platform_handle folder, const char *path,
                                            uint32_t mode) {
    (void)folder;
    (void)path;
    (void)mode;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_remove_file(platform_handle folder, const char *path) {
    (void)folder;
    (void)path;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_remove_folder(platform_handle folder, const char *path) {
    (void)folder;
    (void)path;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_rename(platform_handle from_folder, const char *from,
                                       platform_handle to_folder, const char *to) {
    (void)from_folder;
    (void)from;
    (void)to_folder;
    (void)to;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_link(platform_handle from_folder, const char *from, bool follow,
                                     platform_handle to_folder, const char *to) {
    (void)from_folder;
    (void)from;
    (void)follow;
    (void)to_folder;
    (void)to;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_make_link(const char *target, platform_handle folder,
                                          const char *path) {
    (void)target;
    (void)folder;
    (void)path;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_read_link(platform_handle folder, const char *path,
                                          char target[PLATFORM_PATH_BYTES], size_t *length) {
    (void)folder;
    (void)path;
    target[0] = '\0';
    *length = 0;
    return PLATFORM_FAULT_UNSUPPORTED;
}

void platform_beneath_walk_only(bool walk_only) {
    (void)walk_only;
}

platform_fault platform_beneath_read(platform_handle file, uint64_t offset, void *bytes,
                                     size_t length, size_t *done) {
    (void)file;
    (void)offset;
    (void)bytes;
    (void)length;
    *done = 0;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_write(platform_handle file, uint64_t offset, const void *bytes,
                                      size_t length, size_t *done) {
    (void)file;
    (void)offset;
    (void)bytes;
    (void)length;
    *done = 0;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_append(platform_handle file, const void *bytes, size_t length,
                                       size_t *done, uint64_t *end) {
    (void)file;
    (void)bytes;
    (void)length;
    *done = 0;
    *end = 0;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_set_append(platform_handle file, bool append) {
    (void)file;
    (void)append;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_get_entry(platform_handle handle, platform_entry *out) {
    (void)handle;
    *out = (platform_entry){.kind = PLATFORM_KIND_MISSING};
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_set_entry_times(platform_handle handle, platform_time access,
                                                platform_time change) {
    (void)handle;
    (void)access;
    (void)change;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_set_entry_mode(platform_handle handle, uint32_t mode) {
    (void)handle;
    (void)mode;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_resize(platform_handle file, uint64_t size_bytes) {
    (void)file;
    (void)size_bytes;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_allocate(platform_handle file, uint64_t offset, uint64_t length) {
    (void)file;
    (void)offset;
    (void)length;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_beneath_sync(platform_handle handle, bool data_only) {
    (void)handle;
    (void)data_only;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_listing_open(platform_handle folder, platform_listing *out) {
    (void)folder;
    out->stream = NULL;
    return PLATFORM_FAULT_UNSUPPORTED;
}

platform_fault platform_listing_next(platform_listing *listing, const char **name,
                                     platform_kind *kind, uint64_t *inode) {
    (void)listing;
    *name = NULL;
    *kind = PLATFORM_KIND_MISSING;
    *inode = 0;
    return PLATFORM_FAULT_UNSUPPORTED;
}

void platform_listing_rewind(platform_listing *listing) {
    (void)listing;
}

void platform_listing_close(platform_listing *listing) {
    (void)listing;
}
