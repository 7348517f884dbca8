#include "runtime/module/module_file.h"

#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#define HEAD "\0asm\1\0\0\0"

/* A module read into an arena of exactly the promised size. */
typedef struct reading {
    module_file module;
    tars_error err;
    tars_status status;
    void *memory;
} reading;

static reading read_bytes(const void *bytes, size_t length) {
    reading r = {.memory = malloc(module_file_arena_bytes(length))};
    arena a;
    arena_init(&a, r.memory, module_file_arena_bytes(length));
    r.status = module_file_read(bytes, length, &a, &r.module, &r.err);
    return r;
}

/* ---- malformed ------------------------------------------------------------------------- */

typedef struct bad_case {
    const char *bytes; /* behind the head */
    size_t length;
    tars_status status;
    const char *message, *where; /* parts of them */
} bad_case;

#define BAD(BYTES, STATUS, MESSAGE, WHERE) {BYTES, sizeof(BYTES) - 1, STATUS, MESSAGE, WHERE}
#define BAD_CASE(BYTES, MESSAGE, WHERE) BAD(BYTES, TARS_MALFORMED, MESSAGE, WHERE)
#define ONE_TYPE "\1\4\1\x60\0\0" /* func (): bytes 8 to 13 */
#define ONE_FUNCTION ONE_TYPE "\3\2\1\0"

