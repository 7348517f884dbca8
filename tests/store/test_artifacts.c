#include "store/artifact_room.h"
#include "store/artifacts.h"

#include "fixture.h"

#include <fcntl.h>

static const uint8_t key[SHA256_DIGEST_BYTES] = {0xAB, 1, 2, 3};
static const char content[] = "code that will be executed as it is";

static const char *artifact_path(const fixture *f) {
    char name[64 + 8];
    char hex[SHA256_HEX_BYTES];
    sha256_hex(key, hex);
    snprintf(name, sizeof name, "cache/%s", hex);
    return fixture_path(f, name);
}

static tars_status load(const fixture *f, const uint8_t *with_key) {
    uint8_t *bytes = NULL;
    size_t length = 0;
    tars_error err = {0};
    tars_status status = artifact_load(f->home, with_key, &bytes, &length, &err);
    if (status == TARS_OK) {
        CHECK_INT(length, sizeof content);
        CHECK_BYTES(bytes, content, sizeof content);
    } else {
        CHECK(bytes == NULL);
    }
    free(bytes);
    return status;
}

static void what_was_saved_is_loaded(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    CHECK_INT(load(&f, key), TARS_NOT_FOUND);
    CHECK_INT(artifact_save(f.home, key, content, sizeof content, &err), TARS_OK);
    CHECK_INT(load(&f, key), TARS_OK);
    CHECK_INT(artifact_save(f.home, key, content, sizeof content, &err), TARS_OK); /* again */
    CHECK_INT(load(&f, key), TARS_OK);
    struct stat facts;
    CHECK(stat(artifact_path(&f), &facts) == 0);
    CHECK_INT(facts.st_mode & 0777, 0600);
    uint8_t other[SHA256_DIGEST_BYTES] = {0};
    CHECK_INT(load(&f, other), TARS_NOT_FOUND);
    fixture_end(&f);
}

/* Any byte of the file changed, cut off or added. */
static void what_was_changed_is_refused(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    CHECK_INT(artifact_save(f.home, key, content, sizeof content, &err), TARS_OK);
    size_t size;
    uint8_t *whole = check_read_file(artifact_path(&f), &size);
    for (size_t i = 0; i <= size; i++) {
        FILE *file = fopen(artifact_path(&f), "wb");
        if (i < size) {
            whole[i] ^= 0x10;
        }
        fwrite(whole, 1, size, file);
        if (i < size) {
            whole[i] ^= 0x10;
        } else {
            fputc('x', file);
        }
        fclose(file);
        if (load(&f, key) == TARS_OK) {
            check_fail(__FILE__, __LINE__, "byte %zu of %zu may be changed", i, size);
        }
    }
    for (size_t n = 0; n < size; n += 7) {
        FILE *file = fopen(artifact_path(&f), "wb");
        fwrite(whole, 1, n, file);
        fclose(file);
        CHECK(load(&f, key) != TARS_OK);
    }
    free(whole);
    fixture_end(&f);
}

static void what_others_may_write_is_refused(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    CHECK_INT(artifact_save(f.home, key, content, sizeof content, &err), TARS_OK);
    CHECK(chmod(artifact_path(&f), 0622) == 0);
    CHECK_INT(load(&f, key), TARS_DENIED);
    fixture_end(&f);
}

/* Another machine's artifact, whole and properly signed there; and one moved to another key. */
static void what_others_signed_is_refused(void) {
    fixture f;
    fixture g;
    fixture_begin(&f);
    fixture_begin(&g);
    tars_error err = {0};
    CHECK_INT(artifact_save(f.home, key, content, sizeof content, &err), TARS_OK);
    CHECK_INT(artifact_save(g.home, key, "x", 1, &err), TARS_OK);
    CHECK(rename(artifact_path(&f), artifact_path(&g)) == 0);
    CHECK_INT(load(&g, key), TARS_MISMATCH);
    fixture_end(&f);
    fixture_end(&g);
}

/* The oldest go until few enough are left; what is no artifact stays. */
static void room_is_made_from_the_oldest(void) {
    fixture f;
    fixture_begin(&f);
    char folder[600];
    snprintf(folder, sizeof folder, "%s/room", f.home);
    (void)mkdir(f.home, 0700);
    CHECK_INT(mkdir(folder, 0700), 0);
    char path[800];
    for (int i = 0; i < 10; i++) {
        uint8_t own[SHA256_DIGEST_BYTES] = {(uint8_t)i};
        char hex[SHA256_HEX_BYTES];
        sha256_hex(own, hex);
        snprintf(path, sizeof path, "%s/%s", folder, hex);
        FILE *file = fopen(path, "wb");
        fwrite(content, 1, 10, file);
        fclose(file);
        struct timespec times[2] = {{.tv_sec = 1000 + (i * 7) % 10},
                                    {.tv_sec = 1000 + (i * 7) % 10}};
        CHECK_INT(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    snprintf(path, sizeof path, "%s/other", folder);
    fclose(fopen(path, "wb"));
    static const struct {
        uint64_t bytes, files;
        int left;
    } rows[] = {{100, 10, 10}, {99, 10, 9}, {1000, 7, 7}, {35, 7, 3}, {0, 7, 0}};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        artifact_room_make(folder, rows[r].bytes, rows[r].files);
        for (int i = 0; i < 10; i++) {
            uint8_t own[SHA256_DIGEST_BYTES] = {(uint8_t)i};
            char hex[SHA256_HEX_BYTES];
            sha256_hex(own, hex);
            snprintf(path, sizeof path, "%s/%s", folder, hex);
            CHECK_INT(access(path, F_OK) == 0, (i * 7) % 10 >= 10 - rows[r].left);
        }
    }
    snprintf(path, sizeof path, "%s/other", folder);
    CHECK_INT(access(path, F_OK), 0);
    fixture_end(&f);
}

static const check_test tests[] = {
    {"room is made from the oldest", room_is_made_from_the_oldest},
    {"what was saved is loaded", what_was_saved_is_loaded},
    {"what was changed is refused", what_was_changed_is_refused},
    {"what others may write is refused", what_others_may_write_is_refused},
    {"what others signed is refused", what_others_signed_is_refused},
};
CHECK_MAIN(tests)
