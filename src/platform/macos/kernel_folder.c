#include "platform/platform.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

bool platform_is_of_kernel(const char *path) {
    char resolved[PATH_MAX];
    platform_kind kind = PLATFORM_KIND_MISSING;
    if (!realpath(path, resolved)) {
        return false; /* it cannot be granted at all */
    }
    (void)platform_path_kind(resolved, &kind, NULL, NULL);
    return kind == PLATFORM_KIND_FOLDER &&
           (strcmp(resolved, "/dev") == 0 || strncmp(resolved, "/dev/", 5) == 0);
}
