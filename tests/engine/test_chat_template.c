#include "engine/template_fixture.h"

/* ---- golden results ------------------------------------------------------------------------ */

static void golden_micro(void) {
    fixture f;
    fixture_init(&f);
    fixture_run_micro(&f, "templates/micro.json");
    CHECK_INT(f.n_cases, 182);
    CHECK_INT(f.n_right, f.n_cases);
    CHECK(f.n_refused <= 1);
    fixture_free(&f);
}

static const char *const golden_templates[] = {
    "chatml",
    "deepseek-r1",
    "functionary-v3.1",
    "gemma-2-2b-it",
    "gemma-3",
    "gemma-4-31b-it",
    "glm-4.5-training-crlf",
    "gpt-oss-120b",
    "jamba",
    "kimi-k2-instruct",
    "llama-2-chat",
    "llama-3",
    "llama-3-firefunction-v2",
    "llama-3.1-8b-instruct",
    "mistral-7b-instruct-v0.2",
    "mistral-large-2411-v7",
    "mistral-small-3.2-24b",
    "mistral-v1-system",
    "phi-3-medium",
    "phi-3-mini",
    "phi-4",
    "phi-4-mini-tool-vllm",
    "qwen2-instruct",
    "qwen2.5-7b-instruct",
    "qwen3-0.6b",
    "qwen3-coder",
    "qwen3.5-4b",
    "qwq-32b",
    "smollm2-135m-instruct",
    "smollm3-3b",
    "zephyr-7b",
};

static void golden_models(void) {
    fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof golden_templates / sizeof golden_templates[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "templates/%s.json", golden_templates[i]);
        fixture_run_template(&f, path);
    }
    CHECK(f.n_cases > 700);
    CHECK_INT(f.n_right, f.n_cases);
    fixture_free(&f);
}

/* ---- single templates ---------------------------------------------------------------------- */

/* One rendering with the variables that a JSON object names. */
static tars_status render_with(fixture *f, const char *text, const char *variables) {
    json_value *json;
    template_value context;
    arena_reset(&f->memory, 0);
    if (json_parse(variables, strlen(variables), NULL, &f->memory, &json, &f->err) ||
        template_from_json(&f->memory, json, &context, &f->err)) {
        check_fail(__FILE__, __LINE__, "variables: %s", f->err.message);
        return TARS_FAILED;
    }
    return fixture_render(f, text, strlen(text), &context);
}

typedef struct text_case {
    const char *text;
    const char *expected;
} text_case;

#define VARIABLES                                                                                  \
    "{\"a\":\"<x>\",\"l\":[3,1,2],\"d\":{\"k\":\"v\"},\"w\":\" \\u00e9\\u00df \\u03a3\"}"

