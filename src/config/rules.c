#include "config/rules.h"

#include "config/layers.h"

#include <string.h>

typedef struct rules {
    const config_value *root;
    const rules_options *options;
    config_diagnostics *problems;
} rules;

static const config_value *at(const rules *r, const char *path) {
    const config_value *value = r->root;
    char name[128];
    while (value && *path != '\0') {
        size_t length = strcspn(path, ".");
        text_buffer text;
        text_init(&text, name, sizeof name);
        text_append(&text, path, length);
        value = config_member(value, name);
        path += length + (path[length] == '.' ? 1 : 0);
    }
    return value;
}

static void tell(const rules *r, const char *code, bool warning, const config_value *value,
                 const char *path, const char *message) {
    diagnostics_add(r->problems, code, warning, value->origin.place, path, "%s", message);
}

static void check_version(const rules *r) {
    const config_value *version = at(r, "deployment.version");
    if (version && strcmp(version->text, "2") != 0 && strncmp(version->text, "2.", 2) != 0) {
        tell(r, "C0323", false, version, "deployment.version",
             "this version of TARS reads configurations of version 2; write version: \"2.0\"");
    }
}
void rules_check(const config_value *root, const rules_options *options,
                 config_diagnostics *problems) {
    rules r = {root, options, problems};
    check_version(&r);
}
