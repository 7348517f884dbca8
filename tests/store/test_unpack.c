#include "import_fixture.h"

#include "store/import_process.h"

enum { BODY_BYTES = 256000, LIMIT_BYTES = 1 << 20 };

typedef struct memory_sink {
    unsigned char bytes[LIMIT_BYTES];
    size_t length;
} memory_sink;

static tars_status sink_write(void *context, const void *bytes, size_t length, tars_error *err) {
    memory_sink *sink = context;
    if (length > LIMIT_BYTES - sink->length) {
        return error_set(err, TARS_LIMIT, "the test's sink is full");
    }
    memcpy(sink->bytes + sink->length, bytes, length);
    sink->length += length;
    return TARS_OK;
}

static memory_sink sink;

/* Unpacks through a real child. */
static tars_status unpack(const fixture *f, const char *archive, const char *member,
                          tars_error *err) {
    platform_file file;
    error_clear(err);
    sink.length = 0;
    CHECK_INT(platform_file_open(fixture_path(f, archive), &file, err), TARS_OK);
    const char *arguments[] = {"unpack", member, NULL};
    import_process_options options = {
        .program_path = import_self(),
        .arguments = arguments,
        .sources = &file.handle,
        .n_sources = 1,
        .step = "unpack",
        .max_stream_bytes = LIMIT_BYTES,
        .sink = {.context = &sink, .write = sink_write},
    };
    import_process_result result;
    tars_status status = import_process_run(&options, &result, err);
    platform_file_close(&file);
    if (status == TARS_OK) {
        uint8_t digest[SHA256_DIGEST_BYTES];
        char hex[SHA256_HEX_BYTES];
        sha256(sink.bytes, sink.length, digest);
        hex_encode(digest, sizeof digest, hex);
        CHECK_STRING(result.stream_sha256, hex);
        CHECK_INT(result.bytes, sink.length);
    } else {
        CHECK(err->message[0] != '\0');
    }
    return status;
}

static bool begin(fixture *f) {
    fixture_begin(f);
    platform_make_folders(f->home, NULL);
    char command[1200];
    snprintf(command, sizeof command, "python3 %s %s", check_data_path("../store/make_archives.py"),
             f->home);
    if (system(command) != 0) {
        check_skip("python3 cannot make archives here");
        fixture_end(f);
        return false;
    }
    return true;
}

static void members_are_unpacked(void) {
    fixture f;
    tars_error err;
    if (!begin(&f)) {
        return;
    }
    static const char *const members[] = {"package/stored.bin", "package/packed.bin"};
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(unpack(&f, "good.zip", members[i], &err), TARS_OK);
        CHECK_STRING(err.message, "");
        CHECK_INT(sink.length, BODY_BYTES);
        for (size_t j = 0; j < sink.length; j++) {
            if (sink.bytes[j] != (unsigned char)j) {
                check_fail(__FILE__, __LINE__, "%s differs at byte %zu", members[i], j);
                break;
            }
        }
    }
    CHECK_INT(unpack(&f, "good.zip", "package/empty.bin", &err), TARS_OK);
    CHECK_INT(sink.length, 0);
    fixture_end(&f);
}

static void only_plain_files_of_that_name(void) {
    fixture f;
    tars_error err;
    if (!begin(&f)) {
        return;
    }
    static const char *const members[] = {
        "package",          "package/",        "stored.bin",           "/etc/passwd",
        "package/link.bin", "package/missing", "./package/stored.bin", ""};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        CHECK_INT(unpack(&f, "good.zip", members[i], &err), TARS_NOT_FOUND);
        CHECK_INT(sink.length, 0);
    }
    fixture_end(&f);
}

static void damaged_archives_are_refused(void) {
    static const char *const cases[][2] = {
        {"damaged.zip", "package/packed.bin"},
        {"wrong-crc.zip", "package/stored.bin"},
        {"cut.zip", "package/packed.bin"},
        {"text.zip", "x"},
        {"empty.zip", "x"},
        {"liar.zip", "x"},
        {"no-members.zip", "x"},
    };
    fixture f;
    tars_error err;
    if (!begin(&f)) {
        return;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tars_status status = unpack(&f, cases[i][0], cases[i][1], &err);
        if (status != TARS_MALFORMED) {
            check_fail(__FILE__, __LINE__, "%s gives %s: %s", cases[i][0], tars_status_code(status),
                       err.message);
        }
    }
    fixture_end(&f);
}

static void bombs_are_bounded(void) {
    fixture f;
    tars_error err;
    if (!begin(&f)) {
        return;
    }
    CHECK_INT(unpack(&f, "bomb.zip", "bomb.bin", &err), TARS_LIMIT);
    CHECK(sink.length <= LIMIT_BYTES);
    CHECK_INT(unpack(&f, "bomb.zip", "other.bin", &err), TARS_NOT_FOUND);
    fixture_end(&f);
}

static void any_flipped_byte_is_survived(void) {
    fixture f;
    tars_error err;
    if (!begin(&f)) {
        return;
    }
    size_t length;
    unsigned char *bytes = check_read_file(fixture_path(&f, "good.zip"), &length);
    uint64_t state = 5;
    for (int i = 0; i < 40; i++) {
        size_t at = i % 2 == 0 ? length - 1 - check_random(&state) % 900 /* the directory */
                               : check_random(&state) % length;
        unsigned char before = bytes[at];
        bytes[at] ^= (unsigned char)(1u << check_random(&state) % 8);
        fixture_write(fixture_path(&f, "flipped.zip"), bytes, length);
        tars_status status = unpack(&f, "flipped.zip", "package/packed.bin", &err);
        if (status != TARS_OK && status != TARS_MALFORMED && status != TARS_NOT_FOUND) {
            check_fail(__FILE__, __LINE__, "byte %zu flipped gives %s: %s (%s)", at,
                       tars_status_code(status), err.message, err.cause);
        }
        if (status == TARS_OK) {
            CHECK_INT(sink.length, BODY_BYTES);
        }
        bytes[at] = before;
    }
    free(bytes);
    fixture_end(&f);
}

static const check_test tests[] = {
    {"members are unpacked", members_are_unpacked},
    {"only plain files of that name are unpacked", only_plain_files_of_that_name},
    {"damaged archives are refused", damaged_archives_are_refused},
    {"archive bombs are bounded", bombs_are_bounded},
    {"any flipped byte of an archive is survived", any_flipped_byte_is_survived},
};
IMPORT_CHECK_MAIN(tests)
