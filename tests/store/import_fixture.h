/* Imports in tests: the test program itself is the import child, or a script plays a bad one. */
#ifndef TESTS_STORE_IMPORT_FIXTURE_H
#define TESTS_STORE_IMPORT_FIXTURE_H

#include "fixture.h"

#include "store/import_child.h"
#include "store/importer.h"

#define TINY_MODEL "models/tiny.gguf"

/* The main of a test program that is also its own import child. */
#define IMPORT_CHECK_MAIN(table)                                                                   \
    int main(int argc, char **argv) {                                                              \
        if (argc > 1 && strcmp(argv[1], IMPORT_CHILD_VERB) == 0) {                                 \
            return import_child_main(argc - 1, argv + 1);                                          \
        }                                                                                          \
        return check_main(argc, argv, table, sizeof(table) / sizeof((table)[0]));                  \
    }

static inline const char *import_self(void) {
    static char path[PLATFORM_PATH_BYTES];
    if (path[0] == '\0' && platform_executable_path(path, sizeof path, NULL) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "the test program does not know its path");
    }
    return path;
}

/* In the plain child; test_import_guest.c has the guest, which is compiled anew in a new store. */
static inline importer_options import_options_of(const fixture *f, const char *name) {
    return (importer_options){
        .home = f->home, .program_path = import_self(), .name = name, .sandbox = "native"};
}

/* Bytes of files below HOME/models that no entry of the index accounts for: none, after any end of
 * any import. */
static inline void import_check_clean(const fixture *f, size_t n_blobs) {
    CHECK_INT(fixture_count(fixture_path(f, "models/blobs")), n_blobs);
    CHECK_INT(fixture_count(fixture_path(f, "models/tmp")), 0);
}

/* Writes an executable script and returns its path. */
static inline const char *import_script(const fixture *f, const char *body) {
    const char *path = fixture_path(f, "script");
    char text[PLATFORM_PATH_BYTES + 1024];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);
    platform_make_folders(f->home, NULL);
    unlink(path);
    fixture_write(path, text, strlen(text));
    chmod(path, 0755);
    return path;
}

#endif