/* Checked against jinja2 3.1.6. */
static const text_case language[] = {
    /* names: what a scope sees before and after a set */
    {"{% for i in l %}{{ n is defined }}{% set n = i %}{{ n }} {% endfor %}",
     "False3 False1 False2 "},
    {"{% for i in l %}{% for j in l %}{{ a is defined }}{% endfor %}{% set a = 1 %};{% endfor %}",
     "FalseFalseFalse;FalseFalseFalse;FalseFalseFalse;"},
    {"{% if a %}{% set a = a ~ 'y' %}{% endif %}{{ a }}", "<x>y"},
    {"{% macro m() %}{{ v }}{% endmacro %}{% set v = 1 %}{{ m() }}{% set v = 2 %}{{ m() }}", "12"},
    {"{% set x = 1 %}{% set y %}{% set x = 2 %}{{ x }}{% endset %}{{ y }}{{ x }}", "21"},
    {"{% generation %}{% set g = 1 %}{{ g }}{% endgeneration %}{{ g is defined }}", "1False"},
    {"{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "1<x><x>"},
    /* macros */
    {"{% macro m(a, b=a ~ 'b', c=3) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1, c=5) }}", "11b5"},
    {"{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}", "(1, 2){'k': 3}"},
    {"{% macro m() %}[{{ caller(7) }}]{% endmacro %}{% call(x) m() %}<{{ x }}>{% endcall %}",
     "[<7>]"},
    {"{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1], **{'b': 2}) }}", "12"},
    /* loops: the condition is asked as late as possible */
    {"{% set ns = namespace(n=0) %}{% for i in l if ns.n < 2 %}{{ i }}{% set ns.n = ns.n + 1 %}"
     "{% endfor %}",
     "31"},
    {"{% for i in l if i != 1 %}{{ loop.index }}{{ loop.last }}{{ loop.length }};{% endfor %}",
     "1False2;2True2;"},
    {"{% for i in l %}{{ loop.changed(i > 1) }}{% endfor %}", "TrueTrueTrue"},
    {"{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}", "aba"},
    {"{% set j = joiner('|') %}{% for i in l %}{{ j() }}{{ i }}{% endfor %}", "3|1|2"},
    /* texts marked safe escape what is added to them */
    {"{{ ('<b>' | safe) + a }}{{ a + ('<b>' | safe) }}{{ ('<b>' | safe) ~ a }}",
     "<b>&lt;x&gt;&lt;x&gt;<b><b><x>"},
    {"{{ '<%s>' | safe | format(a) }}{{ [a | safe] }}", "<&lt;x&gt;>[Markup('<x>')]"},
    /* letter case beyond ASCII, and a sigma at the end of a word */
    {"{{ w | upper }}|{{ w | trim | lower }}|{{ 'ΟΔΟΣ ΣΑΣ' | lower }}", " ÉSS Σ|éß σ|οδος σας"},
    {"{{ 'ǆ ﬁ' | title }}{{ 'ǆ ﬁ'.title() }}", "Ǆ FIǅ Fi"},
    /* numbers */
    {"{{ 7 // -2 }}{{ -7 % 3 }}{{ 7.5 // 2 }}{{ -7.5 % 2 }}{{ 2 ** 62 }}",
     "-423.00.54611686018427387904"},
    {"{{ 2.675 | round(2) }}{{ 2.5 | round }}{{ 1e22 | round(1) }}{{ 0.5 | round(0, 'ceil') }}",
     "2.672.01e+221.0"},
    {"{{ '%.3e %g %08.3f %+d %x %5s|%-5s|%%' | format(12345.678, 1e-7, 3.14159, 7, 255, 'a', 'b') "
     "}}",
     "1.235e+04 1e-07 0003.142 +7 ff     a|b    |%"},
    {"{{ '{:>6}|{:^7.2f}|{:,}|{:#x}|{!r}|{a[k]}'.format('x', 3.14159, 1234567, 255, 'q', a=d) }}",
     "     x| 3.14  |1,234,567|0xff|'q'|v"},
    {"{{ ' 1_000 ' | int }}{{ '0x1' | int }}{{ '1e3' | int }}{{ '.5' | float }}{{ 'x' | float }}",
     "1000010000.50.0"},
    /* sequences */
    {"{{ l | sort }}{{ l | sort(reverse=true) }}{{ ['b', 'A'] | sort }}{{ l | max }}{{ l | sum }}",
     "[1, 2, 3][3, 2, 1]['A', 'b']36"},
    {"{% for g, m in [{'r': 1, 'n': 'a'}, {'r': 0, 'n': 'b'}, {'r': 1, 'n': 'c'}] | groupby('r') %}"
     "{{ g }}{{ m | map(attribute='n') | join }};{% endfor %}",
     "0b;1ac;"},
    {"{{ l[::-1] }}{{ l[5:1:-1] }}{{ l[-2:] }}{{ range(10)[2:8:3] }}",
     "[2, 1, 3][2][1, 2]range(2, 8, 3)"},
    {"{{ l | map('string') | list }}{{ l | select('gt', 1) | list }}{{ l | map('pow') is iterable "
     "}}",
     "['3', '1', '2'][3, 2]True"},
    {"{{ 'a b  c' . split() }}{{ 'a,b,c'.rsplit(',', 1) }}{{ 'x\\ny\\n'.splitlines() }}",
     "['a', 'b', 'c']['a,b', 'c']['x', 'y']"},
    {"{{ '\\x41\\u00e9\\101\\q\\\n' }}", "AéA\\q"},
    {"{{ 'a\\nb' | indent(2, true) }}|{{ 'abc def ghi' | truncate(7, leeway=0) }}",
     "  a\n  b|abc..."},
    {"{{ 1 if false }}{{ (1, 2) }}{{ 1, }}{{ d == {'k': 'v'} }}{{ [1] == (1,) }}",
     "(1, 2)(1,)TrueFalse"},
    {"{{ d.items() }}{{ d.keys() | list }}{{ dict(d, b=1) }}",
     "dict_items([('k', 'v')])['k']{'k': 'v', 'b': 1}"},
    {"{% if false %}{{ a | nope }}{{ a is nope }}{% endif %}{{ 'x' if true else a | nope }}", "x"},
    {"{{ ''.__class__ }}{{ l.append is defined }}{{ d._k }}", "False"},
};

static void language_rules(void) {
    fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof language / sizeof language[0]; i++) {
        tars_status status = render_with(&f, language[i].text, VARIABLES);
        if (status != TARS_OK) {
            check_fail(__FILE__, __LINE__, "%s: %s (%s)", language[i].text, f.err.message,
                       f.err.where);
        } else if (strcmp(f.output.data, language[i].expected) != 0) {
            check_fail(__FILE__, __LINE__, "%s gives \"%s\", expected \"%s\"", language[i].text,
                       f.output.data, language[i].expected);
        }
    }
    fixture_free(&f);
}

