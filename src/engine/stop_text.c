#include "engine/stop_text.h"

#include "base/utf8.h"

#include <string.h>

void stop_text_init(stop_text *s, const tokenizer_text *texts, size_t n_texts,
                    bool (*show)(void *context, const char *bytes, size_t length), void *context) {
    s->texts = texts;
    s->n_texts = n_texts;
    s->show = show;
    s->context = context;
    s->stopped = false;
    s->refused = false;
    s->n_held = 0;
}

/* Shows the first n bytes of what is held and forgets them. */
static void release(stop_text *s, size_t n) {
    if (n > 0 && s->show && !s->refused) {
        s->refused = !s->show(s->context, s->held, n);
    }
    memmove(s->held, s->held + n, s->n_held - n);
    s->n_held -= n;
}

/* Where the stop text begins that is the first to end behind `from`, the longest of those; or
 * SIZE_MAX. The ends up to `from` were looked at before, so it does not matter how the text came in
 * pieces. */
static size_t find(const stop_text *s, size_t from) {
    for (size_t end = from + 1; end <= s->n_held; end++) {
        size_t first = SIZE_MAX;
        for (size_t i = 0; i < s->n_texts; i++) {
            size_t n = s->texts[i].length;
            if (n <= end && end - n < first &&
                memcmp(s->held + end - n, s->texts[i].bytes, n) == 0) {
                first = end - n;
            }
        }
        if (first != SIZE_MAX) {
            return first;
        }
    }
    return SIZE_MAX;
}

/* Longest end of what is held that could still become a stop text. */
static size_t unfinished(const stop_text *s) {
    size_t longest = 0;
    for (size_t i = 0; i < s->n_texts; i++) {
        for (size_t k = s->texts[i].length - 1; k > longest; k--) {
            if (k <= s->n_held && memcmp(s->held + s->n_held - k, s->texts[i].bytes, k) == 0) {
                longest = k;
            }
        }
    }
    return longest;
}

void stop_text_push(stop_text *s, const char *bytes, size_t length) {
    while (length > 0 && !s->stopped) {
        /* What is held can only be the beginning of a stop text, so a whole step has room. */
        size_t n = length < STOP_TEXT_MAX_BYTES ? length
                                                : utf8_complete_length(bytes, STOP_TEXT_MAX_BYTES);
        memcpy(s->held + s->n_held, bytes, n);
        size_t before = s->n_held;
        s->n_held += n;
        bytes += n;
        length -= n;
        size_t at = find(s, before);
        if (at != SIZE_MAX) {
            release(s, at);
            s->n_held = 0;
            s->stopped = true;
            return;
        }
        release(s, s->n_held - unfinished(s));
    }
}

void stop_text_finish(stop_text *s) {
    if (!s->stopped) {
        release(s, s->n_held);
    }
}
