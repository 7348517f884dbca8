#include "engine/template/globals.h"

#include "engine/template/builtin.h"
#include "engine/template/operate.h"
#include "engine/template/print.h"
#include "engine/template/sequence.h"

/* ---- range, dict, namespace ---------------------------------------------------------------- */

static bool call_range(template_machine *m, template_call *call, template_value *out) {
    const template_value *bound = call->bound;
    template_range *range = TEMPLATE_NEW(m, template_range, 1);
    int64_t first;
    int64_t second;
    if (!range || !template_take_int(m, &bound[0], 0, &first) ||
        !template_take_int(m, &bound[1], 0, &second) ||
        !template_take_int(m, &bound[2], 1, &range->step)) {
        return false;
    }
    bool has_stop = !template_is_missing(&bound[1]);
    range->start = has_stop ? first : 0;
    range->stop = has_stop ? second : first;
    if (range->step == 0) {
        return template_fail(m, TARS_MALFORMED, "the step of range is zero");
    }
    bool forward = range->step > 0;
    bool is_empty = forward ? range->start >= range->stop : range->start <= range->stop;
    uint64_t distance = forward ? (uint64_t)range->stop - (uint64_t)range->start
                                : (uint64_t)range->start - (uint64_t)range->stop;
    uint64_t stride = forward ? (uint64_t)range->step : 0u - (uint64_t)range->step;
    uint64_t count = is_empty ? 0 : (distance - 1) / stride + 1;
    if (count > TEMPLATE_MAX_RANGE) {
        return template_fail(m, TARS_LIMIT, "a range of more than %d items", TEMPLATE_MAX_RANGE);
    }
    range->count = (size_t)count;
    *out = template_object(TEMPLATE_RANGE, range);
    return true;
}

static bool add_pairs(template_machine *m, const template_value *pairs, template_dict *dict) {
    template_iterator iterator;
    if (!template_iterate(m, pairs, &iterator)) {
        return false;
    }
    for (;;) {
        template_value item;
        template_value pair;
        bool more;
        if (!template_next(m, &iterator, &item, &more)) {
            return false;
        }
        if (!more) {
            return true;
        }
        if (!template_to_list(m, &item, &pair)) {
            return false;
        }
        if (pair.as.items.count != 2) {
            return template_fail(m, TARS_MALFORMED, "dict needs pairs of key and value");
        }
        if (!template_dict_store(m, dict, &pair.as.items.first[0], &pair.as.items.first[1])) {
            return false;
        }
    }
}

/* dict(mapping or pairs, name=value, …) */
static bool call_dict(template_machine *m, template_call *call, template_value *out) {
    const template_arguments *arguments = call->arguments;
    template_dict *dict = template_dict_make(m, arguments->keyword_count);
    if (!dict) {
        return false;
    }
    if (arguments->count > 1) {
        return template_fail(m, TARS_MALFORMED, "dict takes one positional argument");
    }
    if (arguments->count == 1) {
        const template_value *source = &arguments->positional[0];
        template_value pairs = *source;
        if (source->type == TEMPLATE_DICT) {
            pairs.type = TEMPLATE_VIEW;
            pairs.detail = VIEW_ITEMS;
        }
        if (!add_pairs(m, &pairs, dict)) {
            return false;
        }
    }
    for (size_t i = 0; i < arguments->keyword_count; i++) {
        template_text name = arguments->keywords[i].name;
        template_value key = template_string(name.bytes, name.length);
        if (!template_dict_store(m, dict, &key, &arguments->keywords[i].value)) {
            return false;
        }
    }
    *out = (template_value){.type = TEMPLATE_DICT, .as.dict = dict};
    return true;
}

static bool call_namespace(template_machine *m, template_call *call, template_value *out) {
    bool done = call_dict(m, call, out);
    out->type = TEMPLATE_NAMESPACE;
    return done;
}

/* ---- cycler and joiner --------------------------------------------------------------------- */

static bool call_cycler(template_machine *m, template_call *call, template_value *out) {
    size_t count = call->arguments->count;
    template_cycler *cycler = TEMPLATE_NEW(m, template_cycler, 1);
    template_value *items = cycler ? TEMPLATE_NEW(m, template_value, count) : NULL;
    if (!items) {
        return false;
    }
    if (count == 0 || call->arguments->keyword_count > 0) {
        return template_fail(m, TARS_MALFORMED, "cycler needs positional arguments");
    }
    memcpy(items, call->arguments->positional, count * sizeof *items);
    *cycler = (template_cycler){.items = {items, count}};
    *out = template_object(TEMPLATE_CYCLER, cycler);
    return true;
}

