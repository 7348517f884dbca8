#include "store/module_state.h"

typedef struct state_row {
    const char *name, *hint; /* what to do about a refusal */
    bool leads_to[MODULE_STATE_COUNT];
} state_row;

static const state_row rows[MODULE_STATE_COUNT] = {
    [MODULE_UNLOADED] = {"unloaded", "load it: tars wasm load FILE", {[MODULE_LOADING] = true}},
    [MODULE_LOADING] = {"loading",
                        "wait until it is loaded, or end the process that loads it",
                        {[MODULE_LOADED] = true, [MODULE_ERROR] = true}},
    [MODULE_LOADED] = {"loaded",
                       "it is not running: there is nothing to end",
                       {[MODULE_LOADING] = true, /* another file under its name */
                        [MODULE_EXECUTING] = true,
                        [MODULE_ERROR] = true,
                        [MODULE_UNLOADED] = true,
                        [MODULE_DISPOSED] = true}},
    [MODULE_EXECUTING] = {"executing",
                          "wait until it ends, or end the process that runs it",
                          {[MODULE_LOADED] = true, [MODULE_ERROR] = true}},
    [MODULE_ERROR] =
        {"error",
         "`tars wasm list` says why; load its file again, or unload it",
         {[MODULE_LOADING] = true, [MODULE_UNLOADED] = true, [MODULE_DISPOSED] = true}},
    [MODULE_DISPOSED] = {"disposed", "open the module again", {false}},
};

const char *module_state_name(module_state state) {
    return state < MODULE_STATE_COUNT ? rows[state].name : "?";
}

bool module_state_allows(module_state from, module_state to) {
    return from < MODULE_STATE_COUNT && to < MODULE_STATE_COUNT && rows[from].leads_to[to];
}

tars_status module_state_check(const char *name, module_state from, module_state to,
                               tars_error *err) {
    if (module_state_allows(from, to)) {
        return TARS_OK;
    }
    error_set(err, TARS_CONFLICT, "the module %s is in the state %s, which does not lead to %s",
              name, module_state_name(from), module_state_name(to));
    return error_hint(err, "%s", from < MODULE_STATE_COUNT ? rows[from].hint : "");
}
