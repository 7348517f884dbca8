/* What a file is that was given as a module. */
#include "runtime/module/module_file.h"

#include <string.h>

typedef struct look_row {
    const char *bytes;
    uint8_t length;
    const char *name, *hint;
} look_row;

static const char text_hint[] = "make the binary of it: wat2wasm FILE.wat, or wasm-tools parse "
                                "FILE.wat -o FILE.wasm";
static const char program_hint[] = "compile for WebAssembly: clang --target=wasm32-wasi; tars exec "
                                   "--runtime native runs programs of this machine";

static const look_row looks[] = {
    {"\177ELF", 4, "a program or library of Linux (ELF)", program_hint},
    {"MZ", 2, "a program of Windows", program_hint},
    {"\xcf\xfa\xed\xfe", 4, "a program of macOS", program_hint},
    {"\xca\xfe\xba\xbe", 4, "a program of macOS, or a class of Java", program_hint},
    {"BC\xc0\xde", 4, "LLVM's bitcode", "link it: clang --target=wasm32-wasi FILE.o -o FILE.wasm"},
    {"!<arch>\n", 8, "a static library", "link a program with it"},
    {"#!", 2, "a script", "tars exec runs WebAssembly modules, not what an interpreter reads"},
    {"GGUF", 4, "a model (GGUF)", "`tars inspect FILE` shows it, `tars import FILE` packs it"},
    {"TARSPACK", 8, "a packed model", "`tars inspect FILE` shows it"},
    {"PK\003\004", 4, "a ZIP archive", "unpack it first"},
    {"\x1f\x8b", 2, "compressed with gzip", "unpack it first: gunzip FILE"},
    {"\x28\xb5\x2f\xfd", 4, "compressed with Zstandard", "unpack it first: unzstd FILE"},
    {"<", 1, "a document of HTML or XML", "a download may have given its error page: look at it"},
    {"{", 1, "JSON", NULL},
};

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The text format begins with '(' or with a comment, ";; …" or "(; … ;)". */
static bool looks_like_text(const uint8_t *bytes, size_t size_bytes) {
    size_t i = 0;
    while (i < size_bytes && is_blank(bytes[i])) {
        i++;
    }
    return i < size_bytes &&
           (bytes[i] == '(' || (bytes[i] == ';' && i + 1 < size_bytes && bytes[i + 1] == ';'));
}

/* A source or another text, as far as its beginning tells. */
static bool is_plain_text(const uint8_t *bytes, size_t size_bytes) {
    enum { LOOKED_AT = 512 };
    size_t n = size_bytes < LOOKED_AT ? size_bytes : LOOKED_AT;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] < ' ' && !is_blank(bytes[i])) {
            return false;
        }
    }
    return true;
}

static tars_status refuse(const uint8_t *bytes, size_t size_bytes, tars_error *err) {
    if (looks_like_text(bytes, size_bytes)) {
        error_set(err, TARS_MALFORMED,
                  "this is no WebAssembly module: it looks like WebAssembly's "
                  "text format");
        error_where(err, "byte 0, head of the file");
        return error_hint(err, "%s", text_hint);
    }
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        const look_row *row = &looks[i];
        if (size_bytes >= row->length && memcmp(bytes, row->bytes, row->length) == 0) {
            error_set(err, TARS_MALFORMED, "this is no WebAssembly module: it looks like %s",
                      row->name);
            error_where(err, "byte 0, head of the file");
            return row->hint ? error_hint(err, "%s", row->hint) : TARS_MALFORMED;
        }
    }
    if (is_plain_text(bytes, size_bytes)) {
        error_set(err, TARS_MALFORMED, "this is no WebAssembly module: it looks like text");
        error_where(err, "byte 0, head of the file");
        return error_hint(err, "compile it for WebAssembly first");
    }
    char found[32] = "";
    text_buffer text;
    text_init(&text, found, sizeof found);
    for (size_t i = 0; i < 4 && i < size_bytes; i++) {
        text_format(&text, "%s%02x", i > 0 ? " " : "", (unsigned)bytes[i]);
    }
    error_set(err, TARS_MALFORMED,
              "this is no WebAssembly module: it begins with %s, expected "
              "00 61 73 6d",
              found);
    return error_where(err, "byte 0, head of the file");
}

tars_status module_file_detect(const uint8_t *bytes, size_t size_bytes, tars_error *err) {
    static const uint8_t magic[4] = {0, 'a', 's', 'm'};
    tars_error own;
    err = err ? err : &own;
    if (size_bytes > MODULE_MAX_BYTES) {
        return error_set(err, TARS_LIMIT, "the file has %zu bytes, at most %d are possible",
                         size_bytes, MODULE_MAX_BYTES);
    }
    size_t known = size_bytes < sizeof magic ? size_bytes : sizeof magic;
    if (known > 0 && memcmp(bytes, magic, known) != 0) {
        return refuse(bytes, size_bytes, err);
    }
    if (size_bytes < MODULE_HEADER_BYTES) {
        error_set(err, TARS_MALFORMED, "the file has %zu bytes, expected a head of %d", size_bytes,
                  MODULE_HEADER_BYTES);
        return error_where(err, "byte %zu, head of the file", size_bytes);
    }
    unsigned version = bytes[4] | (unsigned)bytes[5] << 8;
    unsigned layer = bytes[6] | (unsigned)bytes[7] << 8;
    if (layer == 1) {
        error_set(err, TARS_UNSUPPORTED, "this is a component (version %u), expected a module",
                  version);
        error_where(err, "byte 4, head of the file");
        return error_hint(err, "compile for WASI preview 1, whose programs are modules: "
                               "wasm32-wasip1");
    }
    if (version != 1 || layer != 0) {
        error_set(err, TARS_UNSUPPORTED, "the module has version %u, expected 1",
                  version | layer << 16);
        return error_where(err, "byte 4, head of the file");
    }
    return TARS_OK;
}
