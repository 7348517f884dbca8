#include "cli/progress.h"

#include "cli/number_text.h"

#include <string.h>

enum {
    PROGRESS_INTERVAL_NS = 100 * 1000 * 1000,
    PROGRESS_LINE_BYTES = 512,
    PROGRESS_BAR_MAX = 40,
    PROGRESS_BAR_MIN = 8
};

void progress_init(progress *p, const cli *c, progress_unit unit) {
    *p = (progress){.cli = c, .unit = unit};
    p->enabled = c->messages.is_terminal && !c->globals.quiet;
}

static void append_amount(const progress *p, text_buffer *text, uint64_t amount) {
    if (p->unit == PROGRESS_BYTES) {
        number_text_bytes(text, amount);
    } else {
        text_format(text, "%llu", (unsigned long long)amount);
    }
}

static void append_rate(const progress *p, text_buffer *text, uint64_t done, uint64_t total) {
    double seconds = (double)(platform_clock_ns() - p->step_ns) * 1e-9;
    double rate = seconds > 0.2 ? (double)(done - p->step_done) / seconds : 0;
    if (rate < 1e-9) {
        return;
    }
    if (p->unit != PROGRESS_STEPS) {
        text_append_string(text, "  ");
        append_amount(p, text, (uint64_t)rate);
        text_append_string(text, p->unit == PROGRESS_BYTES ? "/s" : " tokens/s");
    }
    if (total > done) {
        text_append_string(text, "  ");
        number_text_seconds(text, (double)(total - done) / rate);
        text_append_string(text, " left");
    }
}

/* Full cells and, in UTF-8, one cell of eighths. */
static void append_bar(const progress *p, text_buffer *text, unsigned width, double share) {
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    unsigned filled = (unsigned)(share * width * 8.0);
    unsigned full = filled / 8;
    const char *part = p->cli->messages.utf8 ? eighths[filled % 8] : "";
    text_append_string(text, p->cli->messages.utf8 ? "▕" : "[");
    for (unsigned i = 0; i < full; i++) {
        text_append_string(text, p->cli->messages.utf8 ? "█" : "#");
    }
    text_append_string(text, part);
    unsigned used = full + (part[0] != '\0' ? 1 : 0);
    for (unsigned i = used; i < width; i++) {
        text_append_string(text, p->cli->messages.utf8 ? " " : ".");
    }
    text_append_string(text, p->cli->messages.utf8 ? "▏" : "]");
}

static void draw(progress *p, uint64_t done, uint64_t total) {
    char tail_memory[128];
    text_buffer tail;
    text_init(&tail, tail_memory, sizeof tail_memory);
    append_amount(p, &tail, done);
    if (total > 0) {
        text_append_string(&tail, " of ");
        append_amount(p, &tail, total);
    }
    append_rate(p, &tail, done, total);

    char memory[PROGRESS_LINE_BYTES];
    text_buffer line;
    text_init(&line, memory, sizeof memory);
    unsigned width = terminal_width(&p->cli->messages, 80);
    unsigned taken = (unsigned)(strlen(p->step) + tail.length) + 4 + 6;
    unsigned bar = width > taken ? width - taken - 1 : 0;
    bar = bar > PROGRESS_BAR_MAX ? PROGRESS_BAR_MAX : bar;
    text_format(&line, "\r");
    text_format(&line, "%s ", p->step);
    if (total > 0 && bar >= PROGRESS_BAR_MIN) {
        double share = done >= total ? 1.0 : (double)done / (double)total;
        text_append_string(&line, terminal_escape(p->cli->messages.color, STYLE_CYAN));
        append_bar(p, &line, bar, share);
        text_append_string(&line, terminal_escape(p->cli->messages.color, STYLE_PLAIN));
        text_format(&line, " %3u%% ", (unsigned)(share * 100.0));
    }
    if (width > strlen(p->step) + tail.length + 2) {
        text_append_string(&line, tail.data);
    }
    text_append_string(&line, "\033[K");
    terminal_write(&p->cli->messages, line.data, line.length);
    p->drawn = true;
}

bool progress_update(void *user, const char *step, uint64_t done, uint64_t total) {
    progress *p = user;
    if (platform_interrupted() > 0) {
        return false;
    }
    if (!p->enabled) {
        return true;
    }
    uint64_t now = platform_clock_ns();
    bool new_step = strncmp(p->step, step, sizeof p->step - 1) != 0;
    if (new_step) {
        text_buffer name;
        text_init(&name, p->step, sizeof p->step);
        text_append_string(&name, step);
        p->step_ns = now;
        p->step_done = done;
    }
    if (new_step || now - p->drawn_ns >= PROGRESS_INTERVAL_NS || (total > 0 && done >= total)) {
        p->drawn_ns = now;
        draw(p, done, total);
    }
    return true;
}

void progress_clear(progress *p) {
    if (p->drawn) {
        terminal_write(&p->cli->messages, "\r\033[K", 4);
        p->drawn = false;
    }
    p->step[0] = '\0';
}