typedef struct failing_case {
    const char *text;
    tars_status status;
    const char *where; /* a part of it */
} failing_case;

static const failing_case failing[] = {
    {"a\n  {{ 1 + }}", TARS_MALFORMED, "line 2, column 10"},
    {"{% if x %}\n{{ (1 }}", TARS_MALFORMED, "line 2, column 7"},
    {"é{{ 'x }}", TARS_MALFORMED, "line 1, column 5"},
    {"{% for x in l %}\n", TARS_MALFORMED, "line 1"},
    {"{# never closed", TARS_MALFORMED, "line 1, column 1"},
    {"{% for loop in l %}{% endfor %}", TARS_MALFORMED, "line 1"},
    {"{% for x in l %}\n{% set loop = 1 %}{% endfor %}", TARS_MALFORMED, "line 2"},
    {"{% break %}", TARS_MALFORMED, "line 1"},
    {"{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", TARS_MALFORMED,
     "line 1"},
    {"{% macro m(a, a) %}{% endmacro %}", TARS_MALFORMED, "line 1"},
    {"{{ f(a=1, a=2) }}", TARS_MALFORMED, "line 1"},
    {"{% set 1 = 2 %}", TARS_MALFORMED, "line 1"},
    {"{% if a %}{% for x in l %}{{ x | nope }}{% endfor %}{% endif %}", TARS_MALFORMED, "line 1"},
    {"{% include 'x' %}", TARS_UNSUPPORTED, "line 1"},
    {"{% for x in l recursive %}{% endfor %}", TARS_UNSUPPORTED, "line 1"},
    {"{{ 9223372036854775808 }}", TARS_UNSUPPORTED, "line 1"},
    {"\n{{ 9223372036854775807 + 1 }}", TARS_UNSUPPORTED, "line 2"},
    {"{{ l | random }}", TARS_UNSUPPORTED, "line 1"},
    {"{{ l.items }}{{ d.items }}", TARS_UNSUPPORTED, "line 1"},
    {"{{ l | map('upper') }}", TARS_UNSUPPORTED, "line 1"},
    {"x\n{{ raise_exception('no\\nway') }}", TARS_USAGE, "line 2"},
    {"{{ l.append(1) }}", TARS_DENIED, "line 1"},
    {"{{ ''.__class__.__mro__ }}", TARS_DENIED, "line 1"},
    {"{% set l.x = 1 %}", TARS_MALFORMED, "line 1"},
    {"{{ range(100001) }}", TARS_LIMIT, "line 1"},
    {"{{ range(0, 9223372036854775807, 1) }}", TARS_LIMIT, "line 1"},
    {"{{ 1 // 0 }}", TARS_MALFORMED, "line 1"},
    {"{{ {[]: 1} }}", TARS_MALFORMED, "line 1"},
    {"{% set a, b = [1] %}", TARS_MALFORMED, "line 1"},
    {"{% set a, b = [1, 2, 3] %}", TARS_MALFORMED, "line 1"},
    {"{{ '%d' | format('x') }}", TARS_MALFORMED, "line 1"},
    {"{{ '%s' | format }}", TARS_MALFORMED, "line 1"},
    {"{{ '{} {}'.format(1) }}", TARS_MALFORMED, "line 1"},
};

