/* Texts that end an answer: lets text through as soon as it can no longer be part of one, and
 * nothing from the first one on. Ownership: the caller's memory; the texts are borrowed. */
#ifndef ENGINE_STOP_TEXT_H
#define ENGINE_STOP_TEXT_H

#include "engine/tokenizer/tokenizer.h"

enum { STOP_TEXT_MAX_BYTES = 1024, STOP_TEXT_MAX_COUNT = 256 };

typedef struct stop_text {
    const tokenizer_text *texts; /* [n_texts], each of 1 … STOP_TEXT_MAX_BYTES */
    size_t n_texts;
    bool (*show)(void *context, const char *bytes, size_t length); /* false: tell no more */
    void *context;
    bool stopped; /* one of the texts was found */
    bool refused; /* show returned false */
    size_t n_held;
    char held[2 * STOP_TEXT_MAX_BYTES]; /* text that was not shown yet */
} stop_text;

void stop_text_init(stop_text *s, const tokenizer_text *texts, size_t n_texts,
                    bool (*show)(void *context, const char *bytes, size_t length), void *context);
/* More of the answer. Of several texts the one that ends first wins, of those the longest. */
void stop_text_push(stop_text *s, const char *bytes, size_t length);
/* The answer ended by itself: shows what was held back. */
void stop_text_finish(stop_text *s);

#endif
