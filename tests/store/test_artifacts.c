#include "store/artifacts.h"

#include "fixture.h"

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

static const check_test tests[] = {
    {"what was saved is loaded", what_was_saved_is_loaded},
    {"what was changed is refused", what_was_changed_is_refused},
    {"what others may write is refused", what_others_may_write_is_refused},
    {"what others signed is refused", what_others_signed_is_refused},
};
CHECK_MAIN(tests)
