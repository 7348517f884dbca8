#include "cli/command_line.h"

#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>

typedef struct parser {
    int argc;
    char **argv;
    int next;
    bool options_ended;
    cli_globals *globals;
    command_line *line;
} parser;

bool command_line_asks(int argc, char **argv, const char *flag) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, flag) == 0) {
            return true;
        }
    }
    return false;
}

tars_status command_line_unknown_verb(const char *name, tars_error *err) {
    nearest_search search;
    nearest_init(&search, name);
    for (const verb *const *v = verbs; *v; v++) {
        if (!(*v)->hidden) {
            nearest_offer(&search, (*v)->name);
        }
    }
    error_set(err, TARS_USAGE, "there is no verb \"%.80s\"", name);
    if (nearest_result(&search)) {
        error_hint(err, "did you mean \"tars %s\"? 'tars help' lists all verbs",
                   nearest_result(&search));
    } else {
        error_hint(err, "'tars help' lists all verbs");
    }
    return TARS_USAGE;
}

static void offer_options(nearest_search *search, const option_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        if (!set->rows[i].hidden) {
            nearest_offer(search, set->rows[i].name);
        }
    }
}

static tars_status unknown_option(const verb *v, const char *text, tars_error *err) {
    char name[64];
    text_buffer copy;
    text_init(&copy, name, sizeof name);
    text_append(&copy, text, strcspn(text, "="));
    error_set(err, TARS_USAGE, "there is no option %s%s%s", name, v ? " of tars " : "",
              v ? v->name : "");
    error_where(err, "%s", name);
    nearest_search search;
    nearest_init(&search, name + strspn(name, "-"));
    for (size_t i = 0; v && i < VERB_MAX_SETS && v->uses[i].set; i++) {
        offer_options(&search, v->uses[i].set);
    }
    offer_options(&search, &global_options);
    const char *near = nearest_result(&search);
    return error_hint(err, "%s%s%s'tars %s%s' lists the options%s", near ? "did you mean --" : "",
                      near ? near : "", near ? "? " : "", v ? "help " : "help", v ? v->name : "",
                      name[1] == '-' ? "" : "; text that begins with - goes after --");
}

/* Value of an option that needs one: behind '=', or the next word. */
static tars_status take_value(parser *p, const option *row, const char *attached,
                              const char **value, tars_error *err) {
    *value = attached;
    if (row->type == OPTION_FLAG || attached) {
        return TARS_OK;
    }
    const char *next = p->next < p->argc ? p->argv[p->next] : NULL;
    if (next && strncmp(next, "--", 2) != 0) {
        *value = next;
        p->next++;
        return TARS_OK;
    }
    error_set(err, TARS_USAGE, "option --%s needs a value", row->name);
    error_where(err, "--%s", row->name);
    return error_hint(err, "write --%s=%s", row->name, row->value_name ? row->value_name : "VALUE");
}

static tars_status apply(parser *p, const option *row, const char *attached, void *values,
                         tars_error *err) {
    const char *value = NULL;
    tars_status status = take_value(p, row, attached, &value, err);
    return status != TARS_OK ? status : option_parse(row, value, values, err);
}

static tars_status parse_long(parser *p, const char *word, tars_error *err) {
    const char *name = word + 2;
    size_t length = strcspn(name, "=");
    const char *attached = name[length] == '=' ? name + length + 1 : NULL;
    const verb *v = p->line->verb;
    size_t offset = 0;
    const option *row = v ? verb_find_option(v, name, length, &offset) : NULL;
    if (row) {
        return apply(p, row, attached, (char *)p->line->call.values + offset, err);
    }
    row = option_find(&global_options, name, length);
    return row ? apply(p, row, attached, p->globals, err) : unknown_option(v, word, err);
}

/* "-q", "-qv": global flags, and a verb's letters; the last of a group may take a value. */
static tars_status parse_letters(parser *p, const char *word, tars_error *err) {
    const verb *v = p->line->verb;
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const option *row = option_find_letter(&global_options, *letter);
        void *values = p->globals;
        for (size_t i = 0; !row && v && i < VERB_MAX_SETS && v->uses[i].set; i++) {
            row = option_find_letter(v->uses[i].set, *letter);
            values = (char *)p->line->call.values + v->uses[i].offset;
        }
        if (!row) {
            return unknown_option(v, word, err);
        }
        bool takes_rest = row->type != OPTION_FLAG && letter[1] != '\0';
        tars_status status = apply(p, row, takes_rest ? letter + 1 : NULL, values, err);
        if (status != TARS_OK || takes_rest) {
            return status;
        }
    }
    return TARS_OK;
}

static tars_status start_verb(parser *p, const char *name, tars_error *err) {
    const verb *v = verb_find(name);
    if (!v || !v->run) { /* a verb without run is only known as the first word */
        return command_line_unknown_verb(name, err);
    }
    p->line->verb = v;
    p->line->call.values = calloc(1, v->values_bytes > 0 ? v->values_bytes : 1);
    if (!p->line->call.values) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the options of tars %s", v->name);
    }
    for (size_t i = 0; i < VERB_MAX_SETS && v->uses[i].set; i++) {
        option_set_defaults(v->uses[i].set, (char *)p->line->call.values + v->uses[i].offset);
    }
    return TARS_OK;
}

static tars_status check_arguments(const command_line *line, tars_error *err) {
    const verb *v = line->verb;
    size_t known = verb_argument_count(v);
    size_t given = line->call.n_arguments;
    size_t needed = 0;
    while (needed < known && !v->arguments[needed].optional) {
        needed++;
    }
    bool endless = known > 0 && v->arguments[known - 1].repeated;
    char usage[200];
    text_buffer text;
    text_init(&text, usage, sizeof usage);
    verb_usage(v, &text);
    if (given < needed) {
        error_set(err, TARS_USAGE, "%s is missing: %s", v->arguments[given].name,
                  v->arguments[given].help);
        return error_hint(err, "usage: %s", usage);
    }
    if (given > known && !endless) {
        error_set(err, TARS_USAGE, "one argument too many: \"%.80s\"", line->arguments[known]);
        return error_hint(err, "usage: %s (text with spaces needs quotes)", usage);
    }
    return TARS_OK;
}

static tars_status parse_word(parser *p, const char *word, tars_error *err) {
    if (!p->options_ended && word[0] == '-' && word[1] != '\0') {
        if (strcmp(word, "--") == 0) {
            p->options_ended = true;
            return TARS_OK;
        }
        return word[1] == '-' ? parse_long(p, word, err) : parse_letters(p, word, err);
    }
    if (!p->line->verb) {
        return start_verb(p, word, err);
    }
    p->line->arguments[p->line->call.n_arguments++] = word;
    return TARS_OK;
}

tars_status command_line_parse(int argc, char **argv, cli_globals *globals, command_line *out,
                               tars_error *err) {
    *out = (command_line){0};
    parser p = {.argc = argc, .argv = argv, .next = 1, .globals = globals, .line = out};
    out->arguments = calloc((size_t)argc + 1, sizeof *out->arguments);
    if (!out->arguments) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for %d arguments", argc);
    }
    out->call.arguments = out->arguments;
    while (p.next < argc) {
        const char *word = argv[p.next++];
        tars_status status = parse_word(&p, word, err);
        if (status != TARS_OK) {
            return status;
        }
    }
    bool counts = out->verb && !globals->help && !globals->version;
    return counts ? check_arguments(out, err) : TARS_OK;
}

void command_line_free(command_line *line) {
    free(line->call.values);
    free(line->arguments);
    *line = (command_line){0};
}
