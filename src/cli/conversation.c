#include "cli/conversation.h"

#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text, size_t length) {
    char *copy = malloc(length + 1);
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

static bool make_room(conversation *c) {
    if (c->count < c->capacity) {
        return true;
    }
    size_t capacity = c->capacity > 0 ? c->capacity * 2 : 16;
    tars_message *grown = realloc(c->messages, capacity * sizeof *grown);
    if (grown) {
        c->messages = grown;
        c->capacity = capacity;
    }
    return grown;
}

tars_status conversation_add(conversation *c, const char *role, const char *text, size_t length,
                             tars_error *err) {
    char *copy = copy_text(text, length);
    if (!copy || !make_room(c)) {
        free(copy);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a message of %zu bytes", length);
    }
    c->messages[c->count++] = (tars_message){role, copy};
    return TARS_OK;
}

static void free_message(tars_message *message) {
    free((void *)(uintptr_t)message->content); /* made by copy_text */
}

static bool has_system(const conversation *c) {
    return c->count > 0 && strcmp(c->messages[0].role, "system") == 0;
}

tars_status conversation_set_system(conversation *c, const char *text, tars_error *err) {
    if (has_system(c)) {
        free_message(&c->messages[0]);
        memmove(c->messages, c->messages + 1, --c->count * sizeof *c->messages);
    }
    if (text[0] == '\0') {
        return TARS_OK;
    }
    tars_status status = conversation_add(c, "system", text, strlen(text), err);
    if (status == TARS_OK) {
        tars_message system = c->messages[c->count - 1];
        memmove(c->messages + 1, c->messages, (c->count - 1) * sizeof *c->messages);
        c->messages[0] = system;
    }
    return status;
}

void conversation_drop_last(conversation *c) {
    if (c->count > 0) {
        free_message(&c->messages[--c->count]);
    }
}

void conversation_reset(conversation *c) {
    while (c->count > (has_system(c) ? 1 : 0)) {
        conversation_drop_last(c);
    }
}

const char *conversation_raw_text(conversation *c) {
    size_t length = 0;
    for (size_t i = 0; i < c->count; i++) {
        length += strlen(c->messages[i].content) + 1;
    }
    free(c->raw_text);
    c->raw_text = malloc(length + 1);
    char *end = c->raw_text;
    for (size_t i = 0; end && i < c->count; i++) {
        size_t n = strlen(c->messages[i].content);
        memcpy(end, c->messages[i].content, n);
        end += n;
        if (strcmp(c->messages[i].role, "assistant") != 0 && i + 1 < c->count) {
            *end++ = '\n';
        }
    }
    if (end) {
        *end = '\0';
    }
    return c->raw_text;
}

void conversation_write_json(const conversation *c, json_writer *json) {
    json_key(json, "messages");
    json_begin_array(json);
    for (size_t i = 0; i < c->count; i++) {
        json_begin_object(json);
        json_member_string(json, "role", c->messages[i].role);
        json_member_string(json, "content", c->messages[i].content);
        json_end_object(json);
    }
    json_end_array(json);
}

void conversation_free(conversation *c) {
    while (c->count > 0) {
        conversation_drop_last(c);
    }
    free(c->messages);
    free(c->raw_text);
    *c = (conversation){0};
}
