#include "engine/tokenizer/blob.h"

#include "base/utf8.h"

#include <assert.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
enum { REPLACEMENT_BYTES = sizeof replacement - 1, LONGEST_CHARACTER = 4 };

static bool is_valid_id(const tokenizer *t, int32_t id) {
    return id >= 0 && (uint32_t)id < t->header->n_tokens;
}

static bool is_closing_mark(char c) {
    return c == '.' || c == ',' || c == '!' || c == '?';
}

/* The bytes that a token prints in a text. *at_start: nothing was printed before. */
static tokenizer_text printed(const tokenizer *t, int32_t id, unsigned flags, bool *at_start) {
    tokenizer_text piece = tokenizer_piece(t, id);
    tokenizer_type type = tokenizer_get_type(t, id);
    bool hidden =
        type == TOKENIZER_CONTROL || type == TOKENIZER_UNKNOWN || type == TOKENIZER_UNUSED;
    if (hidden && !(flags & TOKENIZER_SHOW_SPECIAL)) {
        piece.length = 0;
    }
    if (piece.length == 0) {
        return piece;
    }
    uint32_t model = t->header->model;
    bool first = *at_start && (model == TOKENIZER_WPM || tokenizer_has(t, HEADER_SPACE_PREFIX));
    bool mark = model == TOKENIZER_WPM && piece.length == 2 && is_closing_mark(piece.bytes[1]);
    *at_start = false;
    if (piece.bytes[0] == ' ' && type == TOKENIZER_NORMAL && (first || mark)) {
        piece.bytes++;
        piece.length--;
    }
    return piece;
}

static tars_status bad_id(const tokenizer *t, int32_t id, size_t index, tars_error *err) {
    error_set(err, TARS_MALFORMED, "%d is no token id; the vocabulary has ids 0 to %u", id,
              t->header->n_tokens - 1);
    error_where(err, "id number %zu", index);
    return error_hint(err, "use ids that this model's tokenizer gave");
}

tars_status tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t n_ids, unsigned flags,
                             char *text, size_t capacity, size_t *length, tars_error *err) {
    assert(text || capacity == 0);
    bool at_start = !(flags & TOKENIZER_CONTINUE);
    size_t total = 0;
    *length = 0;
    for (size_t i = 0; i < n_ids; i++) {
        if (!is_valid_id(t, ids[i])) {
            return bad_id(t, ids[i], i, err);
        }
        tokenizer_text piece = printed(t, ids[i], flags, &at_start);
        if (total < capacity) {
            size_t room = capacity - total;
            memcpy(text + total, piece.bytes, piece.length < room ? piece.length : room);
        }
        total += piece.length;
    }
    *length = total;
    if (total > capacity) {
        return error_set(err, TARS_LIMIT, "the text has %zu bytes, there is room for %zu", total,
                         capacity);
    }
    return TARS_OK;
}

void tokenizer_stream_init(tokenizer_stream *stream, const tokenizer *t, unsigned flags) {
    *stream = (tokenizer_stream){
        .tokenizer = t, .flags = flags, .at_start = !(flags & TOKENIZER_CONTINUE)};
}

/* Length of the longest beginning that could still become a character, 0 when there is none;
 * `bytes` does not begin with a whole character. */
static size_t unfinished_length(const char *bytes, size_t length) {
    size_t longest = 0;
    for (size_t n = 1; n <= length && n < LONGEST_CHARACTER; n++) {
        if (utf8_complete_length(bytes, n) == 0) {
            longest = n;
        }
    }
    return longest;
}

/* Prints `length` bytes as valid UTF-8. Returns how many were taken: all but an unfinished
 * character at the end; SIZE_MAX when the sink stopped. */
static size_t print_valid(const char *bytes, size_t length, tokenizer_sink sink, void *context) {
    size_t taken = 0;
    while (taken < length) {
        size_t valid = length - taken;
        if (utf8_valid(bytes + taken, valid, &valid)) {
            valid = length - taken;
        }
        if (valid > 0 && !sink(context, bytes + taken, valid)) {
            return SIZE_MAX;
        }
        taken += valid;
        if (taken == length) {
            break;
        }
        size_t unfinished = unfinished_length(bytes + taken, length - taken);
        if (unfinished == length - taken) {
            break;
        }
        if (!sink(context, replacement, REPLACEMENT_BYTES)) {
            return SIZE_MAX;
        }
        taken += unfinished ? unfinished : 1;
    }
    return taken;
}

/* Completes the held back bytes with the first ones of the piece, until they are printed or the
 * piece is used up. False when the sink stopped. */
static bool print_pending(tokenizer_stream *s, tokenizer_text *piece, tokenizer_sink sink,
                          void *context) {
    while (s->n_pending > 0 && piece->length > 0) {
        char joined[TOKENIZER_STREAM_MAX_PENDING + 1];
        memcpy(joined, s->pending, s->n_pending);
        joined[s->n_pending] = piece->bytes[0];
        size_t n = s->n_pending + 1u;
        size_t taken = print_valid(joined, n, sink, context);
        if (taken == SIZE_MAX) {
            return false;
        }
        s->n_pending = (uint8_t)(n - taken);
        memcpy(s->pending, joined + taken, s->n_pending);
        piece->bytes++;
        piece->length--;
    }
    return true;
}

bool tokenizer_stream_push(tokenizer_stream *stream, int32_t id, tokenizer_sink sink,
                           void *context) {
    if (!is_valid_id(stream->tokenizer, id)) {
        return false;
    }
    tokenizer_text piece = printed(stream->tokenizer, id, stream->flags, &stream->at_start);
    if (!print_pending(stream, &piece, sink, context)) {
        return false;
    }
    if (piece.length == 0) {
        return true;
    }
    size_t taken = print_valid(piece.bytes, piece.length, sink, context);
    if (taken == SIZE_MAX) {
        return false;
    }
    stream->n_pending = (uint8_t)(piece.length - taken);
    memcpy(stream->pending, piece.bytes + taken, stream->n_pending);
    return true;
}

bool tokenizer_stream_finish(tokenizer_stream *stream, tokenizer_sink sink, void *context) {
    bool pending = stream->n_pending > 0;
    stream->n_pending = 0;
    return !pending || sink(context, replacement, REPLACEMENT_BYTES);
}
