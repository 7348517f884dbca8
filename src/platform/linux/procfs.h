/* Small reads of /proc and /sys. Ownership: nothing is kept. */
#ifndef PLATFORM_LINUX_PROCFS_H
#define PLATFORM_LINUX_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads at most size_bytes − 1 bytes and adds a NUL; false when there is no such file. */
bool procfs_read(const char *path, char *out, size_t size_bytes);
/* The first number in a file; false when there is none ("max"). */
bool procfs_read_number(const char *path, uint64_t *out);
/* The number behind "KEY" at the start of a line, times unit_bytes; false when it is missing. */
bool procfs_find(const char *text, const char *key, uint64_t unit, uint64_t *out);

#endif
