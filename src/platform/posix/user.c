#include "base/text.h"
#include "platform/internal.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

bool platform_is_root(void) {
    return geteuid() == 0;
}

tars_status platform_drop_privileges(uint32_t user_id, uint32_t group_id, tars_error *err) {
    gid_t group = (gid_t)group_id;
    uid_t user = (uid_t)user_id;
    /* groups first: afterwards there is no right to change them any more */
    if (setgroups(0, NULL) != 0 || setregid(group, group) != 0 || setreuid(user, user) != 0) {
        return platform_fail(err, errno, NULL, "cannot become user %u of group %u",
                             (unsigned)user_id, (unsigned)group_id);
    }
    if (user != 0 && setuid(0) == 0) {
        return error_set(err, TARS_FAILED, "the privileges of root came back after dropping them");
    }
    return TARS_OK;
}

/* HOME, or what the user database says. */
static bool home_path(char *out, size_t size_bytes) {
    text_buffer text;
    text_init(&text, out, size_bytes);
    const char *home = platform_environment("HOME");
    if (home && home[0] == '/') {
        text_append_string(&text, home);
        return !text.truncated;
    }
    char buffer[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) != 0 || !found ||
        !found->pw_dir || found->pw_dir[0] != '/') {
        return false;
    }
    text_append_string(&text, found->pw_dir);
    return !text.truncated;
}

bool platform_os_user_data_path(char *out, size_t size_bytes) {
    char home[PLATFORM_PATH_BYTES];
    text_buffer text;
    text_init(&text, out, size_bytes);
    const char *data = platform_environment("XDG_DATA_HOME");
    if (data && data[0] == '/') { /* the XDG specification has relative paths ignored */
        text_append_string(&text, data);
        text_append_string(&text, "/tars");
        return !text.truncated;
    }
    if (!home_path(home, sizeof home)) {
        return false;
    }
    text_append_string(&text, home);
    text_append_string(&text, "/.local/share/tars");
    return !text.truncated;
}

tars_status platform_temporary_path(char *out, size_t size_bytes, tars_error *err) {
    const char *folder = platform_environment("TARS_TEMP_DIR");
    folder = folder ? folder : platform_environment("TMPDIR");
    folder = folder ? folder : "/tmp";
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') {
        length--;
    }
    if (length >= size_bytes) {
        return platform_fail(err, ENAMETOOLONG, folder,
                             "cannot use the folder for temporary files");
    }
    memcpy(out, folder, length);
    out[length] = '\0';
    return TARS_OK;
}

uint32_t platform_user_id(void) {
    return (uint32_t)geteuid();
}
