/* From what a user says to ids: a conversation is rendered by the model's chat template, a text is
 * encoded. The same in every runtime. Ownership: everything lives in the caller's arenas. */
#ifndef ENGINE_PROMPT_H
#define ENGINE_PROMPT_H

#include "engine/chat_template.h"
#include "engine/pack.h"
#include "engine/tokenizer/tokenizer.h"

enum {
    PROMPT_MAX_BYTES = 256 << 20,
    PROMPT_TEMPLATE_BYTES = 16 << 20 /* scratch of a rendering */
};

/* LIMIT when the text is too long, MALFORMED when it is no UTF-8. */
tars_status prompt_check_text(const char *bytes, size_t length, tars_error *err);

typedef struct prompt_conversation {
    const chat_template_message *messages;
    size_t n_messages;
    template_clock clock; /* now */
} prompt_conversation;

/* The conversation as the template of the model writes it, with the beginning of an answer. The
 * template is compiled first. `scratch`: PROMPT_TEMPLATE_BYTES are ample. */
tars_status prompt_render(const pack_view *pack, const tokenizer *t,
                          const prompt_conversation *conversation, arena *scratch,
                          template_sink sink, void *sink_context, tars_error *err);

/* What prompt_encode takes of its arena for a text of that length; SIZE_MAX: it is too long. */
size_t prompt_encode_bytes(const tokenizer *t, size_t length);
/* Checks and encodes a text. Of more than max_ids ids (0: no limit) the first ones and the last one
 * are kept. *ids is in the arena. */
tars_status prompt_encode(const tokenizer *t, const char *text, size_t length, unsigned flags,
                          size_t max_ids, arena *memory, int32_t **ids, size_t *n_ids,
                          tars_error *err);

#endif
