#include "config/reach.h"

#include <string.h>

const reach_row reach_rows[REACH_KINDS] = {
    [REACH_ISOLATION] = {"isolation",
                         {"microvm", "sandbox", "process"},
                         {"sandbox", "sandbox", "process"}},
    [REACH_FILES] = {"files",
                     {"scratch", "workspace", "configured"},
                     {"scratch", "workspace", "configured"}},
    [REACH_NETWORK] = {"network",
                       {"none", "allow-list", NULL},
                       {"none", "allow-list", "allow-list"}},
    [REACH_PROCESSES] = {"processes", {"none", "allow-list", NULL}, {"none", "none", "allow-list"}},
};

int reach_rank(reach_kind kind, const char *word) {
    const reach_row *row = &reach_rows[kind];
    for (int i = 0; i < REACH_MAX_WORDS && row->words[i]; i++) {
        if (strcmp(row->words[i], word) == 0) {
            return i;
        }
    }
    return 0;
}
