/* The facts of this build. */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#include "cli/verb.h"

/* What `tars --version` prints; JSON with --json. */
tars_status version_print(cli *c);

#endif
