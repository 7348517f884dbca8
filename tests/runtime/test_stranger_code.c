/* Proposals that are switched off: every combination makes an engine, and refuses what it must;
 * the text of a way of compiling reads back to it. */
#include "runtime/registry.h"
#include "support/check.h"

#ifdef TESTS_HAS_WASM

#include "runtime/wasm/library.h"
#include "runtime/wasm/stranger.h"
#include "runtime/wasm/stranger_engine.h"

#include <stdio.h>
#include <string.h>

typedef wasmtime_error_t *(*text_to_module)(const char *text, size_t length, wasm_byte_vec_t *out);

static text_to_module converter(void) {
    text_to_module found = NULL;
    platform_library library;
    tars_error err;
    if (runtime_find("wasm")->probe(&err) != TARS_OK) {
        check_skip("%s", err.message);
    } else if (platform_library_open(TESTS_BUILD_DIR "/libtars-wasmtime.so", &library, &err) ==
               TARS_OK) {
        void *symbol = platform_library_symbol(&library, "wasmtime_wat2wasm");
        memcpy(&found, &symbol, sizeof found);
        CHECK(found != NULL);
    }
    return found;
}

static void texts_read_back(void) {
    for (unsigned i = 0; i < 2 * PROPOSAL_SETS; i++) {
        stranger_code code = {
            .fuel = i % 2 != 0, .without = i / 2, .stack_bytes = (uint64_t)1 << 20};
        stranger_code again = {.stack_bytes = 7};
        char bytes[STRANGER_CODE_BYTES];
        text_buffer text;
        text_init(&text, bytes, sizeof bytes);
        stranger_code_write(&code, &text);
        CHECK(!text.truncated);
        CHECK(stranger_code_read(bytes, &again));
        CHECK_INT(again.fuel, code.fuel);
        CHECK_INT(again.without, code.without);
        CHECK_INT(again.stack_bytes, 7);
    }
    static const char *const wrong[] = {"",
                                        "strange",
                                        "strangers",
                                        "stranger,no-",
                                        "stranger,no-simd,fuel",
                                        "stranger,x",
                                        "fuel",
                                        "stranger,fuel,no-tail_call,no-simd"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        stranger_code code;
        CHECK(!stranger_code_read(wrong[i], &code));
    }
}

typedef struct proposal_case {
    unsigned proposal;
    const char *module;
} proposal_case;

static const proposal_case cases[] = {
    {0, "(module (func (export \"_start\")) (memory (export \"memory\") 1))"},
    {PROPOSAL_SIMD, "(module (func (export \"_start\") (drop (v128.const i32x4 1 2 3 4))))"},
    {PROPOSAL_SIMD, "(module (func (export \"_start\") (drop (i32x4.relaxed_trunc_f32x4_s"
                    " (v128.const i32x4 1 2 3 4)))))"},
    {PROPOSAL_BULK_MEMORY, "(module (memory 1) (func (export \"_start\") (memory.fill (i32.const 0)"
                           " (i32.const 1) (i32.const 9))))"},
    {PROPOSAL_BULK_MEMORY,
     "(module (table 1 funcref) (func (export \"_start\") (drop (ref.is_null (ref.null func)))))"},
    {PROPOSAL_MULTI_VALUE, "(module (func (export \"_start\")) (func (result i32 i32) (i32.const 1)"
                           " (i32.const 2)))"},
    {PROPOSAL_MULTI_VALUE, "(module (func (export \"_start\") (i32.const 1) (block (param i32)"
                           " (drop))))"},
    {PROPOSAL_TAIL_CALL, "(module (func $f) (func (export \"_start\") (return_call $f)))"},
};

/* Opens the module in every combination. */
static void try_case(text_to_module convert, const proposal_case *c) {
    wasm_byte_vec_t bytes;
    const wasm_library *w;
    if (convert(c->module, strlen(c->module), &bytes) != NULL ||
        wasm_library_get(&w, NULL) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "no module text: %s", c->module);
        return;
    }
    for (unsigned without = 0; without < PROPOSAL_SETS; without++) {
        stranger_code code = {.without = without, .stack_bytes = 1 << 20};
        stranger_module *module = NULL;
        tars_error err = {.status = TARS_OK};
        tars_status status =
            stranger_open((const uint8_t *)bytes.data, bytes.size, &code, NULL, &module, &err);
        tars_status expected = (without & c->proposal) != 0 ? TARS_UNSUPPORTED : TARS_OK;
        if (status != expected) {
            check_fail(__FILE__, __LINE__, "without %u, %s: %s (%s)", without, c->module,
                       err.message, err.cause);
        }
        CHECK(status == TARS_OK || strstr(err.hint, "off in this run: ") == err.hint);
        stranger_close(module);
    }
    w->wasm_byte_vec_delete(&bytes);
}

static void proposals_are_switched_off(void) {
    text_to_module convert = converter();
    for (size_t i = 0; convert && i < sizeof cases / sizeof cases[0]; i++) {
        try_case(convert, &cases[i]);
    }
}

static void every_combination_makes_an_engine(void) {
    if (!converter()) {
        return;
    }
    for (unsigned i = 0; i < 2 * PROPOSAL_SETS; i++) {
        stranger_code code = {.fuel = i % 2 != 0, .without = i / 2, .stack_bytes = 1 << 16};
        const wasm_library *w = NULL;
        wasm_engine_t *engine = NULL;
        tars_error err = {.message = ""};
        CHECK_INT(stranger_engine_make(&code, true, &w, &engine, &err), TARS_OK);
        if (engine) {
            w->wasm_engine_delete(engine);
        }
    }
}

static const check_test table[] = {
    {"texts read back", texts_read_back},
    {"proposals are switched off", proposals_are_switched_off},
    {"every combination makes an engine", every_combination_makes_an_engine},
};

#else

static void is_not_here(void) {
    check_skip("this build has no runtime wasm");
}
static const check_test table[] = {{"is not here", is_not_here}};

#endif

CHECK_MAIN(table)
