/* The messages of a chat. Ownership: it copies every text and frees them in conversation_free. */
#ifndef CLI_CONVERSATION_H
#define CLI_CONVERSATION_H

#include "base/json.h"

#include <tars/request.h>

typedef struct conversation {
    tars_message *messages;
    size_t count, capacity;
    char *raw_text; /* of conversation_raw_text */
} conversation;

/* Appends a copy; OUT_OF_MEMORY. `role` is constant text. */
tars_status conversation_add(conversation *c, const char *role, const char *text, size_t length,
                             tars_error *err);
/* Replaces the system message, puts it first, or removes it when `text` is empty. */
tars_status conversation_set_system(conversation *c, const char *text, tars_error *err);
/* Drops the last message. */
void conversation_drop_last(conversation *c);
/* Drops all messages but the system's. */
void conversation_reset(conversation *c);
/* All contents one after the other, a line end behind the user's, for models without a template.
 * NULL when memory is short. Lives until the next change. */
const char *conversation_raw_text(conversation *c);
/* "messages":[{"role","content"},…] */
void conversation_write_json(const conversation *c, json_writer *json);
void conversation_free(conversation *c);

#endif
