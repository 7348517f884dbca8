#include "cli/progress.h"

#include "cli/number_text.h"

#include <string.h>

enum {
    PROGRESS_INTERVAL_NS = 100 * 1000 * 1000,
    PROGRESS_DELAY_NS = 300 * 1000 * 1000,
    PROGRESS_LINE_BYTES = 512,
    PROGRESS_BAR_MAX = 40,
    PROGRESS_BAR_MIN = 8,
    BAR_EXTRA_COLUMNS = 9 /* its two ends, percentage, spaces, the line's last column */
};

typedef enum progress_unit {
    PROGRESS_BYTES,
    PROGRESS_TOKENS, /* with tokens/s */
    PROGRESS_RUNS,   /* a count without a rate */
    PROGRESS_NONE    /* a step that only lasts: no figures */
} progress_unit;

struct progress_step {
    const char *name;  /* as the library calls it */
    const char *shown; /* for people */
    progress_unit unit;
};

/* Steps that are not bytes under their own name. */
static const progress_step known_steps[] = {
    {"wait", "waiting for another import", PROGRESS_NONE},
    {"pip", "asking pip", PROGRESS_NONE},
    {"prompt", "prompt", PROGRESS_TOKENS},
    {"windows", "scoring", PROGRESS_TOKENS},
    {"bench", "measuring", PROGRESS_RUNS},
};
static const progress_step other_step = {NULL, NULL, PROGRESS_BYTES};

void progress_init(progress *p, const cli *c) {
    *p = (progress){.cli = c, .step = &other_step};
    p->enabled = c->messages.is_terminal && !c->globals.quiet;
}

static const progress_step *find_step(const char *name) {
    for (size_t i = 0; i < sizeof known_steps / sizeof known_steps[0]; i++) {
        if (strcmp(known_steps[i].name, name) == 0) {
            return &known_steps[i];
        }
    }
    return &other_step;
}

static void append_amount(const progress *p, text_buffer *text, uint64_t amount) {
    if (p->step->unit == PROGRESS_BYTES) {
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
    if (p->step->unit != PROGRESS_RUNS) {
        text_append_string(text, "  ");
        append_amount(p, text, (uint64_t)rate);
        text_append_string(text, p->step->unit == PROGRESS_BYTES ? "/s" : " tokens/s");
    }
    if (total > done) {
        text_append_string(text, "  ");
        number_text_seconds(text, (double)(total - done) / rate);
        text_append_string(text, " left");
    }
}

static void append_figures(const progress *p, text_buffer *text, uint64_t done, uint64_t total) {
    if (p->step->unit == PROGRESS_NONE) {
        return;
    }
    append_amount(p, text, done);
    if (total > 0) {
        text_append_string(text, " of ");
        append_amount(p, text, total);
    }
    append_rate(p, text, done, total);
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
    const terminal *out = &p->cli->messages;
    const char *shown = p->step->shown ? p->step->shown : p->name;
    char figures_memory[128];
    text_buffer figures;
    text_init(&figures, figures_memory, sizeof figures_memory);
    append_figures(p, &figures, done, total);

    char memory[PROGRESS_LINE_BYTES];
    text_buffer line;
    text_init(&line, memory, sizeof memory);
    unsigned width = terminal_width(out, 80);
    unsigned used = (unsigned)(strlen(shown) + figures.length) + 1;
    text_format(&line, "\r%s ", shown);
    unsigned bar = width > used + BAR_EXTRA_COLUMNS ? width - used - BAR_EXTRA_COLUMNS : 0;
    bar = bar > PROGRESS_BAR_MAX ? PROGRESS_BAR_MAX : bar;
    if (total > 0 && bar >= PROGRESS_BAR_MIN && p->step->unit != PROGRESS_NONE) {
        double share = done >= total ? 1.0 : (double)done / (double)total;
        text_append_string(&line, terminal_escape(out->color, STYLE_CYAN));
        append_bar(p, &line, bar, share);
        text_append_string(&line, terminal_escape(out->color, STYLE_PLAIN));
        text_format(&line, " %3u%% ", (unsigned)(share * 100.0));
    }
    if (width > used) {
        text_append_string(&line, figures.data);
    }
    text_append_string(&line, "\033[K");
    terminal_write(out, line.data, line.length);
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
    bool new_step = strncmp(p->name, step, sizeof p->name - 1) != 0;
    if (new_step) {
        text_buffer name;
        text_init(&name, p->name, sizeof p->name);
        text_append_string(&name, step);
        p->step = find_step(step);
        p->step_ns = now;
        p->step_done = done;
    }
    bool is_quick = now - p->step_ns < PROGRESS_DELAY_NS; /* over before anybody could read it */
    bool is_due = now - p->drawn_ns >= PROGRESS_INTERVAL_NS || (total > 0 && done >= total);
    if (!is_quick && is_due) {
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
    p->name[0] = '\0';
}
