#include "cli/terminal.h"

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>
#include <wchar.h>

/* The first of the locale's variables that is set decides, as setlocale reads them. */
static bool locale_is_utf8(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = platform_environment(names[i]);
        if (value) {
            return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "UTF8");
        }
    }
    return false;
}

void terminal_init(terminal *t, platform_handle handle, bool no_color) {
    const char *kind = platform_environment("TERM");
    t->handle = handle;
    t->is_terminal = platform_is_terminal(handle);
    t->color = t->is_terminal && !no_color && !platform_environment("NO_COLOR") && kind &&
               strcmp(kind, "dumb") != 0;
    t->utf8 = locale_is_utf8();
}

unsigned terminal_width(const terminal *t, unsigned otherwise) {
    unsigned columns = t->is_terminal ? platform_terminal_width(t->handle) : 0;
    return columns > 0 ? columns : otherwise;
}

void terminal_write(const terminal *t, const char *bytes, size_t length) {
    (void)platform_handle_write(t->handle, bytes, length, NULL);
}

const char *terminal_escape(bool color, terminal_style style) {
    static const char *const escapes[] = {
        [STYLE_PLAIN] = "\033[0m", [STYLE_BOLD] = "\033[1m",   [STYLE_DIM] = "\033[2m",
        [STYLE_RED] = "\033[31m",  [STYLE_GREEN] = "\033[32m", [STYLE_YELLOW] = "\033[33m",
        [STYLE_CYAN] = "\033[36m",
    };
    return color ? escapes[style] : "";
}

size_t terminal_columns(const char *text, size_t length) {
    size_t columns = 0;
    while (length > 0) {
        uint32_t code_point = 0;
        size_t n = utf8_decode(text, length, &code_point);
        int width = n > 0 ? wcwidth((wchar_t)code_point) : 1;
        columns += width >= 0 ? (size_t)width : 1;
        text += n > 0 ? n : 1;
        length -= n > 0 ? n : 1;
    }
    return columns;
}
