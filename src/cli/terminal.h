/* What is at the other end of a handle: a terminal or not, how wide, colours, UTF-8. Ownership:
 * plain memory, filled once. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "platform/platform.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct terminal {
    platform_handle handle;
    bool is_terminal;
    bool color; /* escape sequences are welcome */
    bool utf8;  /* the locale's characters are UTF-8 */
} terminal;

/* `no_color`: the user's wish; NO_COLOR and TERM=dumb are looked at here. */
void terminal_init(terminal *t, platform_handle handle, bool no_color);
/* Columns now; `otherwise` when it is no terminal or does not say. */
unsigned terminal_width(const terminal *t, unsigned otherwise);
/* Writes bytes to the handle at once, ignoring failure: messages have nowhere else to go. */
void terminal_write(const terminal *t, const char *bytes, size_t length);

/* Escape sequences, "" without colour. */
typedef enum terminal_style {
    STYLE_PLAIN, /* back to normal */
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_RED,
    STYLE_GREEN,
    STYLE_YELLOW,
    STYLE_CYAN
} terminal_style;
const char *terminal_escape(bool color, terminal_style style);

/* Columns that text takes: characters, wide ones twice, combining ones not at all. */
size_t terminal_columns(const char *text, size_t length);

#endif
