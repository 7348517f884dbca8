/* The whole command line as one function, apart from main so that a test can call it. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/* Runs argv and returns the process's exit status (interface: 0 … 5 or 130). */
int cli_main(int argc, char **argv);

#endif