static const bad_case bad_cases[] = {
    /* heads of sections */
    BAD_CASE("\1", "ends at byte 9, inside the size", "byte 9"),
    BAD_CASE("\x0e\0", "a section of kind 14", "byte 8, head of a section"),
    BAD_CASE("\1\5\0", "type section has 5 bytes, but only 1 follow", "byte 9, type section"),
    BAD_CASE("\1\x80\x80\x80\x80\x80\0", "more than 5 bytes", "byte 9, type section"),
    BAD_CASE("\1\xff\xff\xff\xff\x1f", "does not fit a number of 32 bits", "byte 9"),
    BAD_CASE("\1\xff\xff\xff\xff\x0f", "4294967295 bytes", "byte 9"),
    BAD_CASE("\1\1\0\1\1\0", "second type section", "byte 11, type section"),
    BAD_CASE("\3\1\0\2\1\0", "import section behind the function section", "byte 11"),
    BAD_CASE("\5\1\0\x0d\1\0\x0d\1\0", "second tag section", "byte 14"),
    BAD_CASE("\6\1\0\x0d\1\0", "tag section behind the global section", "byte 11"),
    BAD_CASE("\x0a\1\0\x0c\1\0", "data count section behind the code section", "byte 11"),
    BAD_CASE("\1\2\0\0", "goes on for 1 bytes behind its last item", "byte 11, type section"),
    BAD_CASE("\0\0", "name of a custom section", "byte 10, custom section"),
    BAD_CASE("\0\2\5a", "has 5 bytes, but only 1 follow", "byte 10"),
    BAD_CASE("\0\3\2\xc3\x28", "not UTF-8: found the byte 0xc3", "byte 11, custom section"),
    /* types */
    BAD_CASE("\1\1\x7f", "number of types is 127, but only 0 bytes follow", "byte 10"),
    BAD("\1\5\xff\xff\xff\xff\x0f", TARS_LIMIT, "at most 1000000", "byte 10"),
    BAD_CASE("\1\2\1\x60", "number of types is 1, but only 1 bytes follow", "byte 10"),
    BAD_CASE("\1\3\1\x61\0", "0x61 as the form of a type", "byte 11"),
    BAD_CASE("\1\5\1\x60\1\x12\0", "0x12 as the type of a value", "byte 13"),
    BAD_CASE("\1\5\1\x60\1\x78\0", "0x78 as the type of a value", "byte 13"), /* i8: packed */
    BAD_CASE("\1\6\1\x60\1\x63\x40\0", "-64 as what a reference leads to", "byte 14"),
    BAD_CASE("\1\5\1\x5f\1\x7f\2", "0x02 for the mutability", "byte 14"),
    BAD_CASE("\1\3\1\x4e\5", "number of types of a group is 5", "byte 12"),
    BAD_CASE("\1\4\1\x60\x05\0", "number of parameters is 5", "byte 12"),
    /* imports */
    BAD_CASE("\2\5\1\0\0\5\0", "0x05 as a kind", "byte 13, import section"),
    BAD_CASE("\2\5\1\0\0\0\0", "type 0, but there are only 0", "byte 14"),
    BAD_CASE("\1\3\1\x5f\0\2\5\1\0\0\0\0", "type 0 is no function's", "byte 19"),
    BAD_CASE("\2\6\1\0\0\2\x10\1", "0x10 as the kind of limits of a memory", "byte 14"),
    BAD_CASE("\2\7\1\0\0\1\x70\2\1", "0x02 as the kind of limits of a table", "byte 15"),
    BAD_CASE("\2\6\1\0\0\3\x7f\2", "0x02 for the mutability of a global", "byte 15"),
    BAD_CASE("\2\6\1\0\0\4\1\0", "0x01 as the attribute of a tag", "byte 14"),
    BAD_CASE("\2\6\1\0\1\xff\2\1", "name of an import is not UTF-8", "byte 13"),
    /* what is defined */
    BAD_CASE("\3\2\1\0", "type 0, but there are only 0", "byte 11, function section"),
    BAD_CASE("\3\6\xff\xff\xff\xff\xff\0", "more than 5 bytes", "byte 10"),
    BAD_CASE(ONE_FUNCTION, "no code section for 1 functions", "byte 18, end of the file"),
    BAD_CASE(ONE_FUNCTION "\x0a\1\0", "0 bodies for 1 functions", "byte 20, code section"),
    BAD_CASE("\x0a\1\0\x0b", "ends at byte 12", "byte 12"),
    BAD_CASE("\5\3\1\0\x80", "minimum", "byte 12, memory section"),
    BAD_CASE("\5\4\1\x08\1\1", "2 to the power 1", "byte 13") /* page size */,
    BAD("\5\6\x65\0\0\0\0\0", TARS_LIMIT, "at most 100", "byte 10"),
    BAD_CASE("\4\6\1\x40\1\x70\0\0", "0x01 in the mark of a table", "byte 12"),
    BAD_CASE("\6\4\1\x7f\0\x0b\7\5\1\0\3\1", "only", "byte 15"),
    BAD_CASE("\6\4\1\x7f\0\x41", "number", "byte 14, global section"),
    BAD_CASE("\6\5\1\x7f\0\xff\x0b", "unknown instruction 0xff", "byte 13, global section"),
    BAD_CASE("\6\6\1\x7f\0\2\x40\x0b", "a block in a constant", "byte 13"),
    BAD_CASE("\6\x0a\1\x7f\0\x41\xff\xff\xff\xff\x4f\x0b", "does not fit a number of 32 bits",
             "byte 14"),
    BAD_CASE("\7\4\1\0\0\0", "function 0, but there are only 0", "byte 13, export section"),
    BAD_CASE("\x08\1\0", "function 0, but there are only 0", "byte 10, start section"),
    BAD_CASE("\x09\3\1\x08\0", "found 8 as the kind of a segment", "byte 11"),
    BAD_CASE("\x09\4\1\1\1\0", "0x01 as the kind of elements", "byte 12"),
    BAD_CASE("\x09\4\1\1\0\7", "number of elements is 7", "byte 13"),
    BAD_CASE("\x0b\3\1\3\0", "found 3 as the kind of a segment", "byte 11, data section"),
    BAD_CASE("\x0b\3\1\1\5", "inside the contents of a segment", "byte 13"),
    BAD_CASE("\x0b\4\1\2\0\0", "memory 0, but there are only 0", "byte 12"),
    BAD_CASE("\x0c\1\1", "no data section for 1 announced", "byte 11, end of the file"),
    BAD_CASE("\x0c\1\2\x0b\3\1\1\0", "1 data segments, but 2 are announced", "byte 13"),
    /* bodies */
    BAD_CASE(ONE_FUNCTION "\x0a\4\1\2\0\0", "ends with 0x00, expected 0x0b", "byte 23"),
    BAD_CASE(ONE_FUNCTION "\x0a\4\1\5\0\x0b", "has 5 bytes, and 2 follow", "byte 21"),
    BAD_CASE(ONE_FUNCTION "\x0a\4\1\1\0\x0b", "has 1 bytes", "byte 21"),
    BAD_CASE(ONE_FUNCTION "\x0a\x11\1\x0f\2\xff\xff\xff\xff\x0f\x7f\xff\xff\xff\xff\x0f\x7f\0\x0b",
             "8589934590 variables", "byte 29"),
};

