/* The loader of programs: whatever the file says, what comes to be mapped keeps the rules. */
#include "fuzz_model.h"
#include "runtime/microvm/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SPACE_BYTES = 8 << 20, LIMIT_BYTES = 6 << 20, STACK_BYTES = 64 << 10 };

static void check_space(const space *s) {
    uint64_t n_counted = 0;
    for (uint64_t i = 0; i < s->n_pages; i++) {
        uint8_t flags = s->flags[i];
        fuzz_require((flags & SPACE_WRITE) == 0 || (flags & SPACE_EXECUTE) == 0);
        fuzz_require((flags & SPACE_MAPPED) == 0 || i * SPACE_PAGE_BYTES >= SPACE_LOWEST);
        fuzz_require((flags & SPACE_ACCESS) == 0 || (flags & SPACE_COUNTED) != 0);
        n_counted += (flags & SPACE_COUNTED) != 0 ? 1 : 0;
    }
    fuzz_require(n_counted == s->n_counted && n_counted <= s->n_limit && n_counted <= s->n_peak);
}

static void load(const elf_image *image, uint8_t *ram) {
    static const char *const texts[] = {"program", "argument", NULL};
    const space_options options = {
        .ram = ram, .size_bytes = SPACE_BYTES, .limit_bytes = LIMIT_BYTES};
    const elf_start start = {.arguments = texts,
                             .environment = texts,
                             .program = "/program",
                             .stack_bytes = STACK_BYTES};
    space s;
    uint64_t stack_pointer;
    fuzz_require(space_init(&s, &options, NULL) == TARS_OK);
    if (elf_load(image, &s, NULL) == TARS_OK) {
        fuzz_require(space_pointer(&s, image->entry, 1, SPACE_EXECUTE) != NULL);
        if (elf_make_stack(image, &s, &start, &stack_pointer, NULL) == TARS_OK) {
            fuzz_require(stack_pointer % 16 == 0);
            fuzz_require(elf_renew_random(&s, stack_pointer, NULL) == TARS_OK);
        }
    }
    check_space(&s);
    space_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t *ram;
    elf_image image;
    if (!ram) {
        ram = aligned_alloc(SPACE_PAGE_BYTES, SPACE_BYTES);
        fuzz_require(ram != NULL);
    }
    if (elf_read(data, size, "program", &image, NULL) == TARS_OK) {
        load(&image, ram);
    }
    return 0;
}
