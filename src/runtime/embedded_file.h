/* A file of the build in the program: EMBED_FILE("name", "directive") defines name[] and
 * name_bytes; the directive is EMBED_PATH("path"), or "" for none. Ownership: constant data. */
#ifndef RUNTIME_EMBEDDED_FILE_H
#define RUNTIME_EMBEDDED_FILE_H

#define EMBED_PATH(path) ".incbin \"" path "\"\n"
#define EMBED_FILE(name, directive)                                                                \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 16\n"                                                                         \
            ".global " name "\n"                                                                   \
            ".hidden " name "\n" name ":\n" directive "1:\n"                                       \
            ".balign 16\n"                                                                         \
            ".global " name "_bytes\n"                                                             \
            ".hidden " name "_bytes\n" name "_bytes:\n"                                            \
            ".quad 1b - " name "\n"                                                                \
            ".popsection\n")

#endif