static void malformed_modules_are_told_with_their_place(void) {
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        const bad_case *c = &bad_cases[i];
        char bytes[128] = HEAD;
        memcpy(bytes + MODULE_HEADER_BYTES, c->bytes, c->length);
        reading r = read_bytes(bytes, MODULE_HEADER_BYTES + c->length);
        if (r.status != c->status || !strstr(r.err.message, c->message) ||
            strncmp(r.err.where, c->where, strlen(c->where)) != 0) {
            check_fail(__FILE__, __LINE__, "case %zu, expected \"%s\" (%s): status %d, \"%s\" (%s)",
                       i, c->message, c->where, (int)r.status, r.err.message, r.err.where);
        }
        free(r.memory);
    }
}

typedef struct head_case {
    const char *bytes;
    size_t length;
    tars_status status;
    const char *message;
} head_case;

static void what_is_no_module_is_named(void) {
#define ROW(BYTES, STATUS, MESSAGE) {BYTES, sizeof(BYTES) - 1, STATUS, MESSAGE}
    static const head_case cases[] = {
        ROW("", TARS_MALFORMED, "0 bytes"),
        ROW("\0as", TARS_MALFORMED, "3 bytes"),
        ROW("\0asm\1\0\0", TARS_MALFORMED, "7 bytes"),
        ROW("\0asm\2\0\0\0", TARS_UNSUPPORTED, "version 2"),
        ROW("\0asm\x0d\0\1\0", TARS_UNSUPPORTED, "component"),
        ROW("\0asm\1\0\2\0", TARS_UNSUPPORTED, "version"),
        ROW("  (module)", TARS_MALFORMED, "text format"),
        ROW(";; a comment\n(module)", TARS_MALFORMED, "text format"),
        ROW("\177ELF\2\1\1", TARS_MALFORMED, "ELF"),
        ROW("#!/bin/sh\n", TARS_MALFORMED, "script"),
        ROW("GGUF\3\0\0\0", TARS_MALFORMED, "model"),
        ROW("<!DOCTYPE html>", TARS_MALFORMED, "HTML"),
        ROW("int main(void) {}", TARS_MALFORMED, "looks like text"),
        ROW("\1\2\3\4\5\6\7\x08", TARS_MALFORMED, "begins with 01 02 03 04"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reading r = read_bytes(cases[i].bytes, cases[i].length);
        if (r.status != cases[i].status || !strstr(r.err.message, cases[i].message)) {
            check_fail(__FILE__, __LINE__, "case %zu: status %d, \"%s\", expected \"%s\"", i,
                       (int)r.status, r.err.message, cases[i].message);
        }
        free(r.memory);
    }
}

/* ---- good ------------------------------------------------------------------------------ */

/* One of everything:
 * types: 0 func (i32, i64) -> i32, 1 func (), 2 func (f32) -> (f64, v128)
 * imports: env.f func 0, env.t table 1..2 externref, env.m memory 1..16, env.g global mut i64
 * functions: 1 of type 1, 2 of type 1; start 1; code with SIMD, bulk memory, a tail call */
static const char everything[] =
    HEAD "\1\x10\3\x60\2\x7f\x7e\1\x7f\x60\0\0\x60\1\x7d\2\x7c\x7b"
         "\2\x27\4\3env\1f\0\0\3env\1t\1\x6f\1\1\2\3env\1m\2\1\1\x10\3env\1g\3\x7e\1"
         "\3\3\2\1\1"
         "\4\4\1\x70\0\3"
         "\5\3\1\0\5"
         "\6\6\1\x7f\0\x41\7\x0b"
         "\7\x0f\3\3run\0\1\1m\2\1\1g\3\0"
         "\x08\1\1"
         "\x09\7\1\0\x41\0\x0b\1\0"
         "\x0c\1\2"
         "\x0a\x18\2"
         "\x12\1\2\x7f\x41\0\x41\0\x41\0\xfc\x0b\0\xfd\x0f\x1a\x12\2\x0b"
         "\3\0\1\x0b"
         "\x0b\x0b\2\0\x41\0\x0b\1!\1\2hi"
         "\0\x16\4name\0\3\2mo\1\x0a\2\0\1f\1\4\xc3\xa9\n!"
         "\0\x1a\x0ftarget_features\1+\7simd128";
enum { EVERYTHING_BYTES = sizeof everything - 1 };

static void check_type(const module_file *m, module_kind kind, uint32_t index,
                       const char *expected) {
    char memory[64];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    module_type_write(m, kind, index, &text);
    CHECK_STRING(memory, expected);
}

static void check_text(module_text name, const char *expected) {
    char memory[64];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    module_text_write(name, &text);
    CHECK_STRING(memory, expected);
}

static void a_module_with_everything_is_read(void) {
    reading r = read_bytes(everything, EVERYTHING_BYTES);
    const module_file *m = &r.module;
    if (r.status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s (%s)", r.err.message, r.err.where);
        free(r.memory);
        return;
    }
    CHECK_INT(m->n_imports, 4);
    check_text(m->imports[1].module, "env");
    check_text(m->imports[1].name, "t");
    CHECK_INT(m->imports[1].kind, MODULE_TABLE);
    CHECK_INT(m->n_of[MODULE_FUNCTION], 3);
    CHECK_INT(m->n_imported_of[MODULE_FUNCTION], 1);
    check_type(m, MODULE_FUNCTION, 0, "func (i32, i64) -> i32");
    check_type(m, MODULE_FUNCTION, 2, "func ()");
    check_type(m, MODULE_TABLE, 0, "table 1..2 externref");
    check_type(m, MODULE_TABLE, 1, "table 3.. funcref");
    check_type(m, MODULE_MEMORY, 0, "memory 1..16 pages");
    check_type(m, MODULE_MEMORY, 1, "memory 5.. pages");
    check_type(m, MODULE_GLOBAL, 0, "global mut i64");
    check_type(m, MODULE_GLOBAL, 1, "global i32");
    CHECK_INT(m->n_exports, 3);
    check_text(m->exports[0].name, "run");
    CHECK_INT(m->exports[1].index, 1);
    CHECK(m->has_start);
    CHECK_INT(m->start, 1);
    CHECK_INT(m->n_element_segments, 1);
    CHECK_INT(m->n_data_segments, 2);
    CHECK_INT(m->largest_body, 1);
    CHECK_INT(m->largest_body_bytes, 18);
    CHECK_INT(m->n_customs, 2);
    check_text(m->own_name, "mo");
    CHECK_INT(m->n_function_names, 2);
    check_text(module_function_name(m, 0), "f");
    check_text(module_function_name(m, 1), "é\\u{a}!");
    check_text(module_function_name(m, 2), "");
    CHECK_INT(m->n_target_features, 1);
    CHECK_INT(m->target_features[0].prefix, '+');
    check_text(m->target_features[0].name, "simd128");
    CHECK_INT(m->n_problems, 0);
    CHECK(m->code_was_walked);
    static const module_feature features[] = {
        MODULE_MUTABLE_GLOBALS, MODULE_MULTI_VALUE, MODULE_REFERENCE_TYPES,
        MODULE_BULK_MEMORY,     MODULE_SIMD,        MODULE_TAIL_CALL,
        MODULE_MULTI_MEMORY};
    uint64_t expected = 0;
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        expected |= UINT64_C(1) << features[i];
    }
    CHECK_INT(m->features, expected);
    free(r.memory);
}

