#include "store/keys.h"

#include "fixture.h"

static void key_is_made_once(void) {
    fixture f;
    fixture_begin(&f);
    keys *first = NULL;
    keys *second = NULL;
    tars_error err = {0};
    CHECK_INT(keys_open(f.home, &first, &err), TARS_OK);
    CHECK_INT(keys_open(f.home, &second, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    CHECK_INT(strlen(keys_id(first)), 16);
    CHECK_STRING(keys_id(first), keys_id(second));
    CHECK_BYTES(keys_public(first), keys_public(second), KEYS_PUBLIC_BYTES);
    uint8_t digest[SHA256_DIGEST_BYTES];
    char hex[SHA256_HEX_BYTES];
    sha256(keys_public(first), KEYS_PUBLIC_BYTES, digest);
    hex_encode(digest, sizeof digest, hex);
    CHECK(strncmp(hex, keys_id(first), 16) == 0);
    struct stat facts;
    CHECK(stat(fixture_path(&f, "keys/signing.key"), &facts) == 0);
    CHECK_INT(facts.st_mode & 0777, 0600);
    CHECK(stat(fixture_path(&f, "keys"), &facts) == 0);
    CHECK_INT(facts.st_mode & 0777, 0700);
    CHECK_INT(fixture_count(fixture_path(&f, "keys")), 1);
    keys_close(first);
    keys_close(second);
    fixture_end(&f);
}

static void signatures_hold(void) {
    fixture f;
    fixture_begin(&f);
    keys *k = NULL;
    tars_error err = {0};
    CHECK_INT(keys_open(f.home, &k, &err), TARS_OK);
    uint8_t signature[KEYS_SIGNATURE_BYTES];
    uint8_t public_key[KEYS_PUBLIC_BYTES];
    memcpy(public_key, keys_public(k), sizeof public_key);
    CHECK_INT(keys_sign(k, "text", 4, signature, &err), TARS_OK);
    CHECK_INT(keys_verify(public_key, "text", 4, signature, &err), TARS_OK);
    CHECK_INT(keys_verify(public_key, "tex", 3, signature, &err), TARS_MISMATCH);
    CHECK_INT(keys_sign(k, "", 0, signature, &err), TARS_OK);
    CHECK_INT(keys_verify(public_key, "", 0, signature, &err), TARS_OK);
    signature[5] ^= 1;
    CHECK_INT(keys_verify(public_key, "", 0, signature, &err), TARS_MISMATCH);
    signature[5] ^= 1;
    public_key[0] ^= 1;
    CHECK(keys_verify(public_key, "", 0, signature, &err) != TARS_OK);
    keys_close(k);
    fixture_end(&f);
}

/* What another program makes of the exported key. */
static void another_program_verifies(void) {
    fixture f;
    fixture_begin(&f);
    keys *k = NULL;
    tars_error err = {0};
    char pem[KEYS_PEM_BYTES];
    uint8_t signature[KEYS_SIGNATURE_BYTES];
    CHECK_INT(keys_open(f.home, &k, &err), TARS_OK);
    CHECK_INT(keys_export_public(k, pem, &err), TARS_OK);
    CHECK_INT(keys_sign(k, "text", 4, signature, &err), TARS_OK);
    keys_close(k);
    fixture_write(fixture_path(&f, "public.pem"), pem, strlen(pem));
    fixture_write(fixture_path(&f, "text"), "text", 4);
    fixture_write(fixture_path(&f, "signature"), signature, sizeof signature);
    if (system("openssl version > /dev/null 2>&1") != 0) {
        check_skip("there is no openssl");
    } else {
        char command[1800];
        snprintf(command, sizeof command,
                 "openssl pkeyutl -verify -pubin -inkey %s -rawin -in %s -sigfile %s > /dev/null",
                 fixture_path(&f, "public.pem"), fixture_path(&f, "text"),
                 fixture_path(&f, "signature"));
        CHECK_INT(system(command), 0);
    }
    fixture_end(&f);
}

/* RFC 8032 § 7.1, test 2. */
static void agrees_with_the_rfc(void) {
    uint8_t public_key[KEYS_PUBLIC_BYTES];
    uint8_t signature[KEYS_SIGNATURE_BYTES];
    tars_error err = {0};
    CHECK(hex_decode("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", public_key,
                     sizeof public_key));
    CHECK(hex_decode("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
                     signature, sizeof signature));
    CHECK_INT(keys_verify(public_key, "\x72", 1, signature, &err), TARS_OK);
    CHECK_INT(keys_verify(public_key, "\x73", 1, signature, &err), TARS_MISMATCH);
}

static void unsafe_files_are_refused(void) {
    fixture f;
    fixture_begin(&f);
    keys *k = NULL;
    tars_error err = {0};
    CHECK_INT(keys_open(f.home, &k, &err), TARS_OK);
    keys_close(k);
    const char *path = fixture_path(&f, "keys/signing.key");
    chmod(path, 0640);
    CHECK_INT(keys_open(f.home, &k, &err), TARS_DENIED);
    CHECK(k == NULL && strstr(err.message, "640") != NULL && strstr(err.hint, "chmod") != NULL);
    chmod(path, 0604);
    CHECK_INT(keys_open(f.home, &k, &err), TARS_DENIED);
    chmod(path, 0600);
    CHECK_INT(keys_open(f.home, &k, &err), TARS_OK);
    keys_close(k);

    static const char *const damaged[] = {
        "", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no key at all",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGj\n-----END ENCRYPTED PRIVATE KEY-----\n"};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        fixture_write(path, damaged[i], strlen(damaged[i]));
        CHECK_INT(keys_open(f.home, &k, &err), TARS_CORRUPT);
        CHECK(k == NULL && err.where[0] != '\0' && err.hint[0] != '\0');
        struct stat facts; /* never replaced */
        CHECK(stat(path, &facts) == 0 && (size_t)facts.st_size == strlen(damaged[i]));
    }
    unlink(path);
    mkdir(path, 0700);
    CHECK_INT(keys_open(f.home, &k, &err), TARS_DENIED);
    rmdir(path);
    /* a key of another kind */
    char command[400];
    snprintf(command, sizeof command, "openssl genpkey -algorithm X25519 -out %s 2>/dev/null",
             path);
    if (system(command) == 0) {
        chmod(path, 0600);
        CHECK_INT(keys_open(f.home, &k, &err), TARS_CORRUPT);
    }
    fixture_end(&f);
}

static int open_unwritable_home(void *argument) {
    const fixture *f = argument;
    keys *k = NULL;
    tars_error err = {0};
    tars_status status = keys_open(f->home, &k, &err);
    return status == TARS_UNAVAILABLE && !k && err.message[0] != '\0' ? 0 : 1;
}

static void unwritable_home_is_told(void) {
    fixture f;
    fixture_begin(&f);
    char command[1000];
    snprintf(command, sizeof command, "mkdir %s && chmod 555 %s && chmod a+rx %.*s", f.home, f.home,
             (int)strlen(f.home) - 5, f.home);
    fixture_run(command);
    CHECK_INT(fixture_as_nobody(open_unwritable_home, &f), 0);
    fixture_end(&f);
}

static void many_processes_agree_on_one_key(void) {
    fixture f;
    fixture_begin(&f);
    enum { PROCESSES = 8 };
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    for (int i = 0; i < PROCESSES; i++) {
        fflush(stdout);
        if (fork() == 0) {
            keys *k = NULL;
            tars_error err = {0};
            char id[KEYS_ID_BYTES] = "failed";
            if (keys_open(f.home, &k, &err) == TARS_OK) {
                memcpy(id, keys_id(k), sizeof id);
            }
            ssize_t written = write(pipes[1], id, sizeof id);
            _exit(written == sizeof id ? 0 : 1);
        }
    }
    char first[KEYS_ID_BYTES] = "";
    for (int i = 0; i < PROCESSES; i++) {
        char id[KEYS_ID_BYTES] = "";
        CHECK_INT(read(pipes[0], id, sizeof id), sizeof id);
        if (i == 0) {
            memcpy(first, id, sizeof first);
        }
        CHECK_STRING(id, first);
        CHECK_INT(strlen(id), 16);
    }
    while (wait(NULL) > 0) {
    }
    CHECK_INT(fixture_count(fixture_path(&f, "keys")), 1);
    close(pipes[0]);
    close(pipes[1]);
    fixture_end(&f);
}

static const check_test tests[] = {
    {"a key is made once", key_is_made_once},
    {"signatures hold", signatures_hold},
    {"another program verifies signatures", another_program_verifies},
    {"signatures agree with RFC 8032", agrees_with_the_rfc},
    {"unsafe key files are refused", unsafe_files_are_refused},
    {"a home that cannot be written is told", unwritable_home_is_told},
    {"many processes agree on one key", many_processes_agree_on_one_key},
};
CHECK_MAIN(tests)
