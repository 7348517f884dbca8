/* Names of models: store_name_* of store.h. */
#include "store/store.h"

#include "base/error.h"

#include <string.h>

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool is_first_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool store_name_valid(const char *name) {
    if (!is_first_char(name[0])) {
        return false;
    }
    size_t length = 1;
    while (is_name_char(name[length])) {
        length++;
    }
    return name[length] == '\0' && length < STORE_NAME_BYTES;
}

tars_status store_name_check(const char *name, tars_error *err) {
    if (store_name_valid(name)) {
        return TARS_OK;
    }
    char valid[STORE_NAME_BYTES];
    store_name_from_path(name, valid);
    error_set(err, TARS_USAGE, "\"%s\" is no name for the store", name);
    error_hint(err, "use up to %d of a-z, 0-9, '.', '_', '-', beginning with a letter or digit: %s",
               STORE_NAME_BYTES - 1, valid);
    return TARS_USAGE;
}

void store_name_from_path(const char *path, char name[STORE_NAME_BYTES]) {
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    static const char extension[] = ".gguf";
    size_t extension_length = sizeof extension - 1;
    if (end - start > extension_length &&
        strncmp(path + end - extension_length, extension, extension_length) == 0) {
        end -= extension_length;
    }
    size_t length = 0;
    for (size_t i = start; i < end && length < STORE_NAME_BYTES - 1; i++) {
        char c = path[i];
        c = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        bool allowed = length == 0 ? is_first_char(c) : is_name_char(c);
        if (allowed) {
            name[length++] = c;
        } else if (length > 0 && name[length - 1] != '-') {
            name[length++] = '-';
        }
    }
    while (length > 0 && name[length - 1] == '-') {
        length--;
    }
    if (length == 0) {
        memcpy(name, "model", 5);
        length = 5;
    }
    name[length] = '\0';
}
