#include "build_info.h"
#include "cli/libraries.h"
#include "cli/version.h"
#include "runtime/registry.h"

#include <tars/tars.h>

static void print_json(output *out) {
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    json_member_string(&json, "version", TARS_BUILD_VERSION);
    json_member_string(&json, "commit", TARS_BUILD_COMMIT);
    json_member_uint(&json, "arithmetic_version", tars_arithmetic_version());
    json_key(&json, "abi_version");
    json_begin_object(&json);
    json_member_uint(&json, "major", tars_abi_version() >> 16);
    json_member_uint(&json, "minor", tars_abi_version() & 0xFFFFu);
    json_end_object(&json);
    json_key(&json, "compilers");
    json_begin_array(&json);
    json_string(&json, TARS_BUILD_COMPILER);
    json_end_array(&json);
    json_member_string(&json, "system", TARS_BUILD_SYSTEM);
    json_member_string(&json, "build_type", TARS_BUILD_TYPE);
    json_key(&json, "runtimes");
    json_begin_array(&json);
    for (size_t i = 0; i < runtime_row_count; i++) {
        if (runtime_rows[i].is_built_in()) {
            json_string(&json, runtime_rows[i].name);
        }
    }
    json_end_array(&json);
    json_key(&json, "libraries");
    json_begin_object(&json);
    for (size_t i = 0; i < library_count; i++) {
        json_member_string(&json, libraries[i].name, libraries[i].version());
    }
    json_end_object(&json);
    json_end_object(&json);
    output_text(out, "\n");
}

static void print_text(output *out) {
    output_format(out, "tars %s (commit %s)\n", TARS_BUILD_VERSION, TARS_BUILD_COMMIT);
    output_format(out, "arithmetic  version %u\n", tars_arithmetic_version());
    output_format(out, "interface   C %u.%u\n", tars_abi_version() >> 16,
                  tars_abi_version() & 0xFFFFu);
    output_format(out, "compilers   %s, %s, %s\n", TARS_BUILD_COMPILER, TARS_BUILD_SYSTEM,
                  TARS_BUILD_TYPE);
    output_text(out, "runtimes   ");
    for (size_t i = 0; i < runtime_row_count; i++) {
        if (runtime_rows[i].is_built_in()) {
            output_format(out, " %s", runtime_rows[i].name);
        }
    }
    output_text(out, "\nlibraries  ");
    for (size_t i = 0; i < library_count; i++) {
        output_format(out, "%s %s %s", i > 0 ? "," : "", libraries[i].name, libraries[i].version());
    }
    output_text(out, "\n");
}

tars_status version_print(cli *c) {
    if (c->globals.json) {
        print_json(&c->out);
    } else {
        print_text(&c->out);
    }
    return TARS_OK;
}

static tars_status run_version(cli *c, const verb_call *call, tars_error *err) {
    (void)call;
    (void)err;
    return version_print(c);
}

const verb verb_version = {
    .name = "version",
    .group = "About tars",
    .summary = "show version, compilers, runtimes and libraries",
    .description = "Shows the facts of this build, as tars --version does.",
    .examples = {{"tars version --json", "the same for programs"}},
    .run = run_version,
};
