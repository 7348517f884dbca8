/* The table of verbs is sound, and argv becomes a verb with its options and arguments. */
#include "cli/command_line.h"
#include "support/check.h"

#include <string.h>

typedef struct seen_names {
    const char *names[128];
    size_t count;
} seen_names;

static void see(seen_names *seen, const char *verb_name, const char *name) {
    for (size_t i = 0; i < seen->count; i++) {
        if (strcmp(seen->names[i], name) == 0) {
            check_fail(__FILE__, __LINE__, "tars %s has --%s twice", verb_name, name);
        }
    }
    if (seen->count < sizeof seen->names / sizeof seen->names[0]) {
        seen->names[seen->count++] = name;
    }
}

static void check_row(const verb *v, const option *row) {
    if (!row->help || row->help[0] == '\0' || row->help[strlen(row->help) - 1] == '.') {
        check_fail(__FILE__, __LINE__, "tars %s --%s: help is missing or ends with a full stop",
                   v->name, row->name);
    }
    if ((row->type == OPTION_ENUM) != (row->choices != NULL)) {
        check_fail(__FILE__, __LINE__, "tars %s --%s: choices go with enums", v->name, row->name);
    }
    if ((row->type == OPTION_FLAG) == (row->value_name != NULL)) {
        check_fail(__FILE__, __LINE__, "tars %s --%s: a value's name goes with a value", v->name,
                   row->name);
    }
    CHECK(!row->repeated || row->type == OPTION_TEXT || row->type == OPTION_ENUM ||
          row->type == OPTION_FILE || row->type == OPTION_MODEL);
}

static void check_verb(const verb *v) {
    seen_names seen = {0};
    for (size_t i = 0; i < global_options.count; i++) {
        see(&seen, v->name, global_options.rows[i].name);
    }
    for (size_t i = 0; i < VERB_MAX_SETS && v->uses[i].set; i++) {
        for (size_t j = 0; j < v->uses[i].set->count; j++) {
            const option *row = &v->uses[i].set->rows[j];
            see(&seen, v->name, row->name);
            check_row(v, row);
            CHECK(v->uses[i].offset + row->offset < v->values_bytes);
        }
    }
    for (size_t i = 0; i < verb_argument_count(v); i++) {
        const verb_argument *a = &v->arguments[i];
        CHECK(a->help != NULL);
        CHECK((a->kind == ARGUMENT_CHOICE) == (a->choices != NULL));
        CHECK(!a->repeated || i + 1 == verb_argument_count(v));
        CHECK(i == 0 || !v->arguments[i - 1].optional || a->optional);
    }
}

static void test_every_verb_is_sound(void) {
    size_t count = 0;
    for (const verb *const *v = verbs; *v; v++) {
        CHECK(verb_find((*v)->name) == *v);
        CHECK(((*v)->run == NULL) != ((*v)->main == NULL));
        if (!(*v)->hidden) {
            CHECK((*v)->summary && (*v)->description && (*v)->group);
            check_verb(*v);
            count++;
        }
    }
    CHECK(count >= 15);
}

static tars_status parse(const char *const *words, cli_globals *globals, command_line *line,
                         tars_error *err) {
    static char kept[16][64]; /* texts must outlive the call */
    char *argv[17] = {0};
    int argc = 0;
    while (words[argc]) {
        text_buffer text;
        text_init(&text, kept[argc], sizeof kept[argc]);
        text_append_string(&text, words[argc]);
        argv[argc] = kept[argc];
        argc++;
    }
    *globals = (cli_globals){0};
    return command_line_parse(argc, argv, globals, line, err);
}

static void test_words_find_their_places(void) {
    cli_globals globals;
    command_line line;
    tars_error err;
    const char *const words[] = {"tars", "-qv",    "rm", "a",  "--home=x",
                                 "b",    "--json", "--", "-c", NULL};
    CHECK_INT(parse(words, &globals, &line, &err), TARS_OK);
    CHECK(line.verb == verb_find("rm"));
    CHECK_INT(line.call.n_arguments, 3);
    CHECK_STRING(line.call.arguments[0], "a");
    CHECK_STRING(line.call.arguments[1], "b");
    CHECK_STRING(line.call.arguments[2], "-c");
    CHECK(globals.quiet && globals.verbose && globals.json && !globals.offline);
    CHECK_STRING(globals.home, "x");
    command_line_free(&line);
}

static void test_a_lone_dash_is_an_argument(void) {
    cli_globals globals;
    command_line line;
    tars_error err;
    const char *const words[] = {"tars", "tokenize", "m", "-", NULL};
    CHECK_INT(parse(words, &globals, &line, &err), TARS_OK);
    CHECK_STRING(line.call.arguments[1], "-");
    command_line_free(&line);
}

static void test_mistakes_are_usage(void) {
    static const char *const mistakes[][5] = {
        {"tars", "nonsense"},
        {"tars", "rm"},
        {"tars", "rm", "--nonsense"},
        {"tars", "rm", "-x", "a"},
        {"tars", "--home"},
        {"tars", "rm", "a", "--home", "--json"},
        {"tars", "rm", "a", "--json=1"},
        {"tars", "man", "superfluous"},
        {"tars", "--home=", "list"},
        {"tars", "list", "-", "--names"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        cli_globals globals;
        command_line line;
        tars_error err;
        error_clear(&err);
        CHECK_INT(parse(mistakes[i], &globals, &line, &err), TARS_USAGE);
        CHECK(err.message[0] != '\0');
        command_line_free(&line);
    }
}

static void test_help_needs_no_arguments(void) {
    cli_globals globals;
    command_line line;
    tars_error err;
    const char *const words[] = {"tars", "rm", "--help", NULL};
    CHECK_INT(parse(words, &globals, &line, &err), TARS_OK);
    CHECK(globals.help && line.verb == verb_find("rm"));
    command_line_free(&line);
}

static void test_flags_are_seen_before_a_mistake(void) {
    char *argv[] = {"tars", "--jsn", "--json", "--", "--no-color", NULL};
    CHECK(command_line_asks(5, argv, "json"));
    CHECK(!command_line_asks(5, argv, "no-color"));
}

static const check_test tests[] = {
    {"every verb is sound", test_every_verb_is_sound},
    {"words find their places", test_words_find_their_places},
    {"a lone dash is an argument", test_a_lone_dash_is_an_argument},
    {"mistakes are usage", test_mistakes_are_usage},
    {"help needs no arguments", test_help_needs_no_arguments},
    {"flags are seen before a mistake", test_flags_are_seen_before_a_mistake},
};
CHECK_MAIN(tests)