/* A cut file is malformed, but where it is cut between sections and nothing is missed. */
static void every_cut_of_a_module_is_refused_or_read(void) {
    for (size_t length = 0; length < EVERYTHING_BYTES; length++) {
        uint8_t *copy = malloc(length + 1); /* its end is watched by the sanitizer */
        memcpy(copy, everything, length);
        uint8_t *exact = realloc(copy, length > 0 ? length : 1);
        reading r = read_bytes(exact, length);
        if (r.status != TARS_OK) {
            CHECK_INT(r.status, TARS_MALFORMED);
            CHECK(r.err.message[0] != '\0' && r.err.where[0] != '\0');
        } else {
            CHECK(length == MODULE_HEADER_BYTES || r.module.n_types == 3);
        }
        free(r.memory);
        free(exact);
    }
}

/* Any byte with any other value: no crash, and what is read keeps its promises. */
static void every_changed_byte_is_survived(void) {
    for (size_t i = 0; i < EVERYTHING_BYTES; i++) {
        for (unsigned value = 0; value < 256; value++) {
            char bytes[EVERYTHING_BYTES];
            memcpy(bytes, everything, EVERYTHING_BYTES);
            bytes[i] = (char)value;
            reading r = read_bytes(bytes, EVERYTHING_BYTES);
            if (r.status != TARS_OK && (r.err.message[0] == '\0' || r.err.where[0] == '\0')) {
                check_fail(__FILE__, __LINE__, "byte %zu = %u: no message", i, value);
            }
            CHECK(r.status != TARS_OUT_OF_MEMORY);
            free(r.memory);
        }
    }
}

