/* Secrets are left out of what is recorded: values under names that contain one of the words, and
 * such values inside of texts ("…?token=abc", "Authorization: Bearer abc", "https://me:abc@host").
 * Ownership: the words are borrowed. */
#ifndef TRACE_REDACT_H
#define TRACE_REDACT_H

#include "base/text.h"

#define REDACTED "[redacted]"

typedef struct redact_words {
    const char *const *words; /* in lower case, NULL at the end; NULL: the default ones */
} redact_words;

/* password, token, secret, authorization, cookie. */
extern const char *const redact_default_words[];

/* Whether the name contains a word; upper case and lower case are the same. */
bool redact_has_word(const redact_words *list, const char *name);
/* Appends the text without its secrets. */
void redact_text(const redact_words *list, const char *text, size_t length, text_buffer *out);

#endif
