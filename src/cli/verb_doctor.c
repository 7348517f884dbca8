#include "api/context.h"
#include "cli/checks.h"

#include <stdlib.h>

typedef struct doctor_values {
    bool repair;
} doctor_values;

static const option doctor_rows[] = {
    {.name = "repair",
     .type = OPTION_FLAG,
     .offset = offsetof(doctor_values, repair),
     .help = "make a damaged index of the store anew from the packed files; the damaged one is "
             "kept as index.sqlite.damaged"},
};
static const option_set doctor_set = OPTION_SET("Options", doctor_rows);

static void print_json(output *out, const check_list *list) {
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    json_key(&json, "checks");
    json_begin_array(&json);
    for (size_t i = 0; i < list->count; i++) {
        const finding *f = &list->findings[i];
        json_begin_object(&json);
        json_member_string(&json, "name", f->name);
        json_member_string(&json, "status", check_status_name(f->status));
        json_member_string(&json, "detail", f->detail);
        json_member_string(&json, "fix", f->fix);
        json_end_object(&json);
    }
    json_end_array(&json);
    machine_write_json(list->machine, NULL, &json);
    json_end_object(&json);
    output_text(out, "\n");
}

static void print_text(const cli *c, output *out, const check_list *list) {
    static const terminal_style styles[] = {[CHECK_OK] = STYLE_GREEN,
                                            [CHECK_WARN] = STYLE_YELLOW,
                                            [CHECK_FAIL] = STYLE_RED,
                                            [CHECK_UNAVAILABLE] = STYLE_DIM};
    terminal out_terminal;
    terminal_init(&out_terminal, out->handle, c->globals.no_color);
    for (size_t i = 0; i < list->count; i++) {
        const finding *f = &list->findings[i];
        output_text(out, terminal_escape(out_terminal.color, styles[f->status]));
        output_format(out, "%-12s", check_status_name(f->status));
        output_text(out, terminal_escape(out_terminal.color, STYLE_PLAIN));
        output_format(out, "%s: %s\n", f->name, f->detail);
        if (f->fix[0] != '\0') {
            output_format(out, "%-12s  %s\n", "", f->fix);
        }
    }
}

static tars_status run_doctor(cli *c, const verb_call *call, tars_error *err) {
    const doctor_values *values = call->values;
    client session;
    tars_status status = client_open(&session, c, err);
    if (status != TARS_OK) {
        return status;
    }
    machine m;
    machine_detect(&m);
    check_list list = {.session = &session,
                       .machine = &m,
                       .home = session.context->home,
                       .repair = values->repair};
    list.findings = calloc(CHECKS_MAX_FINDINGS, sizeof *list.findings);
    if (!list.findings) {
        client_close(&session);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the findings");
    }
    progress_init(&list.progress, c);
    for (size_t i = 0; i < check_row_count && platform_interrupted() == 0; i++) {
        check_rows[i].run(&list);
    }
    status = client_check_interrupt(err);
    if (status == TARS_OK && c->globals.json) {
        print_json(&c->out, &list);
    } else if (status == TARS_OK) {
        print_text(c, &c->out, &list);
    }
    for (size_t i = 0; i < list.count; i++) {
        c->exit_status = list.findings[i].status == CHECK_FAIL ? 1 : c->exit_status;
    }
    tars_free(list.models);
    free(list.findings);
    client_close(&session);
    return status;
}

const verb verb_doctor = {
    .name = "doctor",
    .group = "Checks",
    .summary = "look at what this machine offers",
    .description = "Looks at processor, memory, disk, the store with every model's digest and page "
                   "size, keys, "
                   "runtimes and what pull needs, and tells how to mend what is wrong. Ends with "
                   "status 1 when "
                   "a check fails; what is unavailable or could be better is no failure.",
    .uses = {{&doctor_set, 0}},
    .examples = {{"tars doctor --json", "all findings, for programs"},
                 {"tars doctor --repair", "also mend the store's index"}},
    .values_bytes = sizeof(doctor_values),
    .run = run_doctor,
};
