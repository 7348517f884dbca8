/* The report on a model file or a model of the store, as JSON. Ownership: inspection_free gives the
 * text back, also after a failure. */
#ifndef CLI_INSPECTION_H
#define CLI_INSPECTION_H

#include "base/error.h"

#include <stddef.h>
#include <tars/model.h>

typedef struct inspection {
    char *json; /* one object, see inspect_write_json; NULL after a failure */
    size_t json_bytes;
    tars_status first_problem; /* TARS_OK: none */
} inspection;

/* `what` is the path of a file or of a folder with model.safetensors, else a name of the store. */
tars_status inspection_of(tars_context *context, const char *what, inspection *out,
                          tars_error *err);
void inspection_free(inspection *report);

#endif