static void failures(void) {
    fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof failing / sizeof failing[0]; i++) {
        const failing_case *c = &failing[i];
        tars_status status = render_with(&f, c->text, VARIABLES);
        if (status != c->status) {
            check_fail(__FILE__, __LINE__, "%s: status %s, expected %s", c->text,
                       tars_status_code(status), tars_status_code(c->status));
        } else if (!strstr(f.err.where, c->where) || f.err.message[0] == '\0' ||
                   f.err.status != status) {
            check_fail(__FILE__, __LINE__, "%s: \"%s\" at \"%s\", expected \"%s\"", c->text,
                       f.err.message, f.err.where, c->where);
        }
    }
    CHECK_INT(render_with(&f, "{{ raise_exception('a\\n\\u001bb') }}", "{}"), TARS_USAGE);
    CHECK_STRING(f.err.message, "a\n?b");
    static const char bad[] = "a\xFF";
    template_value none = template_none();
    CHECK_INT(fixture_render(&f, bad, 2, &none), TARS_MALFORMED);
    fixture_free(&f);
}

/* ---- the caller's side --------------------------------------------------------------------- */

static const char chatml[] =
    "{% for m in messages %}{{ '<|' + m.role + '|>' + m['content'] + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}{{ tools is none }}{{ bos_token }}";

static void apply(void) {
    fixture f;
    fixture_init(&f);
    static const chat_template_message messages[] = {{"system", "Be brief."}, {"user", "Hi"}};
    chat_template_conversation c = {
        .messages = messages, .n_messages = 2, .eos_token = "</s>", .add_generation_prompt = true};
    chat_template *tmpl;
    CHECK_INT(chat_template_compile(chatml, strlen(chatml), &f.memory, &tmpl, &f.err), TARS_OK);
    CHECK_INT(chat_template_apply(tmpl, &c, NULL, &f.scratch, &f.output, &f.err), TARS_OK);
    CHECK_STRING(f.output.data, "<|system|>Be brief.</s><|user|>Hi</s><|assistant|>True");
    CHECK_INT(f.scratch.used_bytes, 0);
    c.eos_token = NULL;
    CHECK_INT(chat_template_apply(tmpl, &c, NULL, &f.scratch, &f.output, &f.err), TARS_MALFORMED);
    char tiny[8];
    text_buffer small;
    text_init(&small, tiny, sizeof tiny);
    c.eos_token = "";
    CHECK_INT(chat_template_apply(tmpl, &c, NULL, &f.scratch, &small, &f.err), TARS_LIMIT);
    char room[64];
    arena little;
    arena_init(&little, room, sizeof room);
    CHECK_INT(chat_template_apply(tmpl, &c, NULL, &little, &f.output, &f.err), TARS_OUT_OF_MEMORY);
    /* without an error object */
    CHECK_INT(chat_template_apply(tmpl, &c, NULL, &little, &f.output, NULL), TARS_OUT_OF_MEMORY);
    CHECK_INT(chat_template_compile("{{", 2, &f.memory, &tmpl, NULL), TARS_MALFORMED);
    fixture_free(&f);
}

static void values(void) {
    fixture f;
    fixture_init(&f);
    template_value context;
    template_value list;
    CHECK(template_dict_new(&f.memory, 0, &context));
    template_value *items = template_list(&f.memory, 4, &list);
    items[0] = template_bool(true);
    items[1] = template_float(0.1);
    items[2] = template_cstring("it's");
    CHECK(template_dict_put(&f.memory, &context, "l", template_int(1)));
    CHECK(template_dict_put(&f.memory, &context, "l", list));
    for (int i = 0; i < 20; i++) {
        static const char *const names[] = {"a0", "a1", "a2", "a3", "a4", "a5", "a6",
                                            "a7", "a8", "a9", "b0", "b1", "b2", "b3",
                                            "b4", "b5", "b6", "b7", "b8", "b9"};
        CHECK(template_dict_put(&f.memory, &context, names[i], template_int(i)));
    }
    CHECK_INT(template_dict_get(&context, "b9")->as.integer, 19);
    CHECK(!template_dict_get(&context, "zz"));
    CHECK(!template_dict_get(&list, "zz"));
    const char text[] = "{{ l }}{{ b9 }}";
    CHECK_INT(fixture_render(&f, text, strlen(text), &context), TARS_OK);
    CHECK_STRING(f.output.data, "[True, 0.1, \"it's\", None]19");
    /* bytes that are not UTF-8 are characters of their own and pass through */
    const char odd[] =
        "{{ x | length }}{{ x[1] == x[-2] }}{{ x | upper | trim }}{{ [x] }}{{ empty }}";
    CHECK(template_dict_put(&f.memory, &context, "x", template_string(" \xFF\xC3", 3)));
    CHECK(template_dict_put(&f.memory, &context, "empty", template_string(NULL, 0)));
    CHECK_INT(fixture_render(&f, odd, strlen(odd), &context), TARS_OK);
    CHECK_STRING(f.output.data, "3True\xFF\xC3[' \\xff\\xc3']");
    fixture_free(&f);
}

