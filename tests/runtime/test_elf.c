/* The loader of programs: what it takes, and everything hostile that it must not. */
#include "support/check.h"

#if defined(__linux__) && defined(__x86_64__)

#include "platform/scratch.h"
#include "runtime/microvm/elf.h"

enum { FILE_BYTES = 0x3000, HEADERS_AT = 64, HEADER_BYTES = 56, ENTRY = 0x401000 };
enum { TYPE = 0, FLAGS = 4, OFFSET = 8, ADDRESS = 16, STORED = 32, SIZE = 40, ALIGNMENT = 48 };
enum { READ = 4, WRITE = 2, EXECUTE = 1, LOAD = 1, INTERPRETER = 3, TLS = 7 };

static uint8_t file[FILE_BYTES];
static space guest;

static void put(size_t at, uint64_t value, unsigned n_bytes) {
    for (unsigned i = 0; i < n_bytes; i++) {
        file[at + i] = (uint8_t)(value >> (8 * i));
    }
}

static void put_segment(unsigned index, uint32_t type, uint32_t flags, uint64_t offset,
                        uint64_t address, uint64_t stored, uint64_t size) {
    size_t at = HEADERS_AT + (size_t)index * HEADER_BYTES;
    put(at + TYPE, type, 4);
    put(at + FLAGS, flags, 4);
    put(at + OFFSET, offset, 8);
    put(at + ADDRESS, address, 8);
    put(at + ADDRESS + 8, address, 8);
    put(at + STORED, stored, 8);
    put(at + SIZE, size, 8);
    put(at + ALIGNMENT, 0x1000, 8);
}

/* Headers and constants, code, data with zeros behind it: three segments. */
static void make_file(void) {
    memset(file, 0, sizeof file);
    memcpy(file, "\177ELF\2\1\1", 7);
    put(16, 2, 2);
    put(18, 62, 2);
    put(20, 1, 4);
    put(24, ENTRY, 8);
    put(32, HEADERS_AT, 8);
    put(52, 64, 2);
    put(54, HEADER_BYTES, 2);
    put(56, 3, 2);
    put_segment(0, LOAD, READ, 0, 0x400000, 0x800, 0x800);
    put_segment(1, LOAD, READ | EXECUTE, 0x1000, 0x401000, 0x100, 0x100);
    put_segment(2, LOAD, READ | WRITE, 0x2100, 0x402100, 0x80, 0x2000);
    memset(file + 0x1000, 0x90, 0x100);
    memset(file + 0x2000, 0x55, 0x1000);
}

static void guest_begin(uint64_t size_bytes, uint64_t limit_bytes) {
    uint8_t *ram = aligned_alloc(SPACE_PAGE_BYTES, size_bytes);
    if (!ram) {
        exit(1);
    }
    memset(ram, 0, size_bytes);
    const space_options options = {
        .ram = ram, .size_bytes = size_bytes, .limit_bytes = limit_bytes};
    CHECK_INT(space_init(&guest, &options, NULL), TARS_OK);
}

static void guest_end(void) {
    free(guest.options.ram);
    space_free(&guest);
}

static unsigned access_at(uint64_t address) {
    return guest.flags[address / SPACE_PAGE_BYTES] & (SPACE_ACCESS | SPACE_MAPPED);
}

