#include "platform/internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

tars_status platform_library_open(const char *path, platform_library *out, tars_error *err) {
    bool is_certain = path[0] == '/' || !strchr(path, '/');
    out->handle = is_certain ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!out->handle) {
        const char *cause = is_certain ? dlerror() : "the path is not absolute";
        error_set(err, TARS_UNAVAILABLE, "the library %s cannot be loaded", path);
        return error_cause(err, "%s", cause ? cause : "unknown");
    }
    return TARS_OK;
}

void *platform_library_symbol(const platform_library *library, const char *name) {
    return dlsym(library->handle, name);
}

tars_status platform_own_path(char *path, size_t size, tars_error *err) {
    Dl_info info;
    static const int anchor = 0; /* lies in the file that is looked for */
    bool known = dladdr(&anchor, &info) != 0 && info.dli_fname;
    /* A program that was found through PATH is told by its bare name, which could be any file of
     * the current folder; a library is always told by its path. */
    if (!known || info.dli_fname[0] != '/') {
        return platform_executable_path(path, size, err);
    }
    char *absolute = realpath(info.dli_fname, NULL);
    size_t length = absolute ? strlen(absolute) : 0;
    if (length == 0 || length >= size) {
        free(absolute);
        return error_set(err, TARS_UNAVAILABLE, "the path of this library cannot be found");
    }
    memcpy(path, absolute, length + 1);
    free(absolute);
    return TARS_OK;
}
