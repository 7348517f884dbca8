#include "engine/stop_text.h"
#include "support/check.h"

#include <string.h>

typedef struct shown {
    char bytes[4096];
    size_t length;
    size_t refuse_at; /* the sink says no once it has so many bytes */
} shown;

static bool show(void *context, const char *bytes, size_t length) {
    shown *s = context;
    memcpy(s->bytes + s->length, bytes, length);
    s->length += length;
    return s->length < s->refuse_at;
}

static tokenizer_text text_of(const char *text) {
    return (tokenizer_text){text, strlen(text)};
}

/* What must be shown of the pieces before and after the end. */
static void rows(void) {
    static const struct {
        const char *stops[3];
        const char *pieces[4];
        const char *early, *all;
        bool stopped;
    } cases[] = {
        {{0}, {"no ", "stop"}, "no stop", "no stop", false},
        {{"END"}, {"the E", "ND is"}, "the ", "the ", true},
        {{"END"}, {"the E", "N"}, "the ", "the EN", false},
        {{"aab"}, {"aa", "ab"}, "a", "a", true},
        {{"x"}, {"x"}, "", "", true},
        {{"abcd", "c"}, {"abcd"}, "ab", "ab", true}, /* c ends first */
        {{"bc", "abc"}, {"1abc"}, "1", "1", true},   /* both end here: the longest */
        {{"\n\n"}, {"one\n", "\ntwo"}, "one", "one", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tokenizer_text stops[3];
        size_t n = 0;
        for (; n < 3 && cases[i].stops[n]; n++) {
            stops[n] = text_of(cases[i].stops[n]);
        }
        static shown s;
        s = (shown){.refuse_at = SIZE_MAX};
        static stop_text stop;
        stop_text_init(&stop, stops, n, show, &s);
        for (size_t k = 0; k < 4 && cases[i].pieces[k]; k++) {
            stop_text_push(&stop, cases[i].pieces[k], strlen(cases[i].pieces[k]));
        }
        CHECK_INT(stop.stopped, cases[i].stopped);
        CHECK_STRING(s.bytes, cases[i].early);
        stop_text_finish(&stop);
        CHECK_STRING(s.bytes, cases[i].all);
    }
}

/* Length of what may be shown, looked up the slow way: cut where the first stop text that is
 * complete begins. */
static size_t expected_length(const char *text, size_t n, const tokenizer_text *stops,
                              size_t n_stops, bool *stopped) {
    for (size_t end = 1; end <= n; end++) {
        for (size_t begin = 0; begin < end; begin++) {
            for (size_t i = 0; i < n_stops; i++) {
                if (stops[i].length == end - begin &&
                    memcmp(text + begin, stops[i].bytes, end - begin) == 0) {
                    *stopped = true;
                    return begin;
                }
            }
        }
    }
    *stopped = false;
    return n;
}

static void pieces_do_not_matter(void) {
    uint64_t state = 11;
    for (unsigned round = 0; round < 3000; round++) {
        char text[64];
        char stop_bytes[3][8];
        tokenizer_text stops[3];
        size_t n = check_random(&state) % sizeof text;
        size_t n_stops = check_random(&state) % 4;
        for (size_t i = 0; i < n; i++) {
            text[i] = (char)('a' + check_random(&state) % 2);
        }
        for (size_t i = 0; i < n_stops; i++) {
            stops[i] = (tokenizer_text){stop_bytes[i], 2 + check_random(&state) % 7};
            for (size_t k = 0; k < sizeof stop_bytes[i]; k++) {
                stop_bytes[i][k] = (char)('a' + check_random(&state) % 2);
            }
        }
        static shown s;
        s = (shown){.refuse_at = SIZE_MAX};
        static stop_text stop;
        stop_text_init(&stop, stops, n_stops, show, &s);
        for (size_t at = 0; at < n;) {
            size_t left = n - at;
            size_t count = 1 + check_random(&state) % left;
            stop_text_push(&stop, text + at, count);
            at += count;
        }
        stop_text_finish(&stop);
        bool stopped;
        size_t expected = expected_length(text, n, stops, n_stops, &stopped);
        CHECK_INT(stop.stopped, stopped);
        CHECK_INT(s.length, expected);
        CHECK(memcmp(s.bytes, text, expected) == 0);
    }
}

static void long_texts_and_pieces(void) {
    static char stop_bytes[STOP_TEXT_MAX_BYTES];
    memset(stop_bytes, 'x', sizeof stop_bytes);
    tokenizer_text one = {stop_bytes, sizeof stop_bytes};
    static char piece[3000];
    memset(piece, 'x', sizeof piece);
    piece[1000] = 'y';
    static shown s;
    s = (shown){.refuse_at = SIZE_MAX};
    static stop_text stop;
    stop_text_init(&stop, &one, 1, show, &s);
    stop_text_push(&stop, piece, sizeof piece);
    CHECK(stop.stopped);
    CHECK_INT(s.length, 1001);
}

static void a_sink_that_refuses_hears_no_more(void) {
    static shown s;
    s = (shown){.refuse_at = 3};
    static stop_text stop;
    stop_text_init(&stop, NULL, 0, show, &s);
    stop_text_push(&stop, "abc", 3);
    CHECK(stop.refused);
    stop_text_push(&stop, "def", 3);
    stop_text_finish(&stop);
    CHECK_INT(s.length, 3);
}

static const check_test tests[] = {
    {"rows", rows},
    {"pieces do not matter", pieces_do_not_matter},
    {"long texts and pieces", long_texts_and_pieces},
    {"a sink that refuses hears no more", a_sink_that_refuses_hears_no_more},
};
CHECK_MAIN(tests)
