/* Chat templates: the Jinja templates that models bring along, rendered as Hugging Face's
 * transformers renders them. Ownership: a compiled template lives in the arena it was compiled
 * into and may be rendered by many threads at once; everything a rendering makes lives in its
 * scratch arena and is gone when it returns.
 *
 * The language is that of Jinja 3.1 in its immutable sandbox with trim_blocks, lstrip_blocks, break
 * and continue, the tag generation, and transformers' tojson, raise_exception and strftime_now.
 * Refused as UNSUPPORTED: include, import, extends, block, autoescape, recursive loops; integers
 * beyond 64 bits and powers of floats; printing functions and lazy sequences, whose text holds
 * addresses; the filters random, pprint, xmlattr, urlize, striptags, wordwrap, filesizeformat;
 * some rare methods of texts. */
#ifndef ENGINE_CHAT_TEMPLATE_H
#define ENGINE_CHAT_TEMPLATE_H

#include "base/text.h"
#include "engine/template/value.h"

typedef struct chat_template chat_template;

enum { CHAT_TEMPLATE_MAX_BYTES = 1 << 20 };

/* Limits of one rendering and what it may know of the world. Zero means the default. */
typedef struct chat_template_options {
    uint64_t max_steps;      /* operations and, weighted, bytes; default 20 million */
    unsigned max_depth;      /* nested operations; default 500, up to 256 KiB of stack */
    size_t max_output_bytes; /* default: what the receiver takes */
    template_clock clock;    /* local time for strftime_now; year 0: there is none */
} chat_template_options;

typedef struct chat_template_usage {
    uint64_t steps;
    unsigned peak_depth;
    size_t memory_bytes; /* of the scratch arena */
} chat_template_usage;

/* Parses the template; it copies the text. Errors, before anything is rendered: MALFORMED (syntax,
 * unknown filter), UNSUPPORTED, LIMIT, OUT_OF_MEMORY, with line and column in `where`.
 * Real templates take up to 15 times their length of the arena. */
tars_status chat_template_compile(const char *text, size_t length, arena *memory,
                                  chat_template **out, tars_error *err);

/* Renders with the variables of the dict `context` (messages, tools, add_generation_prompt,
 * bos_token, …), which is not changed. Text goes to the sink in order; when rendering fails, part
 * of it has gone already. Errors: USAGE when the template calls raise_exception (its message is
 * the error's), MALFORMED for other failures of the template with these values, DENIED by the
 * sandbox, UNSUPPORTED, LIMIT, OUT_OF_MEMORY, UNAVAILABLE (no clock). `options` and `usage` may be
 * NULL. A scratch arena of 1 MiB and four times the bytes of the messages is ample. */
tars_status chat_template_render(const chat_template *tmpl, const template_value *context,
                                 const chat_template_options *options, arena *scratch,
                                 template_sink sink, void *sink_context, chat_template_usage *usage,
                                 tars_error *err);

/* As chat_template_render into a text buffer, which is emptied first; LIMIT when it is full. */
tars_status chat_template_render_text(const chat_template *tmpl, const template_value *context,
                                      const chat_template_options *options, arena *scratch,
                                      text_buffer *out, tars_error *err);

/* One message of a plain conversation, NUL-terminated. */
typedef struct chat_template_message {
    const char *role; /* system, user, assistant */
    const char *content;
} chat_template_message;

/* The simple case: text messages, no tools (`tools` and `documents` are none). bos_token and
 * eos_token may be NULL: then the variable is undefined. */
typedef struct chat_template_conversation {
    const chat_template_message *messages;
    size_t n_messages;
    const char *bos_token;
    const char *eos_token;
    bool add_generation_prompt;
} chat_template_conversation;

/* Builds the context of a conversation in the arena. */
tars_status chat_template_context(const chat_template_conversation *conversation, arena *memory,
                                  template_value *out, tars_error *err);
/* chat_template_context and chat_template_render_text in one. */
tars_status chat_template_apply(const chat_template *tmpl,
                                const chat_template_conversation *conversation,
                                const chat_template_options *options, arena *scratch,
                                text_buffer *out, tars_error *err);

#endif
