/* The tiny model of the tree, packed into a file of its own and opened through the API. */
#ifndef TESTS_TINY_MODEL_H
#define TESTS_TINY_MODEL_H

#include "engine/import.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <tars/tars.h>
#include <unistd.h>

static char packed_path[256];
static tars_context *context;
static tars_model *tiny;

static tars_status write_file(void *user, const void *bytes, size_t length, tars_error *err) {
    (void)err;
    return fwrite(bytes, 1, length, user) == length ? TARS_OK : TARS_IO;
}

/* Packs a GGUF file's bytes into the file `path`; the process ends when that fails. */
static inline void pack_model(const void *gguf, size_t size, const char *path) {
    FILE *file = fopen(path, "wb");
    if (!file) {
        printf("    cannot write %s\n", path);
        exit(1);
    }
    byte_source source = byte_source_memory(gguf, size);
    byte_sink sink = {file, write_file};
    void *memory = malloc(32 << 20);
    arena a;
    arena_init(&a, memory, 32 << 20);
    import_result result;
    tars_error err = {0};
    if (import_gguf(&source, NULL, &sink, &a, &result, &err) != TARS_OK) {
        printf("    cannot pack %s: %s\n", path, err.message);
        exit(1);
    }
    fclose(file);
    free(memory);
}

static void set_up(void) {
    if (tiny) {
        return;
    }
    size_t size;
    char *gguf = check_read_file("models/tiny.gguf", &size);
    snprintf(packed_path, sizeof packed_path, "/tmp/tars-test-%d.tars", (int)getpid());
    pack_model(gguf, size, packed_path);
    free(gguf);
    tars_error err = {0};
    tars_context_options options = TARS_CONTEXT_OPTIONS_DEFAULTS;
    options.home = "/tmp/tars-test-home-that-is-not-there";
    if (tars_context_create(&options, &context, &err) != TARS_OK ||
        tars_model_open(context, packed_path, &tiny, &err) != TARS_OK) {
        printf("    cannot open the packed model: %s\n", err.message);
        exit(1);
    }
}

static void tear_down(void) {
    tars_model_close(tiny);
    tars_context_destroy(context);
    unlink(packed_path);
    tiny = NULL;
}

#endif
