#include "base/nearest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MIN_PREFIX_BYTES = 2, MAX_EDITS = 5 };

static unsigned char lower(char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static size_t bounded_length(const char *text) {
    size_t length = 0;
    while (length < NEAREST_MAX_BYTES && text[length] != '\0') {
        length++;
    }
    return length;
}

static uint8_t smaller(uint8_t a, uint8_t b) {
    return a < b ? a : b;
}

/* Optimal string alignment over three rows: row[j] = edits from a[0..i) to b[0..j). */
size_t nearest_distance(const char *a, const char *b, size_t limit) {
    uint8_t rows[3][NEAREST_MAX_BYTES + 1];
    size_t a_length = bounded_length(a);
    size_t b_length = bounded_length(b);
    for (size_t j = 0; j <= b_length; j++) {
        rows[0][j] = (uint8_t)j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        uint8_t *row = rows[i % 3];
        const uint8_t *above = rows[(i - 1) % 3];
        const uint8_t *two_above = rows[(i + 1) % 3]; /* (i - 2) mod 3; read from i = 2 on */
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b_length; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            uint8_t edits = (uint8_t)(above[j - 1] + (same ? 0 : 1));
            edits = smaller(edits, (uint8_t)(above[j] + 1));
            edits = smaller(edits, (uint8_t)(row[j - 1] + 1));
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1])) {
                edits = smaller(edits, (uint8_t)(two_above[j - 2] + 1));
            }
            row[j] = edits;
        }
    }
    size_t distance = rows[a_length % 3][b_length];
    return distance > limit ? limit + 1 : distance;
}

static size_t edit_limit(const char *wanted) {
    size_t limit = bounded_length(wanted) / 3;
    if (limit < 1) {
        return 1;
    }
    return limit > MAX_EDITS ? MAX_EDITS : limit;
}

static bool begins(const char *wanted, const char *candidate) {
    size_t i = 0;
    while (wanted[i] != '\0' && lower(wanted[i]) == lower(candidate[i])) {
        i++;
    }
    return wanted[i] == '\0' && i >= MIN_PREFIX_BYTES;
}

void nearest_init(nearest_search *search, const char *wanted) {
    search->wanted = wanted;
    search->best = NULL;
    search->best_distance = edit_limit(wanted) + 1;
}

void nearest_offer(nearest_search *search, const char *candidate) {
    size_t limit = edit_limit(search->wanted);
    size_t distance = nearest_distance(search->wanted, candidate, limit);
    if (distance > limit && begins(search->wanted, candidate)) {
        distance = limit; /* an abbreviation is as good as the worst misspelling */
    }
    if (distance < search->best_distance) {
        search->best = candidate;
        search->best_distance = distance;
    }
}

const char *nearest_result(const nearest_search *search) {
    return search->best;
}
