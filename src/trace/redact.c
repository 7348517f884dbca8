#include "trace/redact.h"

#include <string.h>

const char *const redact_default_words[] = {"password",      "token",  "secret",
                                            "authorization", "cookie", NULL};

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool is_one_of(char c, const char *set) {
    return c != '\0' && strchr(set, c);
}

static bool is_name(char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || c == '-';
}

static const char *const *words_of(const redact_words *list) {
    return list && list->words ? list->words : redact_default_words;
}

/* The length of the word that begins here; 0: none does. */
static size_t word_at(const redact_words *list, const char *text, size_t length) {
    for (const char *const *word = words_of(list); *word; word++) {
        size_t n = strlen(*word);
        size_t same = 0;
        while (same < n && same < length && lower(text[same]) == lower((*word)[same])) {
            same++;
        }
        if (n > 0 && same == n) {
            return n;
        }
    }
    return 0;
}

bool redact_has_word(const redact_words *list, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++) {
        if (word_at(list, name + i, length - i) > 0) {
            return true;
        }
    }
    return false;
}

/* From behind a name: where its value begins, or 0 when none follows. *ends is what ends it. */
static size_t value_at(const char *text, size_t length, size_t from, const char **ends) {
    size_t i = from;
    while (i < length && is_name(text[i])) {
        i++;
    }
    while (i < length && is_one_of(text[i], "\"' \t")) {
        i++;
    }
    if (i == length || (text[i] != '=' && text[i] != ':')) {
        return 0;
    }
    *ends = text[i] == '=' ? "&;, \t\r\n\"'" : ";,\r\n\"'";
    i++;
    while (i < length && is_one_of(text[i], " \t")) {
        i++;
    }
    if (i < length && is_one_of(text[i], "\"'")) {
        *ends = text[i] == '"' ? "\"" : "'";
        i++;
    }
    return i;
}

/* Behind "://": the length of a user's name and password, the @ not counted; 0: there are none. */
static size_t user_at(const char *text, size_t length) {
    size_t i = 0;
    while (i < length && !is_one_of(text[i], "@/?# \t\r\n\"'")) {
        i++;
    }
    return i < length && text[i] == '@' ? i : 0;
}

void redact_text(const redact_words *list, const char *text, size_t length, text_buffer *out) {
    static const char scheme[] = "://";
    const size_t scheme_bytes = sizeof scheme - 1;
    for (size_t i = 0; i < length;) {
        size_t n = word_at(list, text + i, length - i);
        const char *ends = "";
        size_t value = n > 0 ? value_at(text, length, i + n, &ends) : 0;
        size_t end = value;
        if (value == 0 && length - i > scheme_bytes &&
            memcmp(text + i, scheme, scheme_bytes) == 0) {
            value = i + scheme_bytes;
            end = value + user_at(text + value, length - value);
        } else {
            while (value > 0 && end < length && !is_one_of(text[end], ends)) {
                end++;
            }
        }
        if (value > 0) {
            text_append(out, text + i, value - i);
            text_append_string(out, end > value ? REDACTED : "");
            i = end;
        } else {
            text_append_char(out, text[i++]);
        }
    }
}
