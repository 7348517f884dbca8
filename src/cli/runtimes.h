/* Names of runtimes and of isolation that the command line takes. Ownership: constant tables. */
#ifndef CLI_RUNTIMES_H
#define CLI_RUNTIMES_H

/* Choices of --runtime and of --isolation, NULL-terminated. */
extern const char *const runtime_choices[];
extern const char *const isolation_choices[];

#endif