static void clock_is_given(void) {
    fixture f;
    fixture_init(&f);
    const char text[] = "{{ strftime_now('%A %d %b %Y %H:%M:%S %j %I%p %-d') }}";
    const char known[] = "{{ strftime_now('%A %d %b %Y %H:%M:%S %j %I%p %U %W %e %y') }}";
    template_value none = template_none();
    chat_template *tmpl;
    CHECK_INT(fixture_render(&f, text, strlen(text), &none), TARS_UNSUPPORTED);
    CHECK_INT(chat_template_compile(known, strlen(known), &f.memory, &tmpl, &f.err), TARS_OK);
    chat_template_options options = {.clock = {2024, 2, 29, 13, 5, 9}};
    CHECK_INT(chat_template_render_text(tmpl, &none, &options, &f.scratch, &f.output, &f.err),
              TARS_OK);
    CHECK_STRING(f.output.data, "Thursday 29 Feb 2024 13:05:09 060 01PM 08 09 29 24");
    CHECK_INT(chat_template_render_text(tmpl, &none, NULL, &f.scratch, &f.output, &f.err),
              TARS_UNAVAILABLE);
    fixture_free(&f);
}

/* ---- hostile templates --------------------------------------------------------------------- */

/* Each must end with a limit, quickly. */
static const char *const endless[] = {
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro a(n) %}{{ b(n) }}{% endmacro %}{% macro b(n) %}{{ a(n) }}{{ a(n) }}{% endmacro %}"
    "{{ a(1) }}",
    "{% macro m(x=m2()) %}{% endmacro %}{% macro m2() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) if false %}{% endfor %}{% endfor %}",
    "{{ 'a' * 1000000000 }}",
    "{{ 'a' * 9223372036854775807 }}",
    "{{ [0] * 9223372036854775807 }}",
    "{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}"
    "{% endfor %}",
    "{% set ns = namespace(s='a') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}"
    "{% endfor %}",
    "{% set ns = namespace(s='aa') %}{% for i in range(100) %}"
    "{% set ns.s = ns.s.replace('a', 'aa') %}{% endfor %}",
    "{% set ns = namespace(s='aa') %}{% for i in range(100) %}"
    "{% set ns.s = [ns.s, ns.s, ns.s] | join(ns.s) %}{% endfor %}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}"
    "{% endfor %}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}"
    "{% endfor %}{{ ns.l }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}"
    "{{ ns.l == ns.l }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}"
    "{{ ns.l | tojson }}",
    "{% set ns = namespace(l=[]) %}{% set ns.l = [ns] %}{{ ns.l }}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(90000) %}"
    "{% set ns.l = ns.l | map('string') %}{% endfor %}{{ ns.l | list }}",
    "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s | length }}{% endfor %}",
    "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% set t = s.split('a') %}{% endfor %}",
    "{% set s = 'a' * 1000000 %}{{ (s ~ 'b') in s }}{{ s.find('a' * 500000 ~ 'b') }}"
    "{{ s.rfind('b' ~ 'a' * 500000) }}",
    "{% for i in range(100000) %}{% for j in 'a' * 100000 %}{% endfor %}{% endfor %}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ 'a'.center(1000000000) }}",
    "{{ ('a\\n' * 1000000) | indent(10000) }}",
    "{{ [1] | batch(9223372036854775807, 0) | list }}",
    "{{ [] | slice(9223372036854775807) | list }}",
    "{% for a in range(3000) %}{{ {'a': 1, 'b': [range(100000) | list]} | tojson }}{% endfor %}",
};

