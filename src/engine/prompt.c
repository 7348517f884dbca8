#include "engine/prompt.h"

#include "base/checked.h"
#include "base/utf8.h"

#include <string.h>

enum { SPECIAL_BYTES = TOKENIZER_MAX_SPECIAL_BYTES + 1, ALIGNMENT = 64 };

tars_status prompt_check_text(const char *bytes, size_t length, tars_error *err) {
    size_t at = 0;
    if (length > PROMPT_MAX_BYTES) {
        return error_set(err, TARS_LIMIT, "a text of %zu bytes; %u are possible", length,
                         (unsigned)PROMPT_MAX_BYTES);
    }
    if (!utf8_valid(bytes, length, &at)) {
        error_set(err, TARS_MALFORMED, "the text is not valid UTF-8: byte 0x%02x at offset %zu",
                  (unsigned)(unsigned char)bytes[at], at);
        error_hint(err, "convert it first, for example with iconv -t UTF-8");
        return TARS_MALFORMED;
    }
    return TARS_OK;
}

/* The text of a special token as a C string, or NULL when the model has none. */
static const char *special_text(const tokenizer *t, int32_t id, char out[SPECIAL_BYTES]) {
    tokenizer_text text = id >= 0 ? tokenizer_piece(t, id) : (tokenizer_text){0};
    if (id < 0 || text.length >= SPECIAL_BYTES) {
        return NULL;
    }
    memcpy(out, text.bytes, text.length);
    out[text.length] = '\0';
    return out;
}

tars_status prompt_render(const pack_view *pack, const tokenizer *t,
                          const prompt_conversation *conversation, arena *scratch,
                          template_sink sink, void *sink_context, tars_error *err) {
    const pack_bytes *text = &pack->sections[PACK_CHAT_TEMPLATE];
    char specials[2][SPECIAL_BYTES];
    chat_template_conversation c = {
        .messages = conversation->messages,
        .n_messages = conversation->n_messages,
        .bos_token = special_text(t, tokenizer_bos(t), specials[0]),
        .eos_token = special_text(t, tokenizer_eos(t), specials[1]),
        .add_generation_prompt = true,
    };
    chat_template *compiled = NULL;
    template_value variables;
    tars_status status =
        chat_template_compile((const char *)text->bytes, text->size_bytes, scratch, &compiled, err);
    if (status == TARS_OK) {
        status = chat_template_context(&c, scratch, &variables, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    chat_template_options options = {.clock = conversation->clock};
    return chat_template_render(compiled, &variables, &options, scratch, sink, sink_context, NULL,
                                err);
}

size_t prompt_encode_bytes(const tokenizer *t, size_t length) {
    size_t scratch = tokenizer_scratch_bytes(t, length);
    size_t ids = tokenizer_max_ids(t, length);
    size_t sum;
    if (scratch == SIZE_MAX || ids > SIZE_MAX / 2 / sizeof(int32_t) ||
        !checked_add_size(scratch, ids * sizeof(int32_t), &sum) ||
        !checked_add_size(sum, (size_t)2 * ALIGNMENT, &sum)) {
        return SIZE_MAX;
    }
    return sum;
}

tars_status prompt_encode(const tokenizer *t, const char *text, size_t length, unsigned flags,
                          size_t max_ids, arena *memory, int32_t **ids, size_t *n_ids,
                          tars_error *err) {
    tars_status status = prompt_check_text(text, length, err);
    if (status != TARS_OK) {
        return status;
    }
    size_t capacity = tokenizer_max_ids(t, length);
    size_t scratch_bytes = tokenizer_scratch_bytes(t, length);
    bool fits = prompt_encode_bytes(t, length) != SIZE_MAX;
    void *room = fits ? arena_alloc_raw(memory, scratch_bytes, ALIGNMENT) : NULL;
    *ids = fits ? arena_alloc_raw(memory, capacity * sizeof **ids, ALIGNMENT) : NULL;
    if (!room || !*ids) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to encode a text of %zu bytes",
                         length);
    }
    arena scratch;
    arena_init(&scratch, room, scratch_bytes);
    status = tokenizer_encode(t, text, length, flags, *ids, capacity, n_ids, &scratch, err);
    if (status == TARS_OK && max_ids > 0 && *n_ids > max_ids) {
        (*ids)[max_ids - 1] = (*ids)[*n_ids - 1];
        *n_ids = max_ids;
    }
    return status;
}
