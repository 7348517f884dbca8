#include "runtime/wasm/stranger_code.h"

#include <string.h>

typedef struct proposal_row {
    unsigned bit;
    const char *name;
} proposal_row;

static const proposal_row proposals[] = {
    {PROPOSAL_SIMD, "simd"},
    {PROPOSAL_BULK_MEMORY, "bulk_memory"},
    {PROPOSAL_MULTI_VALUE, "multi_value"},
    {PROPOSAL_TAIL_CALL, "tail_call"},
};
enum { N_PROPOSALS = sizeof proposals / sizeof proposals[0] };

static const char beginning[] = "stranger";
static const char fuel_word[] = ",fuel";
static const char off_word[] = ",no-";

void stranger_code_write(const stranger_code *code, text_buffer *out) {
    text_append_string(out, beginning);
    text_append_string(out, code->fuel ? fuel_word : "");
    for (size_t i = 0; i < N_PROPOSALS; i++) {
        if (code->without & proposals[i].bit) {
            text_append_string(out, off_word);
            text_append_string(out, proposals[i].name);
        }
    }
}

/* Goes past `word` when the text has it next. */
static bool take(const char **text, const char *word) {
    size_t length = strlen(word);
    bool found = strncmp(*text, word, length) == 0;
    *text += found ? length : 0;
    return found;
}

bool stranger_code_read(const char *text, stranger_code *code) {
    if (!take(&text, beginning)) {
        return false;
    }
    code->fuel = take(&text, fuel_word);
    code->without = 0;
    for (size_t i = 0; i < N_PROPOSALS; i++) {
        const char *at = text;
        if (take(&at, off_word) && take(&at, proposals[i].name)) {
            code->without |= proposals[i].bit;
            text = at;
        }
    }
    return *text == '\0';
}

void stranger_code_write_off(const stranger_code *code, text_buffer *out) {
    const char *comma = "";
    for (size_t i = 0; i < N_PROPOSALS; i++) {
        if (code->without & proposals[i].bit) {
            text_format(out, "%s%s", comma, proposals[i].name);
            comma = ", ";
        }
    }
}
