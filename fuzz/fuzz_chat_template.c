/* Any text as a chat template: compiled and rendered in arenas of exactly the size given, with few
 * steps. What compiles must render the same twice, every failure must say what and where, and no
 * limit may be passed. */
#include "base/json.h"
#include "engine/chat_template.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 1 << 20, MAX_STEPS = 100000, MAX_OUTPUT_BYTES = 1 << 18 };

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

static const char variables[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\" "
    "S\\u00e9\\n\"},{\"role\":\"user\",\"content\":"
    "[{\"type\":\"text\",\"text\":\"hi <b>\"}]},{\"role\":\"assistant\",\"content\":null,"
    "\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1.5}}}]},"
    "{\"role\":\"tool\",\"content\":\"\\ud83d\\udc4b 42\"}],\"tools\":[{\"type\":\"function\","
    "\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}],\"bos_token\":\"<s>\","
    "\"eos_token\":\"</s>\",\"add_generation_prompt\":true,\"n\":7,\"f\":-0.1,\"l\":[3,1,2],"
    "\"s\":\"a,b c\\u2028D\",\"d\":{\"b\":1,\"items\":\"k\",\"a\":[true,null]}}";

/* Sums what was written, so that two renderings can be compared without keeping them. */
typedef struct digest {
    uint64_t hash;
    size_t length;
} digest;

static bool take(void *context, const char *bytes, size_t length) {
    digest *d = context;
    for (size_t i = 0; i < length; i++) {
        d->hash = (d->hash ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001B3);
    }
    d->length += length;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t context_memory[1 << 16];
    arena context_arena;
    template_value context;
    json_value *json;
    tars_error err;
    arena_init(&context_arena, context_memory, sizeof context_memory);
    require(json_parse(variables, sizeof variables - 1, NULL, &context_arena, &json, &err) ==
            TARS_OK);
    require(template_from_json(&context_arena, json, &context, &err) == TARS_OK);

    void *memory = malloc(ARENA_BYTES);
    void *scratch_memory = malloc(ARENA_BYTES);
    char *text = malloc(size + 1);
    require(memory && scratch_memory && text);
    memcpy(text, data, size);
    arena compiled;
    arena scratch;
    chat_template *tmpl;
    arena_init(&compiled, memory, ARENA_BYTES);
    arena_init(&scratch, scratch_memory, ARENA_BYTES);
    tars_status status = chat_template_compile(text, size, &compiled, &tmpl, &err);
    free(text); /* the template keeps a copy */
    if (status == TARS_OK) {
        chat_template_options options = {.max_steps = MAX_STEPS,
                                         .max_output_bytes = MAX_OUTPUT_BYTES,
                                         .clock = {2026, 1, 2, 3, 4, 5}};
        chat_template_usage usage;
        digest digests[2] = {{0, 0}, {0, 0}};
        status = chat_template_render(tmpl, &context, &options, &scratch, take, &digests[0], &usage,
                                      &err);
        require(scratch.used_bytes == 0 && usage.steps <= MAX_STEPS && usage.peak_depth <= 500);
        require(digests[0].length <= MAX_OUTPUT_BYTES);
        require(status == chat_template_render(tmpl, &context, &options, &scratch, take,
                                               &digests[1], NULL, NULL));
        require(digests[0].hash == digests[1].hash && digests[0].length == digests[1].length);
    }
    require(status == TARS_OK || (err.status == status && err.message[0] && err.where[0]));
    free(memory);
    free(scratch_memory);
    return 0;
}
