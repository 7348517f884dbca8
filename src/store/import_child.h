/* The program's other half of an import: the process that reads the foreign file. It is the same
 * executable, started with a hidden verb and with nothing but descriptors:
 *
 *   tars internal-import gguf|safetensors|unpack [MEMBER…]
 *   0  /dev/null        1  packed stream out        2  log
 *   3… the source files, read only                  (one a MEMBER; gguf and unpack have one)
 *   the status pipe is the first descriptor after them: JSON frames, one a line
 *
 * It hardens itself before it reads the first byte of a source: no new privileges, no core file,
 * bounded memory, processor time and descriptors, and a system-call filter that leaves reading,
 * writing and exiting. Ownership: the process owns its descriptors; nothing is shared. */
#ifndef STORE_IMPORT_CHILD_H
#define STORE_IMPORT_CHILD_H

/* The name of the hidden verb. */
#define IMPORT_CHILD_VERB "internal-import"

/* Runs the child. argv[0] is the verb. Returns the exit status of the process: 0 when the result
 * frame was written, 1 when an error frame was. */
int import_child_main(int argc, char **argv);

#endif