/* ---- names, offsets -------------------------------------------------------------------- */

static void bodies_are_found_by_offset(void) {
    reading r = read_bytes(everything, EVERYTHING_BYTES);
    uint32_t function = 99;
    CHECK(!module_function_at(&r.module, 0, &function));
    CHECK(!module_function_at(&r.module, EVERYTHING_BYTES, &function));
    CHECK(!module_function_at(&r.module, UINT64_MAX, &function));
    uint32_t code = r.module.code_section;
    CHECK(module_function_at(&r.module, code, &function));
    CHECK_INT(function, 1);
    CHECK(module_function_at(&r.module, code + 19, &function));
    CHECK_INT(function, 2);
    CHECK(module_function_at(&r.module, code + r.module.code_bytes - 1, &function));
    CHECK_INT(function, 2);
    CHECK(!module_function_at(&r.module, code + r.module.code_bytes, &function));
    free(r.memory);
}

static void names_cannot_drive_a_terminal(void) {
    check_text((module_text){"a\033[31m\0b\x7f", 9}, "a\\u{1b}[31m\\u{0}b\\u{7f}");
    check_text((module_text){"\xe2\x80\xae"
                             "txt",
                             6},
               "\\u{202e}txt");
    char memory[8];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    module_text_write((module_text){"abcdefghijk", 11}, &text);
    CHECK_STRING(memory, "abcd…");
}