static void hostile_work(void) {
    fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++) {
        tars_status status = render_with(&f, endless[i], "{}");
        if (status != TARS_LIMIT && status != TARS_OUT_OF_MEMORY) {
            check_fail(__FILE__, __LINE__, "%s: %s (%s)", endless[i], tars_status_code(status),
                       f.err.message);
        }
    }
    fixture_free(&f);
}

/* `before`, 10,000 times `open`, `middle`, 10,000 times `close`, `after`. */
static void check_nesting(fixture *f, const char *before, const char *open, const char *middle,
                          const char *close, const char *after) {
    enum { LEVELS = 10000 };
    const char *const parts[] = {before, open, middle, close, after};
    const size_t times[] = {1, LEVELS, 1, LEVELS, 1};
    char *text = malloc(LEVELS * (strlen(open) + strlen(close)) + 256);
    size_t n = 0;
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < times[i]; k++, n += strlen(parts[i])) {
            memcpy(text + n, parts[i], strlen(parts[i]));
        }
    }
    arena_reset(&f->memory, 0);
    template_value none = template_none();
    tars_status status = fixture_render(f, text, n, &none);
    if (status != TARS_LIMIT && status != TARS_MALFORMED) {
        check_fail(__FILE__, __LINE__, "10000 times %s: %s (%s)", open, tars_status_code(status),
                   f->err.message);
    }
    free(text);
}

static void hostile_nesting(void) {
    static const char *const expressions[][3] = {
        {"(", "1", ")"},         {"[", "1", "]"},       {"{1:", "1", "}"},
        {"-", "1", ""},          {"not ", "1", ""},     {"1 if 1 else ", "1", ""},
        {"1 + (", "1", ")"},     {"a.", "b", ""},       {"a[", "1", "]"},
        {"a", "", "[1]"},        {"a(", "1", ")"},      {"1 + ", "1", ""},
        {"'a' | ", "upper", ""}, {"a", "", " | upper"}, {"a", "", "(1)"},
        {"a is not ", "b", ""},  {"a and (", "1", ")"}, {"1 ** ", "1", ""},
        {"a(*", "1", ")"},       {"a(k=", "1", ")"},
    };
    static const char *const statements[][2] = {
        {"{% if 1 %}", "{% endif %}"},
        {"{% if 0 %}{% else %}", "{% endif %}"},
        {"{% for a in b %}", "{% endfor %}"},
        {"{% for a in b %}{% else %}", "{% endfor %}"},
        {"{% macro m() %}", "{% endmacro %}"},
        {"{% set a %}", "{% endset %}"},
        {"{% filter upper %}", "{% endfilter %}"},
        {"{% generation %}", "{% endgeneration %}"},
        {"{% call m() %}", "{% endcall %}"},
        {"{% with %}", "{% endwith %}"},
        {"{#", ""},
        {"{% raw %}", ""},
    };
    fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
        const char *const *e = expressions[i];
        check_nesting(&f, "{{ ", e[0], e[1], e[2], " }}");
        check_nesting(&f, "{% set ", e[0], e[1], e[2], " = 1 %}");
    }
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        check_nesting(&f, "", statements[i][0], "x", statements[i][1], "");
    }
    fixture_free(&f);
}

