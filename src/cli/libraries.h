/* The libraries this program is linked with. Apart from the rest because it alone includes their
 * headers. Ownership: constant data. */
#ifndef CLI_LIBRARIES_H
#define CLI_LIBRARIES_H

#include <stddef.h>

typedef struct library_row {
    const char *name;
    const char *(*version)(void); /* as loaded now, not as compiled against, where it tells */
} library_row;

extern const library_row libraries[];
extern const size_t library_count;

#endif