static void segments_get_what_they_ask(void) {
    elf_image image;
    tars_error err = {.message = ""};
    make_file();
    guest_begin(8 << 20, 8 << 20);
    CHECK_INT(elf_read(file, sizeof file, "program", &image, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    CHECK_INT(image.n_segments, 3);
    CHECK_INT(image.entry, ENTRY);
    CHECK_INT(image.headers, 0x400040);
    CHECK_INT(elf_load(&image, &guest, &err), TARS_OK);
    CHECK_INT(access_at(0x400000), SPACE_MAPPED | SPACE_READ);
    CHECK_INT(access_at(0x401000), SPACE_MAPPED | SPACE_READ | SPACE_EXECUTE);
    CHECK_INT(access_at(0x402000), SPACE_MAPPED | SPACE_READ | SPACE_WRITE);
    CHECK_INT(access_at(0x404000), SPACE_MAPPED | SPACE_READ | SPACE_WRITE);
    CHECK_INT(access_at(0x405000), 0);
    CHECK_INT(access_at(0x3FF000), 0);
    CHECK_INT(guest.options.ram[0x401000], 0x90);
    CHECK_INT(guest.options.ram[0x4020FF], 0); /* of the file, before the segment */
    CHECK_INT(guest.options.ram[0x402100], 0x55);
    CHECK_INT(guest.options.ram[0x40217F], 0x55);
    CHECK_INT(guest.options.ram[0x402180], 0); /* behind what is stored */
    CHECK_INT(space_brk(&guest, 0), 0x405000);
    CHECK_INT(space_used_bytes(&guest), 5 * SPACE_PAGE_BYTES);
    guest_end();
}

static void static_pie_is_moved(void) {
    elf_image image;
    tars_error err = {.message = ""};
    make_file();
    put(16, 3, 2);
    put(24, 0x1000, 8);
    put_segment(0, LOAD, READ, 0, 0, 0x800, 0x800);
    put_segment(1, LOAD, READ | EXECUTE, 0x1000, 0x1000, 0x100, 0x100);
    put_segment(2, LOAD, READ | WRITE, 0x2100, 0x2100, 0x80, 0x2000);
    guest_begin(8 << 20, 8 << 20);
    CHECK_INT(elf_read(file, sizeof file, "program", &image, &err), TARS_OK);
    CHECK_INT(image.base, ELF_PIE_BASE);
    CHECK_INT(image.entry, ELF_PIE_BASE + 0x1000);
    CHECK_INT(image.headers, ELF_PIE_BASE + 64);
    CHECK_INT(elf_load(&image, &guest, &err), TARS_OK);
    CHECK_INT(guest.options.ram[ELF_PIE_BASE + 0x1000], 0x90);
    guest_end();
}

/* ---- hostile files ---------------------------------------------------------------------- */

typedef struct change {
    const char *name;
    size_t at;
    uint64_t value;
    unsigned n_bytes;
    tars_status status;
    const char *message; /* a part of it */
} change;

#define SEGMENT(index, field) (HEADERS_AT + (index) * HEADER_BYTES + (field))

static const change changes[] = {
    {"magic", 0, 0x7E, 1, TARS_MALFORMED, "not an ELF file"},
    {"script", 0, 0x2123, 2, TARS_MALFORMED, "not an ELF file"},
    {"32 bits", 4, 1, 1, TARS_UNSUPPORTED, "32-bit"},
    {"no class", 4, 0, 1, TARS_UNSUPPORTED, "32-bit"},
    {"big-endian", 5, 2, 1, TARS_UNSUPPORTED, "big-endian"},
    {"version", 6, 2, 1, TARS_MALFORMED, "version 1"},
    {"version again", 20, 0, 4, TARS_MALFORMED, "version 1"},
    {"ARM64", 18, 183, 2, TARS_UNSUPPORTED, "another processor"},
    {"i386", 18, 3, 2, TARS_UNSUPPORTED, "another processor"},
    {"object file", 16, 1, 2, TARS_UNSUPPORTED, "no program"},
    {"core dump", 16, 4, 2, TARS_UNSUPPORTED, "no program"},
    {"header size", 52, 52, 2, TARS_MALFORMED, "64 bytes"},
    {"entry size 0", 54, 0, 2, TARS_MALFORMED, "56 bytes"},
    {"entry size 55", 54, 55, 2, TARS_MALFORMED, "56 bytes"},
    {"entry size 65535", 54, 65535, 2, TARS_MALFORMED, "56 bytes"},
    {"no headers", 56, 0, 2, TARS_MALFORMED, "no program headers"},
    {"129 headers", 56, 129, 2, TARS_MALFORMED, "more than 128"},
    {"65534 headers", 56, 65534, 2, TARS_MALFORMED, "more than 128"},
    {"65535 headers", 56, 65535, 2, TARS_MALFORMED, "more than 128"},
    {"headers at the end", 32, FILE_BYTES - 167, 8, TARS_MALFORMED, "outside of the file"},
    {"headers behind the end", 32, FILE_BYTES, 8, TARS_MALFORMED, "outside of the file"},
    {"headers far away", 32, UINT64_MAX, 8, TARS_MALFORMED, "outside of the file"},
    {"headers that wrap", 32, UINT64_MAX - 100, 8, TARS_MALFORMED, "outside of the file"},
    {"interpreter", SEGMENT(0, TYPE), INTERPRETER, 4, TARS_UNSUPPORTED, "linked dynamically"},
    {"interpreter last", SEGMENT(2, TYPE), INTERPRETER, 4, TARS_UNSUPPORTED, "linked dynamically"},
    {"writable code", SEGMENT(1, FLAGS), 7, 4, TARS_UNSUPPORTED, "writable and executable"},
    {"executable data", SEGMENT(2, FLAGS), 7, 4, TARS_UNSUPPORTED, "writable and executable"},
    {"write and execute", SEGMENT(2, FLAGS), 3, 4, TARS_UNSUPPORTED, "writable and executable"},
    {"smaller in memory", SEGMENT(1, SIZE), 0xFF, 8, TARS_MALFORMED, "smaller in memory"},
    {"no size", SEGMENT(1, SIZE), 0, 8, TARS_MALFORMED, "smaller in memory"},
    {"stored behind the end", SEGMENT(1, STORED), FILE_BYTES, 8, TARS_MALFORMED, "smaller"},
    {"offset behind the end", SEGMENT(1, OFFSET), FILE_BYTES + 0x1000, 8, TARS_MALFORMED,
     "outside of the file"},
    {"offset that wraps", SEGMENT(1, OFFSET), UINT64_MAX - 0xFFF, 8, TARS_MALFORMED,
     "outside of the file"},
    {"address 0", SEGMENT(0, ADDRESS), 0, 8, TARS_MALFORMED, "below address 65536"},
    {"address 61440", SEGMENT(0, ADDRESS), 0xF000, 8, TARS_MALFORMED, "below address 65536"},
    {"kernel half", SEGMENT(2, ADDRESS), 0xFFFF800000002100, 8, TARS_MALFORMED,
     "beyond all addresses"},
    {"wrapping", SEGMENT(2, ADDRESS), 0xFFFFFFFFFFFFF100, 8, TARS_MALFORMED,
     "beyond all addresses"},
    {"huge", SEGMENT(2, SIZE), UINT64_MAX, 8, TARS_MALFORMED, "beyond all addresses"},
    {"almost huge", SEGMENT(2, SIZE), INT64_MAX, 8, TARS_MALFORMED, "beyond all addresses"},
    {"large", SEGMENT(2, SIZE), 1ull << 40, 8, TARS_LIMIT, "needs memory"},
    {"far away", SEGMENT(2, ADDRESS), 0x7FFFFFFF2100, 8, TARS_LIMIT, "needs memory"},
    {"beyond the space", SEGMENT(2, ADDRESS), 0x7FF100, 8, TARS_LIMIT, "needs memory"},
    {"overlapping", SEGMENT(2, ADDRESS), 0x401100, 8, TARS_MALFORMED, "overlap"},
    {"the same page", SEGMENT(0, SIZE), 0x1001, 8, TARS_MALFORMED, "overlap"},
    {"out of order", SEGMENT(2, ADDRESS), 0x300100, 8, TARS_MALFORMED, "overlap"},
    {"alignment 3", SEGMENT(0, ALIGNMENT), 3, 8, TARS_MALFORMED, "power of two"},
    {"not aligned", SEGMENT(2, ADDRESS), 0x402200, 8, TARS_MALFORMED, "alignment says"},
    {"entry 0", 24, 0, 8, TARS_MALFORMED, "executable segment"},
    {"entry in data", 24, 0x402100, 8, TARS_MALFORMED, "executable segment"},
    {"entry before code", 24, 0x400FFF, 8, TARS_MALFORMED, "executable segment"},
    {"entry behind code", 24, 0x401100, 8, TARS_MALFORMED, "executable segment"},
    {"entry far away", 24, UINT64_MAX, 8, TARS_MALFORMED, "executable segment"},
    {"no code", SEGMENT(1, FLAGS), READ, 4, TARS_MALFORMED, "executable segment"},
    {"no segments", SEGMENT(1, TYPE), TLS, 4, TARS_MALFORMED, "executable segment"},
};

static tars_status try_file(size_t length, tars_error *err) {
    elf_image image;
    uint8_t *copy = malloc(length > 0 ? length : 1); /* exact: overruns are found */
    if (!copy) {
        exit(1);
    }
    memcpy(copy, file, length);
    *err = (tars_error){.message = ""};
    guest_begin(8 << 20, 4 << 20);
    tars_status status = elf_read(copy, length, "program", &image, err);
    if (status == TARS_OK) {
        status = elf_load(&image, &guest, err);
    }
    guest_end();
    free(copy);
    return status;
}

static void hostile_files_are_refused(void) {
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const change *c = &changes[i];
        tars_error err;
        make_file();
        put(c->at, c->value, c->n_bytes);
        tars_status status = try_file(sizeof file, &err);
        if (status != c->status || !strstr(err.message, c->message)) {
            check_fail(__FILE__, __LINE__, "%s: status %d, \"%s\"", c->name, (int)status,
                       err.message);
        }
        if (status != TARS_LIMIT && strncmp(err.where, "offset ", 7) != 0) {
            check_fail(__FILE__, __LINE__, "%s: no offset is told", c->name);
        }
    }
}

static void every_length_is_handled(void) {
    tars_error err;
    make_file();
    for (size_t length = 0; length < 0x2180; length += length < 300 ? 1 : 61) {
        CHECK_INT(try_file(length, &err), TARS_MALFORMED);
    }
    CHECK_INT(try_file(0x2180, &err), TARS_OK);
}

static void many_segments_are_refused(void) {
    tars_error err;
    make_file();
    put(56, 33, 2);
    for (unsigned i = 0; i < 33; i++) {
        put_segment(i, LOAD, READ | EXECUTE, 0, 0x400000 + (uint64_t)i * 0x1000, 0x1000, 0x1000);
    }
    CHECK_INT(try_file(sizeof file, &err), TARS_MALFORMED);
    CHECK(strstr(err.message, "more than 32 segments") != NULL);
    put(56, 32, 2);
    CHECK_INT(try_file(sizeof file, &err), TARS_OK);
}

static void dynamic_files_get_advice(void) {
    tars_error err;
    make_file();
    put(SEGMENT(2, TYPE), INTERPRETER, 4);
    CHECK_INT(try_file(sizeof file, &err), TARS_UNSUPPORTED);
    CHECK(strstr(err.hint, "-static") != NULL);
}

/* ---- the stack -------------------------------------------------------------------------- */

static uint64_t word_at(uint64_t address) {
    uint64_t value = 0;
    CHECK(space_get(&guest, address, &value, sizeof value));
    return value;
}

static const char *text_at(uint64_t address) {
    static char texts[4][64];
    static unsigned turn;
    size_t length;
    char *text = texts[turn++ % 4];
    CHECK_INT(space_get_text(&guest, address, text, sizeof texts[0], &length), SPACE_TEXT_OK);
    return text;
}

static uint64_t auxiliary(uint64_t at, uint64_t type) {
    for (; word_at(at) != 0; at += 16) {
        if (word_at(at) == type) {
            return word_at(at + 8);
        }
    }
    return UINT64_MAX;
}

static void the_stack_is_as_the_abi_says(void) {
    static const char *const arguments[] = {"program", "one", "", NULL};
    static const char *const environment[] = {"COLOUR=blue", NULL};
    elf_image image;
    uint64_t sp = 0;
    make_file();
    guest_begin(8 << 20, 8 << 20);
    CHECK_INT(elf_read(file, sizeof file, "program", &image, NULL), TARS_OK);
    CHECK_INT(elf_load(&image, &guest, NULL), TARS_OK);
    const elf_start start = {.arguments = arguments,
                             .environment = environment,
                             .program = "/bin/program",
                             .stack_bytes = 64 << 10};
    CHECK_INT(elf_make_stack(&image, &guest, &start, &sp, NULL), TARS_OK);
    CHECK_INT(sp % 16, 0);
    CHECK_INT(word_at(sp), 3);
    CHECK_STRING(text_at(word_at(sp + 8)), "program");
    CHECK_STRING(text_at(word_at(sp + 16)), "one");
    CHECK_STRING(text_at(word_at(sp + 24)), "");
    CHECK_INT(word_at(sp + 32), 0);
    CHECK_STRING(text_at(word_at(sp + 40)), "COLOUR=blue");
    CHECK_INT(word_at(sp + 48), 0);
    uint64_t vector = sp + 56;
    static const uint64_t rows[][2] = {{3, 0x400040}, {4, 56},         {5, 3},      {6, 4096},
                                       {7, 0},        {9, ENTRY},      {11, 65534}, {12, 65534},
                                       {13, 65534},   {14, 65534},     {16, 0},     {17, 100},
                                       {23, 0},       {33, UINT64_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CHECK_INT(auxiliary(vector, rows[i][0]), rows[i][1]);
    }
    CHECK_STRING(text_at(auxiliary(vector, 31)), "/bin/program");
    uint8_t first[16], second[16];
    uint64_t random_at = auxiliary(vector, 25);
    CHECK(space_get(&guest, random_at, first, sizeof first));
    CHECK_INT(elf_renew_random(&guest, sp, NULL), TARS_OK);
    CHECK(space_get(&guest, random_at, second, sizeof second));
    CHECK(memcmp(first, second, sizeof first) != 0);
    uint64_t low = (8 << 20) - (64 << 10);
    CHECK_INT(access_at(low), SPACE_MAPPED | SPACE_READ | SPACE_WRITE);
    CHECK_INT(access_at(low - 1), SPACE_MAPPED); /* nothing else comes to lie there */
    guest_end();
}

static void large_stacks_are_refused(void) {
    static char text[20000];
    const char *const arguments[] = {"program", text, NULL};
    elf_image image;
    tars_error err;
    uint64_t sp;
    memset(text, 'x', sizeof text - 1);
    make_file();
    static const struct {
        uint64_t stack_bytes;
        tars_status status;
    } rows[] = {{0, TARS_USAGE},
                {4097, TARS_USAGE},
                {64 << 10, TARS_LIMIT},
                {128 << 10, TARS_OK},
                {(8 << 20) + 4096, TARS_LIMIT},
                {8 << 20, TARS_LIMIT},
                {UINT64_MAX - 4095, TARS_LIMIT},
                {6 << 20, TARS_LIMIT}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        guest_begin(8 << 20, 4 << 20);
        CHECK_INT(elf_read(file, sizeof file, "program", &image, NULL), TARS_OK);
        CHECK_INT(elf_load(&image, &guest, NULL), TARS_OK);
        const elf_start start = {.arguments = arguments, .stack_bytes = rows[i].stack_bytes};
        CHECK_INT(elf_make_stack(&image, &guest, &start, &sp, &err), rows[i].status);
        guest_end();
    }
}

/* ---- programs of this machine ------------------------------------------------------------- */

static void compiled_programs_load(void) {
    static const char source[] = "int main(void) { return 0; }\n";
    static const struct {
        const char *flags;
        tars_status status;
    } rows[] = {{"-static", TARS_OK}, {"-static-pie", TARS_OK}, {"", TARS_UNSUPPORTED}};
    scratch_make();
    scratch_write(scratch_path("p.c"), source, sizeof source - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char command[3000];
        size_t length;
        elf_image image;
        tars_error err = {.message = ""};
        snprintf(command, sizeof command, "cc -O1 %s -o %s %s 2>/dev/null", rows[i].flags,
                 scratch_path("p"), scratch_path("p.c"));
        if (system(command) != 0) {
            check_skip("no compiler here that links with \"%s\"", rows[i].flags);
            continue;
        }
        uint8_t *bytes = check_read_file(scratch_path("p"), &length);
        guest_begin(64 << 20, 64 << 20);
        tars_status status = elf_read(bytes, length, "p", &image, &err);
        if (status == TARS_OK) {
            status = elf_load(&image, &guest, &err);
            CHECK(image.headers != 0);
        }
        if (status != rows[i].status) {
            check_fail(__FILE__, __LINE__, "cc %s: %s", rows[i].flags, err.message);
        }
        guest_end();
        free(bytes);
    }
    scratch_remove();
}

static const check_test table[] = {
    {"segments get what they ask", segments_get_what_they_ask},
    {"static-PIE is moved", static_pie_is_moved},
    {"hostile files are refused", hostile_files_are_refused},
    {"every length is handled", every_length_is_handled},
    {"many segments are refused", many_segments_are_refused},
    {"dynamic files get advice", dynamic_files_get_advice},
    {"the stack is as the ABI says", the_stack_is_as_the_abi_says},
    {"large stacks are refused", large_stacks_are_refused},
    {"compiled programs load", compiled_programs_load},
};

#else

static void is_not_here(void) {
    check_skip("micro-VMs are x86-64 Linux's");
}
static const check_test table[] = {{"is not here", is_not_here}};

#endif

CHECK_MAIN(table)
