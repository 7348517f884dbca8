/* What it sees of arguments and environment is what it was given, and nothing of the host's. */
#include "escape.h"

extern char **environ;

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        printf("argument %s\n", argv[i]);
    }
    for (char **e = environ; e && *e; e++) {
        printf("variable %s\n", *e);
    }
    return 0;
}