bool template_cycler_attribute(const template_cycler *cycler, template_text name,
                               template_value *out) {
    if (!template_text_is(name, "current")) {
        return false;
    }
    *out = cycler->items.first[cycler->position];
    return true;
}

static bool call_cycler_next(template_machine *m, template_call *call, template_value *out) {
    template_cycler *cycler = call->self->as.object;
    *out = cycler->items.first[cycler->position];
    cycler->position = (cycler->position + 1) % cycler->items.count;
    return template_charge(m, 1);
}

static bool call_cycler_reset(template_machine *m, template_call *call, template_value *out) {
    ((template_cycler *)call->self->as.object)->position = 0;
    *out = template_none();
    return template_charge(m, 1);
}

static const template_builtin_row cycler_methods[] = {
    {"next", call_cycler_next, "", 0},
    {"reset", call_cycler_reset, "", 0},
};

const template_builtin_table template_cycler_methods = {
    cycler_methods, sizeof cycler_methods / sizeof cycler_methods[0]};

static bool make_joiner(template_machine *m, template_call *call, template_value *out) {
    template_joiner *joiner = TEMPLATE_NEW(m, template_joiner, 1);
    if (!joiner || !template_take_text(m, &call->bound[0], ", ", &joiner->separator)) {
        return false;
    }
    joiner->used = false;
    *out = template_object(TEMPLATE_JOINER, joiner);
    return true;
}

bool template_call_joiner(template_machine *m, template_joiner *joiner,
                          const template_arguments *arguments, template_value *out) {
    if (arguments->count > 0 || arguments->keyword_count > 0) {
        return template_fail(m, TARS_MALFORMED, "a joiner takes no arguments");
    }
    *out = joiner->used ? template_string(joiner->separator.bytes, joiner->separator.length)
                        : template_string("", 0);
    joiner->used = true;
    return true;
}

/* ---- exceptions and time ------------------------------------------------------------------- */

static bool call_raise_exception(template_machine *m, template_call *call, template_value *out) {
    template_value message;
    (void)out;
    if (!template_to_string(m, &call->bound[0], &message)) {
        return false;
    }
    template_fail_text(m, TARS_USAGE, message.as.text);
    error_hint(m->err, "the model's chat template refuses these messages");
    return false;
}

static bool call_lipsum(template_machine *m, template_call *call, template_value *out) {
    (void)call;
    (void)out;
    return template_fail(m, TARS_UNSUPPORTED, "lipsum is not supported in chat templates");
}

static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
static const char *const day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};

static bool is_leap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since the year's first, 0 … 365. */
static int day_of_year(const template_clock *clock) {
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    return before[clock->month - 1] + clock->day - 1 +
           (clock->month > 2 && is_leap(clock->year) ? 1 : 0);
}

/* 0 is Sunday. */
static int day_of_week(const template_clock *clock) {
    int year = clock->year - 1;
    int days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year(clock) + 1;
    return days % 7; /* the first of January of year 1 was a Monday */
}

static bool put_number(template_machine *m, template_writer *writer, int value, size_t digits,
                       char fill) {
    char text[8];
    size_t n = digits;
    do {
        text[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 && n > 0);
    while (n > 0) {
        text[--n] = fill;
    }
    return template_write(m, writer, text, digits);
}

static bool format_clock(template_machine *m, template_writer *writer, const template_clock *c,
                         const char *format, size_t length);

/* The directives that stand for a number; *known false: this is none of them. */
static bool put_numeric(template_machine *m, template_writer *writer, const template_clock *c,
                        char directive, bool *known) {
    int week_day = day_of_week(c);
    int year_day = day_of_year(c);
    const struct {
        char directive;
        char fill;
        uint8_t digits;
        int value;
    } rows[] = {
        {'Y', '0', 4, c->year},
        {'m', '0', 2, c->month},
        {'d', '0', 2, c->day},
        {'H', '0', 2, c->hour},
        {'M', '0', 2, c->minute},
        {'S', '0', 2, c->second},
        {'I', '0', 2, c->hour % 12 == 0 ? 12 : c->hour % 12},
        {'y', '0', 2, c->year % 100},
        {'C', '0', 2, c->year / 100},
        {'e', ' ', 2, c->day},
        {'f', '0', 6, 0},
        {'j', '0', 3, year_day + 1},
        {'w', '0', 1, week_day},
        {'u', '0', 1, week_day == 0 ? 7 : week_day},
        {'U', '0', 2, (year_day + 7 - week_day) / 7},
        {'W', '0', 2, (year_day + 7 - (week_day + 6) % 7) / 7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].directive == directive) {
            *known = true;
            return put_number(m, writer, rows[i].value, rows[i].digits, rows[i].fill);
        }
    }
    *known = false;
    return true;
}

