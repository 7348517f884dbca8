/* Any bytes as a WebAssembly module: read in an arena of exactly the size that the reader asks for,
 * every promise of what was read checked, and every text about it written out. */
#include "runtime/module/module_file.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

/* A name lies within the file and is UTF-8; its text has nothing that drives a terminal. */
static void check_name(const module_file *m, module_text name) {
    char memory[64];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    if (name.length > 0) {
        const uint8_t *bytes = (const uint8_t *)name.bytes;
        require(bytes >= m->bytes && name.length <= m->size_bytes);
        require((size_t)(bytes - m->bytes) <= m->size_bytes - name.length);
        require(utf8_valid(name.bytes, name.length, NULL));
    }
    module_text_write(name, &text);
    require(utf8_valid(memory, strlen(memory), NULL));
    for (size_t i = 0; memory[i] != '\0'; i++) {
        require((uint8_t)memory[i] >= 0x20 && memory[i] != 0x7F);
    }
}

static void check_type(const module_file *m, module_kind kind, uint32_t index) {
    char memory[80];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    module_type_write(m, kind, index, &text);
    require(index >= m->n_of[kind] || memory[0] != '\0');
    require(utf8_valid(memory, strlen(memory), NULL));
}

static void check_module(const module_file *m, int complete) {
    for (int kind = 0; kind < MODULE_KIND_COUNT; kind++) {
        require(m->n_imported_of[kind] <= m->n_of[kind]);
        for (uint32_t i = 0; i <= m->n_of[kind] && i < 2000; i++) {
            check_type(m, (module_kind)kind, i);
        }
    }
    for (uint32_t i = 0; i < m->n_imports; i++) {
        require(m->imports[i].index < m->n_of[m->imports[i].kind]);
        check_name(m, m->imports[i].module);
        check_name(m, m->imports[i].name);
    }
    for (uint32_t i = 0; i < m->n_exports; i++) {
        require(m->exports[i].index < m->n_of[m->exports[i].kind]);
        check_name(m, m->exports[i].name);
    }
    for (uint32_t i = 0; i < m->n_customs; i++) {
        check_name(m, m->customs[i].name);
    }
    for (uint32_t i = 0; i < m->n_target_features; i++) {
        check_name(m, m->target_features[i].name);
    }
    check_name(m, m->own_name);
    require(!m->has_start || m->start < m->n_of[MODULE_FUNCTION]);
    require(complete || m->n_problems == 0);
    for (uint32_t i = 0; i <= m->n_of[MODULE_FUNCTION] && i < 64; i++) {
        check_name(m, module_function_name(m, i));
    }
    for (size_t offset = 0; offset <= m->size_bytes && offset < 4096; offset += 7) {
        uint32_t function = UINT32_MAX;
        if (module_function_at(m, offset, &function)) {
            require(function >= m->n_imported_of[MODULE_FUNCTION]);
            require(function < m->n_of[MODULE_FUNCTION]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t arena_bytes = module_file_arena_bytes(size);
    void *memory = malloc(arena_bytes);
    require(memory != NULL);
    arena a;
    module_file m;
    tars_error err = {0};
    arena_init(&a, memory, arena_bytes);
    tars_status status = module_file_read(data, size, &a, &m, &err);
    require(status == TARS_OK || status == TARS_MALFORMED || status == TARS_LIMIT ||
            status == TARS_UNSUPPORTED);
    require(status == TARS_OK || (err.message[0] != '\0' && err.where[0] != '\0'));
    if (status != TARS_UNSUPPORTED) {
        check_module(&m, status == TARS_OK);
    }
    free(memory);
    return 0;
}
