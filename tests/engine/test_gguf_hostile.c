/* Every hostile file of tests/data/hostile through the container reader. */
#include "support/check.h"

#include "base/json.h"
#include "engine/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t scan_memory_bytes(size_t file_bytes) {
    return GGUF_MEMORY_MULTIPLE * (uint64_t)file_bytes + GGUF_READ_BYTES;
}

typedef struct counts {
    size_t files, refused, accepted;
} counts;

static void check_file(const json_value *entry, counts *n) {
    const char *name = json_string_or(json_member(entry, "file"), "");
    const char *expect = json_string_or(json_member(entry, "expect"), "");
    bool container = strcmp(json_string_or(json_member(entry, "stage"), ""), "container") == 0;
    char path[256];
    snprintf(path, sizeof path, "hostile/%s", name);
    size_t size = 0;
    uint8_t *bytes = check_read_file(path, &size);
    CHECK_INT(size, json_integer_or(json_member(entry, "bytes"), -1));
    uint8_t *exact = malloc(size ? size : 1); /* no spare byte: an address checker sees overreads */
    memcpy(exact, bytes, size);

    /* memory is what the header promises for a file of that size, and not a byte more */
    size_t arena_bytes = (size_t)scan_memory_bytes(size);
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    byte_source source = byte_source_memory(exact, size);
    gguf_file file;
    tars_error err;
    tars_status status = gguf_open(&source, NULL, &a, &file, &err);
    n->files++;
    n->refused += status != TARS_OK;
    n->accepted += status == TARS_OK;
    if (status == TARS_OUT_OF_MEMORY) {
        check_fail(__FILE__, __LINE__, "%s: needs more memory than promised", name);
    }
    if (container && strcmp(expect, "reject") == 0 && status == TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s was accepted", name);
    }
    if ((strcmp(expect, "accept") == 0 || strcmp(expect, "inspect") == 0) && status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s was refused: %s", name, err.message);
    }
    if (status != TARS_OK) {
        CHECK(err.message[0] != '\0' && err.where[0] != '\0');
        CHECK_INT(err.status, status);
        CHECK_INT(a.used_bytes, 0);
        printf("    %-45s %s: %s [%s]\n", name, tars_status_code(status), err.message, err.where);
    }
    free(memory);
    free(exact);
    free(bytes);
}

static void test_manifest(void) {
    size_t size = 0;
    char *text = check_read_file("hostile/manifest.json", &size);
    size_t arena_bytes = 1u << 20;
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    json_value *root = NULL;
    CHECK_INT(json_parse(text, size, NULL, &a, &root, NULL), TARS_OK);
    counts n = {0};
    for (const json_value *entry = json_member(root, "files")->first; entry; entry = entry->next) {
        check_file(entry, &n);
    }
    printf("    %zu files, %zu refused, %zu accepted\n", n.files, n.refused, n.accepted);
    CHECK_INT(n.files, 156);
    CHECK(n.refused >= 70 && n.accepted >= 60);
    free(memory);
    free(text);
}

/* Opens one file of the regressions; true when it was refused. */
static bool check_regression(const json_value *entry) {
    const char *name = json_string_or(json_member(entry, "file"), "");
    const char *says = json_string_or(json_member(entry, "says"), "");
    bool container = strcmp(json_string_or(json_member(entry, "stage"), ""), "container") == 0;
    char path[256];
    snprintf(path, sizeof path, "regressions/%s", name);
    size_t size = 0;
    uint8_t *bytes = check_read_file(path, &size);
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    size_t arena_bytes = (size_t)scan_memory_bytes(size);
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    byte_source source = byte_source_memory(exact, size);
    gguf_file file;
    tars_error err;
    tars_status status = gguf_open(&source, NULL, &a, &file, &err);
    if (container ? status == TARS_OK || !strstr(err.message, says) : status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s, expected \"%s\"", name,
                   status == TARS_OK ? "accepted" : err.message, says);
    }
    free(memory);
    free(exact);
    free(bytes);
    return status != TARS_OK;
}

static void test_published_classes(void) {
    size_t size = 0, files = 0, refused = 0;
    char *text = check_read_file("regressions/manifest.json", &size);
    size_t arena_bytes = 1u << 20;
    void *memory = malloc(arena_bytes);
    arena a;
    arena_init(&a, memory, arena_bytes);
    json_value *root = NULL;
    CHECK_INT(json_parse(text, size, NULL, &a, &root, NULL), TARS_OK);
    for (const json_value *entry = json_member(root, "files")->first; entry; entry = entry->next) {
        refused += check_regression(entry);
        files++;
    }
    printf("    %zu files, %zu refused\n", files, refused);
    CHECK_INT(files, 39);
    CHECK_INT(refused, 33);
    free(memory);
    free(text);
}

static const check_test tests[] = {
    {"manifest", test_manifest},
    {"published classes", test_published_classes},
};

CHECK_MAIN(tests)
