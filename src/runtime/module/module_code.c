/* Instructions, as far as needed to step from one to the next: where a constant expression ends,
 * and which proposals a body uses. */
#include "runtime/module/module_reader.h"

/* What follows each opcode: nothing (-), an index (l), two (2), a type of a block (b), a place in
 * memory (m), a number of 32 or 64 bits (i, I), 4, 8 or 16 bytes (f, d, w), one byte (1), labels
 * (t), types (v), a block with handlers (c), what a reference leads to (h), two of them behind a
 * label (k), a lane (1) behind a place (n), a second opcode (p). Unknown ones: (.). */
static const char operands[] = "--bbb-blll--llt-"
                               "l2l2ll..l---v..c"
                               "lllllll.mmmmmmmm"
                               "mmmmmmmmmmmmmmml"
                               "liIfd-----------"
                               "----------------"
                               "----------------"
                               "----------------"
                               "----------------"
                               "----------------"
                               "----------------"
                               "----------------"
                               "-----..........."
                               "h-l--ll........."
                               "................"
                               "...........pppp.";

/* The proposal that each opcode came with, see letters; x: only in a constant expression. */
static const char origins[] = "......llele....."
                              "..ttfu..ll..r..e"
                              ".....rr........."
                              "................"
                              "................"
                              "................"
                              "..........xxx..."
                              "............xxx."
                              "................"
                              "................"
                              "................"
                              "................"
                              "sssss..........."
                              "rrrgfff........."
                              "................"
                              "................";
_Static_assert(sizeof operands == 257 && sizeof origins == 257, "a row of 16 for each high digit");

typedef struct origin_row {
    char letter;
    module_feature feature;
} origin_row;

static const origin_row letters[] = {
    {'s', MODULE_SIGN_EXTENSION},
    {'r', MODULE_REFERENCE_TYPES},
    {'t', MODULE_TAIL_CALL},
    {'u', MODULE_TAIL_CALL},
    {'f', MODULE_FUNCTION_REFERENCES},
    {'u', MODULE_FUNCTION_REFERENCES},
    {'g', MODULE_GC},
    {'e', MODULE_EXCEPTIONS},
    {'l', MODULE_LEGACY_EXCEPTIONS},
    {'x', MODULE_EXTENDED_CONST},
};

/* Opcodes of two parts. */
typedef struct long_row {
    uint8_t prefix;
    uint16_t first, last;
    char operands;
    module_feature feature;
} long_row;

static const long_row long_rows[] = {
    {0xFB, 0, 1, 'l', MODULE_GC},
    {0xFB, 2, 5, '2', MODULE_GC},
    {0xFB, 6, 7, 'l', MODULE_GC},
    {0xFB, 8, 10, '2', MODULE_GC},
    {0xFB, 11, 14, 'l', MODULE_GC},
    {0xFB, 15, 15, '-', MODULE_GC},
    {0xFB, 16, 16, 'l', MODULE_GC},
    {0xFB, 17, 19, '2', MODULE_GC},
    {0xFB, 20, 23, 'h', MODULE_GC},
    {0xFB, 24, 25, 'k', MODULE_GC},
    {0xFB, 26, 30, '-', MODULE_GC},
    {0xFC, 0, 7, '-', MODULE_SATURATING},
    {0xFC, 8, 8, '2', MODULE_BULK_MEMORY},
    {0xFC, 9, 9, 'l', MODULE_BULK_MEMORY},
    {0xFC, 10, 10, '2', MODULE_BULK_MEMORY},
    {0xFC, 11, 11, 'l', MODULE_BULK_MEMORY},
    {0xFC, 12, 12, '2', MODULE_BULK_MEMORY},
    {0xFC, 13, 13, 'l', MODULE_BULK_MEMORY},
    {0xFC, 14, 14, '2', MODULE_BULK_MEMORY},
    {0xFC, 15, 17, 'l', MODULE_REFERENCE_TYPES},
    {0xFC, 19, 22, '-', MODULE_WIDE_ARITHMETIC},
    {0xFD, 0, 11, 'm', MODULE_SIMD},
    {0xFD, 12, 13, 'w', MODULE_SIMD},
    {0xFD, 14, 20, '-', MODULE_SIMD},
    {0xFD, 21, 34, '1', MODULE_SIMD},
    {0xFD, 35, 83, '-', MODULE_SIMD},
    {0xFD, 84, 91, 'n', MODULE_SIMD},
    {0xFD, 92, 93, 'm', MODULE_SIMD},
    {0xFD, 94, 255, '-', MODULE_SIMD},
    {0xFD, 256, 275, '-', MODULE_RELAXED_SIMD},
    {0xFE, 0, 2, 'm', MODULE_THREADS},
    {0xFE, 3, 3, '1', MODULE_THREADS},
    {0xFE, 16, 78, 'm', MODULE_THREADS},
};

static void add_origin(char letter, bool is_constant, uint64_t *features) {
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (letters[i].letter == letter && (letter != 'x' || is_constant)) {
            feature_add(features, letters[i].feature);
        }
    }
}

