/* What `doctor` looks at: a table of functions, one a question. Ownership: findings are plain
 * memory; a check borrows its environment. */
#ifndef CLI_CHECKS_H
#define CLI_CHECKS_H

#include "cli/client.h"
#include "cli/machine.h"
#include "cli/progress.h"

typedef enum check_status { CHECK_OK, CHECK_WARN, CHECK_FAIL, CHECK_UNAVAILABLE } check_status;

typedef struct finding {
    char name[64]; /* of the check, or "check: object" when it looks at several */
    check_status status;
    char detail[320]; /* what was measured or found */
    char fix[256];    /* what to do about it, or "" */
} finding;

enum { CHECKS_MAX_FINDINGS = 512 };

typedef struct check_list {
    client *session;
    const machine *machine;
    const char *home; /* the store's folder */
    bool repair;      /* make a damaged index anew */
    tars_model_entry *models;
    size_t n_models;
    progress progress;
    finding *findings; /* [CHECKS_MAX_FINDINGS] */
    size_t count;
} check_list;

/* Adds a finding and gives it for filling; the last one again when the list is full. */
finding *check_add(check_list *list, const char *name, check_status status);

typedef struct check_row {
    const char *name;
    void (*run)(check_list *list);
} check_row;
extern const check_row check_rows[];
extern const size_t check_row_count;
/* Text of a status: ok, warn, fail, unavailable. */
const char *check_status_name(check_status status);

#endif