static void a_bad_custom_section_is_a_problem_and_no_failure(void) {
    static const bad_case cases[] = {
        BAD("\0\x0a\4name\1\3\1\0\0", TARS_OK, "function 0, but there are only 0", "byte 18"),
        BAD("\0\7\4name\0\5", TARS_OK, "a subsection has 5 bytes, but only 0", "byte 16"),
        BAD("\0\x12\x0ftarget_features\1*", TARS_OK, "number of target features", "byte 26"),
        BAD("\0\x13\x0ftarget_features\1*\0", TARS_OK, "found 0x2a before", "byte 27"),
        BAD(ONE_FUNCTION "\x0a\4\1\2\0\x0b\0\x0c\4name\1\5\2\0\0\0\0", TARS_OK,
            "the name of function 0 where that of 1", "byte 36"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char bytes[64] = HEAD;
        memcpy(bytes + MODULE_HEADER_BYTES, cases[i].bytes, cases[i].length);
        reading r = read_bytes(bytes, MODULE_HEADER_BYTES + cases[i].length);
        CHECK_INT(r.status, TARS_OK);
        CHECK_INT(r.module.n_problems, 1);
        const module_problem *problem = &r.module.problems[0];
        if (!strstr(problem->message, cases[i].message) ||
            strncmp(problem->where, cases[i].where, strlen(cases[i].where)) != 0) {
            check_fail(__FILE__, __LINE__, "case %zu: \"%s\" (%s)", i, problem->message,
                       problem->where);
        }
        free(r.memory);
    }
}

/* ---- features -------------------------------------------------------------------------- */

typedef struct code_case {
    const char *bytes; /* instructions of a body, without its end */
    size_t length;
    int feature; /* -1: none; -2: not determined */
} code_case;

#define CODE(BYTES, FEATURE) {BYTES, sizeof(BYTES) - 1, FEATURE}

static const code_case code_cases[] = {
    CODE("\1\1\1", -1),
    CODE("\x41\xff\xff\xff\xff\7\x1a", -1),
    CODE("\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f\x1a", -1),
    CODE("\x44\xc0\xc3\x0b\0\0\0\0\0\x1a", -1), /* bytes of a number are no instructions */
    CODE("\2\x40\x0c\0\x0b", -1),
    CODE("\2\x7f\x41\0\x0b\x1a", -1),
    CODE("\x0e\2\0\1\0", -1),
    CODE("\x28\2\x80\x80\4", -1),
    CODE("\x11\0\0", -1),
    CODE("\2\0\x0b", MODULE_MULTI_VALUE),
    CODE("\xc0", MODULE_SIGN_EXTENSION),
    CODE("\xfc\7", MODULE_SATURATING),
    CODE("\xfc\x0a\0\0", MODULE_BULK_MEMORY),
    CODE("\xfc\x10\0", MODULE_REFERENCE_TYPES),
    CODE("\x1c\1\x7f", MODULE_REFERENCE_TYPES),
    CODE("\xd2\0", MODULE_REFERENCE_TYPES),
    CODE("\xfd\x0c\0\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", MODULE_SIMD),
    CODE("\xfd\x15\3", MODULE_SIMD),
    CODE("\xfd\x54\0\0\1", MODULE_SIMD),
    CODE("\xfd\xe4\1", MODULE_SIMD),
    CODE("\xfd\x80\2", MODULE_RELAXED_SIMD),
    CODE("\xfe\x10\2\0", MODULE_THREADS),
    CODE("\xfe\3\0", MODULE_THREADS),
    CODE("\x12\0", MODULE_TAIL_CALL),
    CODE("\x08\0", MODULE_EXCEPTIONS),
    CODE("\x1f\x40\2\0\0\0\2\0\x0b", MODULE_EXCEPTIONS),
    CODE("\6\x40\x07\0\x09\0\x0b", MODULE_LEGACY_EXCEPTIONS),
    CODE("\x14\0", MODULE_FUNCTION_REFERENCES),
    CODE("\xfb\x0f", MODULE_GC),
    CODE("\xfb\x18\0\0\x6e\x6c", MODULE_GC),
    CODE("\xd3", MODULE_GC),
    CODE("\xfc\x13", MODULE_WIDE_ARITHMETIC),
    CODE("\x27", -2),
    CODE("\xe0\0", -2),
    CODE("\xfd\x94\2", -2),
    CODE("\x41", -2), /* cut: its number would be the end */
};

static void instructions_tell_of_proposals(void) {
    for (size_t i = 0; i < sizeof code_cases / sizeof code_cases[0]; i++) {
        const code_case *c = &code_cases[i];
        char bytes[128] = HEAD ONE_FUNCTION "\x0a";
        size_t n = MODULE_HEADER_BYTES + sizeof ONE_FUNCTION;
        bytes[n++] = (char)(c->length + 4); /* of the section */
        bytes[n++] = 1;
        bytes[n++] = (char)(c->length + 2); /* of the body */
        bytes[n++] = 0;
        memcpy(bytes + n, c->bytes, c->length);
        n += c->length;
        bytes[n++] = 0x0b;
        if (c->feature == -2 && c->length == 1 && c->bytes[0] == 0x41) {
            bytes[n - 2] = 0x44; /* eight bytes, of which there is one */
        }
        reading r = read_bytes(bytes, n);
        uint64_t expected = c->feature >= 0 ? UINT64_C(1) << c->feature : 0;
        if (r.status != TARS_OK || r.module.code_was_walked != (c->feature != -2) ||
            (c->feature != -2 && (r.module.features & expected) != expected) ||
            (c->feature == -1 && r.module.features != 0)) {
            check_fail(__FILE__, __LINE__, "case %zu: %d \"%s\", features %llx, walked %d", i,
                       (int)r.status, r.err.message, (unsigned long long)r.module.features,
                       r.module.code_was_walked);
        }
        free(r.memory);
    }
}

/* ---- size ------------------------------------------------------------------------------ */

/* Files of the greatest size, filled so that each byte costs most: the time is that of reading
 * them, which no clock is needed for; the limit of the test program ends it else. */
static void the_largest_files_are_read_in_linear_time(void) {
    static const struct {
        uint8_t id;
        const char *unit;
        size_t unit_bytes;
    } rows[] = {
        {0, "\0\1\0", 3},   /* custom sections without end */
        {2, "\0\0\0\0", 4}, /* imports */
        {1, "\x60\0\0", 3}, /* types */
        {11, "\0\x41\0\x0b\0", 5} /* segments of data */,
        {10, "\2\0\x0b", 3},
    };
    uint8_t *bytes = malloc(MODULE_MAX_BYTES + 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = MODULE_HEADER_BYTES;
        memcpy(bytes, HEAD, n);
        if (rows[i].id != 0) {
            uint32_t size = MODULE_MAX_BYTES - MODULE_HEADER_BYTES - 6;
            bytes[n++] = rows[i].id;
            for (int j = 0; j < 5; j++, size >>= 7) {
                bytes[n++] = (uint8_t)((size & 0x7F) | (j < 4 ? 0x80 : 0));
            }
            memcpy(bytes + n, "\xc0\x84\x3d", 3); /* 1,000,000 */
            n += 3;
        }
        while (n + rows[i].unit_bytes <= MODULE_MAX_BYTES) {
            memcpy(bytes + n, rows[i].unit, rows[i].unit_bytes);
            n += rows[i].unit_bytes;
        }
        memset(bytes + n, 0, MODULE_MAX_BYTES - n);
        reading r = read_bytes(bytes, MODULE_MAX_BYTES);
        CHECK(r.status == TARS_MALFORMED || r.status == TARS_LIMIT);
        free(r.memory);
    }
    reading r = read_bytes(bytes, MODULE_MAX_BYTES + 1);
    CHECK_INT(r.status, TARS_LIMIT);
    free(r.memory);
    free(bytes);
}

static void without_memory_the_reader_says_so(void) {
    static uint8_t memory[64];
    for (size_t size = 0; size < sizeof memory; size += 8) {
        arena a;
        module_file m;
        tars_error err;
        arena_init(&a, memory, size);
        tars_status status =
            module_file_read((const uint8_t *)everything, EVERYTHING_BYTES, &a, &m, &err);
        CHECK_INT(status, TARS_OUT_OF_MEMORY);
    }
}

static const check_test tests[] = {
    {"malformed modules are told with their place", malformed_modules_are_told_with_their_place},
    {"what is no module is named", what_is_no_module_is_named},
    {"a module with everything is read", a_module_with_everything_is_read},
    {"every cut of a module is refused or read", every_cut_of_a_module_is_refused_or_read},
    {"every changed byte is survived", every_changed_byte_is_survived},
    {"bodies are found by offset", bodies_are_found_by_offset},
    {"names cannot drive a terminal", names_cannot_drive_a_terminal},
    {"a bad custom section is a problem and no failure",
     a_bad_custom_section_is_a_problem_and_no_failure},
    {"instructions tell of proposals", instructions_tell_of_proposals},
    {"the largest files are read in linear time", the_largest_files_are_read_in_linear_time},
    {"without memory the reader says so", without_memory_the_reader_says_so},
};
CHECK_MAIN(tests)