/* The directives that stand for other text. */
static bool put_textual(template_machine *m, template_writer *writer, const template_clock *c,
                        char directive) {
    static const struct {
        char directive;
        const char *format;
    } rows[] = {
        {'F', "%Y-%m-%d"}, {'T', "%H:%M:%S"}, {'X', "%H:%M:%S"},    {'R', "%H:%M"},
        {'D', "%m/%d/%y"}, {'x', "%m/%d/%y"}, {'r', "%I:%M:%S %p"}, {'c', "%a %b %e %H:%M:%S %Y"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].directive == directive) {
            return format_clock(m, writer, c, rows[i].format, strlen(rows[i].format));
        }
    }
    const char *month = month_names[c->month - 1];
    const char *day = day_names[day_of_week(c)];
    switch (directive) {
    case 'B':
        return template_write_string(m, writer, month);
    case 'b':
    case 'h':
        return template_write(m, writer, month, 3);
    case 'A':
        return template_write_string(m, writer, day);
    case 'a':
        return template_write(m, writer, day, 3);
    case 'p':
        return template_write_string(m, writer, c->hour < 12 ? "AM" : "PM");
    case 'Z':
    case 'z':
        return true; /* the time has no zone */
    case '%':
        return template_write_string(m, writer, "%");
    default:
        return template_fail(m, TARS_UNSUPPORTED, "the time format %%%c is not supported",
                             directive);
    }
}

static bool put_directive(template_machine *m, template_writer *writer, const template_clock *c,
                          char directive) {
    bool known;
    return put_numeric(m, writer, c, directive, &known) &&
           (known || put_textual(m, writer, c, directive));
}

static bool format_clock(template_machine *m, template_writer *writer, const template_clock *c,
                         const char *format, size_t length) {
    for (size_t i = 0; i < length;) {
        size_t plain = template_find_byte(format + i, length - i, '%');
        if (!template_write(m, writer, format + i, plain)) {
            return false;
        }
        i += plain;
        if (i + 1 < length) {
            if (!template_charge(m, 1) || !put_directive(m, writer, c, format[i + 1])) {
                return false;
            }
        } else if (i < length && !template_write_string(m, writer, "%")) {
            return false;
        }
        i += 2;
    }
    return true;
}

static bool is_valid_clock(const template_clock *c) {
    return c->year >= 1 && c->year <= 9999 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= 31 && c->hour >= 0 && c->hour <= 23 && c->minute >= 0 && c->minute <= 59 &&
           c->second >= 0 && c->second <= 60;
}

static bool call_strftime_now(template_machine *m, template_call *call, template_value *out) {
    template_text format;
    template_writer writer;
    if (!template_take_text(m, &call->bound[0], NULL, &format)) {
        return false;
    }
    if (!m->clock || !is_valid_clock(m->clock)) {
        template_fail(m, TARS_UNAVAILABLE,
                      "the chat template asks for the time, but no clock was given");
        error_hint(m->err, "give the current local time in chat_template_options");
        return false;
    }
    template_writer_capture(&writer);
    if (!format_clock(m, &writer, m->clock, format.bytes, format.length)) {
        return false;
    }
    *out = template_writer_value(&writer);
    return true;
}

/* ---- the table ----------------------------------------------------------------------------- */

static const template_builtin_row functions[] = {
    {"range", call_range, "start stop step", 1},
    {"namespace", call_namespace, "*", 0},
    {"dict", call_dict, "*", 0},
    {"raise_exception", call_raise_exception, "message", 1},
    {"strftime_now", call_strftime_now, "format", 1},
    {"cycler", call_cycler, "*", 0},
    {"joiner", make_joiner, "sep", 0},
    {"lipsum", call_lipsum, "*", 0},
};

template_value template_global(template_text name) {
    const template_builtin_row *row =
        template_find_row(functions, sizeof functions / sizeof functions[0], name);
    if (row) {
        return (template_value){.type = TEMPLATE_FUNCTION, .as.object = (void *)(uintptr_t)row};
    }
    return template_text_is(name, "self") ? template_object(TEMPLATE_SELF, NULL)
                                          : template_missing();
}
