/* Shell completions made from the verb table. Each prints one script. */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "cli/verb.h"

void completion_bash(output *out);
void completion_zsh(output *out);
void completion_fish(output *out);

#endif