/* A megabyte of template text of several shapes renders or fails, but in linear time. */
static void hostile_length(void) {
    static const char *const pieces[] = {
        "text ",
        "{{ 1 }}",
        "{# c #}",
        "{% if 1 %}{% endif %}",
        "{% set abcdefgh = 1 %}",
        "{{ 'a' 'b' }}",
        "{% raw %}x{% endraw %}",
        "{%- if 1 -%}\n  {%- endif -%}\n ",
        "\r\n",
    };
    fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        size_t count = CHAT_TEMPLATE_MAX_BYTES / strlen(pieces[i]);
        char *text = malloc(CHAT_TEMPLATE_MAX_BYTES);
        for (size_t k = 0; k < count; k++) {
            memcpy(text + k * strlen(pieces[i]), pieces[i], strlen(pieces[i]));
        }
        template_value none = template_none();
        arena_reset(&f.memory, 0);
        tars_status status = fixture_render(&f, text, count * strlen(pieces[i]), &none);
        if (status != TARS_OK && status != TARS_OUT_OF_MEMORY && status != TARS_LIMIT) {
            check_fail(__FILE__, __LINE__, "much of %s: %s (%s)", pieces[i],
                       tars_status_code(status), f.err.message);
        }
        free(text);
    }
    /* 100,000 different names */
    char *text = malloc(CHAT_TEMPLATE_MAX_BYTES);
    size_t n = 0;
    for (unsigned k = 0; n + 32 < CHAT_TEMPLATE_MAX_BYTES; k++) {
        n += (size_t)snprintf(text + n, 32, "{%%set a%x=1%%}", k);
    }
    template_value none = template_none();
    arena_reset(&f.memory, 0);
    tars_status status = fixture_render(&f, text, n, &none);
    CHECK(status == TARS_LIMIT || status == TARS_OUT_OF_MEMORY);
    char *big = calloc(1, CHAT_TEMPLATE_MAX_BYTES + 1);
    CHECK_INT(fixture_render(&f, big, CHAT_TEMPLATE_MAX_BYTES + 1, &none), TARS_LIMIT);
    free(big);
    free(text);
    fixture_free(&f);
}

/* Every arena size below what is needed fails cleanly, every step budget too. */
static void starving(void) {
    fixture f;
    fixture_init(&f);
    const char text[] =
        "{% macro m(a, b=[1, {'k': a}]) %}{{ b | tojson(indent=2) }}{% endmacro %}"
        "{% for x in 'a,b,c'.split(',') | map('upper') if x != 'B' %}{% set y = x ~ loop.last %}"
        "{{ m(y) }}{{ '%5.1f' | format(1.25) }}{% endfor %}{{ [3, 1] | sort | join('-') }}";
    template_value none = template_none();
    CHECK_INT(fixture_render(&f, text, strlen(text), &none), TARS_OK);
    char expected[512];
    snprintf(expected, sizeof expected, "%s", f.output.data);
    unsigned n_failed = 0;
    char *memory = malloc(1 << 16);
    for (size_t size = 0; size < 1 << 16; size += 61) {
        arena small;
        chat_template *tmpl;
        arena_init(&small, memory, size);
        tars_status status = chat_template_compile(text, strlen(text), &small, &tmpl, &f.err);
        if (status == TARS_OK) {
            status = chat_template_render_text(tmpl, &none, NULL, &small, &f.output, &f.err);
        }
        CHECK(status == TARS_OK || status == TARS_OUT_OF_MEMORY);
        n_failed += status == TARS_OK ? 0 : 1;
        if (status == TARS_OK) {
            CHECK_STRING(f.output.data, expected);
        }
    }
    CHECK(n_failed > 100);
    chat_template *tmpl;
    CHECK_INT(chat_template_compile(text, strlen(text), &f.memory, &tmpl, &f.err), TARS_OK);
    chat_template_options options = {0};
    tars_status status = TARS_LIMIT;
    for (options.max_steps = 1; status == TARS_LIMIT && options.max_steps < 5000;
         options.max_steps++) {
        status = chat_template_render_text(tmpl, &none, &options, &f.scratch, &f.output, &f.err);
    }
    CHECK_INT(status, TARS_OK);
    options.max_steps = 0;
    status = TARS_LIMIT;
    for (options.max_depth = 1; status == TARS_LIMIT && options.max_depth < 100;
         options.max_depth++) {
        status = chat_template_render_text(tmpl, &none, &options, &f.scratch, &f.output, &f.err);
    }
    CHECK_INT(status, TARS_OK);
    free(memory);
    fixture_free(&f);
}

static const check_test tests[] = {
    {"micro templates of the golden data", golden_micro},
    {"templates of models", golden_models},
    {"language rules", language_rules},
    {"failures name place and reason", failures},
    {"apply a template to a plain conversation", apply},
    {"values built by hand", values},
    {"the clock comes from the caller", clock_is_given},
    {"hostile: endless work ends", hostile_work},
    {"hostile: deep nesting ends", hostile_nesting},
    {"hostile: long templates", hostile_length},
    {"too little memory, steps or depth", starving},
};

CHECK_MAIN(tests)
