/* Hostile GGUF files that only the tokenizer can see through, from the file to ids. */
#include "base/json.h"
#include "engine/import_tokenizer.h"
#include "engine/tokenizer/tokenizer.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 4 << 20 };

/* An accepted vocabulary must tokenize and give text back. */
static void use(const void *blob, size_t size, arena *memory, const char *name) {
    static const char text[] = "abcdef <s>\n\xFF\xC3\xA9 abc";
    tokenizer t;
    tars_error err = {0};
    CHECK_INT(tokenizer_open(blob, size, &t, &err), TARS_OK);
    int32_t ids[256];
    char back[1024];
    size_t count, length;
    for (unsigned flags = 0; flags < 8; flags++) {
        tars_status status =
            tokenizer_encode(&t, text, sizeof text - 1, flags, ids, 256, &count, memory, &err);
        if (status == TARS_OK) {
            status = tokenizer_decode(&t, ids, count, TOKENIZER_SHOW_SPECIAL, back, sizeof back,
                                      &length, &err);
            CHECK_INT(status, TARS_OK);
        } else if (status != TARS_UNSUPPORTED) {
            check_fail(__FILE__, __LINE__, "%s: %s", name, err.message);
        }
    }
}

/* Returns whether the vocabulary was taken. */
static bool check_file(const char *name, const char *expect) {
    char path[256];
    snprintf(path, sizeof path, "hostile/%s", name);
    size_t size = 0;
    uint8_t *bytes = check_read_file(path, &size);
    void *room = malloc(ARENA_BYTES);
    arena memory;
    arena_init(&memory, room, ARENA_BYTES);
    byte_source source = byte_source_memory(bytes, size);
    gguf_file file;
    const void *blob = NULL;
    size_t blob_bytes = 0;
    tars_error err = {0};
    tars_status status = gguf_open(&source, NULL, &memory, &file, &err);
    if (status == TARS_OK) {
        status = import_tokenizer(&file, &memory, &blob, &blob_bytes, &err);
    }
    if (status == TARS_OK) {
        use(blob, blob_bytes, &memory, name);
    } else {
        CHECK(status != TARS_OUT_OF_MEMORY && blob == NULL);
        CHECK(err.message[0] != '\0');
    }
    if (strcmp(expect, "reject") == 0 && status == TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s was taken", name);
    }
    if (strcmp(expect, "accept") == 0 && status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s was refused: %s", name, err.message);
    }
    free(room);
    free(bytes);
    return status == TARS_OK;
}

static void test_hostile_files(void) {
    size_t size;
    char *text = check_read_file("hostile/manifest.json", &size);
    size_t room_bytes = size * 64;
    void *room = malloc(room_bytes);
    arena memory;
    arena_init(&memory, room, room_bytes);
    json_value *manifest = NULL;
    tars_error err = {0};
    CHECK_INT(json_parse(text, size, NULL, &memory, &manifest, &err), TARS_OK);
    size_t n_files = 0, n_taken = 0;
    for (const json_value *e = json_member(manifest, "files")->first; e; e = e->next) {
        const char *stage = json_string_or(json_member(e, "stage"), "");
        const char *expect = json_string_or(json_member(e, "expect"), "");
        if (strcmp(stage, "tokenizer") == 0 || strcmp(expect, "accept") == 0) {
            n_files++;
            n_taken += check_file(json_string_or(json_member(e, "file"), ""), expect);
        }
    }
    CHECK(n_files >= 30);
    CHECK(n_taken >= 6 && n_taken < n_files);
    free(room);
    free(text);
}

static const check_test tests[] = {{"hostile_files", test_hostile_files}};
CHECK_MAIN(tests)