/* The operands of an opcode of two parts; '.' when it is unknown. */
static char long_operands(module_reader *r, uint8_t prefix, uint64_t *features) {
    uint32_t opcode = reader_u32(r, "opcode");
    for (size_t i = 0; i < sizeof long_rows / sizeof long_rows[0] && reader_ok(r); i++) {
        const long_row *row = &long_rows[i];
        if (row->prefix == prefix && opcode >= row->first && opcode <= row->last) {
            feature_add(features, row->feature);
            return row->operands;
        }
    }
    return '.';
}

/* An empty block, the type of its result, or the index of its whole type. */
static void step_block(module_reader *r, uint64_t *features) {
    enum { EMPTY = 0x40, FIRST_TYPE = 0x40, LAST_TYPE = 0x7F };
    uint8_t next = reader_left(r) > 0 ? r->bytes[r->position] : 0;
    if (next == EMPTY) {
        r->position++;
    } else if (next > FIRST_TYPE && next <= LAST_TYPE) {
        (void)reader_value(r, features);
    } else if (reader_s33(r, "type of a block") >= 0) {
        feature_add(features, MODULE_MULTI_VALUE);
    }
}

static void step_place(module_reader *r) {
    enum { HAS_MEMORY = 0x40 };
    if (reader_u32(r, "alignment") & HAS_MEMORY) {
        (void)reader_u32(r, "index of a memory");
    }
    (void)reader_u64(r, "offset");
}

static void step_labels(module_reader *r) {
    uint32_t count = reader_count(r, 1, UINT32_MAX, "number of labels");
    for (uint32_t i = 0; i <= count && reader_ok(r); i++) {
        (void)reader_u32(r, "label");
    }
}

static void step_values(module_reader *r, uint64_t *features) {
    uint32_t count = reader_count(r, 1, MODULE_MAX_PARAMETERS, "number of types");
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        (void)reader_value(r, features);
    }
}

static void step_handlers(module_reader *r, uint64_t *features) {
    step_block(r, features);
    uint32_t count = reader_count(r, 2, UINT32_MAX, "number of handlers");
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        if (reader_byte(r, "kind of a handler") < 2) { /* of one tag, not of all */
            (void)reader_u32(r, "tag");
        }
        (void)reader_u32(r, "label");
    }
}

static void step_cast(module_reader *r, uint64_t *features) {
    reader_skip(r, 1, "flags of a cast");
    (void)reader_u32(r, "label");
    (void)reader_heap(r, features);
    (void)reader_heap(r, features);
}

/* The rest is rare. */
static void step_rare(module_reader *r, char kind, uint64_t *features) {
    if (kind == 't') {
        step_labels(r);
    } else if (kind == 'v') {
        step_values(r, features);
    } else if (kind == 'c') {
        step_handlers(r, features);
    } else if (kind == 'h') {
        (void)reader_heap(r, features);
    } else if (kind == 'k') {
        step_cast(r, features);
    } else if (kind == 'n') {
        step_place(r);
        reader_skip(r, 1, "lane");
    }
}

static void step(module_reader *r, char kind, uint64_t *features) {
    static const char sized[] = "1fdw";
    static const uint8_t sizes[] = {1, 4, 8, 16};
    if (kind == 'l' || kind == '2') {
        (void)reader_u32(r, "index");
        if (kind == '2') {
            (void)reader_u32(r, "index");
        }
    } else if (kind == 'm') {
        step_place(r);
    } else if (kind == 'i') {
        (void)reader_s32(r, "number");
    } else if (kind == 'I') {
        (void)reader_s64(r, "number");
    } else if (kind == 'b') {
        step_block(r, features);
    } else {
        for (size_t i = 0; i < sizeof sizes; i++) {
            if (kind == sized[i]) {
                reader_skip(r, sizes[i], "bytes of a constant");
                return;
            }
        }
        step_rare(r, kind, features);
    }
}

/* Steps over one instruction and returns its opcode; *known is false for one that is not. */
static uint8_t next_instruction(module_reader *r, bool is_constant, bool *known,
                                uint64_t *features) {
    uint8_t opcode = reader_byte(r, "instructions");
    char kind = operands[opcode];
    if (origins[opcode] != '.') {
        add_origin(origins[opcode], is_constant, features);
    }
    if (kind == 'p') {
        kind = long_operands(r, opcode, features);
    }
    *known = kind != '.';
    if (kind != '-' && kind != '.') {
        step(r, kind, features);
    }
    return opcode;
}

void reader_constant(module_reader *r, uint64_t *features) {
    enum { END = 0x0B };
    while (reader_ok(r)) {
        size_t start = r->position;
        bool known = true;
        uint8_t opcode = next_instruction(r, true, &known, features);
        if (reader_ok(r) && operands[opcode] == 'b') {
            reader_fail(r, TARS_MALFORMED, start, "found a block in a constant expression");
        }
        if (reader_ok(r) && !known) {
            reader_fail(r, TARS_MALFORMED, start,
                        "found the unknown instruction 0x%02x in a constant expression",
                        (unsigned)opcode);
        }
        if (opcode == END) {
            return;
        }
    }
}

bool reader_walk(module_reader *r, uint64_t *features) {
    bool known = true;
    while (known && reader_ok(r) && reader_left(r) > 0) {
        (void)next_instruction(r, false, &known, features);
    }
    return known && reader_ok(r);
}
