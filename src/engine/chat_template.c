#include "engine/chat_template.h"

#include "engine/template/evaluate.h"
#include "engine/template/parser.h"

struct chat_template {
    template_node *body;
    template_scope *root;
};

enum { DEFAULT_MAX_STEPS = 20 * 1000 * 1000, DEFAULT_MAX_DEPTH = 500 };

tars_status chat_template_compile(const char *text, size_t length, arena *memory,
                                  chat_template **out, tars_error *err) {
    *out = NULL;
    if (length > CHAT_TEMPLATE_MAX_BYTES) {
        return error_set(err, TARS_LIMIT, "a chat template of %zu bytes; at most %d are allowed",
                         length, CHAT_TEMPLATE_MAX_BYTES);
    }
    chat_template *made = ARENA_NEW(memory, chat_template);
    if (!made) {
        return error_set(err, TARS_OUT_OF_MEMORY, "the arena is too small for a chat template");
    }
    tars_status status = template_parse(text, length, memory, &made->body, err);
    if (status == TARS_OK) {
        status = template_resolve_names(made->body, memory, &made->root, err);
    }
    if (status == TARS_OK) {
        *out = made;
    }
    return status;
}

tars_status chat_template_render(const chat_template *tmpl, const template_value *context,
                                 const chat_template_options *options, arena *scratch,
                                 template_sink sink, void *sink_context, chat_template_usage *usage,
                                 tars_error *err) {
    static const chat_template_options defaults;
    const chat_template_options *o = options ? options : &defaults;
    uint64_t max_steps = o->max_steps > 0 ? o->max_steps : DEFAULT_MAX_STEPS;
    template_writer writer = {.sink = sink,
                              .context = sink_context,
                              .left_bytes =
                                  o->max_output_bytes > 0 ? o->max_output_bytes : UINT64_MAX};
    template_machine machine = {
        .memory = scratch,
        .err = err,
        .context = context,
        .clock = o->clock.year > 0 ? &o->clock : NULL,
        .out = &writer,
        .left_steps = max_steps,
        .max_depth = o->max_depth > 0 ? o->max_depth : DEFAULT_MAX_DEPTH,
    };
    size_t mark = arena_mark(scratch);
    template_frame *frame = template_make_frame(&machine, tmpl->root, NULL);
    if (frame && template_reload_frame(&machine, frame)) {
        template_run(&machine, tmpl->body, frame);
    }
    if (usage) {
        *usage = (chat_template_usage){.steps = max_steps - machine.left_steps,
                                       .peak_depth = machine.peak_depth,
                                       .memory_bytes = scratch->used_bytes - mark};
    }
    arena_reset(scratch, mark);
    return machine.status;
}

static bool append(void *context, const char *bytes, size_t length) {
    text_buffer *text = context;
    text_append(text, bytes, length);
    return !text->truncated;
}

tars_status chat_template_render_text(const chat_template *tmpl, const template_value *context,
                                      const chat_template_options *options, arena *scratch,
                                      text_buffer *out, tars_error *err) {
    text_init(out, out->data, out->capacity);
    return chat_template_render(tmpl, context, options, scratch, append, out, NULL, err);
}

static bool put_messages(const chat_template_conversation *c, arena *memory, template_value *out) {
    template_value list;
    template_value *items = template_list(memory, c->n_messages, &list);
    for (size_t i = 0; items && i < c->n_messages; i++) {
        if (!template_dict_new(memory, 2, &items[i]) ||
            !template_dict_put(memory, &items[i], "role", template_cstring(c->messages[i].role)) ||
            !template_dict_put(memory, &items[i], "content",
                               template_cstring(c->messages[i].content))) {
            return false;
        }
    }
    return items && template_dict_put(memory, out, "messages", list);
}

tars_status chat_template_context(const chat_template_conversation *conversation, arena *memory,
                                  template_value *out, tars_error *err) {
    const chat_template_conversation *c = conversation;
    if (!template_dict_new(memory, 8, out) || !put_messages(c, memory, out) ||
        !template_dict_put(memory, out, "tools", template_none()) ||
        !template_dict_put(memory, out, "documents", template_none()) ||
        !template_dict_put(memory, out, "add_generation_prompt",
                           template_bool(c->add_generation_prompt)) ||
        (c->bos_token &&
         !template_dict_put(memory, out, "bos_token", template_cstring(c->bos_token))) ||
        (c->eos_token &&
         !template_dict_put(memory, out, "eos_token", template_cstring(c->eos_token)))) {
        error_set(err, TARS_OUT_OF_MEMORY, "the arena of %zu bytes is too small for %zu messages",
                  memory->size_bytes, c->n_messages);
        error_hint(err, "give a larger arena or fewer messages");
        return TARS_OUT_OF_MEMORY;
    }
    return TARS_OK;
}

tars_status chat_template_apply(const chat_template *tmpl,
                                const chat_template_conversation *conversation,
                                const chat_template_options *options, arena *scratch,
                                text_buffer *out, tars_error *err) {
    size_t mark = arena_mark(scratch);
    template_value context;
    tars_status status = chat_template_context(conversation, scratch, &context, err);
    if (status == TARS_OK) {
        status = chat_template_render_text(tmpl, &context, options, scratch, out, err);
    }
    arena_reset(scratch, mark);
    return status;
}
