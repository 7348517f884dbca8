/* Keeps a folder of artifacts within bounds, whoever fills it: programs that are run once leave
 * their code too. Ownership: nothing is kept. */
#ifndef STORE_ARTIFACT_ROOM_H
#define STORE_ARTIFACT_ROOM_H

#include <stdint.h>

/* Removes the artifacts that were written longest ago until at most so many bytes and files are
 * left. Other files stay. What cannot be looked at or removed is passed over. */
void artifact_room_make(const char *folder, uint64_t max_bytes, uint64_t max_files);

#endif
