#include "base/text.h"

#include <assert.h>
#include <string.h>

void text_init(text_buffer *text, char *data, size_t capacity) {
    assert(capacity >= 1);
    text->data = data;
    text->length = 0;
    text->capacity = capacity;
    text->truncated = false;
    data[0] = '\0';
}

void text_append(text_buffer *text, const char *bytes, size_t length) {
    size_t room = text->capacity - 1 - text->length;
    if (length > room) {
        length = room;
        while (length > 0 && ((unsigned char)bytes[length] & 0xC0u) == 0x80u) {
            length--; /* never end inside a character */
        }
        text->truncated = true;
    }
    if (length > 0) {
        memcpy(text->data + text->length, bytes, length);
        text->length += length;
    }
    text->data[text->length] = '\0';
}

void text_append_string(text_buffer *text, const char *string) {
    text_append(text, string, strlen(string));
}

void text_append_char(text_buffer *text, char c) {
    text_append(text, &c, 1);
}

typedef struct directive {
    bool left, zero;
    int width;
    int precision; /* -1: none */
    char size;     /* 0, 'l', 'L' for ll, 'z' */
    char kind;
} directive;

static void pad(text_buffer *text, char c, int count) {
    for (int i = 0; i < count; i++) {
        text_append_char(text, c);
    }
}

static void put_number(text_buffer *text, const directive *d, uint64_t value, bool negative,
                       unsigned base) {
    char digits[24];
    int n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    int used = n + (negative ? 1 : 0);
    if (!d->left && !d->zero) {
        pad(text, ' ', d->width - used);
    }
    if (negative) {
        text_append_char(text, '-');
    }
    if (!d->left && d->zero) {
        pad(text, '0', d->width - used);
    }
    while (n > 0) {
        text_append_char(text, digits[--n]);
    }
    if (d->left) {
        pad(text, ' ', d->width - used);
    }
}

/* Bytes of the well-formed UTF-8 character at s (1 … 4), or 0. */
static size_t character_length(const unsigned char *s, size_t left) {
    if (s[0] < 0x80) {
        return 1;
    }
    size_t n = s[0] >= 0xF0 && s[0] <= 0xF4 ? 4 : s[0] >= 0xE0 ? 3 : s[0] >= 0xC2 ? 2 : 0;
    if (n == 0 || n > left || s[0] > 0xF4) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0u) != 0x80u) {
            return 0;
        }
    }
    bool surrogate = s[0] == 0xED && s[1] >= 0xA0;
    bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    bool beyond = s[0] == 0xF4 && s[1] >= 0x90;
    bool c1_control = s[0] == 0xC2 && s[1] < 0xA0;
    return surrogate || overlong || beyond || c1_control ? 0 : n;
}

static void put_string(text_buffer *text, const directive *d, const char *string) {
    const char *s = string ? string : "(null)";
    size_t length = 0;
    while ((d->precision < 0 || length < (size_t)d->precision) && s[length] != '\0') {
        length++;
    }
    int missing = length < 1000 ? d->width - (int)length : 0;
    if (!d->left) {
        pad(text, ' ', missing);
    }
    for (size_t i = 0; i < length;) {
        size_t n = character_length((const unsigned char *)s + i, length - i);
        bool control =
            n == 1 && ((unsigned char)s[i] < 0x20 || s[i] == 0x7F) && s[i] != '\n' && s[i] != '\t';
        if (n == 0 || control) {
            text_append_char(text, '?');
            i++;
        } else {
            text_append(text, s + i, n);
            i += n;
        }
    }
    if (d->left) {
        pad(text, ' ', missing);
    }
}

static const char *parse_directive(directive *d, const char *p, va_list *arguments) {
    *d = (directive){.precision = -1};
    for (; *p == '-' || *p == '0'; p++) {
        d->left = d->left || *p == '-';
        d->zero = d->zero || *p == '0';
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        d->width = d->width * 10 + (*p - '0');
    }
    if (*p == '*') {
        d->width = va_arg(*arguments, int);
        p++;
    }
    if (*p == '.') {
        p++;
        if (*p == '*') {
            int precision = va_arg(*arguments, int);
            d->precision = precision < 0 ? 0 : precision;
            p++;
        } else {
            d->precision = 0;
            for (; *p >= '0' && *p <= '9'; p++) {
                d->precision = d->precision * 10 + (*p - '0');
            }
        }
    }
    if (*p == 'l' || *p == 'z') {
        d->size = *p++;
        if (d->size == 'l' && *p == 'l') {
            d->size = 'L';
            p++;
        }
    }
    d->kind = *p;
    return *p ? p + 1 : p;
}

static void put_signed(text_buffer *text, const directive *d, va_list *arguments) {
    long long value = d->size == 'L'   ? va_arg(*arguments, long long)
                      : d->size == 'l' ? va_arg(*arguments, long)
                      : d->size == 'z' ? (long long)va_arg(*arguments, ptrdiff_t)
                                       : va_arg(*arguments, int);
    uint64_t magnitude = value < 0 ? 0u - (uint64_t)value : (uint64_t)value;
    put_number(text, d, magnitude, value < 0, 10);
}

static void put_unsigned(text_buffer *text, const directive *d, va_list *arguments) {
    unsigned long long value = d->size == 'L'   ? va_arg(*arguments, unsigned long long)
                               : d->size == 'l' ? va_arg(*arguments, unsigned long)
                               : d->size == 'z' ? va_arg(*arguments, size_t)
                                                : va_arg(*arguments, unsigned);
    put_number(text, d, value, false, d->kind == 'x' ? 16 : 10);
}

static void format_directives(text_buffer *text, const char *format, va_list *arguments) {
    for (const char *p = format; *p;) {
        const char *start = p;
        while (*p && *p != '%') {
            p++;
        }
        text_append(text, start, (size_t)(p - start));
        if (*p == '\0') {
            return;
        }
        directive d;
        p = parse_directive(&d, p + 1, arguments);
        if (d.kind == 's') {
            put_string(text, &d, va_arg(*arguments, const char *));
        } else if (d.kind == 'd' || d.kind == 'i') {
            put_signed(text, &d, arguments);
        } else if (d.kind == 'u' || d.kind == 'x') {
            put_unsigned(text, &d, arguments);
        } else if (d.kind == 'c') {
            char c = (char)va_arg(*arguments, int);
            text_append_char(text, (unsigned char)c >= 0x20 && (unsigned char)c < 0x7F ? c : '?');
        } else if (d.kind == '%') {
            text_append_char(text, '%');
        } else {
            assert(false && "unknown directive in a format string");
        }
    }
}

void text_format_list(text_buffer *text, const char *format, va_list arguments) {
    va_list copy;
    va_copy(copy, arguments);
    format_directives(text, format, &copy);
    va_end(copy);
}

void text_format(text_buffer *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    text_format_list(text, format, arguments);
    va_end(arguments);
}
